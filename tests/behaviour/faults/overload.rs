//! Floods, and threads that are busy: rows 36, 39 and 44 of the list in [`super`].

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use actix::prelude::*;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};
use wsvisor::{
    ConnectionSpec, ExitReason, Liveness, Received, SendString, Settings, StartConnection,
    Supervisor,
    testing::{ClientFrame, Recorder, Script, Server, connected, frame, text, virtual_time},
};

use super::{
    ground::{Ground, Over},
    stage::{Fault, Next},
};
use crate::support::{loopback_policy, ms, soon};

/// 10,000 pings in one go may be answered by a few pongs, the newest among them (RFC 6455 §5.5.3).
/// The neighbour waits for none of it.
#[test]
fn fault_36_a_flood_of_pings() {
    let pings: Vec<u8> = (0..10_000_u32).flat_map(|n| frame(0x89, n.to_be_bytes())).collect();
    let newest = ClientFrame::pong(9_999_u32.to_be_bytes());
    let script = Script::new().accept().send(pings).expect_up_to(newest, 10_000).close(1001);
    Fault::of(script).also_over_tcp().breaks(ms(100), 1001, Next::Retries, |reason| {
        matches!(reason, ExitReason::ClosedByPeer(_))
    });
}

/// A server whose thread is never blocked: it accepts, answers pings and sends messages back, or
/// floods whoever connects to `/flood`. It ends with its handle.
pub(super) struct Elsewhere {
    pub(super) url: String,
    _end: oneshot::Sender<()>,
}

impl Elsewhere {
    pub(super) fn start() -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        thread::spawn(move || {
            System::new().block_on(async {
                let server = Rc::new(Server::on_loopback().await.unwrap());
                tell.send(server.url()).unwrap();
                let serve = async {
                    loop {
                        let server = Rc::clone(&server);
                        // Its patience ends when nobody has come for long, which is no fault here.
                        let accepted = actix_rt::spawn(async move { server.accept().await });
                        if let Ok(peer) = accepted.await {
                            actix_rt::spawn(serve(peer));
                        }
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = ended => {}
                }
            });
        });
        Self { url: told.recv().unwrap(), _end: end }
    }
}

async fn serve(mut peer: wsvisor::testing::Peer) {
    let request = peer.shake_hands().await;
    if request.request_line().contains("/flood") {
        let messages = frame(0x81, "flood").repeat(10_000);
        while peer.try_write(&messages).await.is_ok() {}
        return;
    }
    while let Ok(ClientFrame { opcode, payload }) = peer.try_read().await {
        let answer = match opcode {
            1 | 2 => frame(0x80 | opcode, payload),
            9 => frame(0x8A, payload),
            _ => return,
        };
        if peer.try_write(answer).await.is_err() {
            return;
        }
    }
}

/// A connection with quick pings, on the thread that is to be busy, and what it tells.
struct Witness {
    connection: Addr<wsvisor::Connection>,
    events: Recorder,
    messages: Recorder,
}

impl Witness {
    async fn start(supervisor: &Addr<Supervisor>, server: &Elsewhere) -> Self {
        let (mut events, messages) = (Recorder::start(), Recorder::start());
        let liveness = Liveness::default().ping_every(ms(200)).pong_within(ms(200));
        let spec = ConnectionSpec::string("witness", &server.url)
            .settings(Settings::default().liveness(liveness))
            .subscribe(events.lifecycle())
            .subscribe(messages.messages());
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events.expect(connected()).await;
        Self { connection, events, messages }
    }

    /// How long a message and its echo take.
    async fn round_trip(&mut self) -> Duration {
        let said = Instant::now();
        self.connection.send(SendString::new("hello")).await.unwrap().unwrap();
        self.messages.expect(text("hello")).await;
        said.elapsed()
    }

    /// Its first session is up.
    fn is_unharmed(&mut self) {
        assert_eq!(self.events.history().len(), 1, "{:#?}", self.events.history());
    }
}

fn supervisor() -> Addr<Supervisor> {
    Supervisor::builder().policy(loopback_policy()).start().unwrap()
}

/// Handles each message for so long, and blocks its thread meanwhile.
struct Sluggish(Duration);

impl Actor for Sluggish {
    type Context = Context<Self>;
}

impl Handler<Received> for Sluggish {
    type Result = ();

    fn handle(&mut self, _: Received, _: &mut Context<Self>) {
        thread::sleep(self.0);
    }
}

/// A flood is read as fast as its subscriber takes it, and each read is one turn of the thread: the
/// others get theirs.
#[actix::test]
async fn fault_36_a_flood_of_messages() {
    let (server, supervisor) = (Elsewhere::start(), supervisor());
    let mut witness = Witness::start(&supervisor, &server).await;
    let subscriber = Sluggish(Duration::ZERO).start();
    for number in 0..4 {
        let flood = format!("{}/flood", server.url);
        let spec = ConnectionSpec::string(format!("flooded {number}"), flood)
            .subscribe(subscriber.clone().recipient::<Received>());
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    }
    let mut took = Vec::new();
    for _ in 0..50 {
        took.push(witness.round_trip().await);
        sleep(ms(5)).await;
    }
    took.sort();
    let (median, slowest) = (took[25], took[49]);
    println!("50 round trips beside a flood: median {median:?}, slowest {slowest:?}");
    // The machine may be busy.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    witness.is_unharmed();
}

/// The same, measured in what the thread does for the flood meanwhile, which no other process
/// disturbs. A flooded connection reads once in its turn, and then every other that has something has its
/// own. So while the server's answer is read, told to the subscriber and by him to who waits, each of the
/// four flooded connections has read three times at most; over a round trip, with the command and its write
/// before, five times.
#[test]
fn fault_36_a_neighbour_waits_for_a_few_reads_of_each_flooded_connection() {
    const FLOODED: usize = 4;
    const READ: usize = 64 << 10;
    const HEADER: usize = 2;
    virtual_time(1, async {
        let ground = Ground::new(Over::Memory);
        let read = Arc::new(AtomicUsize::new(0));
        let healthy = ground.listen("healthy").await;
        let mut messages = Recorder::start();
        let spec = ConnectionSpec::string("neighbour", healthy.url());
        let spec = spec.subscribe(messages.messages());
        let neighbour = ground.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let (echoed, seen) = (Rc::new(Cell::new(0)), Arc::clone(&read));
        let echoed_at = Rc::clone(&echoed);
        actix_rt::spawn(async move {
            let mut peer = healthy.open().await;
            while let Ok(ClientFrame { opcode: 1, payload }) = peer.try_read().await {
                echoed_at.set(seen.load(Relaxed));
                if peer.try_write(frame(0x81, payload)).await.is_err() {
                    return;
                }
            }
        });
        for number in 0..FLOODED {
            let server = ground.listen(&format!("flood{number}")).await;
            // It is asked in the session's own turn, as a message is read.
            let count = Arc::clone(&read);
            let settings = Settings::default().reply_with(move |message, _| {
                count.fetch_add(HEADER + message.as_bytes().len(), Relaxed);
            });
            let spec = ConnectionSpec::string(format!("flooded {number}"), server.url())
                .settings(settings);
            ground.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            actix_rt::spawn(async move {
                let mut peer = server.open().await;
                let messages = frame(0x81, "flood").repeat(10_000);
                while peer.try_write(&messages).await.is_ok() {}
            });
        }
        while read.load(Relaxed) < 1 << 20 {
            actix_rt::task::yield_now().await;
        }
        // In a task as the others are: the future of a test has its turn after 61 of theirs.
        let measured = actix_rt::spawn(async move {
            let (mut round_trips, mut deliveries) = (Vec::new(), Vec::new());
            for number in 0..200 {
                let before = read.load(Relaxed);
                neighbour.send(SendString::new(number.to_string())).await.unwrap().unwrap();
                messages.expect(text(number.to_string())).await;
                round_trips.push(read.load(Relaxed) - before);
                deliveries.push(read.load(Relaxed) - echoed.get());
            }
            (round_trips, deliveries)
        });
        let (round_trips, deliveries) = measured.await.unwrap();
        // A message that a read cuts is counted with the next read.
        let reads = |bytes: usize| (bytes + READ / 2) / READ;
        let turns = |bytes: Vec<usize>| reads(bytes.into_iter().max().unwrap()).div_ceil(FLOODED);
        assert!(round_trips.iter().all(|&bytes| bytes > 0), "nothing floods");
        let (deliveries, round_trips) = (turns(deliveries), turns(round_trips));
        assert!(deliveries <= 3, "{deliveries} reads of each before an answer was delivered");
        assert!(round_trips <= 5, "{round_trips} reads of each in a round trip");
    });
}

/// The thread of three connections is blocked for two seconds, three times. Nobody is thought dead,
/// and what came meanwhile is delivered.
#[actix::test]
async fn fault_39_a_handler_that_blocks_for_two_seconds() {
    let (server, supervisor) = (Elsewhere::start(), supervisor());
    let mut witness = Witness::start(&supervisor, &server).await;
    let sluggish = Sluggish(Duration::from_secs(2)).start();
    let mut events = Recorder::start();
    let spec = ConnectionSpec::string("slow", &server.url)
        .settings(Settings::default().liveness(Liveness::default().ping_every(ms(100))))
        .subscribe(events.lifecycle())
        .subscribe(sluggish.recipient::<Received>());
    let slow = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    events.expect(connected()).await;
    for _ in 0..3 {
        slow.send(SendString::new("think")).await.unwrap().unwrap();
        let took = witness.round_trip().await;
        assert!(took < Duration::from_secs(10), "{took:?}");
        sleep(ms(300)).await;
    }
    sleep(ms(500)).await;
    witness.is_unharmed();
    assert_eq!(events.history().len(), 1, "{:#?}", events.history());
}

/// 10,000 timers of one thread are due at once, and each keeps it for a while.
#[actix::test]
async fn fault_39_ten_thousand_timers_are_due_at_once() {
    let (server, supervisor) = (Elsewhere::start(), supervisor());
    let mut witness = Witness::start(&supervisor, &server).await;
    let due = Instant::now() + ms(700);
    let timers: Vec<_> = (0..10_000)
        .map(|_| {
            actix_rt::spawn(async move {
                sleep_until(due).await;
                thread::sleep(Duration::from_micros(50));
            })
        })
        .collect();
    sleep_until(due - ms(5)).await;
    let took = witness.round_trip().await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    for timer in timers {
        soon("a timer", timer).await.unwrap();
    }
    println!("a round trip while they went off: {took:?}");
    sleep(ms(500)).await;
    witness.round_trip().await;
    witness.is_unharmed();
}
