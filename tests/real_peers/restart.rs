//! Servers that go away and come back.

use wsvisor::testing::{connected, disconnected, text};

use crate::{
    client::Client,
    server::{Program, Server},
};

against_both!(a_killed_server_is_found_again, a_stopped_server_is_found_again);

async fn a_killed_server_is_found_again(program: Program) {
    let mut server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    for round in ["one", "two", "three"] {
        client.send_text(round).await;
        client.events.expect(text(round)).await;
        server.kill();
        client.events.expect(disconnected().code(1006).clean(false)).await;
        server.restart().await;
        client.events.until(connected()).await;
    }
}

async fn a_stopped_server_is_found_again(program: Program) {
    let mut server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    server.stop().await;
    client.events.expect(disconnected().code(1001).clean(true)).await;
    server.restart().await;
    client.events.until(connected()).await;
    client.send_text("again").await;
    client.events.expect(text("again")).await;
}
