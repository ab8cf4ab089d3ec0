//! How fast messages may go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use tokio::{
    task::yield_now,
    time::{Instant, advance},
};
use wsvisor::{
    Connect, Connection, Delivery, Disconnect, GetStatus, Greeting, Refusal, SendError, SendLimit,
    SendString, Settings, Unwritten,
    testing::{ClientFrame, Peer, Recorder, Server, connected, virtual_time},
};

use crate::support::{alone, listen, ms, network, settings, watching_reads};

async fn open(server: &Server, settings: Settings) -> (Addr<Connection>, Recorder, Peer) {
    let (connection, events) = alone(Connection::string("bot").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    (connection, events, server.open().await)
}

fn text(text: &str) -> SendString {
    SendString::new(text)
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

#[test]
fn nothing_that_was_held_back_follows_the_close_frame() {
    virtual_time(9, async {
        let server = listen();
        let limit = SendLimit::per(1, ms(1_000)).unwrap();
        let (connection, mut events, mut peer) = open(&server, settings().send_limit(limit)).await;
        events.expect(connected()).await;
        let sends: Vec<_> =
            (0..8).map(|n| connection.send(SendString::new(n.to_string()))).collect();
        connection.send(Disconnect::normally()).await.unwrap();
        for n in 0..4 {
            assert_eq!(peer.read().await, ClientFrame::text(n.to_string()));
        }
        assert_eq!(peer.read().await, ClientFrame::close(1000));
        // The server does not answer, and the fifth message's turn comes before the time is over.
        peer.read_end().await;
        events.expect_all(["1 Disconnected …"]).await;
        for fate in futures_util::future::join_all(sends).await.into_iter().skip(4) {
            let fate = fate.unwrap();
            assert!(
                matches!(fate, Err(SendError::NotWritten(Unwritten::SessionEnded(_)))),
                "{fate:?}"
            );
        }
    });
}

#[test]
fn a_session_sleeps_while_the_socket_is_full_and_a_message_may_pass() {
    virtual_time(10, async {
        let (server, reads) = (listen(), Arc::new(AtomicU32::new(0)));
        let limit = SendLimit::per(1, ms(1_000)).unwrap();
        let counted = Arc::clone(&reads);
        let dialler =
            watching_reads(network(), move |_| _ = counted.fetch_add(1, Ordering::Relaxed));
        let settings = settings().send_limit(limit).dialler(dialler);
        let (connection, mut events, mut peer) = open(&server, settings).await;
        events.expect(connected()).await;
        let turns = async || {
            for _ in 0..1_000 {
                yield_now().await;
            }
        };
        // The pipe holds 64 KiB: it takes a part of the second, and the third's turn comes while it
        // is full.
        let (first, second) = ("x".repeat(40_000), "y".repeat(40_000));
        let texts = [first.as_str(), &second, "third"];
        let sends = texts.map(|it| connection.send(text(it)));
        connection.send(GetStatus).await.unwrap();
        for _ in 0..2 {
            advance(ms(1_000)).await;
            turns().await;
        }
        let before = reads.load(Ordering::Relaxed);
        turns().await;
        assert_eq!(
            reads.load(Ordering::Relaxed) - before,
            0,
            "reads of a session for which nothing happens"
        );
        for text in texts {
            assert_eq!(peer.read().await, ClientFrame::text(text));
        }
        for sent in sends {
            assert_eq!(sent.await.unwrap().unwrap(), Delivery::Written);
        }
    });
}
