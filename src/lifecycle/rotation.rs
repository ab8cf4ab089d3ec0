use std::time::Duration;

use super::Verdict;

/// How a session is replaced while it is up: make before break.
///
/// Some servers end every session after a time, and what they send between its end and the next
/// session's beginning is lost. With a rotation, the next session, the *successor*, is dialled (by turns
/// with all others, as each attempt is), greeted and made ready as the
/// [`Readiness`](crate::Readiness) asks, while the session that is up goes on. Only then it takes over,
/// and the old session drains. It begins on request ([`Rotate`](crate::Rotate)), and when the session
/// has the [`MaxAge`](crate::MaxAge) of its [`Liveness`](crate::Liveness), which closes it otherwise.
///
/// This is opted in to, and is the one exception to *at most one live socket*: while a rotation is
/// under way there are two at most.
///
/// - **Order.** Subscribers are told `Disconnected` of the old epoch with
///   [`ExitReason::Rotated`](crate::ExitReason), and then `Connected` of the new one, at once. Lifecycle
///   events keep their order: none of an older epoch follows one of a newer. So do messages, but for
///   those that come outside of their session's time between `Connected` and `Disconnected`: the
///   successor's before it takes over, and the old session's while it drains. These are delivered as they
///   come, each session's in its order, and are marked: [`Received::is_overlap`](crate::Received) and
///   [`ReceivedBatch::is_overlap`](crate::ReceivedBatch).
/// - **Sends.** What is not encoded when the successor takes over is written in the new session, in
///   its order; what is goes out in the old one. Messages for one epoch alone
///   (`in_session`) go to that session, also to a successor before it takes over. `MarkReady`
///   and `SetHeartbeat` mean the successor as soon as it is open.
/// - **Draining.** The old session writes what it has, waits for the answers to its requests and the
///   pongs that confirm its messages, and closes with 1000; [`Timeouts::close`](crate::Timeouts) is the
///   time for all of this. Then what is left is settled, as at each session's end: a durable message that
///   no byte was written of is written by the session that took over, behind what that has written
///   meanwhile. It ends at the latest with the session that took over.
/// - **Failure.** A successor that fails, or is not ready in time, leaves the old session untouched.
///   [`RotationFailed`](crate::LifecycleEvent::RotationFailed) tells of it, and the next one is tried by
///   the connection's backoff (used alone, by the default one), after an end that is fatal otherwise as
///   late as that allows. It counts
///   neither for the retry budget nor for the intensity.
/// - **The end meanwhile.** If the session that is up ends by itself, and would be started again
///   without having to wait for the server, the successor is the next attempt, as far as it is.
///   Whatever else ends the session (`Disconnect`, `Reconnect`, a group's restart, the policy) drops
///   the successor.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::{Liveness, MaxAge, Rotation, Settings};
///
/// // The server ends every session after 24 hours.
/// let age = MaxAge::of(Duration::from_secs(23 * 3_600));
/// let settings = Settings::default()
///     .liveness(Liveness::default().max_age(age))
///     .rotation(Rotation::make_before_break().ready_within(Duration::from_secs(20)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub(crate) ready_within: Duration,
}

impl Rotation {
    /// The successor is ready before the old session drains. It has 30 s for that once it is open.
    #[must_use]
    pub const fn make_before_break() -> Self {
        Self { ready_within: Duration::from_secs(30) }
    }

    /// Sets how long a successor may take from its opening handshake until it is ready.
    #[must_use]
    pub const fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Whether a session of which this was found is replaced, where it would be closed otherwise.
    pub(crate) const fn replaces(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::TooOld { .. })
    }
}

/// Why a session is not replaced. Nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// Nobody opted in.
    #[error("this connection does not rotate; give its settings a Rotation")]
    NotEnabled,
    /// There is no session, or it is being closed.
    #[error("the connection is not connected; wait for Connected")]
    NotConnected,
    /// The session is not ready itself.
    #[error("the session is not ready itself; wait for Ready")]
    NotReady,
    /// A successor is under way, or the session before still drains.
    #[error("a rotation is under way; wait for its end")]
    InProgress,
    /// The supervisor has ended or is ending.
    #[error("its supervisor has ended or is ending")]
    Waning,
}

/// Which of the two sessions that a rotation knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that is up: there is no other but in a rotation.
    #[default]
    Up,
    /// The one beside it: its successor, or the one before it, which drains.
    Beside,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Up => Self::Beside,
            Self::Beside => Self::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_no_reason_to_be_without_a_session_and_a_dead_peer_is() {
        let limit = Duration::from_secs(9);
        assert!(Rotation::replaces(&Verdict::TooOld { age: limit }));
        for verdict in [Verdict::Silent { limit }, Verdict::SendStalled { limit }] {
            assert!(!Rotation::replaces(&verdict), "{verdict}");
        }
    }
}
