//! What a proxy answers that leads nowhere, and what it does not answer.

use std::time::Duration;

use actix::Addr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wsvisor::{
    ConnectionSpec, DialError, DialPhase, ExitReason, ProxyFailure, Shutdown, StartConnection,
    Supervisor, TargetFailure, Timeouts,
    testing::{Recorder, Stream, backoff_scheduled, connection_error, gave_up, virtual_time},
};

use super::{PLACE, SERVER, supervisor, through};
use crate::support::{ms, network, recorded};

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
