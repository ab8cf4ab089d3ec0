//! What is sent first in a session, and when a session is ready.

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
    ProviderError, Readiness, SendError, SendJson, SendString, Settings, Timeouts, Unwritten,
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

/// A greeting that fails while the session is being closed changes nothing about its end.
#[test]
fn a_greeting_may_fail_while_its_session_is_closed() {
    virtual_time(7, async {
        let greeting = Greeting::asked(|_| async {
            tokio::time::sleep(ms(100)).await;
            Err(ProviderError::fatal("no such bot"))
        });
        let server = listen();
        let (connection, mut events, mut peer) = open(&server, settings().greeting(greeting)).await;
        events.expect(connected()).await;
        connection.send(Disconnect::default()).await.unwrap();
        assert_eq!(peer.read_close().await, 1000_u16.to_be_bytes());
        tokio::time::sleep(ms(200)).await;
        peer.close(1000).await;
        drop(peer);
        events.expect("1 Disconnected 1000 clean: closed by us, and the peer answered…").await;
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

/// What comes with the end of the stream came before it.
#[test]
fn a_session_may_become_ready_and_end_in_one_turn() {
    virtual_time(6, async {
        let server = listen();
        let hello = Readiness::on_message(|message| message.as_text() == Some("hello"));
        let (_connection, mut events, mut peer) = open(&server, settings().readiness(hello)).await;
        events.expect(connected()).await;
        peer.text("hello").await;
        drop(peer);
        events.expect_all(["1 text hello", "1 Ready"]).await;
        events.expect(disconnected().clean(false)).await;
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
