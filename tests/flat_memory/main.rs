//! Memory that a hostile server cannot claim. In a process of its own, whose memory is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod idle;
mod soak;

use std::{sync::Arc, time::Duration};

use peak_alloc::PeakAlloc;
use tokio::{io::AsyncWriteExt as _, sync::Mutex};
use wsvisor::{
    AccessPolicy, Connect, Connection, ExitReason, HandshakeError, Limits, Liveness, OutboxLimits,
    Payload, PerMessageDeflate, ProtocolError, SendBinary, SendError, SendString, Settings,
    protocol::{FrameHeader, MessageEncoder},
    testing::{Network, Recorder, Script, Server, connected, disconnected, frame, virtual_time},
};

/// Counts what is allocated, by whatever thread.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

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
        let before = MEMORY.current_usage() as u64;
        for (connection, _, _) in &kept {
            connection.send(SendString::new(&*text)).await.unwrap().unwrap();
            tokio::time::sleep(2 * idle).await;
        }
        let each = (MEMORY.current_usage() as u64).saturating_sub(before) / CONNECTIONS;
        assert!(each < 64 << 10, "each connection keeps {each} bytes");
    });
}

/// Bytes that were allocated at once, at most, beyond what was at the beginning of `work`.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    work();
    MEMORY.peak_usage().saturating_sub(before)
}

/// What the network, the buffers of the thread and the actors of the test itself take.
const THE_TEST: usize = 600 << 10;

/// The server does this, in memory; the connection ends for this reason, whichever phase it is in.
fn ends(script: Script, settings: Settings, reason: fn(&ExitReason) -> bool) {
    virtual_time(1, async {
        let network = Network::new();
        let server = network.listen("ws://127.0.0.1:80").play([script]);
        let mut recorder = Recorder::start();
        let connection = Connection::string("a")
            .policy(AccessPolicy::from_rules(["allow ws://127.0.0.1"]).unwrap())
            .settings(settings.dialler(network))
            .subscribe(recorder.lifecycle())
            .start()
            .unwrap();
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        loop {
            use wsvisor::LifecycleEvent::{ConnectionError, Disconnected};
            let told = recorder.next().await;
            if let Some(ConnectionError { reason: met, .. } | Disconnected { reason: met, .. }) =
                told.lifecycle()
            {
                assert!(reason(met), "{met}");
                return;
            }
        }
    });
}

fn costs_at_most(name: &str, bytes: usize, work: impl FnOnce()) {
    let peak = peak_of(work);
    println!("{name}: {peak} bytes at the peak");
    assert!(peak <= bytes + THE_TEST, "{name}: {peak} bytes, and {bytes} are allowed");
}

/// Rows 9, 19, 20 and 21 of the faults, and a close reason.
#[test]
fn what_a_server_announces_is_not_stored() {
    let _alone = ALONE.blocking_lock();
    // What a thread allocates once is there.
    ends(Script::new().accept(), Settings::default(), |_| true);

    let header = |len: u64| [&[0x82, 127][..], &len.to_be_bytes()].concat();
    for len in [1 << 40, 1 << 62, (1 << 63) - 1] {
        let script = Script::new().accept().send(header(len)).expect_end();
        costs_at_most("an oversized frame", 64 << 10, || {
            ends(script, Settings::default(), |reason| {
                matches!(reason, ExitReason::Protocol(ProtocolError::FrameTooBig { .. }))
            });
        });
    }
    // 16 MiB are announced, as is allowed, and 1 KiB is sent.
    let begun = [header(16 << 20), vec![0; 1 << 10]].concat();
    costs_at_most("a frame that is never finished", 64 << 10, || {
        ends(
            Script::new().accept().send(begun).pause(Duration::from_mins(2)),
            Settings::default(),
            |reason| matches!(reason, ExitReason::Protocol(ProtocolError::Stalled { .. })),
        );
    });
    let head = Script::new().answer_without_end();
    costs_at_most("a head without end", 256 << 10, || {
        ends(head, Settings::default(), |reason| {
            matches!(
                reason,
                ExitReason::Handshake(
                    HandshakeError::HeadTooLarge { .. } | HandshakeError::NotHttp(_)
                )
            )
        });
    });
}

/// A million empty fragments, and as many pings. The bytes themselves take a part of it.
#[test]
fn what_a_server_repeats_is_not_stored() {
    let _alone = ALONE.blocking_lock();
    ends(Script::new().accept(), Settings::default(), |_| true);
    let fragments = [frame(0x02, ""), frame(0x00, "").repeat(1_000_000)].concat();
    let script = Script::new().accept().send(fragments).expect_end();
    costs_at_most("a million empty fragments", 64 << 10, || {
        ends(script, Settings::default(), |reason| {
            let limit = 4_096;
            matches!(reason, ExitReason::Protocol(ProtocolError::TooManyFragments { limit: l }) if *l == limit)
        });
    });
    let pings = frame(0x89, "x").repeat(1_000_000);
    let script = Script::new().accept().send(pings).close(1001);
    costs_at_most("a million pings", 64 << 10, || {
        ends(script, Settings::default(), |reason| matches!(reason, ExitReason::ClosedByPeer(_)));
    });
}

/// A peer that does not read: what is queued is bounded by the outbox, and the rest is refused.
#[test]
fn what_a_server_does_not_read_is_bounded() {
    let _alone = ALONE.blocking_lock();
    ends(Script::new().accept(), Settings::default(), |_| true);
    let cap = 1 << 20;
    costs_at_most("1 GiB to a peer that does not read", cap + (1 << 20), || {
        virtual_time(1, async {
            let network = Network::new();
            let script = Script::new().accept().vanish();
            let server = network.listen("ws://127.0.0.1:80").play([script]);
            let mut recorder = Recorder::start();
            let outbox = OutboxLimits { bytes: cap, ..OutboxLimits::default() };
            let connection = Connection::string("a")
                .policy(AccessPolicy::from_rules(["allow ws://127.0.0.1"]).unwrap())
                .settings(Settings::default().dialler(network).outbox(outbox))
                .subscribe(recorder.lifecycle())
                .start()
                .unwrap();
            connection.send(Connect::to(server.url())).await.unwrap().unwrap();
            recorder.expect(connected()).await;
            let chunk = vec![0; 64 << 10];
            let mut refused = 0;
            for _ in 0..(1 << 30) / chunk.len() {
                let send = connection.send(SendBinary::new(chunk.clone()));
                // What is accepted waits, and what is not is refused at once.
                let fate = tokio::time::timeout(Duration::from_millis(1), send).await;
                if let Ok(Ok(Err(SendError::Refused(_)))) = fate {
                    refused += 1;
                }
            }
            assert!(refused > 16_000, "only {refused} of 16,384 were refused");
            recorder.until(disconnected()).await;
        });
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
