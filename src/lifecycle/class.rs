use std::time::SystemTime;

use super::{
    DialError, ExitReason, Floor, GreetingFailure, ProviderFailure, ProxyFailure,
    RefusedCredential, ResolveError, TlsFailure,
};
use crate::protocol::{CloseCode, CloseFrame, HandshakeError, ProtocolError};

/// What an exit means for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitClass {
    /// The peer ended the session as intended (close 1000).
    Normal,
    /// We were told to end it.
    Shutdown,
    /// Abnormal and likely to pass.
    Retry {
        /// The server asked not to be dialled before this.
        floor: Option<Floor>,
    },
    /// Abnormal and unlikely to pass soon: the next attempt waits near the backoff's maximum.
    RetrySlow {
        /// The server asked not to be dialled before this.
        floor: Option<Floor>,
    },
    /// Abnormal, and the same attempt would fail again.
    Fatal,
    /// A fault in this process: a panic.
    Crash,
}

const RETRY: ExitClass = ExitClass::RETRY;
const RETRY_SLOW: ExitClass = ExitClass::RETRY_SLOW;

impl ExitClass {
    /// `Retry` without a floor.
    pub const RETRY: Self = Self::Retry { floor: None };
    /// `RetrySlow` without a floor.
    pub const RETRY_SLOW: Self = Self::RetrySlow { floor: None };

    /// Whether the server asked not to be dialled for a time.
    pub(crate) const fn has_floor(self) -> bool {
        matches!(self, Self::Retry { floor: Some(_) } | Self::RetrySlow { floor: Some(_) })
    }

    /// Raises the floor to what the server asked for, where there is none.
    pub(super) fn or_floor(self, hint: Option<Floor>) -> Self {
        match self {
            Self::Retry { floor } => Self::Retry { floor: floor.or(hint) },
            Self::RetrySlow { floor } => Self::RetrySlow { floor: floor.or(hint) },
            other => other,
        }
    }

    /// The class of `reason` by the default table. `wall` is the wall clock's time: a
    /// `Retry-After` may be given as a date.
    #[must_use]
    pub fn of(reason: &ExitReason, wall: SystemTime) -> Self {
        match reason {
            ExitReason::ClosedByUs(_)
            | ExitReason::CloseUnanswered
            | ExitReason::Cancelled
            | ExitReason::Rotated => Self::Shutdown,
            ExitReason::ClosedByPeer(frame) => {
                Self::of_close(frame.as_ref().map_or(CloseCode::NO_STATUS, CloseFrame::code))
            }
            // Troubles of the network, or what may be one.
            ExitReason::Eof { .. }
            | ExitReason::Io(_)
            | ExitReason::Judged(_)
            | ExitReason::NotReady { .. }
            | ExitReason::Protocol(ProtocolError::Stalled { .. })
            | ExitReason::Greeting(GreetingFailure::TimedOut { .. }) => RETRY,
            ExitReason::Greeting(GreetingFailure::Provider(failure)) => Self::of_provider(failure),
            ExitReason::Dial(error) => Self::of_dial(error),
            ExitReason::Handshake(error) => Self::of_handshake(error, wall),
            ExitReason::Unauthorized { credential, refusal } => match credential {
                RefusedCredential::First | RefusedCredential::Changed => {
                    Self::Retry { floor: Floor::of_refusal(refusal, wall) }
                }
                RefusedCredential::Unchanged => Self::Fatal,
            },
            // A supervisor that gives up ends abnormally, other than in OTP, where it looks like a
            // shutdown and a transient one would not come back.
            ExitReason::Crashed(_)
            | ExitReason::ArbiterStopped
            | ExitReason::SupervisorPanicked
            | ExitReason::SupervisorGaveUp { .. } => Self::Crash,
            ExitReason::AutoShutdown { .. } => Self::Normal,
            // The last two are told when a connection has given up already.
            ExitReason::Protocol(_)
            | ExitReason::Greeting(GreetingFailure::NotJson)
            | ExitReason::PolicyDenied(_)
            | ExitReason::Redirect { .. }
            | ExitReason::RetriesExhausted { .. }
            | ExitReason::TooManyRestarts { .. } => Self::Fatal,
        }
    }

    /// Close codes of the peer (RFC 6455 §7.4.1 and the IANA registry).
    fn of_close(code: CloseCode) -> Self {
        match code.get() {
            1000 => Self::Normal,
            // 1002 protocol error, 1003 unsupported data, 1007 invalid data, 1008 policy,
            // 1009 too big, 1010 mandatory extension: what we send is not what it takes.
            1002 | 1003 | 1007..=1010 => Self::Fatal,
            // Service restart: 5 to 30 seconds, at random.
            1012 => Self::Retry { floor: Some(Floor::SERVICE_RESTART) },
            1013 => RETRY_SLOW,
            // 1001, 1005, 1006, 1011, 1014 and whatever the application means by 3000–4999.
            _ => RETRY,
        }
    }

    fn of_dial(error: &DialError) -> Self {
        match error {
            DialError::Endpoint(failure) | DialError::Credentials(failure) => {
                Self::of_provider(failure)
            }
            DialError::Tls { failure, .. } => Self::of_tls(*failure),
            DialError::Proxy { failure, .. } => Self::of_proxy(failure),
            DialError::TlsUnavailable(_) | DialError::AddressBlocked { .. } => Self::Fatal,
            // The name does not exist: whoever keeps the zone has to mend that. Or this machine lacks
            // something: an operator has to give it more, or others to need less.
            DialError::Resolve { source: ResolveError::NotFound, .. }
            | DialError::NoAddress { .. }
            | DialError::Local { .. } => RETRY_SLOW,
            _ => RETRY,
        }
    }

    fn of_tls(failure: TlsFailure) -> Self {
        match failure {
            // A socket that broke meanwhile is like any other broken socket.
            TlsFailure::Stream | TlsFailure::Alert => RETRY,
            // Servers are not taught another protocol from one attempt to the next.
            TlsFailure::NoHttp11 => Self::Fatal,
            // Only an operator mends these, or a renewed certificate.
            _ => RETRY_SLOW,
        }
    }

    fn of_proxy(failure: &ProxyFailure) -> Self {
        match failure {
            ProxyFailure::Unreachable(error) => Self::of_dial(error),
            ProxyFailure::Forbidden(Some(429)) => RETRY_SLOW,
            ProxyFailure::BadGateway(_)
            | ProxyFailure::Target(_)
            | ProxyFailure::Stream(_)
            | ProxyFailure::Forbidden(Some(408 | 425)) => RETRY,
            // Who configured it has to say something else.
            ProxyFailure::Unauthorized(_)
            | ProxyFailure::Forbidden(_)
            | ProxyFailure::WrongProtocol(_)
            | ProxyFailure::HeadTooLarge { .. }
            | ProxyFailure::SpokeFirst
            | ProxyFailure::NameTooLong(_) => Self::Fatal,
        }
    }

    fn of_provider(failure: &ProviderFailure) -> Self {
        match failure {
            ProviderFailure::Refused(error) if !error.is_fatal() => RETRY,
            ProviderFailure::Panicked => Self::Crash,
            // Its answers are wrong, not its server's.
            _ => Self::Fatal,
        }
    }

    fn of_handshake(error: &HandshakeError, wall: SystemTime) -> Self {
        let HandshakeError::Status { code, .. } = error else {
            return Self::Fatal;
        };
        let floor = Floor::of_refusal(error, wall);
        match code {
            408 | 425 | 500 | 502 | 503 | 504 => Self::Retry { floor },
            429 => Self::RetrySlow { floor },
            _ => Self::Fatal,
        }
    }
}

#[cfg(test)]
#[path = "class_tests.rs"]
mod tests;
