//! What a run has found, and what to think of it. Pure: it is all there when the run is over.

mod judgement;
mod little;
mod verdict;

use std::{sync::Arc, time::Duration};

pub(crate) use self::{judgement::Warning, little::Little};
use crate::{
    plan::{Pace, Phase, Plan},
    tally::{Counts, Tally, Timeline, Times},
};

/// All that is known of a run.
pub(crate) struct Findings {
    pub(crate) plan: Arc<Plan>,
    /// Connections that were asked for, and those that were there after the connect phase.
    pub(crate) connections: usize,
    pub(crate) connected: usize,
    /// How long the connect phase took.
    pub(crate) connecting: Duration,
    /// When messages began to flow, since the run began.
    pub(crate) load_began: Duration,
    /// How long the message phase took.
    pub(crate) message_took: Duration,
    /// Messages without an answer while it lasted: the average, and how often it was looked at.
    pub(crate) in_flight: (f64, u64),
    pub(crate) tally: Tally,
    pub(crate) timeline: Timeline,
    pub(crate) generator: Generator,
    /// It was ended before its time.
    pub(crate) interrupted: bool,
}

/// What the generator itself used in the message phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generator {
    pub(crate) took: Duration,
    /// Processor time of the process; none where the system does not tell.
    pub(crate) cpu: Option<Duration>,
    /// Its largest resident size so far, in bytes.
    pub(crate) resident: Option<u64>,
    /// Each worker's thread.
    pub(crate) threads: Vec<Thread>,
    pub(crate) processors: usize,
}

/// Shares of the message phase, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Thread {
    /// On a processor.
    pub(crate) busy: f64,
    /// Ready, and waiting for a processor.
    pub(crate) waited: f64,
}

impl Findings {
    /// What became of the messages of the message phase.
    pub(crate) fn messages(&self) -> Counts {
        self.tally.phases.get(&Phase::Message).cloned().unwrap_or_default()
    }

    pub(crate) fn churn(&self) -> Option<&Counts> {
        self.tally.phases.get(&Phase::Churn)
    }

    /// Answers a second in the message phase.
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
    pub(crate) fn rate(&self) -> f64 {
        let seconds = self.message_took.as_secs_f64();
        if seconds > 0.0 { self.messages().answered_in_time as f64 / seconds } else { 0.0 }
    }

    /// The response time: from when a message was due. A closed loop asks nothing while it waits, so
    /// that nothing is due then; what users would have seen who come whatever happens is estimated
    /// by adding those who would have come meanwhile, one each usual cycle.
    pub(crate) fn response(&self) -> Response {
        let counts = self.messages();
        match self.plan.pace {
            Pace::Rate(_) => Response { times: counts.response, estimated: false },
            Pace::Answers { think, .. } => {
                let cycle = counts.service.percentile(50.0) + think;
                Response { times: counts.response.as_if_asked_every(cycle), estimated: true }
            }
        }
    }

    pub(crate) fn little(&self) -> Option<Little> {
        Little::of(&self.messages(), self.message_took, self.in_flight)
    }
}

/// Response times, and whether they are measured or estimated.
pub(crate) struct Response {
    pub(crate) times: Times,
    pub(crate) estimated: bool,
}
