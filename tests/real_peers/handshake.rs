//! Opening handshakes, agreed and refused.

use std::time::Duration;

use wsvisor::{
    ConnectionSpec, ExitReason, HandshakeError, LifecycleEvent, RetryAfter,
    testing::{connection_error, lifecycle},
};

use crate::{
    client::Client,
    server::{Program, Server},
};

against_both!(
    a_subprotocol_is_agreed_on,
    a_server_may_pick_none,
    headers_reach_the_server,
    a_refusal_tells_when_to_come_again,
);

async fn a_subprotocol_is_agreed_on(program: Program) {
    let server = Server::start(program).await;
    let spec = ConnectionSpec::string("client", server.url("/echo?pick=v1.chat"))
        .subprotocol("v2.chat")
        .subprotocol("v1.chat");
    let mut client = Client::start(spec).await;
    client.events.expect("1 Connected with a subprotocol of 7 bytes").await;
}

async fn a_server_may_pick_none(program: Program) {
    let server = Server::start(program).await;
    let spec = ConnectionSpec::string("client", server.url("/echo")).subprotocol("v1.chat");
    let mut client = Client::start(spec).await;
    client.events.expect("1 Connected").await;
}

async fn headers_reach_the_server(program: Program) {
    let server = Server::start(program).await;
    let spec = || ConnectionSpec::string("client", server.url("/private"));
    let mut client = Client::start(spec().bearer_auth("let-me-in")).await;
    client.events.expect("1 Connected").await;

    let mut stranger = Client::start(spec()).await;
    let challenged = |reason: &ExitReason| {
        let ExitReason::Handshake(error) = reason else { return false };
        matches!(error, HandshakeError::Status { code: 401, has_challenge: true, .. })
    };
    stranger.events.expect(connection_error().because(challenged)).await;
}

async fn a_refusal_tells_when_to_come_again(program: Program) {
    let server = Server::start(program).await;
    let url = server.url("/reject?status=503&retry-after=7");
    let mut client = Client::start(ConnectionSpec::string("client", url)).await;
    let busy = |reason: &ExitReason| {
        let seven_seconds = Some(RetryAfter::Delay(SEVEN_SECONDS));
        let ExitReason::Handshake(error) = reason else { return false };
        matches!(error, HandshakeError::Status { code: 503, retry_after, .. }
            if *retry_after == seven_seconds)
    };
    client.events.expect(connection_error().because(busy)).await;
    let waits = |event: &LifecycleEvent| matches!(event, LifecycleEvent::BackoffScheduled { delay, .. } if *delay >= SEVEN_SECONDS);
    client.events.expect(lifecycle("a backoff of 7 s or more", waits)).await;
}

const SEVEN_SECONDS: Duration = Duration::from_secs(7);
