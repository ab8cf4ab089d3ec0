//! Through tinyproxy (HTTP `CONNECT`) and microsocks (SOCKS5): the way to a server, and what they
//! refuse.

use wsvisor::{
    ConnectionSpec, DialError, ExitReason, Liveness, ProxyFailure, Settings, TargetFailure, Tls,
    testing::{backoff_scheduled, connected, connection_error, disconnected, gave_up, text},
};

use crate::{
    authority::Authority,
    client::Client,
    forward_proxy::ForwardProxy,
    proxy::free_port,
    server::{Program, Server},
};

async fn echoes(url: String, settings: Settings) -> Client {
    let mut client = Client::start(ConnectionSpec::string("client", url).settings(settings)).await;
    client.events.expect(connected().epoch(1)).await;
    client.send_text("hello").await;
    client.events.expect(text("hello")).await;
    client
}

/// That the first attempt ends so, and that another follows or not. Had it gone past the proxy, it
/// would have reached the server.
async fn fails(url: String, settings: Settings, again: bool, expected: fn(&ProxyFailure) -> bool) {
    let mut client = Client::start(ConnectionSpec::string("client", url).settings(settings)).await;
    let of_proxy = move |reason: &ExitReason| matches!(reason, ExitReason::Dial(DialError::Proxy { failure, .. }) if expected(failure));
    let told = client.events.expect(connection_error().epoch(1).because(of_proxy)).await;
    let texts = format!("{told} {told:?}");
    assert!(!texts.contains("pass-word") && !texts.contains("wrong-word"), "{texts}");
    if again {
        client.events.expect(backoff_scheduled()).await;
        client.events.expect(connection_error().epoch(2).because(of_proxy)).await;
    } else {
        client.events.expect(gave_up()).await;
    }
}

const RIGHT: &str = "user:pass-word@";
const WRONG: &str = "user:wrong-word@";

#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn tinyproxy_leads_to_a_server() {
    let server = Server::start(Program::Python).await;
    let proxy = ForwardProxy::tinyproxy(server.port()).await;
    let _client = echoes(server.url("/echo"), proxy.through("http", RIGHT)).await;
    proxy.logs(&format!("CONNECT 127.0.0.1:{}", server.port())).await;
}

/// TLS is with the server, and the proxy sees none of it.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn tinyproxy_leads_to_a_server_with_tls() {
    let authority = Authority::new();
    let server = Server::start_secure(Program::Python, authority.issue()).await;
    let proxy = ForwardProxy::tinyproxy(server.port()).await;
    let tls = Tls::private_ca(authority.pem()).expect("the authority is valid");
    let _client = echoes(server.url("/echo"), proxy.through("http", RIGHT).tls(tls)).await;
    proxy.logs(&format!("CONNECT localhost:{}", server.port())).await;
}

/// It answers wrong credentials with the 401 of a server.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn what_tinyproxy_refuses_is_for_good() {
    let server = Server::start(Program::Python).await;
    let proxy = ForwardProxy::tinyproxy(server.port()).await;
    let url = || server.url("/echo");
    let wrong = |failure: &ProxyFailure| matches!(failure, ProxyFailure::Unauthorized(Some(401)));
    fails(url(), proxy.through("http", WRONG), false, wrong).await;
    let missing = |failure: &ProxyFailure| matches!(failure, ProxyFailure::Unauthorized(Some(407)));
    fails(url(), proxy.through("http", ""), false, missing).await;

    let elsewhere = ForwardProxy::tinyproxy(free_port()).await;
    let forbidden = |failure: &ProxyFailure| matches!(failure, ProxyFailure::Forbidden(Some(403)));
    fails(url(), elsewhere.through("http", RIGHT), false, forbidden).await;
}

#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn a_server_that_tinyproxy_cannot_reach_is_tried_again() {
    let closed = free_port();
    let proxy = ForwardProxy::tinyproxy(closed).await;
    let down = |failure: &ProxyFailure| matches!(failure, ProxyFailure::BadGateway(Some(_)));
    let url = format!("ws://127.0.0.1:{closed}");
    fails(url, proxy.through("http", RIGHT), true, down).await;
}

/// Its `Timeout` ends a session with a bare FIN.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn an_idle_session_that_tinyproxy_cuts_is_opened_again() {
    let server = Server::start(Program::Python).await;
    let proxy = ForwardProxy::tinyproxy(server.port()).await;
    let settings = proxy.through("http", RIGHT).liveness(Liveness::off());
    let mut client = echoes(server.url("/echo"), settings).await;
    let eof = |reason: &ExitReason| matches!(reason, ExitReason::Eof { mid_message: false });
    client.events.expect(disconnected().epoch(1).code(1006).clean(false).because(eof)).await;
    client.events.until(connected().epoch(2)).await;
}

#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn microsocks_leads_to_a_server() {
    let server = Server::start(Program::Python).await;
    let proxy = ForwardProxy::microsocks().await;
    for scheme in ["socks5", "socks5h"] {
        let _client = echoes(server.url("/echo"), proxy.through(scheme, RIGHT)).await;
    }
    proxy.logs(&format!("connected to 127.0.0.1:{}", server.port())).await;
}

/// The name is resolved here, for `socks5`, and the proxy is given an address.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn microsocks_leads_to_a_server_with_tls() {
    let authority = Authority::new();
    let server = Server::start_secure(Program::Python, authority.issue()).await;
    let proxy = ForwardProxy::microsocks().await;
    let tls = Tls::private_ca(authority.pem()).expect("the authority is valid");
    let _client = echoes(server.url("/echo"), proxy.through("socks5", RIGHT).tls(tls)).await;
    proxy.logs(&format!("connected to 127.0.0.1:{}", server.port())).await;
}

#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn what_microsocks_refuses_is_for_good() {
    let server = Server::start(Program::Python).await;
    let proxy = ForwardProxy::microsocks().await;
    let refused = |failure: &ProxyFailure| matches!(failure, ProxyFailure::Unauthorized(None));
    for credentials in [WRONG, ""] {
        let settings = proxy.through("socks5h", credentials);
        fails(server.url("/echo"), settings, false, refused).await;
    }
}

#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn a_server_that_refuses_microsocks_is_tried_again() {
    let proxy = ForwardProxy::microsocks().await;
    let refused = |failure: &ProxyFailure| {
        matches!(failure, ProxyFailure::Target(TargetFailure::ConnectionRefused))
    };
    let url = format!("ws://127.0.0.1:{}", free_port());
    fails(url, proxy.through("socks5h", RIGHT), true, refused).await;
}
