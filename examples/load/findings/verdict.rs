use std::{fmt, time::Duration};

use super::Findings;
use crate::{
    plan::{Bound, Clock, Metric, Statistic, Threshold},
    report::words::time,
    tally::Times,
};

/// Whether a threshold holds.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) threshold: Threshold,
    /// None where nothing was measured: then it does not hold.
    pub(crate) measured: Option<Measured>,
    pub(crate) holds: bool,
}

/// A figure, in the unit of what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Measured {
    Time(Duration),
    Share(f64),
    Count(f64),
}

impl Findings {
    /// Each threshold with what was measured.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        self.plan.thresholds.iter().map(|threshold| self.verdict(threshold)).collect()
    }

    fn verdict(&self, threshold: &Threshold) -> Verdict {
        let measured = self.measured(threshold.metric, threshold.bound);
        let holds = measured.is_some_and(|measured| {
            threshold.comparison.holds(measured.number(), number(threshold.bound))
        });
        Verdict { threshold: threshold.clone(), measured, holds }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
    fn measured(&self, metric: Metric, bound: Bound) -> Option<Measured> {
        let counts = self.messages();
        let of = |part: u64, all: u64| match bound {
            Bound::Share(_) if all == 0 => None,
            Bound::Share(_) => Some(Measured::Share(part as f64 / all as f64)),
            _ => Some(Measured::Count(part as f64)),
        };
        match metric {
            Metric::Time(clock, statistic) => {
                let times = match clock {
                    Clock::Response => self.response().times,
                    Clock::Service => counts.service,
                    Clock::Connect => self.tally.connections.open_times.clone(),
                };
                (!times.is_empty()).then(|| Measured::Time(statistic.of(&times)))
            }
            Metric::Errors => of(counts.errors.total(), counts.due),
            Metric::Late => of(counts.late, counts.sent),
            Metric::Rate => Some(Measured::Count(self.rate())),
            Metric::Connected => of(self.connected as u64, self.connections as u64),
            Metric::Disconnects => of(self.tally.connections.disconnects, self.connections as u64),
        }
    }
}

impl Statistic {
    fn of(self, times: &Times) -> Duration {
        match self {
            Self::Percentile(percent) => times.percentile(percent),
            Self::Mean => times.mean(),
            Self::Max => times.max(),
        }
    }
}

impl Measured {
    fn number(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Share(number) | Self::Count(number) => number,
        }
    }
}

fn number(bound: Bound) -> f64 {
    match bound {
        Bound::Time(time) => time.as_secs_f64(),
        Bound::Share(number) | Bound::Count(number) => number,
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(measured) => f.write_str(&time(*measured)),
            Self::Share(share) => write!(f, "{:.3}%", share * 100.0),
            Self::Count(count) if count.fract() == 0.0 => write!(f, "{count}"),
            Self::Count(count) => write!(f, "{count:.1}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.holds { "holds" } else { "DOES NOT HOLD" };
        match self.measured {
            Some(measured) => write!(f, "{}: {word}, measured {measured}", self.threshold),
            None => write!(f, "{}: {word}, for nothing was measured", self.threshold),
        }
    }
}
