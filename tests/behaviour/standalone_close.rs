//! How a session ends, from either side, and what both sides see of it.

use actix::Addr;
use wsvisor::{
    Connect, Connection, Disconnect, ExitClass, GetStatus, SendError, SendString, Settings,
    Timeouts,
};

use wsvisor::testing::{Peer, Recorder, Server, frame};

use crate::support::{alone, listen, ms, settings, soon};

async fn connected() -> (Addr<Connection>, Recorder, Peer, Server) {
    connected_with(settings()).await
}

async fn connected_with(settings: Settings) -> (Addr<Connection>, Recorder, Peer, Server) {
    let server = listen();
    let (connection, mut events) = alone(Connection::string("a").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    (connection, events, peer, server)
}

#[actix::test]
async fn disconnect_sends_1000_and_no_reason() {
    let (connection, mut events, mut peer, _server) = connected().await;
    connection.send(Disconnect::normally()).await.unwrap();
    assert_eq!(peer.read_close().await, [0x03, 0xE8]);
    peer.close(1000).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1000 clean: closed by us, and the peer answered…"]).await;
}

#[actix::test]
async fn disconnect_may_send_a_code_and_a_reason() {
    let (connection, mut events, mut peer, _server) = connected().await;
    for code in [0, 999, 1001, 1005, 2999, 5000] {
        assert!(Disconnect::with(code, "").is_err(), "{code} is not ours to send");
    }
    assert!(Disconnect::with(4000, "x".repeat(124)).is_err(), "a reason has 123 bytes at most");
    connection.send(Disconnect::with(4001, "bye").unwrap()).await.unwrap();
    assert_eq!(peer.read_close().await, b"\x0F\xA1bye");
    peer.close(4001).await;
    drop(peer);
    events.expect_all(["1 Disconnected 4001 clean…"]).await;
}

#[actix::test]
async fn disconnect_without_a_session_does_nothing() {
    let (connection, mut events, mut peer, server) = connected().await;
    connection.send(Disconnect::normally()).await.unwrap();
    connection.send(Disconnect::with(4000, "second").unwrap()).await.unwrap();
    assert_eq!(peer.read_close().await, [0x03, 0xE8], "the first one counts");
    peer.close(1000).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1000 clean…"]).await;
    connection.send(Disconnect::normally()).await.unwrap();

    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let _peer = server.open().await;
    events.expect_all(["2 Connected"]).await;
}

#[actix::test]
async fn what_was_queued_goes_out_before_the_close_frame() {
    let (connection, mut events, mut peer, _server) = connected().await;
    let texts: Vec<_> = (0..100).map(|n| format!("message {n}")).collect();
    for text in &texts {
        connection.do_send(SendString::new(text.as_str()));
    }
    connection.do_send(Disconnect::normally());
    for text in &texts {
        assert_eq!(peer.read().await.payload, text.as_bytes());
    }
    assert_eq!(peer.read().await.opcode, 8);
    peer.close(1000).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1000 clean…"]).await;
}

#[actix::test]
async fn nothing_is_delivered_after_disconnect() {
    let (connection, mut events, mut peer, _server) = connected().await;
    connection.send(Disconnect::normally()).await.unwrap();
    peer.read_close().await;
    peer.text("too late").await;
    peer.close(1000).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1000 clean…"]).await;
}

#[actix::test]
async fn a_peer_that_does_not_answer_the_close_is_cut() {
    let timeouts = Timeouts { close: ms(50), ..Timeouts::default() };
    let (connection, mut events, mut peer, _server) =
        connected_with(settings().timeouts(timeouts)).await;
    connection.send(Disconnect::normally()).await.unwrap();
    peer.read_close().await;
    events
        .expect_all(["1 Disconnected 1006 unclean: closed by us, and the peer did not answer…"])
        .await;
    peer.read_end().await;
}

#[actix::test]
async fn a_peer_that_does_not_read_is_cut_and_the_unwritten_is_told() {
    let timeouts = Timeouts { close: ms(50), ..Timeouts::default() };
    let (connection, mut events, _peer, _server) =
        connected_with(settings().timeouts(timeouts)).await;
    // More than the stream takes.
    let sends: Vec<_> =
        (0..7).map(|_| connection.send(SendString::new("x".repeat(1_000_000)))).collect();
    let fates = actix_rt::spawn(futures_util::future::join_all(sends));
    // One more passes the mailbox behind those, so they are accepted.
    connection.send(GetStatus).await.unwrap();
    connection.send(Disconnect::normally()).await.unwrap();
    events.expect_all(["1 Disconnected 1006 unclean…"]).await;

    let fates: Vec<_> = soon("the fates", fates).await.unwrap().into_iter().flatten().collect();
    let rank = |fate: &Result<_, SendError>| match fate {
        Ok(_) => 0,
        Err(SendError::WrittenUnknown(_)) => 1,
        Err(SendError::NotWritten(_)) => 2,
        Err(_) => 3,
    };
    let ranks: Vec<_> = fates.iter().map(rank).collect();
    // The stream took a part of the first, and nothing of the others.
    assert_eq!(ranks, [1, 2, 2, 2, 2, 2, 2]);
}

#[actix::test]
async fn a_close_of_the_peer_is_answered_with_its_code() {
    let cases: [(&[u8], &[u8], &str); 4] = [
        (b"\x03\xE8", b"\x03\xE8", "1 Disconnected 1000 clean…"),
        (b"\x03\xF3sorry", b"\x03\xF3", "1 Disconnected 1011 clean: closed by the peer with 1011…"),
        (b"\x0F\xA0", b"\x0F\xA0", "1 Disconnected 4000 clean…"),
        (b"", b"", "1 Disconnected 1005 clean: closed by the peer without a status code"),
    ];
    for (sent, answer, event) in cases {
        let (_connection, mut events, mut peer, _server) = connected().await;
        peer.write(frame(0x88, sent)).await;
        assert_eq!(peer.read_close().await, answer);
        peer.read_end().await;
        drop(peer);
        events.expect_all([event]).await;
    }
}

#[actix::test]
async fn what_came_before_the_close_is_delivered() {
    let (_connection, mut events, mut peer, _server) = connected().await;
    let mut bytes = frame(0x81, b"last words");
    bytes.extend(frame(0x88, 1001u16.to_be_bytes()));
    bytes.extend(frame(0x81, b"after the end"));
    peer.write(bytes).await;
    peer.read_close().await;
    drop(peer);
    events.expect_all(["1 text last words", "1 Disconnected 1001 clean…"]).await;
}

#[actix::test]
async fn a_stream_that_ends_without_a_close_frame_is_1006() {
    let (connection, mut events, peer, _server) = connected().await;
    drop(peer);
    events.expect_all(["1 Disconnected 1006 unclean: the peer ended the connection…"]).await;
    let exit = connection.send(GetStatus).await.unwrap().last_exit.unwrap();
    assert_eq!(ExitClass::of(&exit, std::time::UNIX_EPOCH), ExitClass::Retry { floor: None });

    let (_connection, mut events, peer, _server) = connected().await;
    peer.reset();
    events.expect_all(["1 Disconnected 1006 unclean: the connection was lost…"]).await;

    let (_connection, mut events, mut peer, _server) = connected().await;
    peer.write([0x81, 10, b'h', b'a', b'l', b'f']).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1006 unclean: the peer ended the connection without a close frame, inside a message"]).await;
}

#[actix::test]
async fn the_session_is_closed_when_nobody_has_the_address() {
    let (connection, mut events, mut peer, _server) = connected().await;
    drop(connection);
    assert_eq!(peer.read_close().await, [0x03, 0xE8]);
    peer.close(1000).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1000 clean…"]).await;
}
