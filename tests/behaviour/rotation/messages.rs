//! What becomes of messages in a rotation, in both directions.

use std::collections::BTreeMap;

use actix::Addr;
use actix_rt::task::JoinHandle;
use serde_json::json;
use tokio::time::Instant;
use wsvisor::{
    Connection, Delivery, OwnedPayload, Readiness, Request, RequestError, Rotate, SendError,
    SendString, Timeouts,
    testing::{ClientFrame, connected, disconnected, frame, virtual_time},
};

use super::{Stage, TOOK_OVER, agree_to_close, read_texts, rotating, settle};
use crate::support::ms;

type Fate = Result<Delivery, SendError>;

#[test]
fn no_message_is_lost_of_a_server_that_numbers_them_on_both_sockets() {
    virtual_time(1, async {
        let mut stage = Stage::alone(rotating().readiness(Readiness::on_mark())).await;
        stage.connection.send(wsvisor::MarkReady).await.unwrap();
        stage.events.expect("1 Ready").await;
        stage.rotate().await.unwrap();
        let mut new = stage.server.open().await;
        let mut old = stage.old;
        // Both go on sending, and take no notice of what the client does, until it has closed.
        let sends_on_old = actix_rt::spawn(async move {
            let mut sent = 0;
            for _ in 0..1_000 {
                old.text(format!("{sent}")).await;
                sent += 1;
                if let Ok(read) = tokio::time::timeout(ms(1), old.try_read()).await
                    && read.unwrap().is_close()
                {
                    break;
                }
            }
            for _ in 0..100 {
                old.text(format!("{sent}")).await;
                sent += 1;
            }
            old.close(1000).await;
            sent
        });
        for number in 0..500 {
            new.text(format!("{number}")).await;
            if number == 200 {
                stage.connection.send(wsvisor::MarkReady).await.unwrap();
            }
            tokio::time::sleep(ms(1)).await;
        }
        let sent_on_old = sends_on_old.await.unwrap();
        settle().await;
        let mut received: BTreeMap<u64, Vec<(u64, bool)>> = BTreeMap::new();
        let mut session = 1;
        for event in stage.events.history() {
            let Some(message) = event.message() else {
                assert!(event.epoch.get() >= session);
                session = event.epoch.get();
                continue;
            };
            let OwnedPayload::Text(text) = message else { panic!("{event}") };
            assert_eq!(event.overlap, event.epoch.get() != session, "{event} in session {session}");
            let number = text.parse().unwrap();
            received.entry(event.epoch.get()).or_default().push((number, event.overlap));
        }
        let numbers = |epoch: u64| received[&epoch].iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(numbers(1), (0..sent_on_old).collect::<Vec<_>>());
        assert_eq!(numbers(2), (0..500).collect::<Vec<_>>());
        let marked = |epoch: u64| received[&epoch].iter().filter(|it| it.1).count();
        println!(
            "{} of {sent_on_old} marked of the old, {} of 500 of the new",
            marked(1),
            marked(2)
        );
        assert!(marked(1) >= 100 && marked(2) >= 200);
    });
}

#[test]
fn what_waits_goes_out_in_the_new_session_once_and_in_order() {
    virtual_time(2, async {
        let network = wsvisor::testing::Network::with_capacity(64);
        let server = network.listen("ws://127.0.0.1:80");
        let settings = rotating()
            .dialler(network)
            .timeouts(Timeouts { close: ms(2_000), ..Timeouts::default() });
        let (connection, mut events) =
            crate::support::alone(Connection::string("a").settings(settings));
        connection.send(wsvisor::Connect::to(server.url())).await.unwrap().unwrap();
        let mut old = server.open().await;
        events.expect(connected()).await;
        // The old server does not read: the first message is begun, and 64 KiB behind it are encoded.
        let mut sends = Vec::new();
        for number in 0..100 {
            let message = SendString::new(format!("{number} {}", "x".repeat(4_000)));
            let message = if number % 2 == 0 { message.durable() } else { message };
            sends.push(send(&connection, message));
        }
        settle().await;
        connection.send(Rotate).await.unwrap().unwrap();
        let mut new = server.open().await;
        let reads_new = actix_rt::spawn(async move {
            let mut read = Vec::new();
            while let Ok(frame) = new.try_read().await
                && !frame.is_close()
            {
                read.push(number(&frame));
            }
            read
        });
        events.expect_all([TOOK_OVER, "2 Connected"]).await;
        // The old one is cut in the middle of its first message at the close deadline.
        tokio::time::sleep(ms(10_000)).await;
        let begun = old.try_read().await;
        assert!(begun.is_err(), "{begun:?}");
        drop(connection);
        let read = reads_new.await.unwrap();
        let mut unknown = 0;
        let mut written = Vec::new();
        let mut unwritten = Vec::new();
        for (number, fate) in (0..).zip(sends) {
            match fate.await.unwrap() {
                Ok(Delivery::Written) => written.push(number),
                Err(SendError::WrittenUnknown(_)) => unknown += 1,
                Err(SendError::NotWritten(_)) => unwritten.push(number),
                other => panic!("{number}: {other:?}"),
            }
        }
        println!("written {written:?}; unwritten {unwritten:?}; unknown {unknown}");
        assert_eq!(unknown, 1, "the one that was begun");
        assert!(unwritten.iter().all(|number| number % 2 == 1), "durable ones are not lost");
        let mut sorted = read.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, written, "each once");
        // What was not encoded keeps its order, whatever it is.
        let behind: Vec<_> = read.iter().copied().filter(|number| *number > 40).collect();
        assert!(behind.is_sorted() && behind.len() == 59, "{read:?}");
    });
}

/// Sends now, and says later what became of it.
fn send(connection: &Addr<Connection>, message: SendString) -> JoinHandle<Fate> {
    let answer = connection.send(message);
    actix_rt::spawn(async move { answer.await.unwrap() })
}

fn number(frame: &ClientFrame) -> u32 {
    let text = std::str::from_utf8(&frame.payload).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn sends_under_way_are_settled_once_whenever_the_successor_takes_over() {
    // Each turn hands over at another moment.
    for turn in 0..40 {
        virtual_time(turn, async move {
            let Stage { connection, mut events, server, mut old, .. } =
                Stage::alone(rotating()).await;
            let reader = |mut peer: wsvisor::testing::Peer| {
                actix_rt::spawn(async move {
                    let mut read = Vec::new();
                    loop {
                        match tokio::time::timeout(ms(60_000), peer.try_read()).await {
                            Ok(Ok(frame)) if frame.is_close() => {
                                let _ = peer.try_write(closing()).await;
                            }
                            Ok(Ok(frame)) if frame.is_ping() => {
                                let _ = peer.try_write(self::frame(0x8A, &frame.payload)).await;
                            }
                            Ok(Ok(frame)) => read.push(number(&frame)),
                            _ => return read,
                        }
                    }
                })
            };
            let mut sends = Vec::new();
            let mut new = None;
            for number in 0..60_u64 {
                let message = SendString::new(format!("{number} of many"));
                let message = match number % 4 {
                    0 => message,
                    1 => message.durable(),
                    2 => message.confirmed(),
                    _ => message.until_ready(),
                };
                sends.push(send(&connection, message));
                if number == turn {
                    connection.send(Rotate).await.unwrap().unwrap();
                }
                if number == turn + 5 {
                    new = Some(server.open().await);
                }
                if number % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            let new = match new {
                Some(new) => new,
                None => server.open().await,
            };
            old.text("still here").await;
            let (old, new) = (reader(old), reader(new));
            events.until(connected().epoch(2)).await;
            for (number, fate) in (0..60).zip(sends) {
                let expected =
                    if number % 4 == 2 { Delivery::Confirmed } else { Delivery::Written };
                assert_eq!(fate.await.unwrap().unwrap(), expected, "{number}");
            }
            connection.send(wsvisor::Disconnect::normally()).await.unwrap();
            events.until(disconnected().epoch(2)).await;
            let (old, new) = (old.await.unwrap(), new.await.unwrap());
            assert!(old.is_sorted() && new.is_sorted(), "{old:?} {new:?}");
            let all: Vec<_> = old.iter().chain(&new).copied().collect();
            assert_eq!(all, (0..60).collect::<Vec<_>>(), "turn {turn}");
        });
    }
}

fn closing() -> Vec<u8> {
    frame(0x88, 1000u16.to_be_bytes())
}

#[test]
fn an_answer_to_a_request_of_the_old_session_is_waited_for() {
    virtual_time(3, async {
        let mut stage = Stage::alone(rotating()).await;
        let request = Request::json_rpc("slow", &json!([])).unwrap();
        let answer = stage.connection.send(request);
        let call: serde_json::Value =
            serde_json::from_slice(&stage.old.read().await.payload).unwrap();
        stage.rotate().await.unwrap();
        let mut new = stage.server.open().await;
        stage.events.expect_all([TOOK_OVER, "2 Connected"]).await;
        let early = tokio::time::timeout(ms(1_000), stage.old.try_read()).await;
        assert!(early.is_err(), "it is not closed yet: {early:?}");
        // A request of the new session does not keep the old one.
        let other = stage.connection.send(Request::json_rpc("other", &json!([])).unwrap());
        let other_call: serde_json::Value =
            serde_json::from_slice(&new.read().await.payload).unwrap();
        stage.old.text(json!({"jsonrpc": "2.0", "id": call["id"], "result": 7}).to_string()).await;
        assert_eq!(answer.await.unwrap().unwrap().result::<u32>().unwrap(), 7);
        agree_to_close(stage.old, 1000).await;
        settle().await;
        new.text(json!({"jsonrpc": "2.0", "id": other_call["id"], "result": 8}).to_string()).await;
        assert_eq!(other.await.unwrap().unwrap().result::<u32>().unwrap(), 8);
    });
}

#[test]
fn what_is_never_answered_is_settled_when_the_old_session_has_drained() {
    virtual_time(4, async {
        let timeouts = Timeouts { close: ms(4_000), ..Timeouts::default() };
        let mut stage = Stage::alone(rotating().timeouts(timeouts)).await;
        let request = Request::json_rpc("slow", &json!([])).unwrap();
        let answer = stage.connection.send(request);
        let unconfirmed = stage.connection.send(SendString::new("hello").confirmed());
        stage.old.read().await;
        stage.rotate().await.unwrap();
        let _new = stage.server.open().await;
        stage.events.expect_all([TOOK_OVER, "2 Connected"]).await;
        let began = Instant::now();
        stage.old.read_close().await;
        assert_eq!(began.elapsed(), ms(3_000), "a part of the time is for the closing handshake");
        let lost = answer.await.unwrap().unwrap_err();
        assert!(matches!(lost, RequestError::Lost(_)), "{lost}");
        assert!(matches!(unconfirmed.await.unwrap(), Err(SendError::WrittenUnknown(_))));
        assert_eq!(began.elapsed(), ms(4_000));
        settle().await;
        assert_eq!(stage.sockets(), 1);
    });
}

#[test]
fn the_old_session_delivers_what_still_comes_and_marks_it() {
    virtual_time(5, async {
        let mut stage = Stage::alone(rotating()).await;
        stage.rotate().await.unwrap();
        let mut new = stage.server.open().await;
        stage.events.expect_all([TOOK_OVER, "2 Connected"]).await;
        stage.old.text("late").await;
        new.text("new").await;
        stage.old.read_close().await;
        stage.old.text("later").await;
        settle().await;
        let messages = stage.events.history().iter().filter(|event| event.message().is_some());
        let mut told: Vec<_> = messages.map(ToString::to_string).collect();
        told.sort();
        assert_eq!(told, ["1 overlap text late", "1 overlap text later", "2 text new"]);
        stage.old.close(1000).await;
    });
}

#[test]
fn a_message_for_the_old_session_alone_goes_out_in_it() {
    virtual_time(6, async {
        let mut stage = Stage::alone(rotating()).await;
        let first = stage.connection.send(wsvisor::GetStatus).await.unwrap().epoch;
        stage.rotate().await.unwrap();
        let mut new = stage.server.accept().await;
        let for_old = stage.connection.send(SendString::new("old").in_session(first));
        new.shake_hands().await;
        stage.events.expect_all([TOOK_OVER, "2 Connected"]).await;
        assert_eq!(for_old.await.unwrap().unwrap(), Delivery::Written);
        read_texts(&mut stage.old, ["old"]).await;
        let late = stage.connection.send(SendString::new("late").in_session(first)).await.unwrap();
        assert!(matches!(late, Err(SendError::Refused(_))), "{late:?}");
    });
}
