//! Proxies: what they are asked for, what they may answer, and that nothing goes past them.

mod failures;

use std::net::{IpAddr, Ipv4Addr};

use actix::Addr;
use wsvisor::{
    AccessPolicy, ConnectionSpec, DialError, ExitReason, Proxies, ResolveError, Resolver,
    Resolving, SendString, Settings, StartConnection, Supervisor, Tls,
    testing::{Peer, Proxy, Server, connected, gave_up},
};

use crate::{
    support::{network, recorded},
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
