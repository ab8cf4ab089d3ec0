use std::{fmt, time::Duration};

use super::Status;
use crate::{
    lifecycle::{ClassRule, ExitClass, Intensity, State},
    policy::CanonicalUrl,
    supervision::Place,
};

/// Why a connection is in its state, and what happens next. Its text is for whoever looks into it at
/// night.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// How it is.
    pub status: Status,
    /// What it dials; none before its first `Connect`.
    pub url: Option<CanonicalUrl>,
    /// The rule of the access policy that allows it.
    pub allowed_by: Option<String>,
    /// What its last end means for the next attempt.
    pub last_class: Option<ExitClass>,
    /// Which rule decided that, by the spec that the connection has now.
    pub decided_by: Option<ClassRule>,
    /// An attempt is under way that has not been let through the dial gate: where it stands there, and
    /// what it waits for.
    pub at_the_gate: Option<Place>,
    /// It waits for the others of its group, with which it starts again.
    pub waits_for_group: bool,
    /// Its host counts as down: one connection at a time probes it.
    pub host_is_down: bool,
    /// Connections that wait for the same host.
    pub waiting_for_host: usize,
    /// Attempts in a row that its retry budget leaves; none where it has no limit.
    pub attempts_left: Option<u32>,
    /// Time that its retry budget leaves for the failures in a row that there are; none where it has no
    /// limit.
    pub time_left: Option<Duration>,
    /// Restarts that the supervisor's intensity leaves within its period, and the intensity; none for a
    /// connection that is used alone.
    pub restarts_left: Option<(u32, Intensity)>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { id, state, epoch, attempt, next_attempt_in, last_exit, queued, .. } =
            &self.status;
        write!(f, "connection {id} is {state}, epoch {epoch}")?;
        if let Some(url) = &self.url {
            write!(f, "\n  url: {url}")?;
        }
        if let Some(rule) = &self.allowed_by {
            write!(f, ", by the rule `{rule}`")?;
        }
        if let Some(reason) = last_exit {
            write!(f, "\n  last end: {reason}")?;
        }
        if let Some(class) = self.last_class {
            write!(f, "\n  which means: {}", meaning(class))?;
        }
        if let Some(rule) = &self.decided_by {
            write!(f, "\n  as decided by {rule}")?;
        }
        if *attempt > 0 {
            write!(f, "\n  attempts in a row that failed: {attempt}")?;
            if let Some(left) = self.attempts_left {
                write!(f, ", {left} left")?;
            }
            if let Some(left) = self.time_left {
                write!(f, ", {left:.0?} left")?;
            }
        }
        if let Some((left, intensity)) = &self.restarts_left {
            let what = if intensity.counts_all_restarts() { "restarts" } else { "crashes" };
            let (most, period) = (intensity.max_restarts(), intensity.period());
            write!(f, "\n  {what} within {period:?}: {left} of {most} left")?;
        }
        if self.host_is_down {
            let waiting = self.waiting_for_host;
            write!(f, "\n  its host counts as down: one connection probes it, {waiting} wait")?;
        }
        let (messages, bytes) = queued;
        if *messages > 0 {
            write!(f, "\n  outbox: {messages} messages, {bytes} bytes")?;
        }
        write!(f, "\n  next: ")?;
        match (state, next_attempt_in) {
            (State::BackingOff, _) if self.waits_for_group => f.write_str(
                "it starts with its group, once all of that has ended and the backoff is over",
            ),
            (State::BackingOff, Some(wait)) => write!(f, "an attempt in {wait:.1?}"),
            (State::Connecting, _) => match &self.at_the_gate {
                Some(place) => write!(f, "it dials when the dial gate lets it: {place}"),
                None => f.write_str("the attempt succeeds or fails"),
            },
            (State::Connected, _) => f.write_str("it stays connected"),
            (State::Closing, _) => f.write_str("the closing handshake ends, or its time is over"),
            _ => f.write_str("nothing, until it is told to connect"),
        }
    }
}

const fn meaning(class: ExitClass) -> &'static str {
    match class {
        ExitClass::Normal => "the server ended it as intended (Normal)",
        ExitClass::Shutdown => "it was told to end (Shutdown)",
        ExitClass::Retry { .. } => "it is likely to pass (Retry)",
        ExitClass::RetrySlow { .. } => "it is unlikely to pass soon (RetrySlow)",
        ExitClass::Fatal => "the same attempt would fail again (Fatal)",
        ExitClass::Crash => "a fault in this process (Crash)",
    }
}
