//! Memory that a hostile server cannot claim. In a process of its own, whose memory is measured.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt as _, sync::Mutex};
use wsvisor::{
    AccessPolicy, Connect, Connection, Limits, Liveness, Payload, PerMessageDeflate, SendString,
    Settings,
    protocol::{FrameHeader, MessageEncoder},
    testing::{Network, Recorder, Server, connected, disconnected, frame, virtual_time},
};

/// One test at a time: they look at the memory of the process.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Over a real socket, with all that the system buffers.
#[actix::test]
async fn an_8_gib_frame_ends_at_its_header() {
    let _alone = ALONE.lock().await;
    let server = Server::on_loopback().await.unwrap();
    let mut recorder = Recorder::start();
    let connection = Connection::string("a")
        .policy(AccessPolicy::from_rules(["allow ws://127.0.0.1:*"]).unwrap())
        .subscribe(recorder.lifecycle())
        .start()
        .unwrap();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.open().await;
    recorder.expect(connected()).await;
    let chunk = vec![0; 1 << 20];

    let before = resident_bytes();
    // FIN and binary, and a length of 64 bits.
    peer.write([[0x82, 127].as_slice(), &(8_u64 << 30).to_be_bytes()].concat()).await;
    // The server floods on; the socket takes it until the session is gone, and it is not kept.
    let mut offered = 0;
    while offered < 256 && peer.stream().write_all(&chunk).await.is_ok() {
        offered += 1;
    }
    recorder.expect(disconnected().code(1009)).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "memory grew by {grown} bytes while {offered} MiB were offered");
}

/// A message of a few hundred kilobytes that inflates to 256 MiB, and one behind it.
#[actix::test]
async fn a_bomb_ends_at_the_limit() {
    let _alone = ALONE.lock().await;
    let limit = 1 << 20;
    let server = Server::on_loopback().await.unwrap();
    let mut recorder = Recorder::start();
    let settings = Settings::default()
        .deflate(PerMessageDeflate::default())
        .limits(Limits::default().with_max_message(limit));
    let connection = Connection::string("a")
        .policy(AccessPolicy::from_rules(["allow ws://127.0.0.1:*"]).unwrap())
        .settings(settings)
        .subscribe(recorder.lifecycle())
        .start()
        .unwrap();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    peer.shake_hands_with("Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
    recorder.expect(connected()).await;
    let bomb = frame(0xC2, deflated(&vec![0; 256 << 20]));
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());

    let before = resident_bytes();
    let _ = peer.try_write(&bomb).await;
    let _ = peer.try_write(&bomb).await;
    recorder.expect(disconnected().code(1009)).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "memory grew by {grown} bytes for a limit of {limit}");
}

/// A hundred compressed connections send, one after the other. A compressor takes some 270 KiB, and
/// is given back before the next one is needed.
#[test]
fn idle_compressed_connections_give_their_compressors_back() {
    const CONNECTIONS: u64 = 100;
    let _alone = ALONE.blocking_lock();
    virtual_time(1, async {
        let network = Network::new();
        let server = network.listen("ws://bots.example.com");
        let idle = Duration::from_secs(10);
        let offer = PerMessageDeflate::default().release_after(idle);
        // The servers here answer no ping.
        let quiet = Settings::default().liveness(Liveness::off());
        let settings = Arc::new(quiet.dialler(network).deflate(offer));
        let text = "0123456789abcdef".repeat(1_024);
        let mut kept = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut recorder = Recorder::start();
            let connection = Connection::string("a")
                .policy(AccessPolicy::from_rules(["allow ws://bots.example.com"]).unwrap())
                .settings(Arc::clone(&settings))
                .subscribe(recorder.lifecycle())
                .start()
                .unwrap();
            connection.send(Connect::to(server.url())).await.unwrap().unwrap();
            let mut peer = server.accept().await;
            peer.shake_hands_with("Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
            recorder.expect(connected()).await;
            kept.push((connection, recorder, peer));
        }
        let before = resident_bytes();
        for (connection, _, _) in &kept {
            connection.send(SendString::new(&*text)).await.unwrap().unwrap();
            tokio::time::sleep(2 * idle).await;
        }
        let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
        assert!(each < 64 << 10, "each connection keeps {each} bytes");
    });
}

/// The payload of one compressed message.
fn deflated(message: &[u8]) -> Vec<u8> {
    let offer = PerMessageDeflate::default();
    let agreed = offer.judge([b"permessage-deflate".as_slice()].into_iter()).unwrap().unwrap();
    let mut out = Vec::new();
    MessageEncoder::with_deflate(agreed).encode(&mut out, Payload::Binary(message), [0; 4]);
    let (_, header_len) = FrameHeader::parse(&out).unwrap().unwrap();
    out.split_off(header_len)
}

/// Resident set size, from the kernel; 0 where it does not tell.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4_096
}
