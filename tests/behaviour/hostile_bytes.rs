//! What a session makes of bytes that no server may send: it ends, alone, with the right close
//! code, and its memory stays flat.

use actix::prelude::*;
use wsvisor::{
    Connect, Connection, ConnectionSpec, ExitReason, GetStatus, Limits, Payload, ReceivedBatch,
    SendString, Settings, StartConnection, State,
};

use wsvisor::testing::{Peer, Recorder, frame};

use crate::support::{alone, listen, loopback_policy, recorded, settings, supervisor};

async fn connected(settings: Settings) -> (Addr<Connection>, Recorder, Peer) {
    let server = listen();
    let (connection, mut events) = alone(Connection::string("a").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    (connection, events, peer)
}

/// Header bytes alone: the payload never comes.
fn header(first: u8, second: u8, extended: &[u8]) -> Vec<u8> {
    [&[first, second], extended].concat()
}

#[actix::test]
async fn each_broken_rule_has_its_close_code() {
    let cases: &[(&str, u16, Vec<u8>)] = &[
        ("masked frame", 1002, header(0x81, 0x80, &[1, 2, 3, 4])),
        ("reserved bit 1", 1002, frame(0xC1, b"x")),
        ("reserved bit 2", 1002, frame(0xA1, b"x")),
        ("reserved bit 3", 1002, frame(0x91, b"x")),
        ("unknown data opcode", 1002, frame(0x83, b"x")),
        ("unknown control opcode", 1002, frame(0x8B, b"x")),
        ("fragmented ping", 1002, frame(0x09, b"x")),
        ("ping of 126 bytes", 1002, header(0x89, 126, &[0, 126])),
        ("close of 126 bytes", 1002, header(0x88, 126, &[0, 126])),
        ("orphan continuation", 1002, frame(0x80, b"x")),
        ("text inside a fragmented text", 1002, [frame(0x01, b"x"), frame(0x81, b"y")].concat()),
        ("length of 125 in 16 bits", 1002, header(0x82, 126, &[0, 125])),
        ("length of 65,535 in 64 bits", 1002, header(0x82, 127, &[0, 0, 0, 0, 0, 0, 255, 255])),
        ("length above 63 bits", 1002, header(0x82, 127, &[0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("close payload of one byte", 1002, frame(0x88, [3])),
        ("close code 1005", 1002, frame(0x88, 1005u16.to_be_bytes())),
        ("close code 1006", 1002, frame(0x88, 1006u16.to_be_bytes())),
        ("close code 999", 1002, frame(0x88, 999u16.to_be_bytes())),
        ("close code 5000", 1002, frame(0x88, 5000u16.to_be_bytes())),
        ("close reason that is not UTF-8", 1007, frame(0x88, [3, 0xE8, 0xFF])),
        ("text that is not UTF-8", 1007, frame(0x81, [0xC3, 0x28])),
        ("text that ends inside a character", 1007, frame(0x81, [0xE2, 0x82])),
        ("surrogate", 1007, frame(0x81, [0xED, 0xA0, 0x80])),
        (
            "character broken over two fragments",
            1007,
            [frame(0x01, [0xE2]), frame(0x00, [0x82]), frame(0x80, b"x")].concat(),
        ),
        // The bytes can no longer become UTF-8, so the rest of the message is not waited for.
        (
            "first bytes of a long text",
            1007,
            [header(0x01, 127, &[0, 0, 0, 0, 0, 0x0F, 0, 0]), vec![b'a', 0xFF]].concat(),
        ),
    ];
    for (what, code, bytes) in cases {
        let (connection, mut events, mut peer) = connected(settings()).await;
        peer.text("before").await;
        peer.write(bytes).await;
        // Whatever follows is not looked at.
        let _ = peer.try_write(frame(0x81, b"after")).await;
        assert_eq!(peer.read_close().await, code.to_be_bytes(), "{what}");
        peer.read_end().await;
        drop(peer);
        let line = format!("1 Disconnected {code} unclean: the peer's bytes were refused…");
        events.expect_all(["1 text before", &line]).await;
        let status = connection.send(GetStatus).await.unwrap();
        assert_eq!(status.state, State::Failed, "{what}: the same bytes would come again");
        assert!(matches!(status.last_exit, Some(ExitReason::Protocol(_))), "{what}");
    }
}

/// The message was good when it came, and its answer is written although the verdict on what
/// follows is known by then (Autobahn 3.2 to 3.4, 4.1.3 and others).
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
    let answer = peer.read().await;
    assert_eq!((answer.opcode, &*answer.payload), (1, b"good".as_slice()));
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

#[actix::test]
async fn limits_are_decided_at_the_header() {
    let limits =
        Limits::default().with_max_frame(1_000).with_max_message(1_500).with_max_fragments(3);
    let too_many = [frame(0x01, b"x"), frame(0, b"x"), frame(0, b"x"), frame(0, b"")].concat();
    let cases: &[(&str, Vec<u8>)] = &[
        ("frame", header(0x82, 126, &1_001u16.to_be_bytes())),
        ("message", [frame(0x02, [0; 1_000]), header(0x80, 126, &501u16.to_be_bytes())].concat()),
        ("fragments", too_many),
    ];
    for (what, bytes) in cases {
        let (_connection, mut events, mut peer) = connected(settings().limits(limits)).await;
        peer.write(bytes).await;
        assert_eq!(peer.read_close().await, 1009u16.to_be_bytes(), "{what}");
        drop(peer);
        events.expect_all(["1 Disconnected 1009 unclean…"]).await;
    }
}

#[actix::test]
async fn a_broken_session_does_not_touch_its_neighbours() {
    let server = listen();
    let supervisor = supervisor();
    let start = async |id: &str| {
        let (spec, mut events) = recorded(ConnectionSpec::string(id, server.url()));
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let peer = server.open().await;
        events.expect_all(["1 Connected"]).await;
        (connection, events, peer)
    };
    let (_bad, mut bad_events, mut bad_peer) = start("bad").await;
    let (good, mut good_events, mut good_peer) = start("good").await;
    bad_peer.write(frame(0x83, b"")).await;
    drop(bad_peer);
    bad_events.expect_all(["1 Disconnected 1002 unclean…", "1 GaveUp…"]).await;

    good.send(SendString::new("ping")).await.unwrap().unwrap();
    assert_eq!(good_peer.read().await.payload, b"ping");
    good_peer.text("pong").await;
    good_events.expect_all(["1 text pong"]).await;
}

#[actix::test]
async fn a_flood_of_pings_is_answered_within_bounds() {
    let (_connection, _events, mut peer) = connected(settings()).await;
    let pings: Vec<u8> = (0..10_000u32).flat_map(|n| frame(0x89, n.to_be_bytes())).collect();
    peer.write(pings).await;
    // RFC 6455 §5.5.3: the newest may be answered alone. The newest is among the answers.
    let newest = 9_999u32.to_be_bytes();
    let mut answers = 0;
    loop {
        let frame = peer.read().await;
        assert_eq!(frame.opcode, 10);
        answers += 1;
        if frame.payload == newest {
            break;
        }
    }
    assert!(answers <= 10_000, "{answers}");
}
