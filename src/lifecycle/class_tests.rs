use std::{io, sync::Arc, time::Duration};

use super::*;
use crate::{
    lifecycle::{
        AddressFailure, AddressFate, DialPhase, LocalFailure, ProviderError, TargetFailure, Verdict,
    },
    policy::{AccessPolicy, Denied, InvalidUrl, RedirectRefused},
    protocol::{InvalidHeader, RetryAfter},
};

fn closed(code: u16) -> ExitReason {
    ExitReason::ClosedByPeer(Some(CloseFrame::bare(code.into())))
}

fn status(code: u16, retry_after: Option<&str>) -> ExitReason {
    ExitReason::Handshake(HandshakeError::Status {
        code,
        retry_after: retry_after.and_then(RetryAfter::parse),
        has_location: false,
        has_challenge: false,
    })
}

fn refused(error: HandshakeError) -> ExitReason {
    ExitReason::Handshake(error)
}

fn unauthorized(code: u16, credential: RefusedCredential) -> ExitReason {
    let ExitReason::Handshake(refusal) = status(code, None) else { unreachable!() };
    ExitReason::Unauthorized { credential, refusal }
}

fn io(kind: io::ErrorKind) -> Arc<io::Error> {
    Arc::new(kind.into())
}

fn class(reason: &ExitReason) -> ExitClass {
    ExitClass::of(reason, SystemTime::UNIX_EPOCH)
}

fn dial(error: DialError) -> ExitReason {
    error.into()
}

fn redirect(refused: RedirectRefused) -> ExitReason {
    ExitReason::Redirect { status: 302, refused }
}

fn not_resolved(source: ResolveError) -> ExitReason {
    dial(DialError::Resolve { host: host(), source })
}

/// A name that leads to these addresses, where a name must not lead.
fn blocked<const N: usize>(addresses: [&str; N]) -> ExitReason {
    let policy = AccessPolicy::from_rules(["allow *"]).unwrap();
    let allowed = policy.check("wss://example.com").unwrap();
    let addresses = addresses.map(|address| {
        let address = std::net::SocketAddr::new(address.parse().unwrap(), 443);
        let blocked = policy.check_address(&allowed, address.ip()).unwrap_err();
        AddressFailure { address, fate: AddressFate::Blocked(blocked) }
    });
    dial(DialError::AddressBlocked { host: host(), addresses: addresses.into_iter().collect() })
}

fn tls(failure: TlsFailure) -> ExitReason {
    dial(DialError::Tls { host: host(), failure, source: io(io::ErrorKind::InvalidData) })
}

fn proxy(failure: ProxyFailure) -> ExitReason {
    dial(DialError::Proxy { proxy: "http://proxy:1".into(), failure })
}

fn unreachable() -> ProxyFailure {
    let source = io(io::ErrorKind::ConnectionRefused);
    ProxyFailure::Unreachable(Box::new(DialError::Stream { target: host(), source }))
}

fn host() -> String {
    "example.com".to_owned()
}

/// Each row of the default table is a test of its own.
macro_rules! rows {
    ($($name:ident: $($reason:expr),+ => $expected:expr;)+) => {$(
        #[test]
        fn $name() {
            for reason in [$($reason),+] {
                assert_eq!(class(&reason), $expected, "{reason}");
            }
        }
    )+};
}

rows! {
    told_to_end: ExitReason::ClosedByUs(None), ExitReason::CloseUnanswered, ExitReason::Cancelled
        => ExitClass::Shutdown;
    close_1000_normal: closed(1000) => ExitClass::Normal;
    close_1001_going_away: closed(1001) => RETRY;
    close_1002_1003_1007_1010_for_good: closed(1002), closed(1003), closed(1007), closed(1010)
        => ExitClass::Fatal;
    close_1005_no_status: ExitReason::ClosedByPeer(None) => RETRY;
    close_1006_abnormal: ExitReason::Protocol(ProtocolError::Stalled { limit: Duration::ZERO }), ExitReason::Eof { mid_message: false }, ExitReason::Eof { mid_message: true }
        => RETRY;
    close_1008_policy: closed(1008) => ExitClass::Fatal;
    close_1009_too_big: closed(1009) => ExitClass::Fatal;
    close_1011_internal_error: closed(1011) => RETRY;
    close_1012_service_restart: closed(1012)
        => ExitClass::Retry { floor: Some(Floor::SERVICE_RESTART) };
    close_1013_try_again_later: closed(1013) => RETRY_SLOW;
    close_1014_bad_gateway: closed(1014) => RETRY;
    close_3000_to_4999_unknown: closed(3000), closed(3999), closed(4000), closed(4401), closed(4999)
        => RETRY;
    handshake_2xx_that_is_not_101: status(200, None), status(204, None) => ExitClass::Fatal;
    handshake_3xx: status(301, None), status(302, None), status(308, None) => ExitClass::Fatal;
    handshake_401_403: status(401, None), status(403, None) => ExitClass::Fatal;
    credentials_of_a_provider_refused_first_or_changed:
        unauthorized(401, RefusedCredential::First), unauthorized(403, RefusedCredential::First),
        unauthorized(401, RefusedCredential::Changed), unauthorized(403, RefusedCredential::Changed)
        => RETRY;
    credentials_of_a_provider_refused_unchanged:
        unauthorized(401, RefusedCredential::Unchanged), unauthorized(403, RefusedCredential::Unchanged)
        => ExitClass::Fatal;
    provider_has_none_now:
        dial(DialError::Credentials(ProviderError::retry("no").into())),
        dial(DialError::Endpoint(ProviderError::retry("no").into())),
        dial(DialError::Timeout { phase: DialPhase::Credentials, limit: Duration::ZERO }),
        dial(DialError::Timeout { phase: DialPhase::Endpoint, limit: Duration::ZERO })
        => RETRY;
    provider_has_none_for_good_or_answers_wrongly:
        dial(DialError::Credentials(ProviderError::fatal("no").into())),
        dial(DialError::Credentials(InvalidHeader::BasicUser.into())),
        dial(DialError::Endpoint(InvalidUrl::Scheme.into()))
        => ExitClass::Fatal;
    provider_panicked:
        dial(DialError::Credentials(ProviderFailure::Panicked)),
        dial(DialError::Endpoint(ProviderFailure::Panicked))
        => ExitClass::Crash;
    redirect_not_followed: redirect(RedirectRefused::Location { count: 0 }),
        redirect(RedirectRefused::Invalid(InvalidUrl::Scheme)) => ExitClass::Fatal;
    policy_denied: ExitReason::PolicyDenied(Denied::InvalidUrl(InvalidUrl::Scheme).into()) => ExitClass::Fatal;
    handshake_404_410_426: status(404, None), status(410, None), status(426, None) => ExitClass::Fatal;
    handshake_408_425: status(408, None), status(425, None) => RETRY;
    handshake_429: status(429, None) => RETRY_SLOW;
    handshake_500_502_503_504: status(500, None), status(502, None), status(503, None), status(504, None)
        => RETRY;
    handshake_other_5xx: status(501, None), status(505, None) => ExitClass::Fatal;
    handshake_bad_upgrade_connection_or_accept:
        refused(HandshakeError::NotUpgraded { header: "Upgrade", token: "websocket" }),
        refused(HandshakeError::NotUpgraded { header: "Connection", token: "Upgrade" }),
        refused(HandshakeError::MissingAccept), refused(HandshakeError::WrongAccept)
        => ExitClass::Fatal;
    handshake_that_picks_what_was_not_offered:
        refused(HandshakeError::UnofferedSubprotocol("b".into())),
        refused(HandshakeError::NoSubprotocol),
        refused(HandshakeError::UnofferedExtension("x".into()))
        => ExitClass::Fatal;
    handshake_that_is_not_http_1_1: refused(HandshakeError::HttpVersion),
        refused(HandshakeError::NotHttp("SSH-2.0".into())),
        refused(HandshakeError::RepeatedHeader { header: "Upgrade" }),
        refused(HandshakeError::AnnouncesBody { header: "Content-Length" })
        => ExitClass::Fatal;
    handshake_other_4xx: status(400, None), status(402, None), status(405, None), status(407, None),
        status(451, None) => ExitClass::Fatal;
    name_does_not_exist: not_resolved(ResolveError::NotFound), dial(DialError::NoAddress { host: host() })
        => RETRY_SLOW;
    this_machine_lacks_something:
        dial(DialError::Local {
            target: host(),
            failure: LocalFailure::ProcessDescriptors,
            source: Arc::new(io::Error::from_raw_os_error(libc::EMFILE)),
        })
        => RETRY_SLOW;
    resolver_cannot_answer: not_resolved(ResolveError::Unavailable),
        not_resolved(ResolveError::TimedOut(Duration::ZERO)),
        not_resolved(ResolveError::Failed(io(io::ErrorKind::Other)))
        => RETRY;
    every_address_blocked: blocked(["10.0.0.1", "::1"]) => ExitClass::Fatal;
    tcp_refused_reset_or_timed_out:
        dial(DialError::Tcp {
            host: host(),
            addresses: [AddressFailure {
                address: ([127, 0, 0, 1], 1).into(),
                fate: AddressFate::Failed(io(io::ErrorKind::ConnectionRefused)),
            }]
            .into_iter()
            .collect(),
        }),
        dial(DialError::Timeout { phase: DialPhase::Connect, limit: Duration::ZERO }),
        dial(DialError::Upgrade(io(io::ErrorKind::ConnectionReset))),
        ExitReason::Io(io(io::ErrorKind::ConnectionReset))
        => RETRY;
    handshake_timed_out: dial(DialError::Timeout { phase: DialPhase::Handshake, limit: Duration::ZERO })
        => RETRY;
    certificate_refused: tls(TlsFailure::Expired), tls(TlsFailure::NotYetValid),
        tls(TlsFailure::WrongName), tls(TlsFailure::UnknownIssuer), tls(TlsFailure::Revoked),
        tls(TlsFailure::PinMismatch), tls(TlsFailure::Certificate), tls(TlsFailure::ClientCertificate)
        => RETRY_SLOW;
    tls_not_spoken: tls(TlsFailure::NotTls), tls(TlsFailure::Incompatible), tls(TlsFailure::Protocol)
        => RETRY_SLOW;
    tls_without_http_1_1: tls(TlsFailure::NoHttp11) => ExitClass::Fatal;
    tls_broken_off: tls(TlsFailure::Stream), tls(TlsFailure::Alert) => RETRY;
    proxy_unreachable_or_its_way: proxy(unreachable()), proxy(ProxyFailure::BadGateway(Some(502))),
        proxy(ProxyFailure::BadGateway(None)), proxy(ProxyFailure::Target(TargetFailure::HostUnreachable)),
        proxy(ProxyFailure::Stream(io(io::ErrorKind::UnexpectedEof))),
        proxy(ProxyFailure::Forbidden(Some(408))),
        dial(DialError::Timeout { phase: DialPhase::Proxy, limit: Duration::ZERO })
        => RETRY;
    proxy_asks_for_patience: proxy(ProxyFailure::Forbidden(Some(429))) => RETRY_SLOW;
    proxy_refuses: proxy(ProxyFailure::Unauthorized(Some(407))), proxy(ProxyFailure::Unauthorized(None)),
        proxy(ProxyFailure::Forbidden(Some(403))), proxy(ProxyFailure::Forbidden(None)),
        proxy(ProxyFailure::WrongProtocol("HTTP")), proxy(ProxyFailure::HeadTooLarge { limit: 1 }),
        proxy(ProxyFailure::SpokeFirst), proxy(ProxyFailure::NameTooLong(256))
        => ExitClass::Fatal;
    no_tls_compiled_in: dial(DialError::TlsUnavailable(host())) => ExitClass::Fatal;
    judged_by_its_liveness:
        ExitReason::Judged(Verdict::PingUnanswered { misses: 1, within: Duration::ZERO }),
        ExitReason::Judged(Verdict::Silent { limit: Duration::ZERO }),
        ExitReason::Judged(Verdict::SendStalled { limit: Duration::ZERO }),
        ExitReason::Judged(Verdict::ClockJumped { by: Duration::ZERO }),
        ExitReason::Judged(Verdict::TooOld { age: Duration::ZERO }),
        ExitReason::Judged(Verdict::DataStale { watchdog: "a".into(), limit: Duration::ZERO }),
        ExitReason::Judged(Verdict::HeartbeatUnanswered { misses: 1, within: Duration::ZERO })
        => RETRY;
    panic_in_the_task: ExitReason::Crashed("boom".into()), ExitReason::ArbiterStopped => ExitClass::Crash;
}

#[test]
fn retry_after_is_a_floor_and_is_bounded() {
    let floor = |text| match class(&status(503, Some(text))) {
        ExitClass::Retry { floor: Some(floor) } => floor.at_least.as_secs(),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(floor("7"), 7);
    assert_eq!(floor("86400"), 600);
    assert_eq!(floor("Thu, 01 Jan 1970 00:01:30 GMT"), 90);
}
