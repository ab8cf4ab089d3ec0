//! What is expected of a session's messages: watchdogs over its data, and the application's heartbeat.

use std::time::Duration;

use actix::prelude::*;
use serde::Deserialize;
use tokio::time::Instant;
use wsvisor::{
    Connect, Connection, ConnectionSpec, ExitReason, Filter, Heartbeat, LifecycleEvent, Liveness,
    MaxAge, Received, Remedy, SendString, SetHeartbeat, SetWatchdog, StartConnection, UpdateSpec,
    Verdict, Watchdog,
    testing::{ClientFrame, Peer, Recorder, connected, disconnected, frame, text, virtual_time},
};

use crate::support::{alone, listen, quick, recorded, settings, supervisor};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn connected_with(liveness: Liveness) -> (Addr<Connection>, Recorder, Peer) {
    let server = listen();
    let settings = settings().liveness(liveness);
    let (connection, mut events) = alone(Connection::string("a").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect(connected()).await;
    (connection, events, peer)
}

/// Answers pings until the client sends something else.
async fn next_message(peer: &mut Peer) -> ClientFrame {
    loop {
        let read = peer.read().await;
        if !read.is_ping() {
            return read;
        }
        peer.write(frame(0x8A, &read.payload)).await;
    }
}

const TRADE: &str = r#"{"channel":"trades","price":1}"#;

fn trades() -> Watchdog {
    Watchdog::new("trades", s(30)).fed_by(Filter::field("channel", "trades"))
}

/// The socket is open, its pings are answered, other messages come, and the data has stopped.
#[test]
fn a_session_whose_data_stopped_is_closed_so_that_it_can_be_resumed() {
    virtual_time(1, async {
        let liveness = Liveness::default().watch(trades().remedy(Remedy::Close));
        let (_connection, mut events, mut peer) = connected_with(liveness).await;
        for _ in 0..10 {
            peer.pause(s(25)).await;
            peer.text(TRADE).await;
            events.expect(text(TRADE)).await;
        }
        let began = Instant::now();
        peer.pause(s(20)).await;
        peer.text(r#"{"channel":"quotes"}"#).await;
        let close = next_message(&mut peer).await;
        assert_eq!(close.payload, 4000_u16.to_be_bytes(), "{close:?}");
        assert_eq!(began.elapsed(), s(30));
        peer.close(4000).await;
        drop(peer);
        let told = events.until(disconnected().code(4000)).await.lifecycle().cloned();
        let Some(LifecycleEvent::Disconnected { reason, .. }) = told else { panic!("{told:?}") };
        let ExitReason::Judged(Verdict::DataStale { watchdog, .. }) = reason else {
            panic!("{reason}")
        };
        assert_eq!(&*watchdog, "trades");
    });
}

#[test]
fn quiet_is_allowed_while_a_watchdog_is_off() {
    virtual_time(2, async {
        let (connection, mut events, mut peer) =
            connected_with(Liveness::default().watch(trades())).await;
        let set = |watchdog: SetWatchdog| connection.send(watchdog);
        assert!(!set(SetWatchdog::off("unknown")).await.unwrap());
        assert!(set(SetWatchdog::off("trades")).await.unwrap());
        peer.pause(s(3_600)).await;
        assert_eq!(events.history().len(), 1);
        assert!(set(SetWatchdog::on("trades")).await.unwrap());
        let began = Instant::now();
        let mut paused = std::pin::pin!(peer.pause(s(3_600)));
        tokio::select! {
            () = paused.as_mut() => panic!("nothing was told"),
            _ = events.expect("1 Suspected: no data for the watchdog trades for 30s") => {}
        }
        assert_eq!(began.elapsed(), s(30));
        // It is told once, and the session goes on.
        paused.await;
        assert_eq!(events.history().len(), 2);
    });
}

/// The server would end each session at some age; we choose the moment, and another follows.
#[test]
fn a_session_does_not_grow_older_than_it_may() {
    virtual_time(6, async {
        let server = listen();
        let age = MaxAge::of(s(3_600)).jitter(s(600));
        let spec = ConnectionSpec::string("a", server.url())
            .settings(settings().liveness(Liveness::default().max_age(age)));
        let (spec, mut events) = recorded(spec);
        let supervisor = supervisor();
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut ages = Vec::new();
        for epoch in 1..=3 {
            let mut peer = server.open().await;
            events.until(connected().epoch(epoch)).await;
            let began = Instant::now();
            assert_eq!(next_message(&mut peer).await.payload, 4000_u16.to_be_bytes());
            ages.push(began.elapsed());
            drop(peer);
            events.until(disconnected().epoch(epoch).code(4000)).await;
        }
        assert!(ages.iter().all(|age| (s(3_000)..=s(3_601)).contains(age)), "{ages:?}");
        assert!(ages[0] != ages[1], "{ages:?}");
    });
}

/// A bot as Discord wants it: it heeds Hello, and the server's wish for a beat.
struct Bot(Addr<Connection>);

#[derive(Deserialize)]
struct Event {
    op: u64,
    d: Option<Hello>,
}

#[derive(Deserialize)]
struct Hello {
    heartbeat_interval: u64,
}

impl Actor for Bot {
    type Context = Context<Self>;
}

impl Handler<Received> for Bot {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        match message.json::<Event>() {
            Ok(Event { op: 10, d: Some(hello) }) => {
                let interval = Duration::from_millis(hello.heartbeat_interval);
                self.0.do_send(SetHeartbeat::every(interval));
            }
            Ok(Event { op: 1, .. }) => self.0.do_send(SetHeartbeat::now()),
            _ => {}
        }
    }
}

#[test]
fn a_heartbeat_as_discord_wants_it() {
    virtual_time(3, async {
        let heartbeat = Heartbeat::when_told()
            .first_at_random()
            .remembers_field("s")
            .sends_made_by(|beat| match beat.remembered {
                Some(sequence) => format!(r#"{{"op":1,"d":{sequence}}}"#),
                None => r#"{"op":1,"d":null}"#.to_owned(),
            })
            .answered_by(Filter::field("op", 11));
        let server = listen();
        let settings = settings().liveness(Liveness::default().heartbeat(heartbeat));
        let spec = ConnectionSpec::json("bot", server.url()).settings(settings);
        let (spec, mut events) = recorded(spec);
        let supervisor = supervisor();
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        assert!(!connection.send(SetHeartbeat::now()).await.unwrap(), "there is no session yet");
        let bot = Bot(connection.clone()).start();
        connection.do_send(wsvisor::Subscribe::new(bot.recipient::<Received>()));

        let mut peer = server.open().await;
        peer.pause(s(100)).await;
        peer.text(r#"{"op":10,"d":{"heartbeat_interval":41250},"s":null,"t":null}"#).await;
        let interval = Duration::from_millis(41_250);
        let told = Instant::now();
        let first = next_message(&mut peer).await;
        assert_eq!(first, ClientFrame::text(r#"{"op":1,"d":null}"#));
        let jitter = told.elapsed();
        assert!(jitter < interval, "{jitter:?}");
        peer.text(r#"{"op":11}"#).await;
        peer.text(r#"{"op":0,"s":7,"t":"MESSAGE_CREATE","d":null}"#).await;
        for _ in 0..3 {
            let beat = next_message(&mut peer).await;
            assert_eq!(beat, ClientFrame::text(r#"{"op":1,"d":7}"#));
            peer.text(r#"{"op":11}"#).await;
        }
        let late = told.elapsed().abs_diff(jitter + 3 * interval);
        assert!(late < Duration::from_millis(10), "{late:?}");
        // The server asks for one.
        let asked = Instant::now();
        peer.text(r#"{"op":1}"#).await;
        assert_eq!(next_message(&mut peer).await, ClientFrame::text(r#"{"op":1,"d":7}"#));
        assert!(asked.elapsed() < s(1));
        // It answers pings, and no beats any more: a zombie.
        let close = next_message(&mut peer).await;
        assert_eq!(close.payload, 4000_u16.to_be_bytes(), "{close:?}");
        assert!(asked.elapsed().abs_diff(interval) < s(1), "{:?}", asked.elapsed());
        drop(peer);
        let zombie =
            "1 Disconnected 4000 unclean: the session was ended, because 1 heartbeats in a row…";
        events.until(zombie).await;

        // The next session goes on from the same sequence number.
        let mut peer = server.open().await;
        peer.pause(s(60)).await;
        peer.text(r#"{"op":10,"d":{"heartbeat_interval":1000}}"#).await;
        assert_eq!(next_message(&mut peer).await, ClientFrame::text(r#"{"op":1,"d":7}"#));
    });
}

#[test]
fn a_heartbeat_as_phoenix_wants_it() {
    virtual_time(4, async {
        let heartbeat = Heartbeat::every(s(30))
            .sends_made_by(|beat| format!(r#"[null,"{}","phoenix","heartbeat",{{}}]"#, beat.number))
            .answered_by(Filter::by(|message| {
                message.as_text().is_some_and(|text| text.contains("phx_reply"))
            }))
            .within(s(10))
            .misses(2);
        let (_connection, mut events, mut peer) =
            connected_with(Liveness::default().heartbeat(heartbeat)).await;
        let began = Instant::now();
        for number in 1..=3 {
            let beat = next_message(&mut peer).await;
            let expected = format!(r#"[null,"{number}","phoenix","heartbeat",{{}}]"#);
            assert_eq!(beat, ClientFrame::text(expected));
            assert_eq!(began.elapsed().as_secs(), 30 * number);
            peer.text(r#"[null,"1","phoenix","phx_reply",{}]"#).await;
        }
        for _ in 0..2 {
            next_message(&mut peer).await;
        }
        assert!(next_message(&mut peer).await.is_close());
        assert_eq!(began.elapsed().as_secs(), 30 * 4 + 30 + 10);
        drop(peer);
        events.until(disconnected().code(4000)).await;
    });
}

#[test]
fn a_beat_goes_before_what_waits() {
    virtual_time(5, async {
        let liveness = Liveness::off().heartbeat(Heartbeat::every(s(1)).sends("beat"));
        let (connection, _events, mut peer) = connected_with(liveness).await;
        let large = "x".repeat(200_000);
        for text in [&large, "second"] {
            connection.do_send(SendString::new(text));
        }
        // The socket is full of the first.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        for text in [&large, "beat", "second", "beat"] {
            assert_eq!(peer.read().await, ClientFrame::text(text));
        }
    });
}

/// The session that is up is of the spec before, and the next one is of the new one.
#[test]
fn what_is_set_after_another_spec_is_of_the_session_that_is_up() {
    virtual_time(7, async {
        let server = listen();
        let spec = |beat: &'static str| {
            let heartbeat = Heartbeat::when_told().sends(beat);
            let liveness = Liveness::off().watch(trades()).heartbeat(heartbeat);
            ConnectionSpec::string("a", server.url()).settings(settings().liveness(liveness))
        };
        let (first, mut events) = recorded(spec("old beat").backoff(quick()));
        let supervisor = supervisor();
        let connection = supervisor.send(StartConnection(first)).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.expect(connected()).await;

        let second = spec("new beat").backoff(quick());
        supervisor.send(UpdateSpec(second)).await.unwrap().unwrap();
        assert!(connection.send(SetHeartbeat::every(s(20))).await.unwrap());
        assert!(connection.send(SetWatchdog::off("trades")).await.unwrap());
        assert!(!connection.send(SetWatchdog::off("unknown")).await.unwrap());
        let began = Instant::now();
        for number in 1..=3 {
            assert_eq!(next_message(&mut peer).await, ClientFrame::text("old beat"));
            assert_eq!(began.elapsed().as_secs(), 20 * number);
        }
        peer.reset();
        // Its watchdog was off.
        events.expect(disconnected().epoch(1)).await;

        // Its interval is told anew in each session; the watchdog stays as it was set last.
        let mut peer = server.open().await;
        events.until(connected().epoch(2)).await;
        peer.pause(s(100)).await;
        assert!(connection.send(SetHeartbeat::now()).await.unwrap());
        assert_eq!(next_message(&mut peer).await, ClientFrame::text("new beat"));
        assert!(connection.send(SetWatchdog::on("trades")).await.unwrap());
        events.expect("2 Suspected: no data for the watchdog trades for 30s").await;
    });
}
