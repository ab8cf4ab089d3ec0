//! The masks of our own frames (RFC 6455 §5.3; CVE-2025-10148, GHSA-w67g-5rqw-f597).

use std::collections::HashSet;

use tokio::io::AsyncReadExt as _;
use wsvisor::{Connect, SendString};

use crate::support::{listen, soon, string};

/// 10,000 frames: each is masked, and each with another key.
#[actix::test]
async fn each_frame_is_masked_with_another_key() {
    const FRAMES: usize = 10_000;
    let server = listen();
    let (connection, mut events) = string();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    let sending = actix_rt::spawn(async move {
        for _ in 0..FRAMES {
            connection.send(SendString::new("x")).await.unwrap().unwrap();
        }
        connection
    });
    let mut masks = HashSet::new();
    for _ in 0..FRAMES {
        let mut frame = [0; 7];
        soon("a frame", peer.stream().read_exact(&mut frame)).await.unwrap();
        let [first, second, a, b, c, d, payload] = frame;
        assert_eq!((first, second), (0x81, 0x81), "a final text frame of one byte, masked");
        assert_eq!(payload ^ a, b'x');
        masks.insert([a, b, c, d]);
    }
    drop(sending.await.unwrap());
    // Of so many random keys, two are the same once in a hundred runs.
    assert!(masks.len() >= FRAMES - 3, "{} keys of {FRAMES} frames", masks.len());
    for at in 0..4 {
        let values: HashSet<u8> = masks.iter().map(|mask| mask[at]).collect();
        assert_eq!(values.len(), 256, "byte {at} of the keys takes every value");
    }
}
