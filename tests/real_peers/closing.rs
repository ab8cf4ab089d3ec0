//! The closing handshake, from either side.

use wsvisor::{
    ConnectionSpec, Disconnect, ExitReason, OutboxLimits, Settings,
    testing::{backoff_scheduled, connected, disconnected, gave_up},
};

use crate::{
    client::Client,
    server::{Program, Server},
};

against_both!(
    the_server_closes,
    our_close_is_normal_and_has_no_reason,
    our_close_may_have_a_code_and_a_reason,
    a_terminated_session_is_tried_again,
    a_message_that_is_too_big_for_the_server_is_for_good,
);

async fn the_server_closes(program: Program) {
    for (code, reason) in [(1001, "going-away"), (1011, "out-of-order"), (4000, "come-again")] {
        // One that has not seen the attempts after the first.
        let mut server = Server::start(program).await;
        let url = server.url(&format!("/close?code={code}&reason={reason}"));
        let mut client = Client::connected(url).await;
        let name = move |told: &ExitReason| told.to_string().ends_with(reason);
        client.events.expect(disconnected().epoch(1).code(code).clean(true).because(name)).await;
        client.events.expect(backoff_scheduled()).await;
        // RFC 6455 §5.5.1: the answer echoes the code.
        let closed = server.says("closed").await;
        assert!(closed.starts_with(&code.to_string()), "the server saw {closed}");
    }
}

/// `terminate()` of Node's `ws`, and the like: a bare end, or a reset.
async fn a_terminated_session_is_tried_again(program: Program) {
    let server = Server::start(program).await;
    let mut client = Client::connected(server.url("/terminate")).await;
    client.send_text("bye").await;
    client.events.expect(disconnected().epoch(1).code(1006).clean(false)).await;
    client.events.expect(backoff_scheduled()).await;
    client.events.until(connected().epoch(2)).await;
}

/// Its `maxPayload` or `max_size` closes with 1009: the same message would be refused again.
async fn a_message_that_is_too_big_for_the_server_is_for_good(program: Program) {
    let server = Server::start(program).await;
    // Our own outbox would refuse such a message first.
    let roomy = Settings::default().outbox(OutboxLimits { messages: 10, bytes: 32 << 20 });
    let spec = ConnectionSpec::string("client", server.url("/echo")).settings(roomy);
    let mut client = Client::connected_as(spec).await;
    client.try_send_binary(vec![0; (16 << 20) + 1]).await;
    client.events.expect(disconnected().code(1009)).await;
    client.events.expect(gave_up()).await;
}

async fn our_close_is_normal_and_has_no_reason(program: Program) {
    let mut server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    client.disconnect(Disconnect::normally()).await;
    client.events.expect(disconnected().code(1000).clean(true)).await;
    assert_eq!(server.says("closed").await, r#"1000 """#);
}

async fn our_close_may_have_a_code_and_a_reason(program: Program) {
    let mut server = Server::start(program).await;
    let mut client = Client::connected(server.url("/echo")).await;
    client.disconnect(Disconnect::with(4321, "until tomorrow").expect("it is valid")).await;
    client.events.expect(disconnected().code(4321).clean(true)).await;
    assert_eq!(server.says("closed").await, r#"4321 "until tomorrow""#);
}
