use std::{fmt, time::Duration};

/// Where a connection stands in the queue before the dial gate, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Connections to the same host that dial before it.
    pub ahead: usize,
    /// What has to happen first.
    pub reason: WaitReason,
}

/// What a connection at the dial gate waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// The host counts as down, and the next probe of it is not due.
    HostDown {
        /// Until that probe may begin.
        next_probe_in: Duration,
    },
    /// The host counts as down, and another connection probes it now.
    Probe,
    /// The host asked to be left alone: `Retry-After`, or a close with 1013.
    HostAsked {
        /// Until it may be dialled.
        until_in: Duration,
    },
    /// This machine had no socket left ([`LocalFailure`](crate::LocalFailure)), and whether it has one
    /// now is tried by one dial at a time.
    Machine {
        /// Until the next may begin; `None` where one is under way.
        next_probe_in: Option<Duration>,
    },
    /// As many dials are under way as may be at once.
    Concurrency {
        /// So many.
        dialling: usize,
    },
    /// As many dials have begun as may within a second.
    Rate {
        /// So many.
        per_second: u32,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            WaitReason::HostDown { next_probe_in } => {
                write!(f, "its host counts as down, and is probed in {next_probe_in:.1?}")?;
            }
            WaitReason::Probe => {
                f.write_str("its host counts as down, and another connection probes it now")?;
            }
            WaitReason::HostAsked { until_in } => {
                write!(f, "its host asked to be left alone for another {until_in:.1?}")?;
            }
            WaitReason::Machine { next_probe_in: Some(time) } => {
                write!(f, "this machine had no socket left, and dials again in {time:.1?}")?;
            }
            WaitReason::Machine { next_probe_in: None } => {
                f.write_str("this machine had no socket left, and another dial tries for one now")?;
            }
            WaitReason::Concurrency { dialling } => {
                write!(f, "{dialling} dials are under way, as many as may be at once")?;
            }
            WaitReason::Rate { per_second } => {
                write!(f, "{per_second} dials a second are allowed, and the next is not yet")?;
            }
        }
        match self.ahead {
            0 => f.write_str("; it is the next to its host"),
            ahead => write!(f, "; {ahead} to its host are before it"),
        }
    }
}
