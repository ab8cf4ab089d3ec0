//! Many messages by one command: what the server reads, and the one answer.

use actix::Addr;
use serde_json::json;
use tokio::time::Instant;
use wsvisor::{
    Connect, Connection, Delivery, GetStatus, OutboxLimits, Outcomes, Refusal, SendBatch,
    SendBinary, SendError, SendJson, SendLimit, SendString, Unconfirmed, Unwritten,
    testing::{ClientFrame, Peer, Recorder, connected, disconnected, frame, virtual_time},
};

use crate::support::{alone, listen, ms, settings, string};

async fn session() -> (Addr<Connection>, Recorder, Peer) {
    connect(string()).await
}

async fn connect(
    (connection, mut events): (Addr<Connection>, Recorder),
) -> (Addr<Connection>, Recorder, Peer) {
    let server = listen();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect(connected()).await;
    (connection, events, peer)
}

fn texts(count: usize) -> SendBatch {
    let mut batch = SendBatch::new();
    (0..count).for_each(|number| batch.push_text(number.to_string()));
    batch
}

/// What became of each, in words.
fn told(outcomes: &Outcomes) -> Vec<String> {
    let in_words = |outcome: &Result<Delivery, SendError>| match outcome {
        Ok(delivery) => format!("{delivery:?}"),
        Err(SendError::Refused(Refusal::OutboxFull { .. })) => "OutboxFull".into(),
        Err(SendError::Refused(refusal)) => format!("{refusal:?}"),
        Err(SendError::NotWritten(Unwritten::SessionEnded(_))) => "NotWritten".into(),
        Err(SendError::NotWritten(unwritten)) => format!("{unwritten:?}"),
        Err(SendError::WrittenUnknown(Unconfirmed::SessionEnded(_))) => "Unknown".into(),
        Err(error) => format!("{error:?}"),
    };
    outcomes.iter().map(in_words).collect()
}

#[test]
fn all_are_written_in_their_order_between_what_is_sent_alone() {
    virtual_time(1, async {
        let (connection, _events, mut peer) = session().await;
        let mut batch = texts(2);
        batch.push_binary([1, 2, 3]);
        batch.push_text("");
        batch.extend([SendString::new("é").into(), SendBinary::new(vec![4]).into()]);
        let before = connection.send(SendString::new("before"));
        let middle = connection.send(batch);
        connection.do_send(texts(1));
        let after = connection.send(SendString::new("after"));
        before.await.unwrap().unwrap();
        let outcomes = middle.await.unwrap();
        assert_eq!(told(&outcomes), ["Written"; 6]);
        assert_eq!((outcomes.len(), outcomes.delivered()), (6, 6));
        outcomes.into_result().unwrap();
        after.await.unwrap().unwrap();
        for text in ["before", "0", "1"] {
            assert_eq!(peer.read().await, ClientFrame::text(text));
        }
        let binary = peer.read().await;
        assert_eq!((binary.opcode, &*binary.payload), (2, &[1, 2, 3][..]));
        for text in ["", "é"] {
            assert_eq!(peer.read().await, ClientFrame::text(text));
        }
        assert_eq!(&*peer.read().await.payload, [4]);
        for text in ["0", "after"] {
            assert_eq!(peer.read().await, ClientFrame::text(text));
        }
        let none = connection.send(SendBatch::new()).await.unwrap();
        assert!(none.is_empty() && none.into_result().is_ok());
    });
}

#[test]
fn what_the_outbox_has_no_room_for_is_refused_and_all_behind_it() {
    virtual_time(2, async {
        let outbox = OutboxLimits { messages: 5, bytes: 100 };
        let builder = Connection::string("a").settings(settings().outbox(outbox));
        let (connection, mut events, mut peer) = connect(alone(builder)).await;
        let outcomes = connection.send(texts(8)).await.unwrap();
        assert_eq!(
            told(&outcomes),
            [["Written"; 5].as_slice(), &["OutboxFull"; 3]].concat(),
            "by their number"
        );
        let error = outcomes.into_result().unwrap_err();
        assert_eq!((error.index, error.of), (5, 8));
        for number in 0..5 {
            assert_eq!(peer.read().await, ClientFrame::text(number.to_string()));
        }
        events.expect_all(["1 OutboxFull: 1 messages were refused"]).await;

        // The last would have had room, but not in its order.
        let mut batch = SendBatch::new();
        for len in [40, 61, 1] {
            batch.push_text("x".repeat(len));
        }
        let outcomes = connection.send(batch).await.unwrap();
        assert_eq!(told(&outcomes), ["Written", "OutboxFull", "OutboxFull"], "by their bytes");
        assert_eq!(peer.read().await.payload.len(), 40);
        assert_eq!(connection.send(GetStatus).await.unwrap().queued, (0, 0));
    });
}

#[test]
fn a_batch_is_refused_as_a_message_is() {
    virtual_time(3, async {
        let (connection, _events) = string();
        let outcomes = connection.send(texts(2)).await.unwrap();
        assert_eq!(told(&outcomes), ["NotConnected"; 2]);
        let late = texts(2).durable().expires_at(Instant::now().into_std());
        assert_eq!(told(&connection.send(late).await.unwrap()), ["NotConnected"; 2]);

        let builder = Connection::json("a").settings(settings());
        let (connection, _events, mut peer) = connect(alone(builder)).await;
        let mut mixed = texts(1);
        mixed.push_json(&json!({"a": 1})).unwrap();
        assert_eq!(told(&connection.send(mixed).await.unwrap()), ["NotJson"; 2]);
        let mut batch = SendBatch::new();
        batch.push_json(&json!({"a": 1})).unwrap();
        batch.extend([SendJson::new(&json!(["b"])).unwrap().into()]);
        assert_eq!(told(&connection.send(batch).await.unwrap()), ["Written"; 2]);
        for text in [r#"{"a":1}"#, r#"["b"]"#] {
            assert_eq!(peer.read().await, ClientFrame::text(text));
        }
        let late = texts(0).expires_at(Instant::now().into_std());
        assert!(connection.send(late).await.unwrap().is_empty());
    });
}

#[test]
fn the_end_of_its_session_settles_each_by_what_the_socket_took_of_it() {
    virtual_time(4, async {
        let (connection, mut events, mut peer) = session().await;
        let mut batch = SendBatch::new();
        (0..20).for_each(|_| batch.push_text("x".repeat(20_000)));
        let answer = actix_rt::spawn(connection.send(batch));
        assert_eq!(peer.read().await.payload.len(), 20_000);
        assert!(!answer.is_finished());
        peer.reset();
        events.until(disconnected()).await;
        let outcomes = told(&answer.await.unwrap().unwrap());
        let count = |wanted: &str| outcomes.iter().filter(|told| *told == wanted).count();
        assert!(count("Written") >= 1 && count("NotWritten") >= 1, "{outcomes:?}");
        assert!(count("Unknown") <= 1, "{outcomes:?}");
        let rank =
            |told: &String| ["Written", "Unknown", "NotWritten"].iter().position(|it| it == told);
        assert!(outcomes.is_sorted_by_key(|told| rank(told).expect("one of the three")));
    });
}

#[test]
fn a_send_limit_lets_the_messages_of_a_batch_pass_one_by_one() {
    virtual_time(8, async {
        let limit = SendLimit::per(10, ms(1_000)).unwrap().burst(2);
        let builder = Connection::string("a").settings(settings().send_limit(limit));
        let (connection, mut events, mut peer) = connect(alone(builder)).await;
        let began = Instant::now();
        let answer = actix_rt::spawn(connection.send(texts(6)));
        for (number, due) in [0, 0, 100, 200].into_iter().enumerate() {
            assert_eq!(peer.read().await, ClientFrame::text(number.to_string()));
            assert_eq!(began.elapsed(), ms(due), "message {number}");
        }
        assert_eq!(connection.send(GetStatus).await.unwrap().queued, (2, 2));
        peer.reset();
        events.until(disconnected()).await;
        let outcomes = told(&answer.await.unwrap().unwrap());
        assert_eq!(outcomes, [["Written"; 4].as_slice(), &["NotWritten"; 2]].concat());
    });
}

#[test]
fn a_deadline_and_a_confirmation_are_for_each() {
    virtual_time(5, async {
        let (connection, _events, mut peer) = session().await;
        let batch = texts(3).confirmed();
        let answer = actix_rt::spawn(connection.send(batch));
        for number in 0..3 {
            assert_eq!(peer.read().await, ClientFrame::text(number.to_string()));
        }
        let ping = peer.read().await;
        assert!(!answer.is_finished());
        peer.write(frame(0x8A, &ping.payload)).await;
        assert_eq!(told(&answer.await.unwrap().unwrap()), ["Confirmed"; 3]);

        // The socket does not take all of it in time.
        let mut batch = SendBatch::new();
        (0..40).for_each(|_| batch.push_text("x".repeat(20_000)));
        let began = Instant::now();
        let outcomes = told(&connection.send(batch.expires_in(ms(700))).await.unwrap());
        assert_eq!(began.elapsed(), ms(700));
        let (first, last) = (outcomes.first().unwrap(), outcomes.last().unwrap());
        assert_eq!((first.as_str(), last.as_str()), ("Written", "Expired"), "{outcomes:?}");
        let taken = outcomes.iter().filter(|told| *told != "Expired").count();
        let last = actix_rt::spawn(connection.send(SendString::new("last")));
        for _ in 0..taken {
            assert_eq!(peer.read().await.payload.len(), 20_000);
        }
        assert_eq!(peer.read().await, ClientFrame::text("last"), "nothing expired was written");
        last.await.unwrap().unwrap().unwrap();

        let late = texts(2).expires_at(Instant::now().into_std());
        assert_eq!(told(&connection.send(late).await.unwrap()), ["Expired"; 2]);
    });
}

#[test]
fn a_durable_batch_goes_on_in_the_next_session() {
    virtual_time(6, async {
        let (connection, mut events, peer) = session().await;
        peer.reset();
        events.until(disconnected()).await;
        let server = listen();
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.accept().await;
        let answer = actix_rt::spawn(connection.send(texts(3).durable().after_ready()));
        tokio::time::sleep(ms(5)).await;
        assert!(!answer.is_finished());
        peer.shake_hands().await;
        for number in 0..3 {
            assert_eq!(peer.read().await, ClientFrame::text(number.to_string()));
        }
        assert_eq!(told(&answer.await.unwrap().unwrap()), ["Written"; 3]);
    });
}

#[test]
fn the_end_of_the_actor_leaves_no_batch_unanswered() {
    virtual_time(7, async {
        let (connection, _events, peer) = session().await;
        let mut batch = SendBatch::new();
        (0..20).for_each(|_| batch.push_text("x".repeat(20_000)));
        let answer = actix_rt::spawn(connection.send(batch));
        tokio::time::sleep(ms(1)).await;
        drop(connection);
        drop(peer);
        let outcomes = answer.await.unwrap().unwrap();
        assert_eq!(outcomes.len(), 20);
        assert!(outcomes.delivered() < 20);
    });
}
