use std::fmt;

use super::Status;
use crate::{
    lifecycle::{Budgets, ClassRule, ExitClass, State},
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
    /// What is left until it gives up.
    pub budgets: Budgets,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { id, state, epoch, next_attempt_in, last_exit, queued, .. } = &self.status;
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
        write!(f, "{}", self.budgets)?;
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

pub(super) const fn meaning(class: ExitClass) -> &'static str {
    match class {
        ExitClass::Normal => "it ended as intended (Normal)",
        ExitClass::Shutdown => "it was told to end (Shutdown)",
        ExitClass::Retry { .. } => "it is likely to pass (Retry)",
        ExitClass::RetrySlow { .. } => "it is unlikely to pass soon (RetrySlow)",
        ExitClass::Fatal => "the same attempt would fail again (Fatal)",
        ExitClass::Crash => "a fault in this process (Crash)",
    }
}
