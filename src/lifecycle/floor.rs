use std::time::{Duration, SystemTime};

use super::ExitReason;
use crate::protocol::{HandshakeError, RetryAfter};

/// The least time before the next attempt, as a server asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// No attempt before this.
    pub at_least: Duration,
    /// A random time up to this is added, so that all who were told the same do not return at
    /// the same instant.
    pub jitter: Duration,
}

/// A server cannot put a connection to sleep for longer than this.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(10);
/// What is added at random to a `Retry-After`.
const RETRY_AFTER_JITTER: Duration = Duration::from_secs(5);

impl Floor {
    /// After a close with 1012.
    pub(super) const SERVICE_RESTART: Self =
        Self { at_least: Duration::from_secs(5), jitter: Duration::from_secs(25) };

    /// What the server asked for with this end.
    pub(super) fn asked_for(exit: &ExitReason, wall: SystemTime) -> Option<Self> {
        match exit {
            ExitReason::Handshake(error) | ExitReason::Unauthorized { refusal: error, .. } => {
                Self::of_refusal(error, wall)
            }
            ExitReason::ClosedByPeer(Some(frame)) if frame.code().get() == 1012 => {
                Some(Self::SERVICE_RESTART)
            }
            _ => None,
        }
    }

    /// The `Retry-After` of a refused handshake.
    pub(super) fn of_refusal(error: &HandshakeError, wall: SystemTime) -> Option<Self> {
        match error {
            HandshakeError::Status { retry_after: Some(hint), .. } => {
                Some(Self::of_retry_after(hint, wall))
            }
            _ => None,
        }
    }

    fn of_retry_after(hint: &RetryAfter, wall: SystemTime) -> Self {
        Self { at_least: hint.delay_from(wall).min(MAX_RETRY_AFTER), jitter: RETRY_AFTER_JITTER }
    }
}
