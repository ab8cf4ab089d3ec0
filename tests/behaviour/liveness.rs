//! Whether it is noticed that a session is dead, and how soon.

use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;
use wsvisor::{
    CloseCode, Connect, Connection, ConnectionSpec, ExitReason, GetStatus, LifecycleEvent,
    Liveness, Received, Remedy, Settings, StartConnection, Verdict,
    testing::{
        ClientFrame, Network, Recorder, Script, connected, disconnected, frame, lifecycle, suspend,
        text, virtual_time,
    },
};

use crate::support::{alone, connected_with, listen, recorded, settings, supervisor};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn ended(events: &mut Recorder) -> (ExitReason, Duration) {
    let began = Instant::now();
    let event = events.until(disconnected()).await.lifecycle().cloned();
    let Some(LifecycleEvent::Disconnected { reason, .. }) = event else { panic!("{event:?}") };
    (reason, began.elapsed())
}

#[test]
fn a_half_open_connection_is_noticed_within_twice_the_interval_of_its_pings() {
    virtual_time(1, async {
        let server = listen().play([
            Script::new().accept().send_text("last words").vanish(),
            Script::new().accept().send_text("here again").pause(s(3_600)),
        ]);
        let spec = ConnectionSpec::string("a", server.url()).settings(settings());
        let (spec, mut events) = recorded(spec);
        let supervisor = supervisor();
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events.until(text("last words")).await;
        let (reason, took) = ended(&mut events).await;
        assert!(
            matches!(reason, ExitReason::Judged(Verdict::PingUnanswered { misses: 1, .. })),
            "{reason}"
        );
        println!("a half-open connection was noticed after {took:?}, its pings go out every 20 s");
        assert!(took <= s(40), "{took:?}");
        events.until(connected().epoch(2)).await;
        events.until(text("here again")).await;
        events.expect_none(s(3_000)).await;
    });
}

#[test]
fn a_half_open_connection_with_something_to_write_is_noticed_as_soon() {
    virtual_time(2, async {
        let network = Network::with_capacity(64);
        let server = network.listen("ws://127.0.0.1:80").play([Script::new().accept().vanish()]);
        let (connection, mut events) =
            alone(Connection::string("a").settings(Settings::default().dialler(network)));
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        events.until(connected()).await;
        connection.do_send(wsvisor::SendString::new("x".repeat(1_000)));
        let (reason, took) = ended(&mut events).await;
        assert!(matches!(reason, ExitReason::Judged(Verdict::SendStalled { .. })), "{reason}");
        assert!(took <= s(40), "{took:?}");
    });
}

#[test]
fn pings_are_measured_and_any_frame_answers_them() {
    virtual_time(3, async {
        let (connection, mut events, mut peer) = connected_with(settings()).await;
        let ping = peer.read().await;
        assert!(ping.is_ping(), "{ping:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
        peer.write(frame(0x8A, &ping.payload)).await;
        events.expect_none(s(1)).await;
        let round_trip = connection.send(GetStatus).await.unwrap().round_trip;
        assert_eq!(round_trip, Some(Duration::from_millis(250)));
        for _ in 0..5 {
            assert!(peer.read().await.is_ping());
            tokio::time::sleep(s(10)).await;
            peer.text("busy").await;
            events.expect(text("busy")).await;
        }
        // A pong that nobody asked for is heard as well.
        assert!(peer.read().await.is_ping());
        peer.write(frame(0x8A, b"unasked")).await;
        assert!(peer.read().await.is_ping());
        let (reason, took) = ended(&mut events).await;
        assert!(matches!(reason, ExitReason::Judged(Verdict::PingUnanswered { .. })), "{reason}");
        assert_eq!(took, s(20));
        assert_eq!(reason.close_code(), CloseCode::ABNORMAL);
        // No close frame: it is cut.
        peer.read_end().await;
    });
}

#[test]
fn misses_can_be_forgiven() {
    virtual_time(4, async {
        let liveness = Liveness::default().ping_every(s(5)).pong_within(s(3)).misses(3);
        let (_connection, mut events, _peer) = connected_with(settings().liveness(liveness)).await;
        let (reason, took) = ended(&mut events).await;
        assert!(
            matches!(reason, ExitReason::Judged(Verdict::PingUnanswered { misses: 3, .. })),
            "{reason}"
        );
        assert_eq!(took, s(5 + 2 * 5 + 3));
    });
}

/// Takes its messages only when it is let.
struct Stuck(Vec<Received>);

impl Actor for Stuck {
    type Context = Context<Self>;
}

impl Handler<Received> for Stuck {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        self.0.push(message);
    }
}

#[derive(Message)]
#[rtype(result = "usize")]
struct LetGo;

impl Handler<LetGo> for Stuck {
    type Result = usize;

    fn handle(&mut self, _: LetGo, _: &mut Context<Self>) -> usize {
        std::mem::take(&mut self.0).len()
    }
}

#[test]
fn pings_go_out_on_time_while_a_subscriber_is_stuck_for_a_minute() {
    virtual_time(5, async {
        let server = listen();
        let stuck = Stuck(Vec::new()).start();
        let recorder = Recorder::start();
        let connection = Connection::string("a")
            .settings(settings())
            .policy(crate::support::loopback_policy())
            .subscribe(stuck.clone().recipient::<Received>())
            .subscribe(recorder.lifecycle())
            .start()
            .unwrap();
        let mut events = recorder;
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.expect(connected()).await;
        let began = Instant::now();
        // More than may be in flight to it, and more than one read: the socket is held back.
        for _ in 0..1_500 {
            peer.text("x".repeat(60)).await;
        }
        let mut worst = Duration::ZERO;
        for number in 1..=3 {
            let ping = peer.read().await;
            assert!(ping.is_ping(), "{ping:?}");
            let late = began.elapsed().abs_diff(s(20 * number));
            worst = worst.max(late);
            // Its answer waits behind what is not read.
            peer.write(frame(0x8A, &ping.payload)).await;
        }
        println!("while a subscriber was stuck for a minute, no ping was {worst:?} late or later");
        assert!(worst <= Duration::from_millis(2), "{worst:?}");
        assert_eq!(began.elapsed().as_secs(), 60);
        assert!(matches!(events.history(), [_]), "not judged dead: {:?}", events.history());
        assert!(stuck.send(LetGo).await.unwrap() >= 1_024);
        assert!(peer.read().await.is_ping());
        let rest = stuck.send(LetGo).await.unwrap();
        assert!(rest > 0, "the rest came as soon as there was room");

        // Stuck again, and now the peer is gone: that is noticed once there is something to hear.
        for _ in 0..1_500 {
            peer.text("x".repeat(60)).await;
        }
        events.expect_none(s(300)).await;
        stuck.send(LetGo).await.unwrap();
        events.expect_none(s(1)).await;
        stuck.send(LetGo).await.unwrap();
        let (reason, took) = ended(&mut events).await;
        assert!(matches!(reason, ExitReason::Judged(Verdict::PingUnanswered { .. })), "{reason}");
        assert!(took <= s(40), "{took:?}");
    });
}

#[test]
fn silence_is_told_and_ends_with_a_close_frame_that_keeps_the_session() {
    virtual_time(6, async {
        let liveness = Liveness::off().silence(s(30), Remedy::Report);
        let (_connection, mut events, mut peer) =
            connected_with(settings().liveness(liveness)).await;
        let suspected = || {
            lifecycle("Suspected", |event| {
                matches!(event, LifecycleEvent::Suspected { verdict: Verdict::Silent { .. } })
            })
        };
        events.expect(suspected()).await;
        events.expect_none(s(100)).await;
        peer.text("hello").await;
        events.expect(text("hello")).await;
        events.expect(suspected()).await;

        let liveness = Liveness::off().silence(s(30), Remedy::Close);
        let (_connection, mut events, mut peer) =
            connected_with(settings().liveness(liveness)).await;
        let began = Instant::now();
        assert_eq!(peer.read_close().await, CloseCode::JUDGED.get().to_be_bytes());
        assert_eq!(began.elapsed().as_secs(), 30);
        peer.close(4000).await;
        drop(peer);
        let (reason, _) = ended(&mut events).await;
        assert!(matches!(reason, ExitReason::Judged(Verdict::Silent { .. })), "{reason}");
        assert_eq!(reason.close_code(), CloseCode::JUDGED);
    });
}

#[test]
fn after_the_machine_slept_a_ping_is_sent_first() {
    virtual_time(7, async {
        let liveness = Liveness::default().clock_jump(s(5), Remedy::Report);
        let (_connection, mut events, mut peer) =
            connected_with(settings().liveness(liveness)).await;
        let first = peer.read().await;
        assert!(first.is_ping());
        // It slept before the answer could come, and the answer is lost.
        suspend(s(8 * 3_600));
        let second = peer.read().await;
        assert!(second.is_ping() && second != first, "{second:?}");
        events.expect("1 Suspected: the calendar jumped by 28800s…").await;
        peer.write(frame(0x8A, &second.payload)).await;
        let ping = peer.read().await;
        peer.write(frame(0x8A, &ping.payload)).await;
        events.expect_none(s(5)).await;
    });
}

/// A thread that is blocked reads what came meanwhile before it judges. In real time, since virtual
/// time stands still while a thread is blocked.
#[actix::test]
async fn a_blocked_thread_does_not_think_its_peer_dead() {
    let ms = Duration::from_millis;
    let liveness = Liveness::default().ping_every(ms(200)).pong_within(ms(200));
    let (connection, mut events, peer) = connected_with(settings().liveness(liveness)).await;
    // The peer is on this thread too: it answers as soon as it runs again.
    let served = actix_rt::spawn(async move {
        let mut peer = peer;
        while let Ok(ClientFrame { opcode, payload }) = peer.try_read().await {
            if opcode == 9 && peer.try_write(frame(0x8A, payload)).await.is_err() {
                return;
            }
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(ms(300)).await;
        std::thread::sleep(ms(1_500));
    }
    tokio::time::sleep(ms(500)).await;
    assert!(events.history().iter().all(|told| told.epoch.get() == 1 && told.seq == 1));
    assert!(connection.send(GetStatus).await.unwrap().round_trip.is_some());
    served.abort();
}
