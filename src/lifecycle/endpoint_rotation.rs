use super::{DialError, DialPhase, ExitReason};
use crate::protocol::{CloseCode, HandshakeError};

/// Which of several endpoints the next attempt dials.
///
/// It stays with the one that works. It goes on to the next when an attempt did not reach a
/// WebSocket server there, and when the server closed with 1013 (try again later), which asks for
/// another endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndpointRotation {
    len: u32,
    current: u32,
    /// How many were left in a row since one worked.
    left: u32,
}

impl EndpointRotation {
    /// Begins with the first of so many.
    pub(crate) fn over(len: usize) -> Self {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        Self { len, current: 0, left: 0 }
    }

    /// The index of the endpoint that the next attempt dials.
    pub(crate) const fn current(&self) -> usize {
        self.current as usize
    }

    /// An attempt or session at the current endpoint ended so. Answers whether the next attempt goes
    /// to an endpoint that has not failed since one worked, so that what this server asked for
    /// binds nobody.
    pub(crate) fn ended(&mut self, exit: &ExitReason) -> bool {
        if self.len < 2 || !leaves(exit) {
            return false;
        }
        self.current = (self.current + 1) % self.len;
        self.left += 1;
        if self.left < self.len {
            return true;
        }
        self.left = 0;
        false
    }

    /// The current endpoint works.
    pub(crate) const fn works(&mut self) {
        self.left = 0;
    }
}

/// Whether another endpoint may do better after this end.
fn leaves(exit: &ExitReason) -> bool {
    match exit {
        // The refusal of credentials, or of a path that is not there, is of the service.
        ExitReason::Handshake(HandshakeError::Status { code, .. }) => {
            matches!(code, 408 | 425 | 429 | 500..=599)
        }
        // What is lacking here is lacking for all endpoints, and all are behind the same proxy.
        ExitReason::Dial(
            DialError::TlsUnavailable(_)
            | DialError::Local { .. }
            | DialError::Credentials(_)
            | DialError::Timeout { phase: DialPhase::Credentials | DialPhase::Proxy, .. },
        ) => false,
        ExitReason::Dial(DialError::Proxy { failure, .. }) => failure.is_of_server(),
        ExitReason::Dial(_) | ExitReason::Handshake(_) => true,
        ExitReason::ClosedByPeer(_) => exit.close_code() == CloseCode::TRY_AGAIN_LATER,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc, time::Duration};

    use super::*;
    use crate::{
        lifecycle::{ProviderError, ProxyFailure, TargetFailure},
        protocol::CloseFrame,
    };

    fn refused() -> ExitReason {
        let source = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        ExitReason::Dial(DialError::Stream { target: "ws://a".into(), source })
    }

    fn closed(code: u16) -> ExitReason {
        ExitReason::ClosedByPeer(Some(CloseFrame::bare(code.into())))
    }

    fn status(code: u16) -> ExitReason {
        ExitReason::Handshake(HandshakeError::Status {
            code,
            retry_after: None,
            has_location: false,
            has_challenge: false,
        })
    }

    #[test]
    fn the_one_that_works_is_kept() {
        let mut rotation = EndpointRotation::over(3);
        for exit in
            [closed(1001), closed(1012), closed(1000), ExitReason::Eof { mid_message: false }]
        {
            assert!(!rotation.ended(&exit));
            assert_eq!(rotation.current(), 0, "{exit}");
        }
        for exit in [status(401), status(403), status(404), ExitReason::Cancelled] {
            assert!(!rotation.ended(&exit));
            assert_eq!(rotation.current(), 0, "{exit}");
        }
    }

    #[test]
    fn what_does_not_answer_is_left() {
        for exit in [refused(), closed(1013), status(503), status(429)] {
            let mut rotation = EndpointRotation::over(3);
            let ended: Vec<_> =
                (0..4).map(|_| (rotation.ended(&exit), rotation.current())).collect();
            let round = [(true, 1), (true, 2), (false, 0), (true, 1)];
            assert_eq!(ended, round, "{exit}");
        }
    }

    #[test]
    fn what_all_endpoints_would_meet_is_no_reason_to_leave_one() {
        let proxy = |failure| DialError::Proxy { proxy: "http://proxy:1".into(), failure };
        let timeout = |phase| DialError::Timeout { phase, limit: Duration::from_secs(1) };
        let full = Arc::new(io::Error::from(io::ErrorKind::AddrNotAvailable));
        for (error, leaves) in [
            (DialError::TlsUnavailable("none".into()), false),
            (DialError::stream("ws://a".into(), full), false),
            (DialError::Credentials(ProviderError::retry("none").into()), false),
            (timeout(DialPhase::Credentials), false),
            (timeout(DialPhase::Proxy), false),
            (proxy(ProxyFailure::Unauthorized(Some(407))), false),
            (proxy(ProxyFailure::Forbidden(None)), false),
            (proxy(ProxyFailure::BadGateway(Some(502))), true),
            (proxy(ProxyFailure::Target(TargetFailure::HostUnreachable)), true),
            (timeout(DialPhase::Tls), true),
            (DialError::Endpoint(ProviderError::retry("none").into()), true),
        ] {
            let exit = ExitReason::Dial(error);
            let mut rotation = EndpointRotation::over(2);
            rotation.ended(&exit);
            assert_eq!(rotation.current() == 1, leaves, "{exit}");
        }
    }

    #[test]
    fn a_round_begins_anew_where_one_works() {
        let mut rotation = EndpointRotation::over(2);
        assert!(rotation.ended(&refused()));
        rotation.works();
        assert!(rotation.ended(&closed(1013)));
        assert_eq!(rotation.current(), 0);
    }

    #[test]
    fn one_endpoint_is_never_left() {
        let mut rotation = EndpointRotation::over(1);
        assert!(!rotation.ended(&refused()));
        assert_eq!(rotation.current(), 0);
    }
}
