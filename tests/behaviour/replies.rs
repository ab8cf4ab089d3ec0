//! Replies at once: what the server reads, and when the socket is not read for their sake.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};
use wsvisor::{
    Connect, Connection, ConnectionSpec, Disconnect, ExitClass, GetStatus, Greeting,
    LifecycleEvent, MarkReady, Payload, Readiness, Replies, Rotate, Rotation, SendLimit,
    SendString, Settings, StartConnection,
    testing::{ClientFrame, Network, connected, disconnected, frame, virtual_time},
};

use crate::support::{alone, connected_with, listen, ms, recorded, settings, soon, supervisor};

/// Says what it heard.
fn echo(message: Payload<'_>, replies: &mut Replies<'_>) {
    match message {
        Payload::Text(text) => replies.text(text),
        Payload::Binary(bytes) => replies.binary(bytes),
    }
}

fn echoing() -> Settings {
    settings().reply_with(echo)
}

#[test]
fn each_message_is_replied_to_at_once_and_delivered() {
    virtual_time(1, async {
        let settings = settings().reply_with(|message, replies| match message.as_text() {
            Some("ping") => replies.text("pong"),
            Some("both") => {
                replies.binary([1, 2]);
                replies.json(&json!({"pong": 1})).unwrap();
            }
            _ => {}
        });
        let (connection, mut events, mut peer) = connected_with(settings).await;
        let began = Instant::now();
        for text in ["ping", "other", "both"] {
            peer.text(text).await;
        }
        assert_eq!(peer.read().await, ClientFrame::text("pong"));
        let binary = peer.read().await;
        assert_eq!((binary.opcode, &*binary.payload), (2, &[1, 2][..]));
        assert_eq!(peer.read().await, ClientFrame::text(r#"{"pong":1}"#));
        assert_eq!(began.elapsed(), ms(0));
        events.expect_all(["1 text ping", "1 text other", "1 text both"]).await;
        let status = connection.send(GetStatus).await.unwrap();
        assert_eq!(status.queued, (0, 0), "they take no room in the outbox");
    });
}

#[test]
fn replies_go_before_what_waits_and_past_the_send_limit() {
    virtual_time(2, async {
        let limit = SendLimit::per(1, ms(1_000)).unwrap();
        let (connection, _events, mut peer) = connected_with(echoing().send_limit(limit)).await;
        connection.do_send(SendString::new("first"));
        connection.do_send(SendString::new("later"));
        assert_eq!(peer.read().await, ClientFrame::text("first"));
        let began = Instant::now();
        for number in 0..10 {
            peer.text(number.to_string()).await;
            assert_eq!(peer.read().await, ClientFrame::text(number.to_string()));
        }
        assert_eq!(began.elapsed(), ms(0));
        assert_eq!(peer.read().await, ClientFrame::text("later"));
        assert_eq!(began.elapsed(), ms(1_000), "the limit counts none of them");
    });
}

#[test]
fn the_greeting_is_first() {
    virtual_time(7, async {
        let greeting = Greeting::asked(|_| async {
            sleep(ms(500)).await;
            Ok(vec![SendString::new("hello").into()])
        });
        let (_connection, _events, mut peer) = connected_with(echoing().greeting(greeting)).await;
        let began = Instant::now();
        peer.text("are you there?").await;
        assert_eq!(peer.read().await, ClientFrame::text("hello"));
        assert_eq!(peer.read().await, ClientFrame::text("are you there?"));
        assert_eq!(began.elapsed(), ms(500));
    });
}

/// As the stream holds little, it is written in parts; as it holds much, all that waited goes with one write, and no
/// event of the socket tells that it may be read again.
#[test]
fn the_socket_is_not_read_while_many_replies_wait() {
    const MESSAGES: usize = 2_000;
    const LEN: usize = 1_024;
    for capacity in [64 * 1_024, 1_024 * 1_024] {
        virtual_time(3, async move {
            let heard = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&heard);
            let network = Network::with_capacity(capacity);
            let server = network.listen("ws://127.0.0.1:9");
            let settings =
                Settings::default().dialler(network).reply_with(move |message, replies| {
                    count.fetch_add(1, Relaxed);
                    echo(message, replies);
                });
            let (connection, _events) = alone(Connection::string("a").settings(settings));
            connection.send(Connect::to(server.url())).await.unwrap().unwrap();
            let peer = server.open().await;
            let (mut reader, mut writer) = tokio::io::split(peer.into_stream());
            let writing = actix_rt::spawn(async move {
                let text = "x".repeat(LEN - 4);
                for number in 0..MESSAGES {
                    let message = format!("{number:04}{text}");
                    writer.write_all(&frame(0x81, message)).await.unwrap();
                }
                writer
            });
            // Nobody reads: all that moves has moved, and no ping is due.
            sleep(ms(1_000)).await;
            let (stuck, full) = (heard.load(Relaxed), capacity / LEN);
            // 64 KiB may wait, with what one read holds, and as much may be under way.
            let some = full..full + 5 * 64;
            assert!(some.contains(&stuck), "{stuck} of {MESSAGES} were read, and not {some:?}");
            let began = Instant::now();
            let mut read = vec![0; (LEN + 8) * MESSAGES];
            soon("all replies", reader.read_exact(&mut read)).await.unwrap();
            for (number, frame) in read.chunks(LEN + 8).enumerate() {
                let mask = &frame[4..8];
                let digits = frame[8..12].iter().zip(mask).map(|(byte, mask)| byte ^ mask);
                assert_eq!(digits.collect::<Vec<_>>(), format!("{number:04}").as_bytes());
            }
            assert_eq!(heard.load(Relaxed), MESSAGES);
            assert_eq!(began.elapsed(), ms(0));
            writing.await.unwrap();
        });
    }
}

#[test]
fn nothing_is_replied_behind_a_close_frame() {
    virtual_time(4, async {
        let (connection, mut events, mut peer) = connected_with(echoing()).await;
        peer.text("before").await;
        assert_eq!(peer.read().await, ClientFrame::text("before"));
        let closing = actix_rt::spawn(connection.send(Disconnect::normally()));
        assert_eq!(peer.read_close().await, [3, 232]);
        peer.text("behind").await;
        peer.close(1000).await;
        peer.read_end().await;
        closing.await.unwrap().unwrap();
        events.expect("1 text before").await;
        events.expect(disconnected()).await;
    });
}

#[test]
fn a_panic_in_it_is_one_of_the_session() {
    virtual_time(5, async {
        let server = listen();
        let settings = settings().reply_with(|message, replies| {
            assert!(message.as_text() != Some("panic"), "as it was asked to");
            echo(message, replies);
        });
        let spec = ConnectionSpec::string("a", server.url()).settings(settings);
        let (spec, mut events) = recorded(spec);
        let supervisor = supervisor();
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.expect(connected()).await;
        peer.text("panic").await;
        let ended = events.expect(disconnected()).await.lifecycle().cloned();
        assert!(
            matches!(ended, Some(LifecycleEvent::Disconnected { class: ExitClass::Crash, .. })),
            "{ended:?}"
        );
        let mut again = server.open().await;
        again.text("back").await;
        assert_eq!(again.read().await, ClientFrame::text("back"));
    });
}

#[test]
fn each_of_two_sessions_replies_for_itself() {
    virtual_time(6, async {
        let settings =
            echoing().rotation(Rotation::make_before_break()).readiness(Readiness::on_mark());
        let server = listen();
        let (connection, mut events) = alone(Connection::string("a").settings(settings));
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut old = server.open().await;
        events.expect(connected()).await;
        connection.send(MarkReady).await.unwrap();
        connection.send(Rotate).await.unwrap().unwrap();
        let mut new = server.open().await;
        for (peer, text) in [(&mut new, "beside"), (&mut old, "up")] {
            peer.text(text).await;
            assert_eq!(peer.read().await, ClientFrame::text(text));
        }
        events.expect_all(["1 Ready", "2 overlap text beside", "1 text up"]).await;
        connection.send(MarkReady).await.unwrap();
        assert_eq!(old.read_close().await, [3, 232]);
        old.text("behind its close frame").await;
        new.text("up").await;
        assert_eq!(new.read().await, ClientFrame::text("up"));
        old.close(1000).await;
        old.read_end().await;
    });
}
