//! Connections of one thread whose servers send as fast as they are read.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::{Actor, Addr, Handler, ResponseFuture};
use tokio::{sync::watch, task::JoinHandle};
use wsvisor::{
    Connect, Connection, Payload, Received, ReceivedBatch, Settings, Subscription,
    testing::{Network, Peer, Recorder, Server, text, virtual_time},
};

use crate::support::{listen, loopback_policy, network, settings, soon, watching_reads};

/// A connection to a server, and the server's side of it.
async fn connected(
    server: &Server,
    settings: Settings,
    subscription: Subscription,
) -> (Addr<Connection>, Peer) {
    let builder = Connection::string("a").settings(settings).policy(loopback_policy());
    let connection = builder.subscribe(subscription).start().unwrap();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    (connection, server.open().await)
}

/// Sends these as fast as they are read.
fn flood(mut peer: Peer, texts: impl Iterator<Item = String> + 'static) -> JoinHandle<Peer> {
    actix_rt::spawn(async move {
        for text in texts {
            peer.text(text).await;
        }
        peer
    })
}

/// A connection to a server that sends the [`texts`], and that server.
async fn flooded(
    settings: Settings,
    subscription: Subscription,
) -> (Addr<Connection>, JoinHandle<Peer>) {
    let (connection, peer) = connected(&listen(), settings, subscription).await;
    (connection, flood(peer, texts()))
}

const TEXTS: usize = 200;
const LARGE: usize = 20_000;

fn texts() -> impl Iterator<Item = String> {
    (0..TEXTS).map(|number| format!("{number:>LARGE$}"))
}

/// What one flood brings is with its subscriber before the next is read: a thread does not read all
/// of them first, and then holds what all have brought.
#[test]
fn floods_are_read_in_turn() {
    virtual_time(1, async {
        let reads = Arc::new(Reads::default());
        let counted = Arc::clone(&reads);
        let settings =
            settings().dialler(watching_reads(network(), move |bytes| counted.count(bytes)));
        let (heard, mut watched) = watch::channel(0);
        let counted = Arc::clone(&reads);
        let subscriber = Subscriber(move |batch: &ReceivedBatch| {
            heard.send_modify(|heard| *heard += batch.len());
            counted.unheard.store(0, Ordering::Relaxed);
            if *heard.borrow() < TEXTS {
                // Nobody knows of a flood before its first large read.
                counted.at_once.store(0, Ordering::Relaxed);
            }
        })
        .start();
        let mut kept = Vec::new();
        for _ in 0..10 {
            let wants = subscriber.clone().recipient::<ReceivedBatch>().into();
            kept.push(flooded(settings.clone(), wants).await);
        }
        soon("all texts", watched.wait_for(|heard| *heard == 10 * TEXTS)).await.unwrap();
        let at_once = reads.at_once.load(Ordering::Relaxed);
        assert!(
            (1..=2).contains(&at_once),
            "{at_once} of 10 floods were read before one was heard"
        );
    });
}

/// A large message is read to its end before one of another flood is begun: a thread does not hold a
/// part of each.
#[test]
fn large_messages_come_one_after_the_other() {
    const SIZE: usize = 1 << 20;
    virtual_time(3, async {
        let on_their_way = Arc::new(OnTheirWay::default());
        let counted = Arc::clone(&on_their_way);
        // One read takes of a message all that its server has sent.
        let network = Network::with_capacity(2 * SIZE);
        let server = network.listen("ws://127.0.0.1:1");
        let settings =
            settings().dialler(watching_reads(network, move |bytes| counted.came(bytes)));
        let (heard, mut watched) = watch::channel(0);
        let counted = Arc::clone(&on_their_way);
        let subscriber = Subscriber(move |batch: &ReceivedBatch| {
            let bytes = batch.iter().map(Payload::len).sum();
            counted.now.fetch_sub(bytes, Ordering::Relaxed);
            heard.send_modify(|heard| *heard += bytes);
        })
        .start();
        let (mut connections, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            let wants = subscriber.clone().recipient::<ReceivedBatch>().into();
            let (connection, peer) = connected(&server, settings.clone(), wants).await;
            connections.push(connection);
            peers.push(peer);
        }
        let texts = || iter::repeat_with(|| "x".repeat(SIZE)).take(3);
        let _floods: Vec<_> = peers.into_iter().map(|peer| flood(peer, texts())).collect();
        soon("all texts", watched.wait_for(|heard| *heard == 10 * 3 * SIZE)).await.unwrap();
        let most = on_their_way.most.load(Ordering::Relaxed);
        // Two, and a first read of each: nobody knows of a flood before.
        assert!(most < 3 * SIZE, "{most} bytes of 10 floods had come and were not heard");
    });
}

/// One that is not read, since its subscriber has no room, and one that ends leave the others their
/// turns.
#[test]
fn floods_wait_for_none_that_is_not_read() {
    virtual_time(2, async {
        let stuck = Subscription::to(Stuck.start().recipient::<Received>()).capacity(5).hold_back();
        let _stuck = flooded(settings(), stuck).await;
        let (mut ends, mut stays) = (Recorder::start(), Recorder::start());
        let (connection, flood) = flooded(settings(), ends.messages().into()).await;
        let _stays = flooded(settings(), stays.messages().into()).await;
        ends.expect(text(texts().next().unwrap())).await;
        drop(connection);
        flood.abort();
        for expected in texts() {
            stays.expect(text(expected)).await;
        }
    });
}

/// Never done with its first message.
struct Stuck;

impl Actor for Stuck {
    type Context = actix::Context<Self>;
}

impl Handler<Received> for Stuck {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: Received, _: &mut actix::Context<Self>) -> ResponseFuture<()> {
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(message);
        })
    }
}

/// Does this with what it hears.
struct Subscriber<F>(F);

impl<F: FnMut(&ReceivedBatch) + Unpin + 'static> Actor for Subscriber<F> {
    type Context = actix::Context<Self>;
}

impl<F: FnMut(&ReceivedBatch) + Unpin + 'static> Handler<ReceivedBatch> for Subscriber<F> {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut actix::Context<Self>) {
        (self.0)(&batch);
    }
}

/// Bytes of all streams that were read, and are not heard.
#[derive(Default)]
struct OnTheirWay {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl OnTheirWay {
    fn came(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(now, Ordering::Relaxed);
    }
}

/// Counts the large reads of all streams.
#[derive(Default)]
struct Reads {
    /// Since something was heard.
    unheard: AtomicUsize,
    /// The most of these.
    at_once: AtomicUsize,
}

impl Reads {
    fn count(&self, bytes: usize) {
        if bytes > LARGE {
            let unheard = self.unheard.fetch_add(1, Ordering::Relaxed) + 1;
            self.at_once.fetch_max(unheard, Ordering::Relaxed);
        }
    }
}
