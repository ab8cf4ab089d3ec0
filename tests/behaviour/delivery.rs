//! The contract of a send: its scope, deadline, key and confirmation, and what its sender is told.

use std::time::Duration;

use actix::Addr;
use tokio::time::Instant;
use wsvisor::{
    Backoff, Connect, Connection, ConnectionSpec, Delivery, Disconnect, Epoch, GetStatus, Jitter,
    OutboxLimits, Refusal, SendError, SendString, StartConnection, TerminateConnection,
    Unconfirmed, Unwritten,
    testing::{ClientFrame, Peer, Recorder, Script, Server, connected, disconnected, virtual_time},
};

use crate::support::{alone, listen, ms, recorded, settings, string, supervisor};

type Fate = Result<Delivery, SendError>;

/// Sends, and says later what became of it and when.
fn send(
    connection: &Addr<Connection>,
    message: SendString,
) -> actix_rt::task::JoinHandle<(Fate, Duration)> {
    let answer = connection.send(message);
    let began = Instant::now();
    actix_rt::spawn(async move { (answer.await.unwrap(), began.elapsed()) })
}

/// A backoff that is always the same.
fn steady(delay: Duration) -> Backoff {
    Backoff::between(delay, delay).unwrap().jitter(Jitter::None)
}

/// The epoch of the attempt or session that is under way.
async fn epoch(connection: &Addr<Connection>) -> Epoch {
    connection.send(GetStatus).await.unwrap().epoch
}

async fn session(server: &Server) -> (Addr<Connection>, Recorder, Peer) {
    let (connection, mut events) = string();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    (connection, events, peer)
}

/// A supervised connection that waits so long between attempts.
async fn kept(server: &Server, delay: Duration) -> (Addr<Connection>, Recorder) {
    let (spec, events) = recorded(ConnectionSpec::string("a", server.url()).settings(settings()));
    let supervisor = supervisor();
    let spec = spec.backoff(steady(delay));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    // It lives as long as the test.
    std::mem::forget(supervisor);
    (connection, events)
}

#[test]
fn a_durable_message_waits_over_reconnects_and_is_written_once() {
    virtual_time(1, async {
        let server = listen();
        let (connection, mut events) = kept(&server, ms(5_000)).await;
        let early = send(&connection, SendString::new("early").durable());
        // The first attempt and the second fail.
        for _ in 0..2 {
            drop(server.accept().await);
        }
        let mut peer = server.open().await;
        assert_eq!(peer.read().await, ClientFrame::text("early"));
        assert_eq!(early.await.unwrap().0.unwrap(), Delivery::Written);

        // The third session ends, and the next gets what was sent meanwhile, in order.
        peer.reset();
        events.until(disconnected().epoch(3)).await;
        let sent =
            ["one", "two", "three"].map(|text| send(&connection, SendString::new(text).durable()));
        let now = connection.send(SendString::new("now")).await.unwrap().unwrap_err();
        assert!(matches!(now, SendError::Refused(Refusal::NotConnected)), "{now}");
        let mut peer = server.open().await;
        for (text, sent) in ["one", "two", "three"].into_iter().zip(sent) {
            assert_eq!(peer.read().await, ClientFrame::text(text));
            let (fate, took) = sent.await.unwrap();
            assert_eq!(fate.unwrap(), Delivery::Written);
            assert!(took >= ms(4_000), "{took:?}");
        }
    });
}

#[test]
fn a_message_expires_at_its_deadline_wherever_it_is() {
    virtual_time(2, async {
        // While there is no session.
        let server = listen();
        let (connection, _events) = kept(&server, ms(60_000)).await;
        let (fate, took) =
            send(&connection, SendString::new("x").durable().expires_in(ms(1_500))).await.unwrap();
        assert!(matches!(fate, Err(SendError::NotWritten(Unwritten::Expired))), "{fate:?}");
        assert_eq!(took.as_millis(), 1_500);
        let late = SendString::new("x").durable().expires_at(Instant::now().into_std());
        let fate = connection.send(late).await.unwrap();
        assert!(matches!(fate, Err(SendError::Refused(Refusal::Expired))), "{fate:?}");

        // In the outbox, behind one that the socket does not take; and encoded behind it.
        let server = listen();
        let (connection, _events, mut peer) = session(&server).await;
        let filler = "x".repeat(1_000_000);
        let blocking = send(&connection, SendString::new(filler.as_str()));
        let behind = send(&connection, SendString::new("behind").expires_in(ms(700)));
        let (fate, took) = behind.await.unwrap();
        assert!(matches!(fate, Err(SendError::NotWritten(Unwritten::Expired))), "{fate:?}");
        assert_eq!(took.as_millis(), 700);
        assert_eq!(peer.read().await.payload.len(), filler.len());
        assert_eq!(blocking.await.unwrap().0.unwrap(), Delivery::Written);

        // Two small ones are encoded together, and the pipe takes the first and a part of the
        // second: what is not begun can still be taken back.
        let lines: Vec<_> = (0..40)
            .map(|n| {
                let text = format!("{n:02}{}", "y".repeat(20_000));
                send(&connection, SendString::new(text).expires_in(ms(300)))
            })
            .collect();
        let mut ranks = Vec::new();
        for line in lines {
            let (fate, took) = line.await.unwrap();
            ranks.push(match fate {
                Ok(Delivery::Written) => 0,
                Err(SendError::WrittenUnknown(Unconfirmed::Expired)) => 1,
                Err(SendError::NotWritten(Unwritten::Expired)) => 2,
                other => panic!("{other:?}"),
            });
            if ranks.last() != Some(&0) {
                assert_eq!(took.as_millis(), 300);
            }
        }
        assert!(ranks.is_sorted() && ranks.contains(&2), "{ranks:?}");
        assert!(ranks.iter().filter(|rank| **rank == 1).count() <= 1, "{ranks:?}");
        let last = send(&connection, SendString::new("last"));
        for n in 0..ranks.iter().filter(|rank| **rank < 2).count() {
            let frame = peer.read().await;
            assert_eq!(&frame.payload[..2], format!("{n:02}").as_bytes());
            assert_eq!(frame.payload.len(), 20_002);
        }
        assert_eq!(peer.read().await, ClientFrame::text("last"), "nothing expired was written");
        assert_eq!(last.await.unwrap().0.unwrap(), Delivery::Written);
    });
}

#[test]
fn a_newer_message_replaces_an_unwritten_one_with_its_key() {
    virtual_time(3, async {
        let server = listen();
        let (connection, _events) = kept(&server, ms(1_000)).await;
        drop(server.accept().await);
        let quote = |text: &str| SendString::new(text).durable().replacing("quote");
        let old = send(&connection, quote("101"));
        let other = send(&connection, SendString::new("trade").durable());
        let new = send(&connection, quote("102"));
        let (fate, took) = old.await.unwrap();
        assert!(matches!(fate, Err(SendError::NotWritten(Unwritten::Replaced))), "{fate:?}");
        assert_eq!(took, Duration::ZERO);
        let mut peer = server.open().await;
        assert_eq!(peer.read().await, ClientFrame::text("trade"), "the order is kept");
        assert_eq!(peer.read().await, ClientFrame::text("102"));
        for sent in [other, new] {
            assert_eq!(sent.await.unwrap().0.unwrap(), Delivery::Written);
        }
        // What is written is not replaced.
        assert_eq!(send(&connection, quote("103")).await.unwrap().0.unwrap(), Delivery::Written);
        assert_eq!(peer.read().await, ClientFrame::text("103"));
    });
}

#[test]
fn a_message_for_one_session_is_written_in_no_other() {
    virtual_time(4, async {
        let server = listen();
        let (connection, mut events) = kept(&server, ms(1_000)).await;
        let peer = server.open().await;
        let first = events.expect(connected()).await.epoch;
        peer.reset();
        events.until(disconnected()).await;
        let late = connection.send(SendString::new("x").in_session(first)).await.unwrap();
        assert!(
            matches!(late, Err(SendError::Refused(Refusal::OtherSession { asked })) if asked == first),
            "{late:?}"
        );
        // The second session's may be sent as soon as it is being made.
        let mut second = server.accept().await;
        let early =
            send(&connection, SendString::new("early").in_session(epoch(&connection).await));
        second.shake_hands().await;
        assert_eq!(second.read().await, ClientFrame::text("early"));
        early.await.unwrap().0.unwrap();
        second.reset();
        events.until(disconnected()).await;
        // And ends with its attempt.
        let third = server.accept().await;
        let failed =
            send(&connection, SendString::new("failed").in_session(epoch(&connection).await));
        tokio::time::sleep(ms(1)).await;
        drop(third);
        let fate = failed.await.unwrap().0;
        assert!(matches!(fate, Err(SendError::NotWritten(Unwritten::SessionEnded(_)))), "{fate:?}");
    });
}

#[test]
fn a_pong_confirms_what_was_written_before_its_ping() {
    virtual_time(5, async {
        let server = listen();
        let (connection, mut events, mut peer) = session(&server).await;
        let one = send(&connection, SendString::new("one").confirmed());
        let plain = send(&connection, SendString::new("plain"));
        let two = send(&connection, SendString::new("two").confirmed());
        assert_eq!(plain.await.unwrap().0.unwrap(), Delivery::Written);
        for text in ["one", "plain", "two"] {
            assert_eq!(peer.read().await, ClientFrame::text(text));
        }
        let ping = peer.read().await;
        assert_eq!((ping.opcode, ping.payload.len()), (9, 8), "one ping for both");
        // A third is written while the ping is under way, and waits for the next one.
        let three = send(&connection, SendString::new("three").confirmed());
        assert_eq!(peer.read().await, ClientFrame::text("three"));
        // Pongs that answer no ping of ours confirm nothing.
        for other in [&b""[..], &[0; 8], b"123456789"] {
            peer.write(wsvisor::testing::frame(0x8A, other)).await;
        }
        tokio::time::sleep(ms(250)).await;
        assert!(!one.is_finished() && !two.is_finished());
        peer.write(wsvisor::testing::frame(0x8A, &ping.payload)).await;
        for sent in [one, two] {
            let (fate, took) = sent.await.unwrap();
            assert_eq!((fate.unwrap(), took.as_millis()), (Delivery::Confirmed, 250));
        }
        let next = peer.read().await;
        assert_eq!(next.opcode, 9);
        assert_ne!(next.payload, ping.payload);
        tokio::time::sleep(ms(10)).await;
        assert!(!three.is_finished());
        // The same pong again confirms nothing; the end of the session settles it.
        peer.write(wsvisor::testing::frame(0x8A, &ping.payload)).await;
        tokio::time::sleep(ms(10)).await;
        peer.reset();
        let fate = three.await.unwrap().0;
        assert!(
            matches!(fate, Err(SendError::WrittenUnknown(Unconfirmed::SessionEnded(_)))),
            "{fate:?}"
        );
        events.until(disconnected()).await;
    });
}

#[test]
fn a_peer_that_confirms_nothing_bounds_what_is_accepted() {
    virtual_time(6, async {
        let server = listen();
        let outbox = OutboxLimits { messages: 3, bytes: 1_000 };
        let (connection, mut events) =
            alone(Connection::string("a").settings(settings().outbox(outbox)));
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.expect(connected()).await;
        let message = || SendString::new("x").confirmed().expires_in(ms(2_500));
        let sent = [(); 3].map(|()| send(&connection, message()));
        for _ in 0..4 {
            peer.read().await;
        }
        for refused in 1..=5 {
            let fate = connection.send(SendString::new("y")).await.unwrap();
            assert!(
                matches!(
                    fate,
                    Err(SendError::Refused(Refusal::OutboxFull { messages: 3, bytes: 0 }))
                ),
                "{refused}: {fate:?}"
            );
        }
        // The first is told at once, and the others together, a second later.
        events.expect_all(["1 OutboxFull: 1 messages were refused"]).await;
        let before = Instant::now();
        events.expect_all(["1 OutboxFull: 4 messages were refused"]).await;
        assert_eq!(before.elapsed().as_millis(), 1_000);
        for sent in sent {
            let (fate, took) = sent.await.unwrap();
            assert!(
                matches!(fate, Err(SendError::WrittenUnknown(Unconfirmed::Expired))),
                "{fate:?}"
            );
            assert_eq!(took.as_millis(), 2_500, "at its deadline");
        }
        assert_eq!(
            send(&connection, SendString::new("z")).await.unwrap().0.unwrap(),
            Delivery::Written
        );
    });
}

#[test]
fn the_end_of_the_connection_settles_what_waits() {
    virtual_time(7, async {
        let server = listen();
        let (spec, mut events) =
            recorded(ConnectionSpec::string("a", server.url()).settings(settings()));
        let supervisor = supervisor();
        let spec = spec.backoff(steady(ms(60_000)));
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        drop(server.accept().await);
        events.until("1 ConnectionError…").await;
        let waits = send(&connection, SendString::new("x").durable());
        tokio::time::sleep(ms(10)).await;
        supervisor.send(TerminateConnection("a".into())).await.unwrap().unwrap();
        let fate = waits.await.unwrap().0;
        assert!(matches!(fate, Err(SendError::NotWritten(Unwritten::ConnectionEnded))), "{fate:?}");
        let fate = connection.send(SendString::new("x").durable()).await.unwrap();
        assert!(matches!(fate, Err(SendError::Refused(Refusal::NotConnected))), "{fate:?}");
    });
}

#[test]
fn what_was_accepted_is_written_before_the_close_frame() {
    virtual_time(8, async {
        let script = Script::new().accept().expect_text("one").expect_text("two");
        let script = script.expect(ClientFrame::close(1000)).close(1000);
        let played = listen().play([script]);
        let (connection, mut events) = string();
        connection.send(Connect::to(played.url())).await.unwrap().unwrap();
        events.expect(connected()).await;
        let sent = [
            send(&connection, SendString::new("one")),
            send(&connection, SendString::new("two").durable()),
        ];
        connection.send(Disconnect::normally()).await.unwrap();
        for sent in sent {
            assert_eq!(sent.await.unwrap().0.unwrap(), Delivery::Written);
        }
        played.done().await;
    });
}
