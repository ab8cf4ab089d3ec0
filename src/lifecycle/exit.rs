use std::{fmt, io, sync::Arc, time::Duration};

use super::{
    AddressFailures, LocalFailure, ProviderFailure, ProxyFailure, RefusedCredential, ResolveError,
    TlsFailure, Verdict,
};
use crate::{
    policy::{ConnectionFailed, PolicyDenied, RedirectRefused},
    protocol::{CloseCode, CloseFrame, HandshakeError, ProtocolError},
};

/// Why an attempt to connect failed or a session ended.
///
/// Every attempt ends with exactly one of these. Its text says what failed and where; the cause
/// is kept as [`source`](std::error::Error::source). No text holds a credential, a header's value
/// or a URL's query.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExitReason {
    /// We closed the session and the peer answered the closing handshake.
    #[error("closed by us, and the peer answered{}", CloseText(.0.as_ref()))]
    ClosedByUs(Option<CloseFrame>),
    /// We closed the session, and the peer did not finish the closing handshake in time or
    /// dropped the connection instead.
    #[error("closed by us, and the peer did not answer the close frame")]
    CloseUnanswered,
    /// `Disconnect` came before the connection was up.
    #[error("the attempt was cancelled before it was connected")]
    Cancelled,
    /// The peer closed the session with a close frame, or with one that had no status code.
    #[error("closed by the peer{}", CloseText(.0.as_ref()))]
    ClosedByPeer(Option<CloseFrame>),
    /// The stream ended without a close frame (RFC 6455 §7.1.5 calls this 1006).
    #[error("the peer ended the connection without a close frame{}", if *.mid_message { ", inside a message" } else { "" })]
    Eof {
        /// The stream ended inside a message, whose beginning is lost.
        mid_message: bool,
    },
    /// The socket failed.
    #[error("the connection was lost: {0}")]
    Io(#[source] Arc<io::Error>),
    /// The peer broke the WebSocket protocol or a limit; we closed with the error's close code.
    #[error("the peer's bytes were refused: {0}")]
    Protocol(#[source] ProtocolError),
    /// A watch of the session's [`Liveness`](crate::Liveness) ended it.
    #[error("the session was ended, because {0}")]
    Judged(#[source] Verdict),
    /// No connection could be made.
    #[error("cannot connect: {0}")]
    Dial(#[from] DialError),
    /// The server answered the opening handshake wrongly or refused it.
    #[error("the opening handshake failed: {0}")]
    Handshake(#[source] HandshakeError),
    /// The server refused the credentials that the provider gave, with 401 or 403.
    #[error("the credentials were refused, {credential}: {refusal}")]
    Unauthorized {
        /// Which refusal in a row it is, and what follows from that.
        credential: RefusedCredential,
        /// What the server answered.
        #[source]
        refusal: HandshakeError,
    },
    /// The server sends elsewhere, and that was not followed.
    #[error("the server answered {status}: {refused}")]
    Redirect {
        /// The HTTP status.
        status: u16,
        /// Where to, and why it was not followed.
        #[source]
        refused: RedirectRefused,
    },
    /// The access policy does not allow the URL that was to be dialled, and nothing was; or it was
    /// changed ([`SetPolicy`](crate::SetPolicy)), and does not allow the connection any more.
    #[error("{0}")]
    PolicyDenied(#[source] PolicyDenied),
    /// Another session took over, and this one drains ([`Rotation`](crate::Rotation)). It is closed with
    /// 1000; how its closing handshake ends is not told any more.
    #[error("the next session took over")]
    Rotated,
    /// The session that was to take over did not become ready in time, and was closed.
    #[error("the session did not become ready within {within:?}")]
    NotReady {
        /// [`Rotation::ready_within`](crate::Rotation::ready_within).
        within: Duration,
    },
    /// The session could not be greeted, and was closed.
    #[error("the session could not be greeted: {0}")]
    Greeting(#[source] GreetingFailure),
    /// The session, or its attempt, panicked.
    #[error("the session or its attempt panicked: {0}")]
    Crashed(Arc<str>),
    /// The arbiter stopped on which the connection ran, and its thread with it.
    #[error("the arbiter that the connection ran on has stopped")]
    ArbiterStopped,
    /// A supervisor's own code panicked. What it supervises runs on.
    #[error("the supervisor's own code panicked")]
    SupervisorPanicked,
    /// A supervisor gave up, because one of its children failed too often.
    #[error("the supervisor gave up: {last}")]
    SupervisorGaveUp {
        /// What was too much.
        #[source]
        last: Arc<Self>,
    },
    /// A supervisor has done its work: its significant children have ended
    /// ([`AutoShutdown`](crate::AutoShutdown)).
    #[error("the supervisor ended with its significant child {by}")]
    AutoShutdown {
        /// The child whose end it was.
        by: super::ConnectionId,
    },
    /// The retry budget is spent.
    #[error("gave up after {attempts} attempts in a row; the last: {last}")]
    RetriesExhausted {
        /// Attempts that failed or did not become stable.
        attempts: u32,
        /// Why the last of them ended.
        #[source]
        last: Arc<Self>,
    },
    /// There were too many restarts within the period of the [`Intensity`](crate::Intensity).
    #[error("more than {max_restarts} restarts within {period:?}; the last after: {last}")]
    TooManyRestarts {
        /// Restarts that are allowed.
        max_restarts: u32,
        /// The period.
        period: Duration,
        /// Why the last of them ended.
        #[source]
        last: Arc<Self>,
    },
}

/// Why a session could not be greeted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GreetingFailure {
    /// The provider of the greeting gave none.
    #[error("{0}")]
    Provider(#[source] ProviderFailure),
    /// It took too long.
    #[error("its provider took longer than {limit:?}")]
    TimedOut {
        /// [`Timeouts::provider`](crate::Timeouts).
        limit: Duration,
    },
    /// The connection sends JSON only.
    #[error("a JSON connection greets with JSON only: make each message of a SendJson")]
    NotJson,
}

/// The stages of an attempt that have a time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DialPhase {
    /// Asking the provider for the endpoint.
    Endpoint,
    /// Asking the provider for credentials.
    Credentials,
    /// Name resolution and the TCP connection, together.
    Connect,
    /// Reaching the proxy, and its way to the server.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The HTTP upgrade and the WebSocket opening handshake.
    Handshake,
}

impl fmt::Display for DialPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endpoint => "the endpoint provider",
            Self::Credentials => "the credential provider",
            Self::Connect => "resolving and connecting",
            Self::Proxy => "the proxy",
            Self::Tls => "the TLS handshake",
            Self::Handshake => "the opening handshake",
        })
    }
}

/// Why no byte stream to the server could be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The provider gave no URL that can be dialled.
    #[error("no endpoint: {0}")]
    Endpoint(#[source] ProviderFailure),
    /// The provider gave no credentials that can be sent.
    #[error("no credentials: {0}")]
    Credentials(#[source] ProviderFailure),
    /// The host's name could not be resolved.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        source: ResolveError,
    },
    /// The name resolved to no address.
    #[error("{host} has no address")]
    NoAddress {
        /// The name that was looked up.
        host: String,
    },
    /// The access policy allows none of the host's addresses; nothing was sent to any.
    #[error("{host} is blocked: {addresses}")]
    AddressBlocked {
        /// The host of the URL.
        host: String,
        /// Each address, and why it is blocked.
        #[source]
        addresses: AddressFailures,
    },
    /// No address that is allowed accepted the connection.
    #[error("cannot connect to {host}: {addresses}")]
    Tcp {
        /// The host of the URL.
        host: String,
        /// Each address, and what became of it.
        #[source]
        addresses: AddressFailures,
    },
    /// A [`Dialler`](crate::Dialler) other than TCP could not open a stream.
    #[error("cannot open a stream to {target}: {source}")]
    Stream {
        /// Scheme, host and port of the URL.
        target: String,
        /// What the dialler said.
        source: Arc<io::Error>,
    },
    /// This machine lacks what another socket takes: whatever the server, it was not asked.
    #[error("cannot open a socket for {target}: {failure}")]
    Local {
        /// What the socket was for: a host, or scheme, host and port.
        target: String,
        /// What is lacking.
        failure: LocalFailure,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The proxy gave no way to the server, which was not dialled otherwise.
    #[error("proxy {proxy}: {failure}")]
    Proxy {
        /// Its scheme, host and port.
        proxy: String,
        /// What it did.
        #[source]
        failure: ProxyFailure,
    },
    /// The TLS handshake failed.
    #[error("TLS with {host} failed: {failure} ({source})")]
    Tls {
        /// The name or address that the certificate must be for.
        host: String,
        /// What kind of failure it is.
        failure: TlsFailure,
        /// What rustls or the socket said.
        source: Arc<io::Error>,
    },
    /// The URL needs TLS, and no TLS is configured or compiled in.
    #[error("wss needs TLS: {0}")]
    TlsUnavailable(String),
    /// A stage took longer than its limit.
    #[error("{phase} took longer than {limit:?}")]
    Timeout {
        /// The stage that was too slow.
        phase: DialPhase,
        /// Its limit.
        limit: Duration,
    },
    /// The socket failed while the upgrade request or its answer was under way.
    #[error("the connection failed during the opening handshake: {0}")]
    Upgrade(#[source] Arc<io::Error>),
}

impl DialError {
    /// The name was not resolved.
    pub(crate) fn unresolved(host: &str, source: ResolveError) -> Self {
        match &source {
            ResolveError::Failed(error) if LocalFailure::of(error).is_some() => {
                Self::stream(host.to_owned(), Arc::clone(error))
            }
            _ => Self::Resolve { host: host.to_owned(), source },
        }
    }

    /// No stream could be opened to `target`.
    pub(crate) fn stream(target: String, source: Arc<io::Error>) -> Self {
        match LocalFailure::of(&source) {
            Some(failure) => Self::Local { target, failure, source },
            None => Self::Stream { target, source },
        }
    }

    /// None of these addresses led to a stream. It is this machine's fault where it is that of every
    /// address that was tried: an address may be of a family that is not there.
    pub(crate) fn tcp(host: String, addresses: AddressFailures) -> Self {
        match addresses.local_failure() {
            Some(source) => Self::stream(host, source),
            None => Self::Tcp { host, addresses },
        }
    }
}

impl ExitReason {
    pub(crate) fn io(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }

    /// The WebSocket close code that stands for this end: what the peer sent, else what we sent
    /// when we refused its bytes or judged the session, else 1005 (a close frame without a code) or 1006 (no close
    /// frame), as RFC 6455 §7.1.5 and §7.4.1 define them.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::ClosedByUs(frame) | Self::ClosedByPeer(frame) => {
                frame.as_ref().map_or(CloseCode::NO_STATUS, CloseFrame::code)
            }
            Self::Protocol(error) => error.close_code(),
            Self::Judged(verdict) if !verdict.is_of_a_dead_transport() => CloseCode::JUDGED,
            Self::Greeting(_) | Self::NotReady { .. } => CloseCode::JUDGED,
            Self::Rotated => CloseCode::NORMAL,
            _ => CloseCode::ABNORMAL,
        }
    }

    /// Whether credentials were refused that others may replace at once.
    pub(crate) const fn calls_for_credentials(&self) -> bool {
        matches!(self, Self::Unauthorized { credential: RefusedCredential::First, .. })
    }

    /// The reason text of the peer's close frame; empty where there is none.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        match self {
            Self::ClosedByUs(Some(frame)) | Self::ClosedByPeer(Some(frame)) => frame.reason(),
            _ => "",
        }
    }

    /// The same end without its reason, for those who are not trusted: what is blocked and what is
    /// refused look the same.
    #[must_use]
    pub const fn opaque(&self) -> ConnectionFailed {
        ConnectionFailed
    }

    /// Whether both sides finished the closing handshake (RFC 6455 §7.1.4).
    #[must_use]
    pub const fn was_clean(&self) -> bool {
        matches!(self, Self::ClosedByUs(_) | Self::ClosedByPeer(_))
    }
}

struct CloseText<'a>(Option<&'a CloseFrame>);

impl fmt::Display for CloseText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(frame) => write!(f, " with {frame}"),
            None => f.write_str(" without a status code"),
        }
    }
}

#[cfg(test)]
#[path = "exit_tests.rs"]
mod tests;
