//! That no secret shows: not in what is logged at trace level, by us or by what we depend on, and not in
//! the `Debug` or `Display` of what a run produces.

mod shown;

use actix::{Actor as _, Addr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wsvisor::{
    Connect, Connection, ConnectionSpec, CountConnections, Credentials, Disconnect, Explain,
    ExplainConnection, GetStatus, Greeting, Lifecycle, ProviderRequest, Received, ReceivedBatch,
    Reconnect, SendString, Settings, StartConnection, Supervisor, Tls,
    testing::{
        Proxy, Recorder, Script, Server, connected, disconnected, gave_up, text, virtual_time,
    },
};

use self::shown::Shown;
use crate::{
    support::{listen, network, recorded, settings, string, supervisor},
    tls::authority::{Authority, Issued},
};

const PAYLOAD: &str = "canary-payload";

/// A supervisor, and all that it shows of one connection after the other.
struct Run {
    shown: Shown,
    subscriber: Addr<Shown>,
    supervisor: Addr<Supervisor>,
}

impl Run {
    async fn start(&self, spec: ConnectionSpec) -> (Addr<Connection>, Recorder) {
        let (spec, events) = recorded(spec);
        let spec = spec
            .subscribe(self.subscriber.clone().recipient::<Lifecycle>())
            .subscribe(self.subscriber.clone().recipient::<Received>())
            .subscribe(self.subscriber.clone().recipient::<ReceivedBatch>());
        self.shown.debug("ConnectionSpec", &spec);
        let start = StartConnection(spec);
        self.shown.debug("StartConnection", &start);
        (self.supervisor.send(start).await.unwrap().unwrap(), events)
    }

    /// What a connection and its supervisor answer when they are asked.
    async fn ask(&self, id: &str, connection: &Addr<Connection>) {
        self.shown.debug("Status", &connection.send(GetStatus).await.unwrap());
        self.shown.both("Explanation", &connection.send(Explain).await.unwrap());
        let explained = self.supervisor.send(ExplainConnection(id.into())).await.unwrap();
        self.shown.both("Explanation by the supervisor", &explained.unwrap());
        let all = self.supervisor.send(wsvisor::WhichConnections::all()).await.unwrap();
        assert!(!all.is_empty());
        self.shown.debug("ConnectionInfo", &all);
        self.shown.debug("Counts", &self.supervisor.send(CountConnections).await.unwrap());
    }

    /// That it ends for good, and all that is told about it.
    async fn gives_up(&self, id: &str, spec: ConnectionSpec) {
        let (connection, mut events) = self.start(spec).await;
        events.until(gave_up()).await;
        self.ask(id, &connection).await;
    }
}

fn with_query(server: &Server) -> String {
    format!("{}/feed?token=canary-query", server.url().trim_end_matches('/'))
}

/// With all that a spec may hold.
fn spec(id: &str, server: &Server, settings: Settings) -> ConnectionSpec {
    ConnectionSpec::string(id, with_query(server))
        .header("X-Api-Key", "canary-header")
        .header("Cookie", "session=canary-cookie")
        .subprotocol("canary-subprotocol")
        .settings(settings)
}

/// One session, a message each way in it.
async fn session(run: &Run, id: &str, server: &Server, spec: ConnectionSpec) {
    let (connection, mut events) = run.start(spec).await;
    let mut peer = server.accept().await;
    let request = peer
        .shake_hands_with("Sec-WebSocket-Protocol: canary-subprotocol\r\nX-Said: canary-said\r\n");
    let request = request.await;
    assert!(request.request_line().contains("canary-query"), "the secrets are sent");
    assert!(request.header("x-api-key").is_some_and(|key| key.contains("canary-header")));
    events.until(connected()).await;
    let sent = connection.send(SendString::new(PAYLOAD)).await.unwrap();
    run.shown.debug("Delivery", &sent);
    assert_eq!(peer.read().await.payload, PAYLOAD.as_bytes());
    peer.text(PAYLOAD).await;
    events.until(text(PAYLOAD)).await;
    run.ask(id, &connection).await;
    let close = Disconnect::with(3000, "enough").unwrap();
    run.shown.debug("Disconnect", &close);
    connection.send(close).await.unwrap();
    peer.read_close().await;
    peer.close(3000).await;
    events.until(disconnected()).await;
    run.ask(id, &connection).await;
    let refused = connection.send(SendString::new(PAYLOAD)).await.unwrap().unwrap_err();
    run.shown.both("SendError", &refused);
}

async fn what_is_refused_at_once(run: &Run) {
    for connect in [
        Connect::to("ws://canary-user:canary-password@127.0.0.1:9/"),
        Connect::to("ws://127.0.0.1:9/#canary-fragment"),
        Connect::to("ws://denied.example/?token=canary-query"),
        Connect::to("http://127.0.0.1/?token=canary-query"),
        Connect::to("ws://127.0.0.1:99999/?token=canary-query"),
        Connect::to("ws://127.0.0.1:9/\\?token=canary-query"),
        Connect::to("ws://127.0.0.1:9/").header("X-Api-Key", "canary-header\n"),
        Connect::to("ws://127.0.0.1:9/").bearer_auth("canary-bearer\n"),
        Connect::to("ws://127.0.0.1:9/").basic_auth("canary-user:", "canary-password"),
        Connect::to("ws://127.0.0.1:9/").subprotocol("canary-subprotocol\u{1}"),
    ] {
        run.shown.debug("Connect", &connect);
        let (connection, _events) = string();
        let refused = connection.send(connect).await.unwrap().unwrap_err();
        run.shown.both("ConnectError", &refused);
        run.shown.both("ConnectError, opaque", &refused.opaque());
        run.shown.both("Explanation", &connection.send(Explain).await.unwrap());
        let _ = connection.send(Reconnect).await.unwrap();
    }
    for url in ["ws://canary-user:canary-password@127.0.0.1:9/", "ws://no.example/?canary-query"] {
        let start = StartConnection(ConnectionSpec::string("refused", url));
        run.shown.debug("StartConnection", &start);
        run.shown.both("StartError", &run.supervisor.send(start).await.unwrap().unwrap_err());
    }
    for proxy in
        ["http://canary-user:canary-password@", "ftp://canary-user:canary-password@a.example"]
    {
        run.shown.both("InvalidProxy", &proxy.parse::<wsvisor::Proxy>().unwrap_err());
    }
}

async fn credentials(run: &Run) {
    for (id, credentials) in [
        ("bearer", Credentials::bearer("canary-bearer")),
        ("basic", Credentials::basic("canary-user", "canary-password")),
        ("own", Credentials::header("X-Token", "canary-token")),
    ] {
        run.shown.debug("Credentials", &credentials);
        let server = listen();
        let shown = run.shown.clone();
        let greeting = Greeting::asked(move |session| {
            assert!(session.subprotocol.is_some());
            shown.debug("NewSession", &session);
            async { Ok(vec![]) }
        });
        let spec = spec(id, &server, settings().greeting(greeting)).credentials(credentials);
        session(run, id, &server, spec).await;
    }
    // A provider that is refused: asked once more, and then it is for good.
    let server = listen();
    let url = with_query(&server);
    let refuse = || {
        Script::new().refuse(
            "401 Unauthorized",
            "WWW-Authenticate: Bearer realm=canary-realm\r\nContent-Length: 0\r\n",
        )
    };
    let played = server.play([refuse(), refuse()]);
    let shown = run.shown.clone();
    let provider = move |request: ProviderRequest| {
        shown.debug("ProviderRequest", &request);
        async { Ok(Credentials::bearer("canary-provided")) }
    };
    let spec = ConnectionSpec::string("provider", url).settings(settings()).auth(provider);
    run.gives_up("provider", spec).await;
    played.done().await;
}

async fn handshakes(run: &Run) {
    for (id, script) in [
        ("picked", Script::new().accept_with("Sec-WebSocket-Protocol: canary-picked\r\n")),
        ("status", Script::new().refuse("404 Not Found", "Set-Cookie: canary-cookie\r\n")),
        ("key", Script::new().accept_another_key()),
    ] {
        let server = listen();
        let spec = spec(id, &server, settings()).bearer_auth("canary-bearer");
        let _played = server.play([script]);
        run.gives_up(id, spec).await;
    }
    let server = network().listen("wss://localhost:4433");
    let tls = Tls::private_ca(Authority::new().pem()).unwrap();
    let (connection, mut events) =
        run.start(spec("tls", &server, settings().tls(tls)).bearer_auth("canary-bearer")).await;
    let acceptor = Issued::by_itself("localhost").acceptor();
    assert!(acceptor.accept(server.accept().await.into_stream()).await.is_err());
    events.until(wsvisor::testing::connection_error()).await;
    run.ask("tls", &connection).await;
}

async fn redirects(run: &Run) {
    for (id, hops) in [("not followed", 0), ("followed", 1)] {
        let (server, elsewhere) = (listen(), listen());
        let spec =
            spec(id, &server, settings()).bearer_auth("canary-bearer").follow_redirects(hops);
        let location = format!("Location: {}?to=canary-location\r\n", elsewhere.url());
        let _there = elsewhere.play([Script::new().refuse("404 Not Found", "")]);
        let _here = server.play([Script::new().refuse("302 Found", location)]);
        run.gives_up(id, spec).await;
    }
    let server = listen();
    let spec = spec("userinfo", &server, settings()).follow_redirects(1);
    let location = "Location: ws://canary-user:canary-password@127.0.0.1/\r\n";
    let _here = server.play([Script::new().refuse("302 Found", location)]);
    run.gives_up("userinfo", spec).await;
}

async fn proxies(run: &Run) {
    let through = |scheme: &str| {
        let proxy = format!("{scheme}://canary-user:canary-password@proxy.example:3128");
        let proxy: wsvisor::Proxy = proxy.parse().unwrap();
        run.shown.debug("Proxy", &proxy);
        let settings = settings().proxy(proxy);
        run.shown.debug("Settings", &settings);
        settings
    };
    for scheme in ["http", "socks5h"] {
        let played = match scheme {
            "http" => Proxy::http(&network(), "proxy.example:3128"),
            _ => Proxy::socks5(&network(), "proxy.example:3128"),
        };
        let server = listen();
        session(run, scheme, &server, spec(scheme, &server, through(scheme))).await;
        assert!(played.asked()[0].credentials.is_some());
    }
    let proxy = network().listen("ws://proxy.example:3128");
    let server = listen();
    let (connection, mut events) = run.start(spec("407", &server, through("http"))).await;
    let mut stream = proxy.accept().await.into_stream();
    let mut request = [0; 4096];
    assert_ne!(stream.read(&mut request).await.unwrap(), 0);
    let answer = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=canary-realm\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    events.until(gave_up()).await;
    run.ask("407", &connection).await;
}

#[test]
fn no_secret_shows_anywhere_in_a_run() {
    let shown = Shown::default();
    let _listening = shown.listen();
    virtual_time(1, async {
        let run = Run {
            shown: shown.clone(),
            subscriber: shown.clone().start(),
            supervisor: supervisor(),
        };
        what_is_refused_at_once(&run).await;
        credentials(&run).await;
        handshakes(&run).await;
        redirects(&run).await;
        proxies(&run).await;
    });
    let logged = shown.logged();
    for target in ["INFO wsvisor::", "WARN wsvisor::", "DEBUG wsvisor::", " rustls::"] {
        assert!(logged.contains(target), "nothing of {target} was logged:\n{logged}");
    }
    let told = shown.texts();
    assert!(told > 200, "only {told} texts were looked through");
    let secrets = shown.secrets();
    let list: Vec<_> = secrets.iter().map(|(what, text)| format!("{what}: …{text}…")).collect();
    assert!(list.is_empty(), "{} secrets show:\n{}", list.len(), list.join("\n"));
}

/// The test above looks where secrets would show.
#[test]
fn a_secret_that_shows_is_found() {
    let shown = Shown::default();
    let _listening = shown.listen();
    let span = tracing::trace_span!("s", a = "canary-span", b = tracing::field::Empty);
    span.record("b", "canary-recorded");
    tracing::trace!(field = ?b"canary-bytes".as_slice(), "event");
    tracing::trace!(target: "h2", "Basic {}", "Y2FuYXJ5LXVzZXI6");
    drop(span);
    shown.both("text", &"Canary-Text");
    shown.debug("bytes", &b"canary-");
    let found = shown.secrets();
    for (what, secret) in [
        ("the log", "canary-span"),
        ("the log", "canary-recorded"),
        ("the log", "99, 97, 110"),
        ("the log", "y2fuyxj5l"),
        ("Debug of text", "canary-text"),
        ("Debug of bytes", "99, 97, 110"),
        ("Display of text", "canary-text"),
    ] {
        let is_found = found.iter().any(|(place, text)| place == what && text.contains(secret));
        assert!(is_found, "{secret} in {what}: {found:?}");
    }
}
