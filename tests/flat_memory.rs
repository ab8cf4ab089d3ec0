//! Memory that a hostile server cannot claim. In a process of its own, whose memory is measured.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tokio::io::AsyncWriteExt as _;
use wsvisor::{
    AccessPolicy, Connect, Connection,
    testing::{Recorder, Server, connected, disconnected},
};

/// Over a real socket, with all that the system buffers.
#[actix::test]
async fn an_8_gib_frame_ends_at_its_header() {
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

/// Resident set size, from the kernel; 0 where it does not tell.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4_096
}
