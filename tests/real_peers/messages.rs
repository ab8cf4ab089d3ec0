//! Messages in both directions.

use serde_json::json;
use wsvisor::{
    ConnectionSpec, Payload,
    testing::{binary, connected, message, text},
};

use crate::{
    client::Client,
    server::{Program, Server},
};

against_both!(
    texts_and_binaries_are_echoed,
    json_is_echoed,
    large_messages_go_both_ways,
    many_messages_keep_their_order,
    fragments_are_put_together,
    pings_are_answered,
);

async fn texts_and_binaries_are_echoed(program: Program) {
    let server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    for sent in ["hello", "", "κόσμε", "\u{10FFFF}\0"] {
        client.send_text(sent).await;
        client.events.expect(text(sent)).await;
    }
    for bytes in [&b"\x00\xFF\xFE"[..], b"", &vec![0x80; 70_000]] {
        client.send_binary(bytes).await;
        client.events.expect(binary(bytes)).await;
    }
}

async fn json_is_echoed(program: Program) {
    let server = Server::start(program).await;
    let mut client = Client::start(ConnectionSpec::json("client", server.url("/echo"))).await;
    client.events.expect(connected()).await;
    let value = json!({"op": "subscribe", "channels": ["trades", "book"], "id": 7, "π": 3.25});
    client.send_json(&value).await;
    let echoed = move |payload: Payload<'_>| {
        payload.as_text().and_then(|text| serde_json::from_str(text).ok()) == Some(value.clone())
    };
    client.events.expect(message("the same JSON", echoed)).await;
}

/// Messages that are larger than the sockets' buffers.
async fn large_messages_go_both_ways(program: Program) {
    let server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    let sent = "0123456789abcde€".repeat(6 << 16);
    client.send_text(&sent).await;
    client.events.expect(text(sent)).await;
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(8 << 20).collect();
    client.send_binary(&bytes).await;
    client.events.expect(binary(bytes)).await;
}

async fn many_messages_keep_their_order(program: Program) {
    let server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    for number in 0..1_000 {
        client.send_text(&number.to_string()).await;
    }
    for number in 0..1_000 {
        client.events.expect(text(number.to_string())).await;
    }
}

/// Also where a character is cut and a ping comes between two fragments.
async fn fragments_are_put_together(program: Program) {
    let mut server = Server::start(program).await;
    let mut client = Client::connected(server.url("/fragments")).await;
    client.events.expect(text("one €, two €")).await;
    let parts: Vec<u8> = [0, 1, 2].into_iter().flat_map(|byte| vec![byte; 100_000]).collect();
    client.events.expect(binary(parts)).await;
    for _ in 0..6 {
        let pong = server.says("pong").await;
        assert!(pong.starts_with(r#""between""#), "{pong}");
    }
}

async fn pings_are_answered(program: Program) {
    let mut server = Server::start(program).await;
    let _client = Client::connected(server.url("/ping?payload=are-you-there")).await;
    let pong = server.says("pong").await;
    assert!(pong.starts_with(r#""are-you-there""#), "{pong}");
}
