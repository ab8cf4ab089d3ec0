//! graphql-ws: its close codes, and what the preset for it makes of them.

use serde_json::json;
use wsvisor::{
    ConnectionSpec, ExitRules, LifecycleEvent, Payload,
    testing::{backoff_scheduled, connected, disconnected, gave_up, lifecycle, message},
};

use crate::{
    client::Client,
    server::{Program, Server},
};

const PROTOCOL: &str = "graphql-transport-ws";

async fn connected_to(server: &Server) -> Client {
    let spec = ConnectionSpec::json("client", server.url("/graphql"))
        .subprotocol(PROTOCOL)
        .classify(ExitRules::graphql_ws());
    let mut client = Client::start(spec).await;
    // Its name is not shown, and can be read.
    let agreed = |event: &LifecycleEvent| {
        let LifecycleEvent::Connected { subprotocol: Some(agreed) } = event else { return false };
        agreed.as_str() == PROTOCOL
    };
    client.events.expect(lifecycle("Connected with the protocol", agreed)).await;
    client
}

fn of_type(wanted: &'static str) -> wsvisor::testing::Matcher {
    message(wanted, move |payload: Payload<'_>| {
        let value = payload.as_text().and_then(|text| serde_json::from_str(text).ok());
        value.is_some_and(|value: serde_json::Value| value["type"] == wanted)
    })
}

#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn a_query_is_answered() {
    let server = Server::start(Program::GraphQl).await;
    let mut client = connected_to(&server).await;
    client.send_json(&json!({"type": "connection_init"})).await;
    client.events.expect(of_type("connection_ack")).await;
    let query = json!({"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}});
    client.send_json(&query).await;
    client.events.expect(of_type("next")).await;
    client.events.expect(of_type("complete")).await;
}

/// 4408: the client did not introduce itself in time. It may do better.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn no_introduction_is_tried_again() {
    let server = Server::start(Program::GraphQl).await;
    let mut client = connected_to(&server).await;
    client.events.expect(disconnected().code(4408)).await;
    client.events.expect(backoff_scheduled()).await;
    client.events.expect(connected().epoch(2)).await;
}

/// 4401: it asked before it introduced itself. It would do so again.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn a_question_before_the_introduction_is_for_good() {
    let server = Server::start(Program::GraphQl).await;
    let mut client = connected_to(&server).await;
    let query = json!({"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}});
    client.send_json(&query).await;
    client.events.expect(disconnected().code(4401)).await;
    client.events.expect(gave_up()).await;
}

/// 4406: it speaks another subprotocol.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn no_common_subprotocol_is_for_good() {
    let server = Server::start(Program::GraphQl).await;
    let spec =
        ConnectionSpec::json("client", server.url("/graphql")).classify(ExitRules::graphql_ws());
    let mut client = Client::start(spec).await;
    client.events.expect(connected()).await;
    client.events.expect(disconnected().code(4406)).await;
    client.events.expect(gave_up()).await;
}
