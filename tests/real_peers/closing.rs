//! The closing handshake, from either side.

use wsvisor::{
    Disconnect, ExitReason,
    testing::{backoff_scheduled, disconnected},
};

use crate::{
    client::Client,
    server::{Program, Server},
};

against_both!(
    the_server_closes,
    our_close_is_normal_and_has_no_reason,
    our_close_may_have_a_code_and_a_reason,
);

async fn the_server_closes(program: Program) {
    let mut server = Server::start(program).await;
    for (code, reason) in [(1001, "going-away"), (1011, "out-of-order"), (4000, "come-again")] {
        let url = server.url(&format!("/close?code={code}&reason={reason}"));
        let mut client = Client::connected(url).await;
        let name = move |told: &ExitReason| told.to_string().ends_with(reason);
        client.events.expect(disconnected().epoch(1).code(code).clean(true).because(name)).await;
        client.events.expect(backoff_scheduled()).await;
        // RFC 6455 §5.5.1: the answer echoes the code.
        assert!(server.says("closed").await.starts_with(&code.to_string()));
    }
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
