//! Sending beside the mailbox: what the server reads, and what becomes of each message.

use std::thread;

use actix::Addr;
use serde_json::json;
use tokio::time::{Instant, sleep};
use wsvisor::{
    Connect, Connection, ConnectionSpec, Delivery, Disconnect, GetSender, GetStatus, OutboxLimits,
    Refusal, Rotate, Rotation, SendError, SendLimit, SendString, Sender, Sending, StartConnection,
    Supervisor, TerminateConnection, Unconfirmed, Unwritten,
    testing::{ClientFrame, Server, connected, disconnected, frame, virtual_time},
};

use crate::support::{
    alone, connected_with, listen, loopback_policy, ms, recorded, settings, soon, supervisor,
};

async fn sender(connection: &Addr<Connection>) -> Sender {
    connection.send(GetSender).await.unwrap()
}

/// What became of it, in a word.
async fn told(sending: Sending) -> &'static str {
    match sending.await {
        Ok(Delivery::Written) => "Written",
        Err(SendError::Refused(_)) => "Refused",
        Err(SendError::NotWritten(Unwritten::SessionEnded(_))) => "NotWritten",
        Err(SendError::WrittenUnknown(Unconfirmed::SessionEnded(_))) => "Unknown",
        other => panic!("{other:?}"),
    }
}

async fn all_told(sendings: impl IntoIterator<Item = Sending>) -> Vec<&'static str> {
    let mut all = Vec::new();
    for sending in sendings {
        all.push(told(sending).await);
    }
    all
}

#[test]
fn what_is_sent_is_written_at_once_and_in_order() {
    virtual_time(1, async {
        let (connection, _events, mut peer) = connected_with(settings()).await;
        let sender = sender(&connection).await;
        let began = Instant::now();
        for round in ["a", "b"] {
            let sendings = [
                sender.send_text(round),
                sender.send_binary([1, 2, 3]),
                sender.clone().send_json(&json!({"é": round})).unwrap(),
                sender.send_text(""),
            ];
            assert_eq!(all_told(sendings).await, ["Written"; 4]);
            assert_eq!(connection.send(GetStatus).await.unwrap().queued, (0, 0));
            assert_eq!(peer.read().await, ClientFrame::text(round));
            let binary = peer.read().await;
            assert_eq!((binary.opcode, &*binary.payload), (2, &[1, 2, 3][..]));
            assert_eq!(peer.read().await, ClientFrame::text(format!(r#"{{"é":"{round}"}}"#)));
            assert_eq!(peer.read().await, ClientFrame::text(""));
        }
        assert_eq!(began.elapsed(), ms(0), "nothing else had to wake the session");
        // Whoever does not care drops it.
        drop(sender.send_text("last"));
        assert_eq!(peer.read().await, ClientFrame::text("last"));
    });
}

#[test]
fn a_message_is_refused_at_once_where_the_address_would_be_told_so() {
    virtual_time(2, async {
        let server = listen();
        let (connection, mut events) = alone(Connection::json("a").settings(settings()));
        let sender = sender(&connection).await;
        assert_eq!(sender.send_json(&1).unwrap().refusal(), Some(Refusal::NotConnected));
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.accept().await;
        assert_eq!(sender.send_json(&1).unwrap().refusal(), Some(Refusal::NotConnected));
        peer.shake_hands().await;
        events.expect(connected()).await;

        assert_eq!(sender.send_text("1").refusal(), Some(Refusal::NotJson));
        assert_eq!(sender.send_binary("1").refusal(), Some(Refusal::NotJson));
        let pairs: std::collections::BTreeMap<(u8, u8), u8> = [((1, 2), 3)].into();
        assert!(sender.send_json(&pairs).is_err());
        let accepted = sender.send_json(&2).unwrap();
        assert_eq!(accepted.refusal(), None);
        let closing = connection.send(Disconnect::normally());
        assert_eq!(
            told(accepted).await,
            "Written",
            "what was accepted goes before the close frame"
        );
        closing.await.unwrap();
        let late = sender.send_json(&3).unwrap();
        assert!(matches!(late.await, Err(SendError::Refused(Refusal::NotConnected))));
        assert_eq!(peer.read().await, ClientFrame::text("2"));
        assert_eq!(peer.read().await.opcode, 8);
    });
}

#[test]
fn what_there_is_no_room_for_is_refused_and_told() {
    virtual_time(3, async {
        let outbox = OutboxLimits { messages: 5, bytes: 100 };
        let (connection, mut events, mut peer) = connected_with(settings().outbox(outbox)).await;
        let sender = sender(&connection).await;
        let mut sendings: Vec<_> =
            (0..8).map(|number| sender.send_text(number.to_string())).collect();
        for late in sendings.split_off(5) {
            let full = Refusal::OutboxFull { messages: 5, bytes: 5 };
            assert_eq!(late.refusal(), Some(full), "by their number");
        }
        assert_eq!(all_told(sendings).await, ["Written"; 5]);
        // The connection comes to hear of them when all are refused.
        events.expect_all(["1 OutboxFull: 3 messages were refused"]).await;
        for number in 0..5 {
            assert_eq!(peer.read().await, ClientFrame::text(number.to_string()));
        }
        let sizes = [60, 41, 40].map(|size| sender.send_text("x".repeat(size)));
        let refused = sizes.each_ref().map(|sending| sending.refusal().is_some());
        assert_eq!(refused, [false, true, false], "by their bytes");
        for len in [60, 40] {
            assert_eq!(peer.read().await.payload.len(), len);
        }
        let sizes = sizes.into_iter().filter(|sending| sending.refusal().is_none());
        assert_eq!(all_told(sizes).await, ["Written"; 2]);
        events.expect_all(["1 OutboxFull: 1 messages were refused"]).await;
    });
}

#[test]
fn what_is_to_be_confirmed_takes_room_until_it_is() {
    virtual_time(10, async {
        let outbox = OutboxLimits { messages: 1, bytes: 100 };
        let (connection, _events, mut peer) = connected_with(settings().outbox(outbox)).await;
        let first = actix_rt::spawn(connection.send(SendString::new("first").confirmed()));
        assert_eq!(peer.read().await, ClientFrame::text("first"));
        let ping = peer.read().await;
        let sender = sender(&connection).await;
        let full = Refusal::OutboxFull { messages: 1, bytes: 0 };
        assert_eq!(sender.send_text("beside").refusal(), Some(full));
        peer.write(frame(0x8A, &ping.payload)).await;
        first.await.unwrap().unwrap().unwrap();
        assert_eq!(told(sender.send_text("second")).await, "Written");
        assert_eq!(peer.read().await, ClientFrame::text("second"));
    });
}

#[test]
fn the_end_of_the_session_settles_each_by_what_the_socket_took_of_it() {
    virtual_time(4, async {
        let (connection, mut events, mut peer) = connected_with(settings()).await;
        let sender = sender(&connection).await;
        let sendings: Vec<_> = (0..40).map(|_| sender.send_text("x".repeat(20_000))).collect();
        assert_eq!(peer.read().await.payload.len(), 20_000);
        let queued = connection.send(GetStatus).await.unwrap().queued;
        let waiting = sender.send_text("waits");
        peer.reset();
        events.until(disconnected()).await;
        let outcomes = all_told(sendings.into_iter().chain([waiting])).await;
        let count = |wanted: &str| outcomes.iter().filter(|told| **told == wanted).count();
        assert!(count("Written") >= 1 && count("NotWritten") >= 1, "{queued:?} {outcomes:?}");
        assert!(count("Unknown") <= 1, "{outcomes:?}");
        let rank =
            |told: &&str| ["Written", "Unknown", "NotWritten"].iter().position(|it| it == told);
        assert!(outcomes.is_sorted_by_key(|told| rank(told).expect("one of the three")));

        // The same sender goes on in the next session.
        let server = listen();
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.expect(connected().epoch(2)).await;
        assert_eq!(told(sender.send_text("again")).await, "Written");
        assert_eq!(peer.read().await, ClientFrame::text("again"));
    });
}

#[test]
fn what_the_session_did_not_come_to_fetch_is_not_for_the_next() {
    virtual_time(8, async {
        let (connection, mut events, peer) = connected_with(settings()).await;
        let sender = sender(&connection).await;
        // The session's next step finds the end before it looks for messages.
        peer.reset();
        let missed = sender.send_text("missed");
        let began = Instant::now();
        assert_eq!(told(missed).await, "NotWritten");
        assert_eq!(began.elapsed(), ms(0));
        events.until(disconnected()).await;
        let server = listen();
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.expect(connected().epoch(2)).await;
        assert_eq!(told(sender.send_text("next")).await, "Written");
        assert_eq!(peer.read().await, ClientFrame::text("next"));
    });
}

#[test]
fn a_send_limit_lets_them_pass_one_by_one_beside_what_the_address_sends() {
    virtual_time(5, async {
        let limit = SendLimit::per(10, ms(1_000)).unwrap().burst(2);
        let (connection, _events, mut peer) = connected_with(settings().send_limit(limit)).await;
        let sender = sender(&connection).await;
        let began = Instant::now();
        let sendings: Vec<_> = (0..4).map(|number| sender.send_text(number.to_string())).collect();
        let last = actix_rt::spawn(connection.send(SendString::new("4")));
        for (number, due) in [0, 0, 100, 200, 300].into_iter().enumerate() {
            assert_eq!(peer.read().await, ClientFrame::text(number.to_string()));
            assert_eq!(began.elapsed(), ms(due), "message {number}");
        }
        assert_eq!(all_told(sendings).await, ["Written"; 4]);
        last.await.unwrap().unwrap().unwrap();
    });
}

#[test]
fn a_rotation_loses_nothing_and_writes_nothing_twice() {
    virtual_time(6, async {
        let server = listen();
        let rotating = settings().rotation(Rotation::make_before_break());
        let (connection, mut events) = alone(Connection::string("a").settings(rotating));
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut old = server.open().await;
        events.expect(connected().epoch(1)).await;
        let sender = sender(&connection).await;
        let first = sender.send_text("old");
        connection.send(Rotate).await.unwrap().unwrap();
        assert_eq!(old.read().await, ClientFrame::text("old"));
        // More than the old session's socket takes at once.
        let large: Vec<_> = (0..30).map(|_| sender.send_text("x".repeat(20_000))).collect();
        let mut new = server.open().await;
        events.until(connected().epoch(2)).await;
        let second = sender.send_text("new");
        let began = Instant::now();
        let reading = async {
            let mut read = 1;
            while new.read().await != ClientFrame::text("new") {
                read += 1;
            }
            assert_eq!(began.elapsed(), ms(0), "nothing else had to wake the session");
            while old.read().await.opcode != 8 {
                read += 1;
            }
            read
        };
        assert_eq!(soon("all messages", reading).await, 31);
        let mut all = vec![first];
        all.extend(large);
        all.push(second);
        assert_eq!(all_told(all).await, ["Written"; 32]);
    });
}

#[test]
fn a_session_that_takes_over_is_woken_by_what_is_sent() {
    virtual_time(9, async {
        let server = listen();
        let rotating = settings().rotation(Rotation::make_before_break());
        let (connection, mut events) = alone(Connection::string("a").settings(rotating));
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let _old = server.open().await;
        events.expect(connected().epoch(1)).await;
        let sender = sender(&connection).await;
        connection.send(Rotate).await.unwrap().unwrap();
        let mut new = server.open().await;
        events.until(connected().epoch(2)).await;
        // All is quiet then.
        sleep(ms(1)).await;
        let began = Instant::now();
        assert_eq!(told(sender.send_text("new")).await, "Written");
        assert_eq!(new.read().await, ClientFrame::text("new"));
        assert_eq!(began.elapsed(), ms(0), "nothing else had to wake it");
    });
}

#[test]
fn a_sender_outlives_sessions_and_their_connection_and_keeps_neither() {
    virtual_time(7, async {
        let (server, supervisor) = (listen(), supervisor());
        let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.until(connected()).await;
        let sender = sender(&connection).await;
        assert_eq!(told(sender.send_text("1")).await, "Written");
        supervisor.send(TerminateConnection("a".into())).await.unwrap().unwrap();
        assert_eq!(sender.send_text("2").refusal(), Some(Refusal::NotConnected));
        assert_eq!(peer.read().await, ClientFrame::text("1"));

        let (connection, mut events, mut peer) = connected_with(settings()).await;
        let sender = connection.send(GetSender).await.unwrap();
        drop(connection);
        assert_eq!(peer.read().await.opcode, 8, "nobody has the address any more");
        drop(peer);
        events.until(disconnected()).await;
        assert_eq!(sender.send_text("3").refusal(), Some(Refusal::NotConnected));
    });
}

/// Whoever has its own thread has real time: this one goes over a real socket.
#[actix::test]
async fn many_threads_send_at_once_and_each_is_written_in_its_order() {
    const THREADS: usize = 4;
    const EACH: usize = 2_000;
    let server = Server::on_loopback().await.unwrap();
    let supervisor = Supervisor::builder().policy(loopback_policy()).arbiters(1).start().unwrap();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.open().await;
    events.until(connected()).await;
    let sender = connection.send(GetSender).await.unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut sendings = Vec::new();
                for number in 0..EACH {
                    // The outbox holds 1,000: whoever meets its limit tries again.
                    let sending = loop {
                        let sending = sender.send_text(format!("{thread} {number}"));
                        if sending.refusal().is_none() {
                            break sending;
                        }
                        thread::yield_now();
                    };
                    sendings.push(sending);
                }
                sendings
            })
        })
        .collect();
    let mut next = [0; THREADS];
    for _ in 0..THREADS * EACH {
        let text = String::from_utf8(peer.read().await.payload).unwrap();
        let (thread, number) = text.split_once(' ').unwrap();
        let next = &mut next[thread.parse::<usize>().unwrap()];
        assert_eq!(number.parse(), Ok(*next), "of thread {thread}");
        *next += 1;
    }
    for thread in threads {
        assert_eq!(all_told(thread.join().unwrap()).await, vec!["Written"; EACH]);
    }
}
