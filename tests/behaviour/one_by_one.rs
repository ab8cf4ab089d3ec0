//! Messages of one read that are delivered one by one: each is sent when the one before was dropped, and
//! nobody who keeps them, or hears them elsewhere, notices.

use std::{cell::RefCell, rc::Rc};

use actix::prelude::*;
use tokio::sync::{
    mpsc::{UnboundedSender, unbounded_channel},
    oneshot,
};
use wsvisor::{
    Connect, Connection, GetStatus, Lifecycle, Received, Subscribe, Subscription, Unsubscribe,
    testing::{Peer, Recorder, connected, disconnected, frame, text, virtual_time},
};

use crate::support::{listen, loopback_policy, ms, settings, soon};

/// More than are sent together, in one read.
const A_READ: u32 = 20;

/// What was told, in its order.
type Log = Rc<RefCell<Vec<String>>>;

#[derive(Default)]
struct Keeper {
    kept: Vec<Received>,
    log: Log,
    /// It is stopped by this message.
    stops_at: Option<&'static str>,
    /// Tells when it is gone.
    _gone: Option<oneshot::Sender<()>>,
}

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Handler<Received> for Keeper {
    type Result = ();

    fn handle(&mut self, message: Received, ctx: &mut Context<Self>) {
        if self.stops_at.is_some() && message.text() == self.stops_at {
            ctx.stop();
        }
        self.log.borrow_mut().push(format!("{} {}", message.seq, message.text().unwrap()));
        self.kept.push(message);
    }
}

impl Handler<Lifecycle> for Keeper {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        self.log.borrow_mut().push(format!("{} {:?}", told.seq, told.event.kind()));
    }
}

/// A connected connection with these subscribers.
async fn open(subscriptions: Vec<Subscription>) -> (Addr<Connection>, Peer) {
    let (server, mut events) = (listen(), Recorder::start());
    let mut builder = Connection::string("a")
        .settings(settings())
        .policy(loopback_policy())
        .subscribe(events.lifecycle());
    for subscription in subscriptions {
        builder = builder.subscribe(subscription);
    }
    let connection = builder.start().unwrap();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect(connected()).await;
    (connection, peer)
}

fn numbers(from: u32) -> impl Iterator<Item = String> {
    (from..from + A_READ).map(|number| number.to_string())
}

/// Frames that one read finds.
fn a_read(from: u32) -> Vec<u8> {
    numbers(from).flat_map(|number| frame(0x81, number)).collect()
}

fn logged(from: u32) -> Vec<String> {
    // `Connected` has the first place.
    numbers(from).zip(from + 2..).map(|(number, seq)| format!("{seq} {number}")).collect()
}

#[test]
fn who_keeps_them_all_is_sent_them_all_before_what_happens_next() {
    virtual_time(1, async {
        let log = Log::default();
        let keeper = Keeper { log: Rc::clone(&log), ..Keeper::default() }.start();
        let mut other = Recorder::start();
        let subscriptions = vec![
            keeper.clone().recipient::<Received>().into(),
            keeper.recipient::<Lifecycle>().into(),
            other.messages().into(),
            other.lifecycle().into(),
        ];
        let (_connection, mut peer) = open(subscriptions).await;
        peer.write(a_read(0)).await;
        other.expect(connected()).await;
        other.expect_all(numbers(0).map(text)).await;
        tokio::time::sleep(ms(1)).await;
        let mut expected = vec!["1 Connected".to_owned()];
        expected.extend(logged(0));
        assert_eq!(*log.borrow(), expected);
        // The end comes with the last of them in one read.
        peer.write([a_read(A_READ), frame(0x88, 1000_u16.to_be_bytes())].concat()).await;
        other.expect_all(numbers(A_READ).map(text)).await;
        peer.read_close().await;
        drop(peer);
        other.expect(disconnected().code(1000)).await;
        tokio::time::sleep(ms(1)).await;
        expected.extend(logged(A_READ));
        expected.push(format!("{} Disconnected", 2 * A_READ + 2));
        assert_eq!(*log.borrow(), expected);
    });
}

#[test]
fn a_message_that_is_kept_does_not_keep_its_subscriber_alive() {
    virtual_time(2, async {
        let (gone, is_gone) = oneshot::channel();
        let log = Log::default();
        let keeper =
            Keeper { log: Rc::clone(&log), _gone: Some(gone), ..Keeper::default() }.start();
        let subscription = Subscription::to(keeper.recipient::<Received>());
        let id = subscription.id();
        let (connection, mut peer) = open(vec![subscription]).await;
        peer.write(a_read(0)).await;
        while log.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        connection.send(Unsubscribe(id)).await.unwrap();
        soon("the end of an actor that nobody knows", is_gone).await.unwrap_err();
        assert_eq!(*log.borrow(), logged(0), "what had come was told");
    });
}

#[test]
fn a_subscriber_that_stops_among_them_holds_nobody_back() {
    virtual_time(3, async {
        let log = Log::default();
        let stops = Keeper { log: Rc::clone(&log), stops_at: Some("9"), ..Keeper::default() };
        let mut other = Recorder::start();
        let subscriptions =
            vec![stops.start().recipient::<Received>().into(), other.messages().into()];
        let (connection, mut peer) = open(subscriptions).await;
        for read in 0..3 {
            peer.write(a_read(read * A_READ)).await;
            other.expect_all(numbers(read * A_READ).map(text)).await;
        }
        assert_eq!(*log.borrow(), logged(0)[..10]);
        assert_eq!(connection.send(GetStatus).await.unwrap().received, u64::from(3 * A_READ));
    });
}

/// Passes on what it hears.
struct Passer(UnboundedSender<String>);

impl Actor for Passer {
    type Context = Context<Self>;
}

impl Handler<Received> for Passer {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        self.0.send(message.text().unwrap().to_owned()).unwrap();
    }
}

#[actix::test]
async fn who_hears_them_on_another_thread_hears_them_in_order() {
    let (connection, mut peer) = open(vec![]).await;
    let (tell, mut told) = unbounded_channel();
    let arbiter = Arbiter::new();
    let passer = Passer::start_in_arbiter(&arbiter.handle(), |_| Passer(tell));
    connection.send(Subscribe::new(passer.recipient::<Received>())).await.unwrap();
    for read in 0..50 {
        peer.write(a_read(read * A_READ)).await;
    }
    for number in 0..50 * A_READ {
        let heard = soon(number, told.recv()).await;
        assert_eq!(heard, Some(number.to_string()));
    }
    arbiter.stop();
}
