//! What happened, counted. Each worker counts on its own, and hands over what it has when it is
//! asked, so that nothing is shared while messages flow.

mod counts;
mod timeline;
mod times;
pub(crate) mod usage;

use std::collections::BTreeMap;

pub(crate) use self::{
    counts::{Counts, Errors},
    timeline::{Step, Timeline},
    times::Times,
    usage::Usage,
};
use crate::plan::Phase;

/// All that happened since it was last handed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By the phase in which messages were due.
    pub(crate) phases: BTreeMap<Phase, Counts>,
    pub(crate) connections: Connections,
    /// Messages of servers that answered nothing.
    pub(crate) unasked: u64,
    /// How much later than asked for the worker's thread woke, looked at ten times a second or more.
    pub(crate) loop_lag: Times,
    /// What went wrong, in words, and how often.
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// What happened to connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    /// Opened for the first time.
    pub(crate) opened: u64,
    /// From the wish to open it to the end of the opening handshake, of the first time.
    pub(crate) open_times: Times,
    pub(crate) failed_attempts: u64,
    /// They will not be opened again.
    pub(crate) given_up: u64,
    /// Sessions that ended without being told to.
    pub(crate) disconnects: u64,
    /// Opened again after that.
    pub(crate) reopened: u64,
    /// Without a session, each time.
    pub(crate) downtimes: Times,
    /// Closed and opened again in the churn phase.
    pub(crate) churned: u64,
    /// From the wish to open it again to the end of the opening handshake.
    pub(crate) churn_times: Times,
}

/// Different reasons that are told apart.
const MOST_REASONS: usize = 20;

impl Tally {
    pub(crate) fn phase(&mut self, phase: Phase) -> &mut Counts {
        self.phases.entry(phase).or_default()
    }

    pub(crate) fn reason(&mut self, reason: String) {
        self.reasons(reason, 1);
    }

    fn reasons(&mut self, reason: String, times: u64) {
        let is_full = self.reasons.len() >= MOST_REASONS && !self.reasons.contains_key(&reason);
        let reason = if is_full { "other reasons".to_owned() } else { reason };
        *self.reasons.entry(reason).or_default() += times;
    }

    pub(crate) fn add(&mut self, more: &Self) {
        for (phase, counts) in &more.phases {
            self.phase(*phase).add(counts);
        }
        self.connections.add(&more.connections);
        self.unasked += more.unasked;
        self.loop_lag.add(&more.loop_lag);
        for (reason, times) in &more.reasons {
            self.reasons(reason.clone(), *times);
        }
    }
}

impl Connections {
    fn add(&mut self, more: &Self) {
        self.opened += more.opened;
        self.open_times.add(&more.open_times);
        self.failed_attempts += more.failed_attempts;
        self.given_up += more.given_up;
        self.disconnects += more.disconnects;
        self.reopened += more.reopened;
        self.downtimes.add(&more.downtimes);
        self.churned += more.churned;
        self.churn_times.add(&more.churn_times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_reasons_are_told_apart_and_all_are_counted() {
        let (mut all, mut worker) = (Tally::default(), Tally::default());
        for number in 0..100 {
            worker.reason(format!("reason {number}"));
            worker.reason("the same".to_owned());
        }
        all.add(&worker);
        assert!(all.reasons.len() <= MOST_REASONS + 1, "{}", all.reasons.len());
        assert_eq!(all.reasons.values().sum::<u64>(), 200);
    }
}
