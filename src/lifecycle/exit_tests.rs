use std::{error::Error as _, time::SystemTime};

use super::*;
use crate::{
    lifecycle::{
        AddressFate, ClassRule, Floor, LocalFailure, ProviderError, ProviderFailure, ProxyFailure,
        TargetFailure, addresses::AddressFailure,
    },
    policy::AccessPolicy,
    protocol::RetryAfter,
};

fn io(kind: io::ErrorKind) -> Arc<io::Error> {
    Arc::new(kind.into())
}

fn frame(code: u16) -> CloseFrame {
    CloseFrame::new(code, "so be it").unwrap()
}

fn refusal(code: u16) -> HandshakeError {
    HandshakeError::Status { code, retry_after: None, has_location: false, has_challenge: false }
}

fn proxy(failure: ProxyFailure) -> ExitReason {
    DialError::Proxy { proxy: "http://proxy:1".into(), failure }.into()
}

/// What an end is called where it is explained, which close code stands for it, and what people read.
fn check<const N: usize>(ends: [(ExitReason, &str, u16, &str); N]) {
    for (end, row, code, text) in ends {
        assert_eq!(end.to_string(), text);
        assert_eq!(ClassRule::row(&end), ClassRule::Table(row.to_owned()), "{end}");
        assert_eq!(end.close_code().get(), code, "{end}");
    }
}

#[test]
fn each_end_of_a_session_has_a_row_a_code_and_a_sentence() {
    check([
        (
            ExitReason::ClosedByPeer(None),
            "close 1005",
            1005,
            "closed by the peer without a status code",
        ),
        (
            ExitReason::ClosedByPeer(Some(frame(4001))),
            "close 4001",
            4001,
            "closed by the peer with 4001: so be it",
        ),
        (
            ExitReason::ClosedByUs(Some(frame(1000))),
            "ends of this kind",
            1000,
            "closed by us, and the peer answered with 1000 (normal): so be it",
        ),
        (
            ExitReason::Eof { mid_message: true },
            "a lost connection (1006)",
            1006,
            "the peer ended the connection without a close frame, inside a message",
        ),
        (
            ExitReason::Io(io(io::ErrorKind::ConnectionReset)),
            "a lost connection (1006)",
            1006,
            "the connection was lost: connection reset",
        ),
        (
            ExitReason::Protocol(ProtocolError::InvalidUtf8),
            "refused bytes",
            1007,
            "the peer's bytes were refused: text message is not UTF-8: the server should send it as binary",
        ),
        (
            ExitReason::Judged(Verdict::Silent { limit: Duration::from_secs(9) }),
            "ends of this kind",
            4000,
            "the session was ended, because the peer sent nothing for 9s",
        ),
        (
            ExitReason::Judged(Verdict::PingUnanswered {
                misses: 1,
                within: Duration::from_secs(9),
            }),
            "ends of this kind",
            1006,
            "the session was ended, because 1 pings in a row were not answered within 9s",
        ),
        (
            ExitReason::Judged(Verdict::SendStalled { limit: Duration::from_secs(9) }),
            "ends of this kind",
            1006,
            "the session was ended, because the peer read nothing for 9s, and the socket took no more bytes",
        ),
        (
            ExitReason::Greeting(GreetingFailure::TimedOut { limit: Duration::from_secs(9) }),
            "ends of this kind",
            4000,
            "the session could not be greeted: its provider took longer than 9s",
        ),
        (
            ExitReason::NotReady { within: Duration::from_secs(9) },
            "ends of this kind",
            4000,
            "the session did not become ready within 9s",
        ),
        (ExitReason::Rotated, "ends of this kind", 1000, "the next session took over"),
    ]);
}

#[test]
fn each_end_of_an_attempt_has_a_row_and_a_sentence() {
    let host = || "a.example".to_owned();
    let denied = AccessPolicy::deny_all().check("wss://a.example").unwrap_err();
    let denial = PolicyDenied::from(denied);
    let why = denial.to_string();
    check([
        (
            ExitReason::Handshake(HandshakeError::HttpVersion),
            "a wrong handshake",
            1006,
            "the opening handshake failed: answer is not of HTTP/1.1: the server or a proxy before it does not \
             support upgrades",
        ),
        (
            ExitReason::Unauthorized {
                credential: RefusedCredential::Changed,
                refusal: refusal(401),
            },
            "HTTP status 401",
            1006,
            "the credentials were refused, they were others than before: server answered 401 instead of 101: \
             check the credentials",
        ),
        (
            DialError::NoAddress { host: host() }.into(),
            "a name without an address",
            1006,
            "cannot connect: a.example has no address",
        ),
        (
            DialError::Tls {
                host: host(),
                failure: TlsFailure::Expired,
                source: io(io::ErrorKind::InvalidData),
            }
            .into(),
            "failed TLS",
            1006,
            "cannot connect: TLS with a.example failed: the certificate has expired; it must be renewed \
             (invalid data)",
        ),
        (
            DialError::Timeout { phase: DialPhase::Tls, limit: Duration::from_secs(9) }.into(),
            "a failed dial",
            1006,
            "cannot connect: the TLS handshake took longer than 9s",
        ),
        (
            DialError::Credentials(ProviderFailure::Refused(ProviderError::retry("no\ntoken")))
                .into(),
            "a failed dial",
            1006,
            "cannot connect: no credentials: no\\ntoken",
        ),
        (
            proxy(ProxyFailure::Target(TargetFailure::TtlExpired)),
            "a failed dial",
            1006,
            "cannot connect: proxy http://proxy:1: it could not connect to the server: TTL expired",
        ),
        (
            proxy(ProxyFailure::Unauthorized(Some(407))),
            "a failed dial",
            1006,
            "cannot connect: proxy http://proxy:1: it refused the credentials, or wants some (407)",
        ),
        (
            proxy(ProxyFailure::BadGateway(None)),
            "a failed dial",
            1006,
            "cannot connect: proxy http://proxy:1: it could not connect to the server",
        ),
        (ExitReason::PolicyDenied(denial), "the access policy", 1006, why.as_str()),
        (
            ExitReason::Crashed("boom".into()),
            "a crash",
            1006,
            "the session or its attempt panicked: boom",
        ),
        (ExitReason::SupervisorPanicked, "a crash", 1006, "the supervisor's own code panicked"),
    ]);
}

#[test]
fn the_reason_is_that_of_the_close_frame() {
    for (end, reason) in [
        (ExitReason::ClosedByPeer(Some(frame(4001))), "so be it"),
        (ExitReason::ClosedByUs(Some(frame(1000))), "so be it"),
        (ExitReason::ClosedByPeer(None), ""),
        (ExitReason::Eof { mid_message: false }, ""),
    ] {
        assert_eq!(end.close_reason(), reason, "{end}");
    }
}

#[test]
fn what_decided_is_told_in_a_few_words() {
    for (rule, text) in [
        (ClassRule::Command, "a command"),
        (ClassRule::Table("close 1001".into()), "the default table, row `close 1001`"),
        (ClassRule::Exception("close 4000".into()), "the connection's exit rule `close 4000`"),
        (ClassRule::Classify, "the connection's own Classify"),
    ] {
        assert_eq!(rule.to_string(), text);
    }
}

/// A resolver and a dialler that find no file descriptor say nothing of the name or the server.
#[test]
fn a_lack_of_this_machine_is_told_as_one_wherever_it_shows() {
    let lack = || Arc::new(io::Error::from_raw_os_error(libc::EMFILE));
    let refused = || io(io::ErrorKind::ConnectionRefused);
    let address = |fate| AddressFailure { address: ([8, 8, 8, 8], 443).into(), fate };
    let tcp = |error| {
        DialError::tcp(
            "a.example".into(),
            [address(AddressFate::Failed(error))].into_iter().collect(),
        )
    };
    for error in [
        DialError::unresolved("a.example", ResolveError::Failed(lack())),
        DialError::stream("a.example".into(), lack()),
        tcp(lack()),
    ] {
        let DialError::Local { target, failure, source } = error else { panic!("{error}") };
        assert_eq!((target.as_str(), failure), ("a.example", LocalFailure::ProcessDescriptors));
        assert_eq!(source.raw_os_error(), Some(libc::EMFILE));
    }
    let other = DialError::unresolved("a.example", ResolveError::Failed(refused()));
    assert!(matches!(other, DialError::Resolve { .. }), "{other}");
    let other = DialError::stream("a.example".into(), refused());
    assert!(matches!(other, DialError::Stream { .. }), "{other}");
    let other = tcp(refused());
    assert!(matches!(other, DialError::Tcp { .. }), "{other}");
    assert!(other.source().is_some(), "the addresses, and what became of them");
}

/// Whatever an end means, what the server asked for is the least that is waited.
#[test]
fn a_server_asks_for_time_by_a_refusal_or_a_restart_alone() {
    let refusal = || HandshakeError::Status {
        code: 503,
        retry_after: RetryAfter::parse("30"),
        has_location: false,
        has_challenge: false,
    };
    let half_a_minute = Some(Duration::from_secs(30));
    for (end, at_least) in [
        (ExitReason::Handshake(refusal()), half_a_minute),
        (
            ExitReason::Unauthorized { credential: RefusedCredential::First, refusal: refusal() },
            half_a_minute,
        ),
        (
            ExitReason::ClosedByPeer(Some(CloseFrame::bare(1012.into()))),
            Some(Duration::from_secs(5)),
        ),
        (ExitReason::ClosedByPeer(Some(CloseFrame::bare(1013.into()))), None),
        (ExitReason::ClosedByPeer(None), None),
        (ExitReason::Eof { mid_message: false }, None),
    ] {
        let floor = Floor::asked_for(&end, SystemTime::UNIX_EPOCH);
        assert_eq!(floor.map(|floor| floor.at_least), at_least, "{end}");
    }
}
