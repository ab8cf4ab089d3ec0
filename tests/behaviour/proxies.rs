//! Proxies: what they are asked for, what they may answer, and that nothing goes past them.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use actix::Addr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wsvisor::{
    AccessPolicy, ConnectionSpec, DialError, DialPhase, ExitReason, Proxies, ProxyFailure,
    ResolveError, Resolver, Resolving, SendString, Settings, Shutdown, StartConnection, Supervisor,
    TargetFailure, Timeouts, Tls,
    testing::{
        Peer, Proxy, Recorder, Server, Stream, backoff_scheduled, connected, connection_error,
        gave_up, virtual_time,
    },
};

use crate::{
    support::{ms, network, recorded},
    tls::authority::Authority,
};

const SERVER: &str = "ws://server.example:81";
const SECURE_SERVER: &str = "wss://server.example:4433";
const PLACE: &str = "proxy.example:3128";

fn through(proxy: &str) -> Settings {
    let proxy: wsvisor::Proxy = proxy.parse().unwrap();
    Settings::default().dialler(network()).proxy(proxy)
}

fn supervisor() -> Addr<Supervisor> {
    let rules =
        ["allow ws://server.example:81", "allow wss://server.example:4433", "allow ws://[::1]:82"];
    Supervisor::builder()
        .policy(AccessPolicy::from_rules(rules).unwrap())
        .dialler(network())
        .start()
        .unwrap()
}

/// Connects with these settings, and sends a message each way.
async fn connects(server: &Server, settings: Settings) {
    let supervisor = supervisor();
    let spec = ConnectionSpec::string("a", server.url()).settings(settings);
    let (spec, mut events) = recorded(spec);
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.open().await;
    events.expect(connected()).await;
    connection.send(SendString::new("there")).await.unwrap().unwrap();
    assert_eq!(peer.read().await.payload, b"there");
    peer.text("back").await;
    events.expect(wsvisor::testing::text("back")).await;
}

#[actix::test]
async fn each_kind_leads_to_the_server() {
    let basic = "Basic dXNlcjpwOnc=";
    #[rustfmt::skip]
    let table = [
        ("http://proxy.example:3128", "server.example:81", None),
        ("http://user:p%3Aw@proxy.example:3128", "server.example:81", Some(basic)),
        ("socks5h://proxy.example:3128", "server.example:81", None),
        ("socks5h://user:p%3Aw@proxy.example:3128", "server.example:81", Some("user:p:w")),
    ];
    for (proxy, target, credentials) in table {
        let server = network().listen(SERVER);
        let played = if proxy.starts_with("http") {
            Proxy::http(&network(), PLACE)
        } else {
            Proxy::socks5(&network(), PLACE)
        };
        connects(&server, through(proxy)).await;
        let asked = played.asked();
        assert_eq!(asked.len(), 1, "{proxy}");
        assert_eq!(asked[0].target, target, "{proxy}");
        assert_eq!(asked[0].credentials.as_deref(), credentials, "{proxy}");
    }
}

#[actix::test]
async fn addresses_are_written_as_the_protocols_want_them() {
    for (proxy, target) in [("http", "[::1]:82"), ("socks5h", "[::1]:82"), ("socks5", "[::1]:82")] {
        let server = network().listen("ws://[::1]:82");
        let played = match proxy {
            "http" => Proxy::http(&network(), PLACE),
            _ => Proxy::socks5(&network(), PLACE),
        };
        connects(&server, through(&format!("{proxy}://{PLACE}"))).await;
        assert_eq!(played.asked()[0].target, target);
    }
}

#[actix::test]
async fn tls_is_with_the_server_and_through_the_proxy() {
    let authority = Authority::new();
    let server = network().listen(SECURE_SERVER);
    let proxy = Proxy::http(&network(), PLACE);
    let supervisor = supervisor();
    let settings =
        through("http://proxy.example:3128").tls(Tls::private_ca(authority.pem()).unwrap());
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()).settings(settings));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let acceptor = authority.issue("server.example").acceptor();
    let stream = acceptor.accept(server.accept().await.into_stream()).await.unwrap();
    Peer::over(stream).shake_hands().await;
    events.expect(connected()).await;
    assert_eq!(proxy.asked()[0].target, "server.example:4433");
}

/// An `https` proxy has a certificate of its own.
#[actix::test]
async fn the_way_to_the_proxy_may_be_tls_too() {
    let authority = Authority::new();
    let proxy = network().listen("ws://proxy.example:443");
    let supervisor = supervisor();
    let settings =
        through("https://u:p@proxy.example").tls(Tls::private_ca(authority.pem()).unwrap());
    let (spec, mut events) = recorded(ConnectionSpec::string("a", SERVER).settings(settings));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let acceptor = authority.issue("proxy.example").acceptor();
    let stream = acceptor.accept(proxy.accept().await.into_stream()).await.unwrap();
    let mut peer = Peer::over(stream);
    assert_eq!(peer.request().await.request_line(), "CONNECT server.example:81 HTTP/1.1");
    peer.write("HTTP/1.1 200 OK\r\n\r\n").await;
    peer.shake_hands().await;
    events.expect(connected()).await;
}

/// A proxy for whole supervisors, and connections that need none.
#[actix::test]
async fn a_supervisor_has_a_default() {
    let server = network().listen(SERVER);
    let proxy = Proxy::http(&network(), PLACE);
    let supervisor = Supervisor::builder()
        .policy(AccessPolicy::from_rules(["allow ws://server.example:81"]).unwrap())
        .dialler(network())
        .proxy(PLACE_URL.parse::<wsvisor::Proxy>().unwrap())
        .start()
        .unwrap();
    let exempt = Proxies::all_except(PLACE_URL.parse().unwrap(), "server.example");
    // As long as they are there, nobody dials again in the place of the next one.
    let mut peers = Vec::new();
    for (id, settings, proxied) in [
        ("through", Settings::default(), 1),
        ("past", Settings::default().proxy(Proxies::none()), 1),
        ("exempt", Settings::default().proxy(exempt), 1),
    ] {
        let (spec, mut events) = recorded(ConnectionSpec::string(id, SERVER).settings(settings));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        peers.push(server.open().await);
        events.expect(connected()).await;
        assert_eq!(proxy.asked().len(), proxied, "{id}");
    }
}

const PLACE_URL: &str = "http://proxy.example:3128";

/// Two addresses, of which one is private.
struct TwoAddresses;

impl Resolver for TwoAddresses {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        assert_eq!(name, "server.example");
        Box::pin(async {
            Ok([[10, 0, 0, 1], [93, 184, 216, 34], [93, 184, 216, 35]]
                .map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
                .to_vec())
        })
    }
}

#[actix::test]
async fn what_we_resolve_is_judged_before_the_proxy_is_asked() {
    let server = network().listen("ws://93.184.216.35:81");
    let proxy = Proxy::socks5(&network(), PLACE);
    let supervisor = supervisor();
    let settings = through("socks5://proxy.example:3128").resolver(TwoAddresses);
    let (spec, mut events) = recorded(ConnectionSpec::string("a", SERVER).settings(settings));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    assert_eq!(peer.shake_hands().await.header("host"), Some("server.example:81"));
    events.expect(connected()).await;
    // The private one was not asked for, and the second was tried after the first.
    let asked: Vec<_> = proxy.asked().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["93.184.216.34:81", "93.184.216.35:81"]);
}

/// Answers what a test says.
struct Answers(&'static [[u8; 4]]);

impl Resolver for Answers {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(async {
            if self.0.is_empty() {
                return Err(ResolveError::NotFound);
            }
            Ok(self.0.iter().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets))).collect())
        })
    }
}

#[actix::test]
async fn a_name_that_leads_into_a_private_network_never_reaches_the_proxy() {
    let proxy = Proxy::socks5(&network(), PLACE);
    let supervisor = supervisor();
    let settings = through("socks5://proxy.example:3128").resolver(Answers(&[[10, 0, 0, 1]]));
    let (spec, mut events) = recorded(ConnectionSpec::string("a", SERVER).settings(settings));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let blocked =
        |reason: &ExitReason| matches!(reason, ExitReason::Dial(DialError::AddressBlocked { .. }));
    events.until(gave_up().because(blocked)).await;
    assert!(proxy.asked().is_empty());
    assert_eq!(network().dials("ws://proxy.example:3128"), 0);
}

#[actix::test]
async fn the_policy_judges_the_servers_name_before_the_proxy_is_asked() {
    let supervisor = supervisor();
    let settings = through("socks5h://proxy.example:3128");
    let spec = ConnectionSpec::string("a", "ws://elsewhere.example").settings(settings);
    let refused = supervisor.send(StartConnection(spec)).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("is blocked"), "{refused}");
    assert_eq!(network().dials("ws://proxy.example:3128"), 0);
}

/// Starts a connection through a proxy that the test plays.
async fn asked(proxy_url: &str) -> (Stream, Recorder, Addr<Supervisor>) {
    let proxy = network().listen(&format!("ws://{PLACE}"));
    let supervisor = supervisor();
    let spec = ConnectionSpec::string("a", SERVER).settings(through(proxy_url));
    let (spec, events) = recorded(spec);
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let stream = proxy.accept().await.into_stream();
    (stream, events, supervisor)
}

/// That an attempt ends with this failure of the proxy, that it is for good or not, that its text
/// has no secret, and that the server was never dialled.
async fn fails(events: &mut Recorder, is_for_good: bool, expected: fn(&ProxyFailure) -> bool) {
    let is_expected = move |reason: &ExitReason| {
        matches!(reason, ExitReason::Dial(DialError::Proxy { proxy, failure })
            if proxy.ends_with("://proxy.example:3128") && expected(failure))
    };
    let told = events.expect(connection_error().because(is_expected)).await;
    let texts = format!("{told} {told:?}");
    assert!(!texts.contains("canary"), "{texts}");
    if is_for_good {
        events.expect(gave_up()).await;
    } else {
        events.expect(backoff_scheduled()).await;
    }
    assert_eq!(network().dials(SERVER), 0, "nothing falls back to a direct dial");
}

#[actix::test]
async fn what_an_http_proxy_answers_is_typed() {
    type Expected = fn(&ProxyFailure) -> bool;
    let huge = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n", "x".repeat(20_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200));
    #[rustfmt::skip]
    let table: [(&str, bool, Expected); 14] = [
        ("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=canary\r\n\r\n", true,
            |f| matches!(f, ProxyFailure::Unauthorized(Some(407)))),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ncanary", true, |f| matches!(f, ProxyFailure::Forbidden(Some(403)))),
        ("HTTP/1.1 302 Found\r\nLocation: http://canary/\r\n\r\n", true, |f| matches!(f, ProxyFailure::Forbidden(Some(302)))),
        ("HTTP/1.1 100 Continue\r\n\r\n", true, |f| matches!(f, ProxyFailure::Forbidden(Some(100)))),
        ("HTTP/1.1 408 Request Timeout\r\n\r\n", false, |f| matches!(f, ProxyFailure::Forbidden(Some(408)))),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", false, |f| matches!(f, ProxyFailure::BadGateway(Some(502)))),
        ("HTTP/1.0 503 Service Unavailable\r\n\r\n", false, |f| matches!(f, ProxyFailure::BadGateway(Some(503)))),
        ("SSH-2.0-canary\r\n", true, |f| matches!(f, ProxyFailure::WrongProtocol("HTTP"))),
        ("HTTP/1.1 canary\r\n\r\n", true, |f| matches!(f, ProxyFailure::WrongProtocol("HTTP"))),
        ("HTTP/2 200\r\n\r\n", true, |f| matches!(f, ProxyFailure::WrongProtocol("HTTP"))),
        (&huge, true, |f| matches!(f, ProxyFailure::HeadTooLarge { limit: 16_384 })),
        (&many, true, |f| matches!(f, ProxyFailure::HeadTooLarge { .. })),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n", true, |f| matches!(f, ProxyFailure::SpokeFirst)),
        ("HTTP/1.1 200 OK\r\nX: cut o", false, |f| matches!(f, ProxyFailure::Stream(_))),
    ];
    for (answer, is_for_good, expected) in table {
        let (mut stream, mut events, supervisor) =
            asked("http://canary:canary@proxy.example:3128").await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        fails(&mut events, is_for_good, expected).await;
        // Else it may dial again in the place of the next one.
        supervisor.send(Shutdown::gracefully()).await.unwrap();
    }
}

#[actix::test]
async fn what_a_socks5_proxy_answers_is_typed() {
    use ProxyFailure::{BadGateway, Forbidden, Stream, Target, Unauthorized, WrongProtocol};
    use TargetFailure::{
        AddressTypeNotSupported, ConnectionRefused, HostUnreachable, NetworkUnreachable, TtlExpired,
    };
    type Expected = fn(&ProxyFailure) -> bool;
    #[rustfmt::skip]
    let table: [(&[u8], bool, Expected); 16] = [
        (&[5, 0xFF], true, |f| matches!(f, Unauthorized(None))),
        (&[5, 2, 1, 1], true, |f| matches!(f, Unauthorized(None))),
        (&[5, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0], false, |f| matches!(f, BadGateway(None))),
        (&[5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0], true, |f| matches!(f, Forbidden(None))),
        (&[5, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0], false, |f| matches!(f, Target(NetworkUnreachable))),
        (&[5, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0], false, |f| matches!(f, Target(HostUnreachable))),
        (&[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], false, |f| matches!(f, Target(ConnectionRefused))),
        (&[5, 0, 5, 6, 0, 1, 0, 0, 0, 0, 0, 0], false, |f| matches!(f, Target(TtlExpired))),
        (&[5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0], true, |f| matches!(f, Forbidden(None))),
        (&[5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0], false, |f| matches!(f, Target(AddressTypeNotSupported))),
        (&[5, 0, 5, 99, 0, 1, 0, 0, 0, 0, 0, 0], true, |f| matches!(f, WrongProtocol("SOCKS5"))),
        (&[5, 0, 5, 0, 9, 1, 0, 0, 0, 0, 0, 0], true, |f| matches!(f, WrongProtocol("SOCKS5"))),
        (&[5, 0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0], true, |f| matches!(f, WrongProtocol("SOCKS5"))),
        (b"HTTP/1.1 400 canary\r\n\r\n", true, |f| matches!(f, WrongProtocol("SOCKS5"))),
        (&[4, 0], true, |f| matches!(f, WrongProtocol("SOCKS5"))),
        (&[5], false, |f| matches!(f, Stream(_))),
    ];
    for (answer, is_for_good, expected) in table {
        let (mut stream, mut events, supervisor) =
            asked("socks5h://canary:canary@proxy.example:3128").await;
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        fails(&mut events, is_for_good, expected).await;
        // Else it may dial again in the place of the next one.
        supervisor.send(Shutdown::gracefully()).await.unwrap();
    }
}

/// A proxy that asks for a password of a client that has none.
#[actix::test]
async fn a_password_that_is_asked_for_and_not_there_is_typed() {
    let (mut stream, mut events, _supervisor) = asked("socks5h://proxy.example:3128").await;
    stream.write_all(&[5, 2]).await.unwrap();
    fails(&mut events, true, |f| matches!(f, ProxyFailure::Unauthorized(None))).await;
}

#[actix::test]
async fn a_proxy_that_is_not_there_is_tried_again_and_not_gone_around() {
    network().refuse("ws://proxy.example:3128");
    let supervisor = supervisor();
    let settings = through("http://proxy.example:3128");
    let (spec, mut events) = recorded(ConnectionSpec::string("a", SERVER).settings(settings));
    let _server = network().listen(SERVER);
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    for _ in 0..3 {
        fails(&mut events, false, |f| matches!(f, ProxyFailure::Unreachable(_))).await;
    }
}

#[test]
fn a_proxy_that_hangs_is_bounded() {
    virtual_time(1, async {
        for (proxy, said) in
            [("http", b"HTTP/1.1 200 OK\r\n".as_slice()), ("socks5h", &[5]), ("http", &[])]
        {
            let timeouts = Timeouts { proxy: ms(300), ..Timeouts::default() };
            let listener = network().listen(&format!("ws://{PLACE}"));
            let supervisor = supervisor();
            let settings = through(&format!("{proxy}://{PLACE}")).timeouts(timeouts);
            let (spec, mut events) =
                recorded(ConnectionSpec::string("a", SERVER).settings(settings));
            let start = tokio::time::Instant::now();
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            let mut stream = listener.accept().await.into_stream();
            stream.write_all(said).await.unwrap();
            let hangs = |reason: &ExitReason| {
                matches!(
                    reason,
                    ExitReason::Dial(DialError::Timeout { phase: DialPhase::Proxy, .. })
                )
            };
            events.expect(connection_error().because(hangs)).await;
            assert!(start.elapsed() < ms(350), "{:?}", start.elapsed());
            events.expect(backoff_scheduled()).await;
            assert_eq!(network().dials(SERVER), 0);
        }
    });
}

/// One byte at a time is within the whole bound, or it is not: the bound is not for each byte.
#[test]
fn a_proxy_that_dribbles_is_bounded_as_a_whole() {
    virtual_time(1, async {
        let (mut stream, mut events, _supervisor) = asked("http://proxy.example:3128").await;
        let start = tokio::time::Instant::now();
        actix::spawn(async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream.write_all(b"X").await.is_ok() {
                tokio::time::sleep(ms(500)).await;
            }
        });
        let slow = |reason: &ExitReason| {
            matches!(reason, ExitReason::Dial(DialError::Timeout { phase: DialPhase::Proxy, .. }))
        };
        events.expect(connection_error().because(slow)).await;
        assert!(start.elapsed() <= Duration::from_millis(20_100), "{:?}", start.elapsed());
    });
}

/// What the proxy gets to read before it has answered is the request alone.
#[actix::test]
async fn nothing_for_the_server_is_sent_before_the_proxy_has_answered() {
    let (mut stream, mut events, _supervisor) =
        asked("http://user:secret@proxy.example:3128").await;
    let mut sent = [0; 4096];
    let len = stream.read(&mut sent).await.unwrap();
    let sent = String::from_utf8_lossy(&sent[..len]).into_owned();
    assert_eq!(
        sent,
        "CONNECT server.example:81 HTTP/1.1\r\nHost: server.example:81\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n"
    );
    stream.write_all(b"HTTP/1.1 403 No\r\n\r\n").await.unwrap();
    fails(&mut events, true, |f| matches!(f, ProxyFailure::Forbidden(Some(403)))).await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(String::from_utf8_lossy(&rest), "");
}
