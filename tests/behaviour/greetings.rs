//! What is sent first in a session, when a session is ready, and how fast messages may go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use serde_json::json;
use tokio::time::Instant;
use wsvisor::{
    Connect, Connection, Delivery, Disconnect, GetStatus, Greeting, MarkReady, Outgoing,
    ProviderError, Readiness, Refusal, SendError, SendJson, SendLimit, SendString, Settings,
    Timeouts, Unwritten,
    testing::{ClientFrame, Peer, Recorder, Server, connected, disconnected, virtual_time},
};

use crate::support::{alone, listen, ms, settings};

async fn open(server: &Server, settings: Settings) -> (Addr<Connection>, Recorder, Peer) {
    let (connection, events) = alone(Connection::string("bot").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    (connection, events, server.open().await)
}

fn text(text: &str) -> SendString {
    SendString::new(text)
}

#[test]
fn a_greeting_goes_before_anything_else_in_every_session() {
    virtual_time(1, async {
        let greeting = Greeting::messages([text("login"), text("subscribe")]);
        let server = listen();
        let (connection, mut events, mut peer) = open(&server, settings().greeting(greeting)).await;
        for epoch in 1..=2 {
            events.expect(connected().epoch(epoch)).await;
            let early = connection.send(text("early"));
            let late = connection.send(text("late").after_ready());
            for expected in ["login", "subscribe", "early", "late"] {
                assert_eq!(peer.read().await, ClientFrame::text(expected));
            }
            assert_eq!(early.await.unwrap().unwrap(), Delivery::Written);
            assert_eq!(late.await.unwrap().unwrap(), Delivery::Written);
            events.expect_all([format!("{epoch} Ready").as_str()]).await;
            peer.reset();
            events.until(disconnected()).await;
            connection.send(wsvisor::Reconnect).await.unwrap().unwrap();
            peer = server.open().await;
        }
    });
}

#[test]
fn a_provider_is_asked_for_the_greeting_of_every_session() {
    virtual_time(2, async {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let greeting = Greeting::asked(move |session| {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                tokio::time::sleep(ms(100)).await;
                let login = format!("login {} {} {number}", session.connection, session.epoch);
                Ok(vec![SendString::new(login).into()])
            }
        });
        let server = listen();
        let (connection, mut events, mut peer) = open(&server, settings().greeting(greeting)).await;
        for epoch in 1..=2 {
            events.expect(connected()).await;
            let message = connection.send(text("message"));
            assert!(!connection.send(GetStatus).await.unwrap().ready);
            let before = Instant::now();
            assert_eq!(peer.read().await, ClientFrame::text(format!("login bot {epoch} {epoch}")));
            assert_eq!(before.elapsed().as_millis(), 100);
            assert_eq!(
                peer.read().await,
                ClientFrame::text("message"),
                "it waited for the greeting"
            );
            message.await.unwrap().unwrap();
            events.expect_all([format!("{epoch} Ready").as_str()]).await;
            assert!(connection.send(GetStatus).await.unwrap().ready);
            peer.reset();
            events.until(disconnected()).await;
            connection.send(wsvisor::Reconnect).await.unwrap().unwrap();
            peer = server.open().await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_greeting_that_fails_ends_the_session_and_says_why() {
    virtual_time(3, async {
        type Answer = Result<Vec<Outgoing>, ProviderError>;
        let timeouts = Timeouts { provider: ms(500), ..Timeouts::default() };
        let failing: [(Greeting, &str); 3] = [
            (
                Greeting::asked(|_| async { Answer::Err(ProviderError::retry("no key")) }),
                "1 Disconnected 4000: the session could not be greeted: no key",
            ),
            (
                Greeting::asked(|_| async {
                    tokio::time::sleep(Duration::from_hours(1)).await;
                    Answer::Ok(vec![])
                }),
                "1 Disconnected 4000: the session could not be greeted: its provider took longer \
                 than 500ms",
            ),
            (
                Greeting::asked(|_| async { panic!("a bug, and a secret") as Answer }),
                "1 Disconnected 4000: the session could not be greeted: the provider panicked",
            ),
        ];
        for (greeting, expected) in failing {
            let server = listen();
            let settings = settings().timeouts(timeouts).greeting(greeting);
            let (connection, mut events, mut peer) = open(&server, settings).await;
            events.expect(connected()).await;
            let waits = connection.send(text("message"));
            assert_eq!(peer.read_close().await, 4000u16.to_be_bytes(), "and no message");
            drop(peer);
            let ended = events.until(disconnected()).await.to_string();
            assert_eq!(ended.replace(" unclean", ""), expected);
            let fate = waits.await.unwrap();
            assert!(
                matches!(fate, Err(SendError::NotWritten(Unwritten::SessionEnded(_)))),
                "{fate:?}"
            );
        }
        // A JSON connection greets with JSON.
        let server = listen();
        let settings = settings().greeting(Greeting::messages([text("{}")]));
        let (connection, mut events) = alone(Connection::json("bot").settings(settings));
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.open().await;
        peer.read_close().await;
        drop(peer);
        let ended = events.until(disconnected()).await.to_string();
        assert!(ended.contains("make each message of a SendJson"), "{ended}");
    });
}

#[test]
fn what_waits_for_readiness_goes_when_it_is_marked_and_not_before() {
    virtual_time(4, async {
        let server = listen();
        let settings = settings()
            .greeting(Greeting::messages([text("login")]))
            .readiness(Readiness::on_mark());
        let (connection, mut events, mut peer) = open(&server, settings).await;
        events.expect(connected()).await;
        let waits = connection.send(text("waits").after_ready());
        let next = connection.send(text("until ready").until_ready());
        let at_once = connection.send(text("at once"));
        assert_eq!(peer.read().await, ClientFrame::text("login"));
        assert_eq!(peer.read().await, ClientFrame::text("at once"));
        at_once.await.unwrap().unwrap();
        tokio::time::sleep(ms(1_000)).await;
        events.expect_none(ms(10)).await;
        connection.send(MarkReady).await.unwrap();
        connection.send(MarkReady).await.unwrap();
        assert_eq!(peer.read().await, ClientFrame::text("waits"));
        assert_eq!(peer.read().await, ClientFrame::text("until ready"));
        for sent in [waits, next] {
            sent.await.unwrap().unwrap();
        }
        events.expect_all(["1 Ready"]).await;
        events.expect_none(ms(10)).await;

        // In the next session it has to be marked again. What was for one session ends with it, ready
        // or not; what was until the next ready one goes on.
        peer.reset();
        events.until(disconnected()).await;
        connection.send(wsvisor::Reconnect).await.unwrap().unwrap();
        let peer = server.open().await;
        events.expect(connected().epoch(2)).await;
        let in_session = connection.send(text("x").after_ready());
        let until_ready = connection.send(text("until ready").until_ready());
        tokio::time::sleep(ms(10)).await;
        peer.reset();
        // Standalone: the connection is at rest then, and all that waits is told.
        for sent in [in_session, until_ready] {
            let fate = sent.await.unwrap();
            assert!(matches!(fate, Err(SendError::NotWritten(_))), "{fate:?}");
        }
    });
}

#[test]
fn a_message_can_say_that_the_session_is_ready() {
    virtual_time(5, async {
        let server = listen();
        let hello = Readiness::on_message(|message| message.as_text() == Some("hello"));
        let (connection, mut events, mut peer) = open(&server, settings().readiness(hello)).await;
        events.expect(connected()).await;
        let waits = connection.send(text("waits").after_ready());
        peer.text("not yet").await;
        events.expect_all(["1 text not yet"]).await;
        events.expect_none(ms(100)).await;
        peer.text("hello").await;
        events.expect_all(["1 text hello", "1 Ready"]).await;
        assert_eq!(peer.read().await, ClientFrame::text("waits"));
        waits.await.unwrap().unwrap();
        peer.text("hello").await;
        events.expect_all(["1 text hello"]).await;
        events.expect_none(ms(100)).await;
    });
}

#[test]
fn a_send_limit_paces_the_greeting_and_all_messages() {
    virtual_time(6, async {
        let server = listen();
        let limit = SendLimit::per(10, ms(1_000)).unwrap().burst(2);
        let settings =
            settings().send_limit(limit).greeting(Greeting::messages(["1", "2", "3"].map(text)));
        let (connection, mut events, mut peer) = open(&server, settings).await;
        let began = Instant::now();
        events.expect(connected()).await;
        let sends: Vec<_> = ["4", "5"].map(|it| connection.send(text(it))).into();
        // Its turn comes after 400 ms: the third of the greeting, and the two, go before.
        let hopeless = connection.send(text("hopeless").expires_in(ms(400)));
        let fate = hopeless.await.unwrap();
        let Err(SendError::Refused(Refusal::TooSlow { would_wait })) = fate else {
            panic!("{fate:?}")
        };
        assert_eq!(would_wait, ms(400));
        assert_eq!(began.elapsed(), Duration::ZERO, "refused at once");
        let in_time = connection.send(text("6").expires_in(ms(401)));
        for (number, at) in (1..=6).zip([0, 0, 100, 200, 300, 400]) {
            assert_eq!(peer.read().await, ClientFrame::text(number.to_string()));
            assert_eq!(began.elapsed().as_millis(), at, "message {number}");
        }
        for sent in sends.into_iter().chain([in_time]) {
            assert_eq!(sent.await.unwrap().unwrap(), Delivery::Written);
        }
    });
}

#[test]
fn connections_can_share_a_send_limit() {
    virtual_time(7, async {
        let limit = SendLimit::per(1, ms(100)).unwrap().shared();
        let server = listen();
        let open_one = async || open(&server, settings().send_limit(limit.clone())).await;
        let (one, mut one_events, mut one_peer) = open_one().await;
        let (other, mut other_events, mut other_peer) = open_one().await;
        one_events.expect(connected()).await;
        other_events.expect(connected()).await;
        let began = Instant::now();
        for _ in 0..5 {
            one.do_send(text("x"));
            other.do_send(text("x"));
        }
        let read = async |peer: &mut Peer| {
            let mut times = Vec::new();
            for _ in 0..5 {
                peer.read().await;
                times.push(began.elapsed().as_millis());
            }
            times
        };
        let (mut times, others) = tokio::join!(read(&mut one_peer), read(&mut other_peer));
        times.extend(others);
        times.sort_unstable();
        assert_eq!(times, (0..10).map(|n| n * 100).collect::<Vec<_>>());
    });
}

#[test]
fn disconnect_writes_what_the_limit_lets_pass_in_time_and_settles_the_rest() {
    virtual_time(8, async {
        let server = listen();
        let limit = SendLimit::per(1, ms(1_000)).unwrap();
        let (connection, mut events, mut peer) = open(&server, settings().send_limit(limit)).await;
        events.expect(connected()).await;
        let sends: Vec<_> =
            (0..8).map(|n| connection.send(SendString::new(n.to_string()))).collect();
        let sends = actix_rt::spawn(futures_util::future::join_all(sends));
        connection.send(GetStatus).await.unwrap();
        let began = Instant::now();
        connection.send(Disconnect::normally()).await.unwrap();
        // Within 5 seconds, of which the last quarter is for the closing handshake.
        for n in 0..4 {
            assert_eq!(peer.read().await, ClientFrame::text(n.to_string()));
        }
        assert_eq!(peer.read().await, ClientFrame::close(1000));
        assert!(began.elapsed() < ms(3_750), "{:?}", began.elapsed());
        peer.close(1000).await;
        drop(peer);
        events.expect_all(["1 Disconnected 1000 clean…"]).await;
        let fates = sends.await.unwrap();
        let written = fates.iter().filter(|fate| matches!(fate, Ok(Ok(Delivery::Written))));
        assert_eq!(written.count(), 4);
        for fate in &fates[4..] {
            assert!(
                matches!(fate, Ok(Err(SendError::NotWritten(Unwritten::SessionEnded(_))))),
                "{fate:?}"
            );
        }
    });
}

#[actix::test]
async fn a_json_greeting() {
    let server = listen();
    let login = SendJson::new(&json!({"op": "login"})).unwrap();
    let settings = settings().greeting(Greeting::messages([login]));
    let (connection, _events) = alone(Connection::json("bot").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    assert_eq!(server.open().await.read().await, ClientFrame::text(r#"{"op":"login"}"#));
}

#[test]
fn what_a_session_was_reading_when_it_panicked_reaches_no_other() {
    virtual_time(30, async {
        let panics = |message: wsvisor::Payload<'_>| {
            message.as_text().is_some_and(|text| panic!("a bug, at {text:?}"))
        };
        let server = listen();
        let settings = settings().readiness(Readiness::on_message(panics));
        let (_one, mut events_of_one, mut peer_of_one) = open(&server, settings.clone()).await;
        events_of_one.expect(connected()).await;
        let other_server = listen();
        let (_other, mut events_of_other, mut peer_of_other) =
            open(&other_server, crate::support::settings()).await;
        events_of_other.expect(connected()).await;
        peer_of_one.text("of one").await;
        events_of_one.expect(disconnected()).await;
        peer_of_other.text("of the other").await;
        events_of_other.expect_all(["1 text of the other"]).await;
    });
}
