//! Servers that go away and come back.

use crate::{
    client::Client,
    server::{Program, Server},
};

against_both!(a_killed_server_is_found_again, a_stopped_server_is_found_again);

async fn a_killed_server_is_found_again(program: Program) {
    let mut server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    for round in 0..3 {
        let text = format!("round {round}");
        client.send_text(&text).await;
        client.events.text(&text).await;
        server.kill();
        let end = client.events.disconnected().await;
        assert_eq!((end.code, end.was_clean), (1006, false), "{}", end.reason);
        server.restart().await;
        assert!(client.events.reconnected().await > end.epoch);
    }
}

async fn a_stopped_server_is_found_again(program: Program) {
    let mut server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    server.stop().await;
    let end = client.events.disconnected().await;
    assert_eq!((end.code, end.was_clean), (1001, true), "{}", end.reason);
    server.restart().await;
    assert!(client.events.reconnected().await > end.epoch);
    client.send_text("again").await;
    client.events.text("again").await;
}
