//! `Connect` and `Reconnect` of a connection that is used alone.

use wsvisor::{
    Connect, ConnectError, Connection, Disconnect, ExitClass, ExitReason, GetStatus,
    HandshakeError, InvalidHeader, Lifecycle, LifecycleEvent, Reconnect, State, Timeouts,
};

use crate::support::{alone, listen, ms, settings, string};

/// A port on which nothing listens.
const NOWHERE: &str = "ws://127.0.0.1:1/";

#[actix::test]
async fn connect_leads_to_connected() {
    let server = listen();
    let (connection, mut events) = string();
    let connecting = connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    assert_eq!(connecting.epoch.get(), 1);
    let _peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Connected);
}

#[actix::test]
async fn the_upgrade_request_is_what_the_rfc_asks_for() {
    let server = listen();
    let (connection, _events) = string();
    let connect = Connect::to(format!("{}/chat?room=7", server.url()))
        .subprotocol("v2.chat")
        .subprotocol("v1.chat")
        .bearer_auth("secret")
        .header("Origin", "https://example.com");
    connection.send(connect).await.unwrap().unwrap();

    let head = server.accept().await.request().await;
    assert_eq!(head.request_line(), "GET /chat?room=7 HTTP/1.1");
    let host = server.url().replace("ws://", "");
    for (name, value) in [
        ("host", host.as_str()),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "v2.chat, v1.chat"),
        ("authorization", "Bearer secret"),
        ("origin", "https://example.com"),
    ] {
        assert_eq!(head.header(name), Some(value), "{name} in {head:?}");
    }
    assert_eq!(head.header("sec-websocket-key").map(str::len), Some(24));
    assert_eq!(head.header("sec-websocket-extensions"), None);
}

#[actix::test]
async fn a_server_must_pick_a_subprotocol_where_one_is_required() {
    let server = listen();
    let (connection, mut events) = string();
    let connect = || Connect::to(server.url()).subprotocol("v1").require_subprotocol();
    connection.send(connect()).await.unwrap().unwrap();
    server.accept().await.shake_hands().await;
    events.expect_all(["1 ConnectionError: the opening handshake failed: …"]).await;
    let status = connection.send(GetStatus).await.unwrap();
    let reason = status.last_exit.unwrap();
    assert!(matches!(reason, ExitReason::Handshake(HandshakeError::NoSubprotocol)), "{reason}");
    assert_eq!(status.state, State::Failed);

    connection.send(connect()).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    peer.shake_hands_with("Sec-WebSocket-Protocol: v1\r\n").await;
    events.expect_all(["2 Connected with a subprotocol of 2 bytes"]).await;

    let (idle, _events) = string();
    let none = Connect::to(server.url()).subprotocol("").require_subprotocol();
    let refused = idle.send(none).await.unwrap().unwrap_err();
    assert_eq!(refused, ConnectError::InvalidHeaders(InvalidHeader::SubprotocolRequired));
}

#[actix::test]
async fn the_chosen_subprotocol_is_told() {
    let server = listen();
    let (connection, mut events) = string();
    let connect = Connect::to(server.url()).subprotocol("v2").subprotocol("v1");
    connection.send(connect).await.unwrap().unwrap();
    server.accept().await.shake_hands_with("Sec-WebSocket-Protocol: v1\r\n").await;
    let told = events.expect("1 Connected with a subprotocol of 2 bytes").await;
    let Some(LifecycleEvent::Connected { subprotocol }) = told.lifecycle() else {
        panic!("{told}");
    };
    assert_eq!(subprotocol.as_deref(), Some("v1"));
}

#[actix::test]
async fn bad_parameters_are_refused_before_anything_is_dialled() {
    let (connection, _events) = string();
    let refusal = async |connect: Connect| connection.send(connect).await.unwrap().unwrap_err();

    for url in ["", "example.com", "http://127.0.0.1/", "ws://127.0.0.1/#top", "ws://a:b@host/"] {
        let error = refusal(Connect::to(url)).await;
        assert!(matches!(error, ConnectError::InvalidUrl(_)), "{url}: {error}");
    }
    for url in ["ws://localhost/", "wss://127.0.0.1:4433/", "ws://2130706434:80/"] {
        let error = refusal(Connect::to(url)).await;
        assert!(matches!(error, ConnectError::UrlBlocked(_)), "{url}: {error}");
    }
    let header = |name: &str, value: &str| Connect::to(NOWHERE).header(name, value);
    for connect in [
        header("bad name", "x"),
        header("", "x"),
        header("X-Line", "a\r\nInjected: b"),
        header("X-Nul", "a\0b"),
        header("Host", "elsewhere"),
        header("Sec-WebSocket-Extensions", "permessage-deflate"),
        header("Connection", "close"),
        header("X-Twice", "1").header("x-twice", "2"),
        Connect::to(NOWHERE).subprotocol("a\u{1}b"),
        Connect::to(NOWHERE).subprotocol("a,b"),
        Connect::to(NOWHERE).subprotocol("a").subprotocol("a"),
    ] {
        let shown = format!("{connect:?}");
        let error = refusal(connect).await;
        assert!(matches!(error, ConnectError::InvalidHeaders(_)), "{shown}: {error}");
    }
    let status = connection.send(GetStatus).await.unwrap();
    assert_eq!((status.state, status.epoch.get()), (State::Idle, 0), "nothing was started");
}

#[actix::test]
async fn of_several_faults_the_first_in_the_documented_order_is_told() {
    let server = listen();
    let (connection, mut events) = string();
    let all_wrong = |url: &str| Connect::to(url).subprotocol("no token").header("Host", "x");
    let refusal = async |connect: Connect| connection.send(connect).await.unwrap().unwrap_err();

    assert!(matches!(refusal(all_wrong("http://blocked/#")).await, ConnectError::InvalidUrl(_)));
    assert!(matches!(refusal(all_wrong("ws://blocked/")).await, ConnectError::UrlBlocked(_)));
    assert!(matches!(
        refusal(all_wrong(NOWHERE)).await,
        ConnectError::InvalidHeaders(InvalidHeader::Subprotocol { number: 1 })
    ));

    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    assert_eq!(refusal(all_wrong("nonsense")).await, ConnectError::ConnectionInProgress);
    let _peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    assert_eq!(refusal(all_wrong("nonsense")).await, ConnectError::ConnectionInProgress);
}

#[actix::test]
async fn a_second_connect_does_not_harm_the_first() {
    let server = listen();
    let (connection, mut events) = string();
    let connect = async |url: &str| connection.send(Connect::to(url)).await.unwrap();
    let in_progress = Err(ConnectError::ConnectionInProgress);

    connect(&server.url()).await.unwrap();
    assert_eq!(connect(NOWHERE).await, in_progress, "while connecting");
    let mut peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    assert_eq!(connect(NOWHERE).await, in_progress, "while connected");
    connection.send(Disconnect::normally()).await.unwrap();
    assert_eq!(connect(NOWHERE).await, in_progress, "while closing");

    peer.read_close().await;
    peer.close(1000).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1000 clean…"]).await;
    // The refused parameters were forgotten: this goes to the server.
    connection.send(Reconnect).await.unwrap().unwrap();
    let _peer = server.open().await;
    events.expect_all(["2 Connected"]).await;
}

#[actix::test]
async fn a_failed_attempt_is_told_once_and_is_not_repeated() {
    // Over a real socket.
    let (connection, mut events) = alone(Connection::string("a"));
    connection.send(Connect::to(NOWHERE)).await.unwrap().unwrap();
    events
        .expect_all([
            "1 ConnectionError: cannot connect: cannot connect to 127.0.0.1: 127.0.0.1:1: …",
        ])
        .await;
    let status = connection.send(GetStatus).await.unwrap();
    assert_eq!(status.state, State::Disconnected);
    assert_eq!(status.next_attempt_in, None, "alone, nothing reconnects by itself");

    connection.send(Reconnect).await.unwrap().unwrap();
    events.expect_all(["2 ConnectionError…"]).await;
}

#[actix::test]
async fn a_silent_server_is_given_up_in_time() {
    let server = listen();
    let timeouts = Timeouts { handshake: ms(50), ..Timeouts::default() };
    let settings = settings().timeouts(timeouts);
    let (connection, mut events) = alone(Connection::string("a").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    peer.request().await;
    events
        .expect_all([
            "1 ConnectionError: cannot connect: the opening handshake took longer than 50ms",
        ])
        .await;
    peer.read_end().await;
}

#[actix::test]
async fn disconnect_cancels_an_attempt() {
    let server = listen();
    let (connection, mut events) = string();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    peer.request().await;
    connection.send(Disconnect::normally()).await.unwrap();
    connection.send(Disconnect::normally()).await.unwrap();
    events
        .expect_all(["1 ConnectionError: the attempt was cancelled before it was connected"])
        .await;
    peer.read_end().await;

    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let _peer = server.open().await;
    events.expect_all(["2 Connected"]).await;
}

#[actix::test]
async fn reconnect_needs_a_connect_before_it_and_a_connection_at_rest() {
    let server = listen();
    let (connection, mut events) = string();
    let reconnect = async || connection.send(Reconnect).await.unwrap();
    let in_progress = Err(ConnectError::ConnectionInProgress);

    assert!(matches!(reconnect().await, Err(ConnectError::Failed(_))), "never connected");
    connection.send(Connect::to("http://refused/")).await.unwrap().unwrap_err();
    assert!(matches!(reconnect().await, Err(ConnectError::Failed(_))), "never accepted");

    connection.send(Connect::to(server.url()).subprotocol("v1")).await.unwrap().unwrap();
    assert_eq!(reconnect().await, in_progress, "while connecting");
    let peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    assert_eq!(reconnect().await, in_progress, "while connected");

    peer.reset();
    events.expect_all(["1 Disconnected 1006 unclean…"]).await;
    reconnect().await.unwrap();
    let head = server.accept().await.shake_hands().await;
    assert_eq!(head.header("sec-websocket-protocol"), Some("v1"), "the accepted parameters");
    events.expect_all(["2 Connected"]).await;
}

#[actix::test]
async fn a_redirect_is_an_error_and_is_not_followed() {
    let (server, elsewhere) = (listen(), listen());
    let (connection, mut events) = string();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    peer.request().await;
    peer.write(format!("HTTP/1.1 302 Found\r\nLocation: {}\r\n\r\n", elsewhere.url())).await;
    events.expect_all(["1 ConnectionError: the server answered 302: redirects to …"]).await;

    // Whoever connects to the other server first is this second, wanted, attempt.
    connection.send(Connect::to(format!("{}/wanted", elsewhere.url()))).await.unwrap().unwrap();
    let head = elsewhere.accept().await.shake_hands().await;
    assert_eq!(head.request_line(), "GET /wanted HTTP/1.1");
}

/// The state is Disconnected before the event is delivered, so that a handler of the event may
/// connect again at once (WHATWG, Unreal: "re-usable on final delegate triggering").
#[actix::test]
async fn a_handler_of_the_end_may_connect_at_once() {
    use actix::prelude::*;

    struct Again {
        connection: Option<Addr<Connection>>,
        url: String,
    }
    impl Actor for Again {
        type Context = Context<Self>;
    }
    impl Handler<Lifecycle> for Again {
        type Result = ();
        fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
            if let LifecycleEvent::Disconnected { class, .. } = told.event {
                assert_eq!(class, ExitClass::Retry { floor: None });
                let connection = self.connection.take().expect("it ends once");
                connection.do_send(Connect::to(self.url.clone()));
            }
        }
    }
    let server = listen();
    let (connection, mut events) = string();
    let again = Again { connection: Some(connection.clone()), url: server.url() }.start();
    connection.send(wsvisor::Subscribe::new(again.recipient::<Lifecycle>())).await.unwrap();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    drop(server.open().await);
    events.expect_all(["1 Connected", "1 Disconnected 1006 unclean…"]).await;
    let _peer = server.open().await;
    events.expect_all(["2 Connected"]).await;
}
