use std::{fmt, time::Duration};

use super::{ExitClass, ExitReason, SubscriptionId, Verdict};
use crate::protocol::{CloseCode, Subprotocol};

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Never told to connect.
    Idle,
    /// An attempt is under way.
    Connecting,
    /// The opening handshake is done.
    Connected,
    /// A closing handshake or a cancelled attempt is under way.
    Closing,
    /// Waiting for the time of the next attempt; OTP calls this `restarting`.
    BackingOff,
    /// Ended, and nothing happens until a command comes.
    Disconnected,
    /// Ended by a reason that another attempt would meet again.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Closing => "closing",
            Self::BackingOff => "backing off",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
        })
    }
}

/// What a connection tells its lifecycle subscribers.
///
/// For each accepted `Connect` and each later attempt, exactly one of [`Connected`] and
/// [`ConnectionError`] follows, and [`Disconnected`] follows each `Connected` exactly once. Under a
/// supervisor, each end is followed by exactly one of [`BackoffScheduled`], [`Restarted`],
/// [`Stopped`] and [`GaveUp`].
///
/// The attempts of a [`Rotation`](crate::Rotation) are made while another session is up: one leads to
/// exactly one of `Connected` and [`RotationFailed`], or to nothing where it is dropped with that session.
/// The end of a session by [`ExitReason::Rotated`] is followed by the `Connected` of the session that took
/// over, and by nothing in between.
///
/// [`Connected`]: Self::Connected
/// [`ConnectionError`]: Self::ConnectionError
/// [`Disconnected`]: Self::Disconnected
/// [`BackoffScheduled`]: Self::BackoffScheduled
/// [`Restarted`]: Self::Restarted
/// [`Stopped`]: Self::Stopped
/// [`GaveUp`]: Self::GaveUp
/// [`RotationFailed`]: Self::RotationFailed
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// The opening handshake is done; messages may be sent and will come.
    Connected {
        /// The subprotocol that the server chose from those offered. Texts tell its length only, for it
        /// may be a token.
        subprotocol: Option<Subprotocol>,
    },
    /// The session is ready: its greeting is written, and what it was to wait for has come. Told only
    /// where a greeting or a [`Readiness`](crate::Readiness) is asked for; else `Connected` says it.
    Ready,
    /// The attempt failed or was cancelled. There was no session.
    ConnectionError {
        /// What failed.
        reason: ExitReason,
        /// What it means for the next attempt.
        class: ExitClass,
    },
    /// The session ended.
    Disconnected {
        /// The close code: the peer's, or the one we refused its bytes with, or 1005 or 1006.
        code: CloseCode,
        /// Whether both sides finished the closing handshake.
        was_clean: bool,
        /// Why it ended.
        reason: ExitReason,
        /// What it means for the next attempt.
        class: ExitClass,
    },
    /// The next attempt starts after `delay`.
    BackoffScheduled {
        /// Attempts in a row that failed or did not become stable; 0 after a stable session.
        attempt: u32,
        /// From now until the attempt starts.
        delay: Duration,
    },
    /// The next attempt starts at once, because it was asked for; or it is under way already, as that
    /// of a [`Rotation`](crate::Rotation).
    Restarted,
    /// The session goes on that was to be replaced, whose epoch this has: its successor failed, or was
    /// not ready in time.
    RotationFailed {
        /// Why the successor's attempt or session ended.
        reason: ExitReason,
        /// What it would mean for a session that is up.
        class: ExitClass,
        /// From now until the next successor is dialled.
        retry_in: Duration,
    },
    /// No further attempt: the connection was told to end, or its restart type lets it rest.
    Stopped,
    /// No further attempt, although the restart type asks for one: it would fail again, or there
    /// were too many. It also follows [`BackoffScheduled`](Self::BackoffScheduled), when a policy that
    /// changes ([`SetPolicy`](crate::SetPolicy)) forbids a connection that waits.
    GaveUp {
        /// The exit that is fatal, [`RetriesExhausted`](ExitReason::RetriesExhausted), or
        /// [`TooManyRestarts`](ExitReason::TooManyRestarts).
        reason: ExitReason,
    },
    /// A watch of the session's [`Liveness`](crate::Liveness) found this, and the session goes on.
    Suspected {
        /// What it found.
        verdict: Verdict,
    },
    /// The outbox was full, and messages were refused, as their senders were told. Told once a
    /// second at most.
    OutboxFull {
        /// Messages that were refused since this was told last.
        refused: u64,
    },
    /// This subscriber was too slow, and so many events were not delivered to it. It has the sequence
    /// number of the last of them.
    Lagged {
        /// Events lost since the last one that was delivered.
        dropped: u64,
    },
    /// Where the connection is in its life, told first to a subscriber that asked for it.
    Currently {
        /// Its state.
        state: State,
    },
    /// A subscription was too slow and ended, as it had chosen.
    Unsubscribed {
        /// Which one.
        subscription: SubscriptionId,
    },
}

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// The kinds of [`LifecycleEvent`], to choose from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum LifecycleKind {
            $(#[doc = concat!("[`LifecycleEvent::", stringify!($kind), "`].")] $kind,)*
        }

        impl LifecycleEvent {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> LifecycleKind {
                match self {
                    $(Self::$kind { .. } => LifecycleKind::$kind,)*
                }
            }
        }
    };
}

kinds! {
    Connected, Ready, ConnectionError, Disconnected, BackoffScheduled, Restarted, RotationFailed, Stopped, GaveUp, Suspected,
    OutboxFull, Lagged, Currently, Unsubscribed,
}

/// One line for people: the event's name, and what matters about it.
impl fmt::Display for LifecycleEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { subprotocol: None } => f.write_str("Connected"),
            Self::Connected { subprotocol: Some(name) } => {
                write!(f, "Connected with a subprotocol of {} bytes", name.len())
            }
            Self::Ready => f.write_str("Ready"),
            Self::ConnectionError { reason, .. } => write!(f, "ConnectionError: {reason}"),
            Self::Disconnected { code, reason, .. } => {
                write!(f, "Disconnected {}: {reason}", code.get())
            }
            Self::BackoffScheduled { attempt: 0, delay } => {
                write!(f, "BackoffScheduled: next attempt in {delay:.0?}")
            }
            Self::BackoffScheduled { attempt, delay } => {
                write!(f, "BackoffScheduled: retry {attempt} in {delay:.0?}")
            }
            Self::Restarted => f.write_str("Restarted: next attempt now"),
            Self::RotationFailed { reason, retry_in, .. } => {
                write!(f, "RotationFailed: {reason}; next successor in {retry_in:.0?}")
            }
            Self::Stopped => f.write_str("Stopped: no further attempt"),
            Self::GaveUp { reason } => {
                write!(f, "GaveUp: {reason}")
            }
            Self::Suspected { verdict } => write!(f, "Suspected: {verdict}"),
            Self::Currently { state } => write!(f, "Currently: {state}"),
            Self::Unsubscribed { .. } => {
                f.write_str("Unsubscribed: a subscriber that was too slow")
            }
            Self::OutboxFull { refused } => {
                write!(f, "OutboxFull: {refused} messages were refused")
            }
            Self::Lagged { dropped } => write!(f, "Lagged: {dropped} events were lost here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_for_people() {
        let reason = || ExitReason::ArbiterStopped;
        let delay = Duration::from_millis(1_600);
        let class = ExitClass::Crash;
        for (event, line) in [
            (LifecycleEvent::Connected { subprotocol: None }, "Connected"),
            (LifecycleEvent::Ready, "Ready"),
            (
                LifecycleEvent::ConnectionError { reason: reason(), class },
                "ConnectionError: the arbiter that the connection ran on has stopped",
            ),
            (
                LifecycleEvent::BackoffScheduled { attempt: 0, delay },
                "BackoffScheduled: next attempt in 2s",
            ),
            (
                LifecycleEvent::BackoffScheduled { attempt: 3, delay },
                "BackoffScheduled: retry 3 in 2s",
            ),
            (LifecycleEvent::Stopped, "Stopped: no further attempt"),
            (LifecycleEvent::OutboxFull { refused: 7 }, "OutboxFull: 7 messages were refused"),
            (LifecycleEvent::Lagged { dropped: 7 }, "Lagged: 7 events were lost here"),
            (LifecycleEvent::Currently { state: State::BackingOff }, "Currently: backing off"),
        ] {
            assert_eq!(event.to_string(), line);
        }
        assert_eq!(format!("{:>6}|", State::Idle), "  idle|", "in columns");
    }
}
