//! Opening handshakes, agreed and refused.

use std::time::Duration;

use wsvisor::{ConnectionSpec, ExitClass, ExitReason, HandshakeError, RetryAfter};

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
    let (_, subprotocol) = client.events.connected().await;
    assert_eq!(subprotocol.as_deref(), Some("v1.chat"));
}

async fn a_server_may_pick_none(program: Program) {
    let server = Server::start(program).await;
    let spec = ConnectionSpec::string("client", server.url("/echo")).subprotocol("v1.chat");
    let mut client = Client::start(spec).await;
    let (_, subprotocol) = client.events.connected().await;
    assert_eq!(subprotocol, None);
}

async fn headers_reach_the_server(program: Program) {
    let server = Server::start(program).await;
    let spec = || ConnectionSpec::string("client", server.url("/private"));
    let mut client = Client::start(spec().bearer_auth("let-me-in")).await;
    client.events.connected().await;

    let mut stranger = Client::start(spec()).await;
    let (reason, _) = stranger.events.connection_error().await;
    let ExitReason::Handshake(HandshakeError::Status { code, has_challenge, .. }) = reason else {
        panic!("not a refusal: {reason}");
    };
    assert_eq!((code, has_challenge), (401, true));
}

async fn a_refusal_tells_when_to_come_again(program: Program) {
    let server = Server::start(program).await;
    let url = server.url("/reject?status=503&retry-after=7");
    let mut client = Client::start(ConnectionSpec::string("client", url)).await;
    let (reason, class) = client.events.connection_error().await;
    let ExitReason::Handshake(HandshakeError::Status { code, retry_after, .. }) = reason else {
        panic!("not a refusal: {reason}");
    };
    let seven_seconds = RetryAfter::Delay(Duration::from_secs(7));
    assert_eq!((code, retry_after), (503, Some(seven_seconds)));
    assert!(matches!(class, ExitClass::Retry { floor: Some(_) }), "{class:?}");
    let delay = client.events.backoff_scheduled().await;
    assert!(delay >= Duration::from_secs(7), "{delay:?}");
}
