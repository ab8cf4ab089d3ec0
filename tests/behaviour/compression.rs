//! permessage-deflate from outside: asked for, agreed on, kept to.

use std::time::Duration;

use actix::Addr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use wsvisor::{
    Connect, Connection, ExitReason, GetSender, GetStatus, HandshakeError, Limits,
    PerMessageDeflate, SendBatch, SendBinary, SendString, Settings, WindowBits,
    protocol::{FrameHeader, apply_mask},
    testing::{Recorder, Server, frame},
};

use crate::support::{alone, listen, settings, soon};

/// "Hello", and "Hello" again by reference to the first (RFC 7692 §7.2.3).
const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
const AGAIN: [u8; 5] = [0xF2, 0x00, 0x11, 0x00, 0x00];

/// A text and a binary message with RSV1.
const TEXT: u8 = 0xC1;
const BINARY: u8 = 0xC2;

fn compressed(offer: PerMessageDeflate) -> Settings {
    settings().deflate(offer)
}

async fn dial(settings: Settings) -> (Addr<Connection>, Recorder, Server) {
    let server = listen();
    let (connection, events) = alone(Connection::string("a").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    (connection, events, server)
}

/// What the client offers, with a session in which the server agreed with `answer`.
macro_rules! agreed {
    ($offer:expr, $answer:expr) => {{
        let (connection, mut events, server) = dial(compressed($offer)).await;
        let mut peer = server.accept().await;
        let answer = format!("Sec-WebSocket-Extensions: {}\r\n", $answer);
        peer.shake_hands_with(&answer).await;
        events.expect_all(["1 Connected"]).await;
        (connection, events, peer)
    }};
}

/// The reserved bits and the payload of the client's next frame, which is short.
async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    soon("a frame", stream.read_exact(&mut head)).await.unwrap();
    let mut rest = vec![0; usize::from(head[1] & 0x7F) + 4];
    soon("a frame", stream.read_exact(&mut rest)).await.unwrap();
    let bytes = [&head[..], &rest].concat();
    let (header, used) = FrameHeader::parse(&bytes).unwrap().unwrap();
    let mut payload = bytes[used..].to_vec();
    apply_mask(&mut payload, header.mask.unwrap());
    (header.rsv, payload)
}

#[actix::test]
async fn it_is_offered_when_it_is_asked_for_and_not_else() {
    let nine = WindowBits::new(9).unwrap();
    for (settings, offered) in [
        (settings(), None),
        (
            compressed(PerMessageDeflate::default()),
            Some("permessage-deflate; client_max_window_bits"),
        ),
        (
            compressed(
                PerMessageDeflate::default()
                    .server_no_context_takeover()
                    .client_no_context_takeover()
                    .server_max_window_bits(nine)
                    .client_max_window_bits(nine),
            ),
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=9; client_max_window_bits=9",
            ),
        ),
    ] {
        let (_connection, _events, server) = dial(settings).await;
        let request = server.accept().await.request().await;
        assert_eq!(request.header("Sec-WebSocket-Extensions"), offered);
    }
}

#[actix::test]
async fn a_server_may_decline() {
    let (connection, mut events, server) = dial(compressed(PerMessageDeflate::default())).await;
    let mut peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    connection.send(SendString::new("a".repeat(500))).await.unwrap().unwrap();
    assert_eq!(peer.read().await.payload, [b'a'; 500], "not compressed");
    peer.write(frame(TEXT, HELLO)).await;
    assert_eq!(peer.read_close().await, 1002u16.to_be_bytes());
}

#[actix::test]
async fn odd_answers_fail_the_handshake() {
    let plain = PerMessageDeflate::default();
    for (offer, answer) in [
        (plain, "permessage-deflate; foo=1"),
        (plain, "permessage-deflate; server_max_window_bits=1000000000000000000000"),
        (plain, "permessage-deflate; server_max_window_bits=7"),
        (plain, "permessage-deflate; client_max_window_bits"),
        (plain, "permessage-deflate; server_no_context_takeover; server_no_context_takeover"),
        (plain.server_no_context_takeover(), "permessage-deflate"),
        (plain, "permessage-deflate, permessage-deflate"),
        (plain, "x-webkit-deflate-frame"),
    ] {
        let (connection, mut events, server) = dial(compressed(offer)).await;
        server
            .accept()
            .await
            .shake_hands_with(&format!("Sec-WebSocket-Extensions: {answer}\r\n"))
            .await;
        events.expect_all(["1 ConnectionError: …"]).await;
        let exit = connection.send(GetStatus).await.unwrap().last_exit;
        assert!(
            matches!(
                exit,
                Some(ExitReason::Handshake(
                    HandshakeError::DeflateParameter { .. } | HandshakeError::UnofferedExtension(_)
                ))
            ),
            "{answer}: {exit:?}"
        );
    }
}

#[actix::test]
async fn messages_come_compressed_or_not_and_control_frames_between() {
    let (_connection, mut events, mut peer) =
        agreed!(PerMessageDeflate::default(), "permessage-deflate");
    peer.write(frame(TEXT, HELLO)).await;
    peer.text("plain").await;
    peer.write(frame(BINARY, AGAIN)).await;
    peer.write(frame(0x41, &AGAIN[..2])).await;
    peer.ping("between").await;
    assert_eq!(peer.read().await.payload, b"between");
    peer.write(frame(0x80, &AGAIN[2..])).await;
    events
        .expect_all([
            "1 text Hello",
            "1 text plain",
            "1 binary of 5 bytes: \"Hello\"",
            "1 text Hello",
        ])
        .await;
    peer.write(frame(0x41, &AGAIN[..2])).await;
    peer.write(frame(0xC0, &AGAIN[2..])).await;
    assert_eq!(peer.read_close().await, 1002u16.to_be_bytes(), "the bit on a continuation");
}

#[actix::test]
async fn what_cannot_be_inflated_ends_with_1007_and_a_bomb_with_1009() {
    let limits = Limits::default().with_max_message(4);
    for (code, bytes) in [
        (1007, frame(TEXT, b"no deflate")),
        (1007, frame(TEXT, &HELLO[..3])),
        (1009, frame(TEXT, HELLO)),
    ] {
        let settings = compressed(PerMessageDeflate::default()).limits(limits);
        let (_connection, mut events, server) = dial(settings).await;
        let mut peer = server.accept().await;
        peer.shake_hands_with("Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
        peer.write(bytes).await;
        assert_eq!(peer.read_close().await, u16::to_be_bytes(code));
        let end = format!("1 Disconnected {code} unclean: …");
        events.expect_all(["1 Connected", &end]).await;
    }
}

/// The bytes of what is sent: the second message refers to the first unless that is ruled out.
#[actix::test]
async fn messages_go_compressed_as_agreed() {
    let tick =
        r#"{"channel":"trades","symbol":"BTC-USD","price":"64000.10","side":"buy","side":"sell"}"#;
    let offer = PerMessageDeflate::default().threshold(50);
    for (answer, is_compressed, refers_back) in [
        ("permessage-deflate", true, true),
        ("permessage-deflate; client_max_window_bits=9", true, true),
        ("permessage-deflate; client_no_context_takeover", true, false),
        // No library has a window of 8 bits, and each message may go as it is.
        ("permessage-deflate; client_max_window_bits=8", false, false),
    ] {
        let (connection, _events, peer) = agreed!(offer, answer);
        let mut stream = peer.into_stream();
        connection.send(SendString::new(tick)).await.unwrap().unwrap();
        let (rsv, first) = read_frame(&mut stream).await;
        connection.send(SendBinary::new(tick.as_bytes())).await.unwrap().unwrap();
        let (_, second) = read_frame(&mut stream).await;
        assert_eq!(rsv == 0b100, is_compressed, "{answer}");
        assert_eq!(first != tick.as_bytes(), is_compressed, "{answer}");
        let lengths = (first.len(), second.len());
        assert_eq!(second.len() * 4 < first.len(), refers_back, "{answer}: {lengths:?}");

        connection.send(SendString::new(&tick[..49])).await.unwrap().unwrap();
        assert_eq!(
            read_frame(&mut stream).await,
            (0, tick.as_bytes()[..49].to_vec()),
            "below the threshold"
        );

        let hour = Duration::from_hours(1);
        for (terms, taken_back) in [
            ("a deadline", SendString::new(tick).expires_in(hour)),
            ("a key", SendString::new(tick).replacing("price")),
        ] {
            connection.send(taken_back).await.unwrap().unwrap();
            let plain = (0, tick.as_bytes().to_vec());
            assert_eq!(
                read_frame(&mut stream).await,
                plain,
                "{terms}: no later message may refer to it"
            );
        }

        // However it is sent, what comes is the same to the bit, where nothing before is referred to.
        let mut batch = SendBatch::new();
        batch.push_text(tick);
        batch.push_text(&tick[..49]);
        assert_eq!(connection.send(batch).await.unwrap().delivered(), 2);
        let of_batch = read_frame(&mut stream).await;
        assert_eq!(read_frame(&mut stream).await, (0, tick.as_bytes()[..49].to_vec()), "{answer}");
        let sender = connection.send(GetSender).await.unwrap();
        sender.send_text(tick).await.unwrap();
        for (again, way) in [(of_batch, "SendBatch"), (read_frame(&mut stream).await, "Sender")] {
            assert_eq!(again.0 == 0b100, is_compressed, "{answer}, by {way}");
            assert!(again.1.len() <= first.len(), "{answer}, by {way}: {:?}", again.1);
            assert_eq!(again.1 == first, !refers_back, "{answer}, by {way}: {:?}", again.1);
        }
        stream.shutdown().await.unwrap();
    }
}

/// What is compressed next refers to what was compressed before, and not to them.
#[actix::test]
async fn replies_go_uncompressed() {
    let settings = compressed(PerMessageDeflate::default().threshold(0))
        .reply_with(|_, replies| replies.text("Hello"));
    let (connection, mut events, server) = dial(settings).await;
    let mut peer = server.accept().await;
    peer.shake_hands_with("Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
    events.expect_all(["1 Connected"]).await;
    let mut stream = peer.into_stream();
    for sent in [&HELLO[..], &AGAIN] {
        stream.write_all(&frame(0x81, "?")).await.unwrap();
        assert_eq!(read_frame(&mut stream).await, (0, b"Hello".to_vec()));
        connection.send(SendString::new("Hello")).await.unwrap().unwrap();
        assert_eq!(read_frame(&mut stream).await, (0b100, sent.to_vec()));
    }
}
