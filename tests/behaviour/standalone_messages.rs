//! Messages in both directions.

use actix::prelude::*;
use futures_util::future::join_all;
use wsvisor::{
    Connect, Connection, ConnectionBuilder, Delivery, Disconnect, GetStatus, Limits, OutboxLimits,
    Payload, ReceivedBatch, Refusal, SendBinary, SendError, SendJson, SendString, Subscribe,
    Unsubscribe,
};

use wsvisor::testing::{
    ClientFrame as Frame, Peer, Recorder, disconnected, frame, text, virtual_time,
};

use crate::support::{alone, connected_with, listen, loopback_policy, settings, soon, string};

async fn connected(builder: ConnectionBuilder) -> (Addr<Connection>, Recorder, Peer) {
    let server = listen();
    let (connection, mut events) = alone(builder);
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    (connection, events, peer)
}

#[actix::test]
async fn text_and_binary_go_both_ways() {
    let (connection, mut events, mut peer) =
        connected(Connection::string("a").settings(settings())).await;
    let sent = connection.send(SendString::new("häl-lo")).await.unwrap();
    assert_eq!(sent.unwrap(), Delivery::Written);
    connection.send(SendBinary::new(vec![0, 255])).await.unwrap().unwrap();
    assert_eq!(peer.read().await, Frame { opcode: 1, payload: "häl-lo".into() });
    assert_eq!(peer.read().await, Frame { opcode: 2, payload: vec![0, 255] });

    peer.text("welt").await;
    peer.write(frame(0x82, [1, 2])).await;
    peer.text("").await;
    events.expect_all(["1 text welt", "1 binary of 2 bytes: \"\\x01\\x02\"", "1 text "]).await;
}

#[actix::test]
async fn large_messages_go_both_ways() {
    let (connection, mut events, mut peer) =
        connected(Connection::string("a").settings(settings())).await;
    let large = "0123456789abcdef".repeat(200_000);
    let (sent, read) = tokio::join!(connection.send(SendString::new(large.as_str())), peer.read());
    sent.unwrap().unwrap();
    assert!(read.payload == large.as_bytes(), "{read:?}");
    peer.text(&large).await;
    events.expect(text(large)).await;
}

#[actix::test]
async fn fragments_are_one_message_and_pings_between_them_are_answered() {
    let (_connection, mut events, mut peer) =
        connected(Connection::string("a").settings(settings())).await;
    let umlaut = "ä".as_bytes();
    peer.write(frame(0x01, &umlaut[..1])).await;
    peer.write(frame(0x89, b"alive?")).await;
    assert_eq!(peer.read().await, Frame { opcode: 10, payload: b"alive?".to_vec() });
    peer.write(frame(0x00, &umlaut[1..])).await;
    peer.write(frame(0x80, b"!")).await;
    events.expect_all(["1 text ä!"]).await;
}

#[actix::test]
async fn messages_that_came_with_the_handshakes_answer_are_delivered() {
    let server = listen();
    let (connection, mut events) = string();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    let mut bytes = peer.request().await.acceptance("").into_bytes();
    bytes.extend(frame(0x81, b"early"));
    bytes.extend(&frame(0x81, b"halved")[..4]);
    peer.write(&bytes).await;
    events.expect_all(["1 Connected", "1 text early"]).await;
    peer.write(&frame(0x81, b"halved")[4..]).await;
    events.expect_all(["1 text halved"]).await;
}

#[actix::test]
async fn a_json_connection_drops_what_is_not_json_and_goes_on() {
    let (connection, mut events, mut peer) =
        connected(Connection::json("a").settings(settings())).await;
    let good = [r#"{"a":[1,2]}"#, "7", r#""text""#, " null "];
    let bad = ["", "{", "tru", "{} trailing", "\u{feff}{}", "'single'"];
    for text in bad {
        peer.text(text).await;
    }
    peer.write(frame(0x82, b"{}")).await;
    for text in good {
        peer.text(text).await;
    }
    let expected = good.map(|text| format!("1 text {text}"));
    events.expect_all(expected.each_ref().map(String::as_str)).await;
    let status = connection.send(GetStatus).await.unwrap();
    assert_eq!((status.received, status.not_json), (4, 7));

    connection.send(SendJson::new(&serde_json::json!({"op": 1})).unwrap()).await.unwrap().unwrap();
    assert_eq!(peer.read().await, Frame { opcode: 1, payload: br#"{"op":1}"#.to_vec() });
    let refused = connection.send(SendString::new("{}")).await.unwrap().unwrap_err();
    assert!(matches!(refused, SendError::Refused(Refusal::NotJson)), "{refused}");
}

#[actix::test]
async fn without_a_message_subscriber_messages_are_read_and_dropped() {
    let server = listen();
    let connection =
        Connection::string("a").settings(settings()).policy(loopback_policy()).start().unwrap();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.open().await;
    for _ in 0..100 {
        peer.write(frame(0x81, "x".repeat(60_000).as_bytes())).await;
    }
    peer.write(frame(0x89, b"still there?")).await;
    assert_eq!(peer.read().await.payload, b"still there?");
    let status = connection.send(GetStatus).await.unwrap();
    assert_eq!((status.received, status.unheard), (0, 100));

    // Nobody listens, and the rules hold all the same: text is UTF-8.
    peer.write(frame(0x81, [0xFF])).await;
    assert_eq!(peer.read_close().await, 1007u16.to_be_bytes());
}

#[actix::test]
async fn a_message_is_refused_while_there_is_no_session() {
    let refusal = async |connection: &Addr<Connection>| {
        let error = connection.send(SendString::new("x")).await.unwrap().unwrap_err();
        assert!(matches!(error, SendError::Refused(Refusal::NotConnected)), "{error}");
    };
    let (idle, _events) = string();
    refusal(&idle).await;
    let (connection, mut events, mut peer) =
        connected(Connection::string("a").settings(settings())).await;
    connection.send(Disconnect::normally()).await.unwrap();
    refusal(&connection).await;
    peer.read_close().await;
    peer.close(1000).await;
    drop(peer);
    events.until(disconnected()).await;
    refusal(&connection).await;
}

#[actix::test]
async fn a_full_outbox_refuses_and_tells() {
    let outbox = OutboxLimits { messages: 2, bytes: 100 };
    let settings = settings().outbox(outbox);
    let (connection, _events, mut peer) =
        connected(Connection::string("a").settings(settings)).await;
    let error = connection.send(SendString::new("x".repeat(101))).await.unwrap().unwrap_err();
    assert!(
        matches!(error, SendError::Refused(Refusal::OutboxFull { messages: 0, bytes: 0 })),
        "larger than the outbox can ever be: {error}"
    );

    // All three are in the mailbox before the session has its turn.
    let sends: Vec<_> =
        ["one", "two", "three"].map(|text| connection.send(SendString::new(text))).into();
    let fates = soon("the fates", join_all(sends)).await;
    let fates: Vec<_> = fates.into_iter().map(Result::unwrap).collect();
    assert!(matches!(fates[..2], [Ok(Delivery::Written), Ok(Delivery::Written)]), "{fates:?}");
    assert!(
        matches!(fates[2], Err(SendError::Refused(Refusal::OutboxFull { messages: 2, bytes: 6 }))),
        "{fates:?}"
    );
    assert_eq!(peer.read().await.payload, b"one");
    assert_eq!(peer.read().await.payload, b"two");
}

#[actix::test]
async fn batches_carry_all_messages_of_a_read() {
    let server = listen();
    let mut batches = Recorder::start();
    let connection = Connection::string("a")
        .settings(settings())
        .policy(loopback_policy())
        .subscribe(batches.batches())
        .start()
        .unwrap();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.open().await;
    let texts: Vec<_> = (0..1_000).map(|n| n.to_string()).collect();
    peer.write(texts.iter().flat_map(|text| frame(0x81, text.as_bytes())).collect::<Vec<_>>())
        .await;
    for text in &texts {
        assert_eq!(batches.next().await.to_string(), format!("1 text {text}"));
    }
}

#[actix::test]
async fn subscriptions_begin_and_end() {
    let (connection, mut events, mut peer) =
        connected(Connection::string("a").settings(settings())).await;
    let mut late = Recorder::start();
    let subscription = connection.send(Subscribe::new(late.messages())).await.unwrap();
    peer.text("one").await;
    events.expect_all(["1 text one"]).await;
    late.expect_all(["1 text one"]).await;

    connection.send(Unsubscribe(subscription)).await.unwrap();
    peer.text("two").await;
    events.expect_all(["1 text two"]).await;
    drop(connection);
    peer.read_close().await;
    assert_eq!(late.history().len(), 1);
}

#[actix::test]
async fn one_payload_limit_holds_for_all_fragments_together() {
    let settings = settings().limits(Limits::default().with_max_message(1_000));
    let (_connection, mut events, mut peer) =
        connected(Connection::string("a").settings(settings)).await;
    peer.write(frame(0x81, [b'x'; 1_000])).await;
    events.until(text("x".repeat(1_000))).await;
    peer.write(frame(0x01, [b'x'; 600])).await;
    peer.write(frame(0x80, [b'x'; 401])).await;
    assert_eq!(peer.read_close().await, 1009u16.to_be_bytes());
    drop(peer);
    events.expect_all(["1 Disconnected 1009 unclean: the peer's bytes were refused…"]).await;
}

/// The message was good when it came, and its answer is written although the verdict on what follows
/// is known by then (Autobahn 3.2 to 3.4, 4.1.3 and others).
#[actix::test]
async fn a_message_ahead_of_bad_bytes_can_still_be_answered() {
    let server = listen();
    let context = Context::new();
    let connection = Connection::string("a")
        .policy(loopback_policy())
        .settings(settings())
        .subscribe(context.address().recipient::<ReceivedBatch>())
        .start()
        .unwrap();
    context.run(Echo(connection.clone()));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.open().await;
    peer.write([frame(0x81, b"good"), frame(0xA1, b"bad"), frame(0x81, b"late")].concat()).await;
    assert_eq!(peer.read().await, Frame::text("good"));
    assert_eq!(peer.read_close().await, 1002u16.to_be_bytes());
    peer.read_end().await;
}

struct Echo(Addr<Connection>);

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<ReceivedBatch> for Echo {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        for text in batch.iter().filter_map(Payload::as_text) {
            self.0.do_send(SendString::new(text));
        }
    }
}

/// A burst is not refused for want of room while the socket takes what it holds: the session has its turn
/// after some commands.
#[test]
fn a_burst_of_commands_does_not_fill_the_outbox_of_a_socket_that_takes_them() {
    virtual_time(11, async {
        const BURST: usize = 5_000;
        let limits = OutboxLimits { messages: 300, ..OutboxLimits::default() };
        let (connection, _events, mut peer) = connected_with(settings().outbox(limits)).await;
        let sends: Vec<_> =
            (0..BURST).map(|number| connection.send(SendString::new(number.to_string()))).collect();
        let answers = actix_rt::spawn(join_all(sends));
        for number in 0..BURST {
            assert_eq!(peer.read().await, Frame::text(number.to_string()));
        }
        for (number, answer) in answers.await.unwrap().into_iter().enumerate() {
            assert_eq!(answer.unwrap().unwrap(), Delivery::Written, "message {number}");
        }
        // Nor does it end before all of it is handled, when nobody has the address any more.
        for number in 0..BURST {
            connection.do_send(SendString::new(number.to_string()));
        }
        drop(connection);
        for number in 0..BURST {
            assert_eq!(peer.read().await, Frame::text(number.to_string()));
        }
        assert_eq!(peer.read_close().await, 1000_u16.to_be_bytes());
    });
}
