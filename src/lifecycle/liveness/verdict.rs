use std::{sync::Arc, time::Duration};

/// What a watch over a session found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing was heard after this many pings in a row.
    #[error("{misses} pings in a row were not answered within {within:?}")]
    PingUnanswered {
        /// Pings that nothing was heard after.
        misses: u32,
        /// How long each was waited for.
        within: Duration,
    },
    /// Nothing was heard.
    #[error("the peer sent nothing for {limit:?}")]
    Silent {
        /// For this long.
        limit: Duration,
    },
    /// There was something to write, and the socket took nothing.
    #[error("the peer read nothing for {limit:?}, and the socket took no more bytes")]
    SendStalled {
        /// For this long.
        limit: Duration,
    },
    /// The calendar ran ahead of the clock: the machine slept.
    #[error("the calendar jumped by {by:?}: the machine slept, or its clock was set")]
    ClockJumped {
        /// By this much.
        by: Duration,
    },
    /// The session is as old as it may become.
    #[error("it is {age:?} old")]
    TooOld {
        /// Its age.
        age: Duration,
    },
    /// A watchdog was not fed.
    #[error("no data for the watchdog {watchdog} for {limit:?}")]
    DataStale {
        /// Which one.
        watchdog: Arc<str>,
        /// For this long.
        limit: Duration,
    },
    /// The application's heartbeats were not answered.
    #[error("{misses} heartbeats in a row were not answered within {within:?}")]
    HeartbeatUnanswered {
        /// Beats that no answer followed.
        misses: u32,
        /// How long each was waited for.
        within: Duration,
    },
    /// The recipient is gone that says whether the session is ready ([`Readiness::asked`](crate::Readiness)).
    /// It is not asked any more in this session, which only [`MarkReady`](crate::MarkReady) makes ready.
    #[error("the recipient that says whether the session is ready is gone")]
    NobodyToAsk,
    /// That recipient did not answer, and is not asked any more in this session.
    #[error("whether the session is ready was not answered within {within:?}")]
    ReadinessUnanswered {
        /// How long the answer was waited for.
        within: Duration,
    },
}

impl Verdict {
    /// Whether nothing that is written would arrive.
    pub(crate) const fn is_of_a_dead_transport(&self) -> bool {
        matches!(self, Self::PingUnanswered { .. } | Self::SendStalled { .. })
    }
}
