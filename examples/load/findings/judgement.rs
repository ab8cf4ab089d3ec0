use std::{fmt, time::Duration};

use super::{Findings, Little};
use crate::{
    plan::Pace,
    report::words::{count, percent, time},
};

/// What to know before the figures are believed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Warning {
    /// Messages were sent after they were due.
    Late { share: f64, p99: Duration },
    /// A worker's thread had hardly time left.
    Busy { share: f64 },
    /// Other threads had the processors that the generator needed.
    Crowded { share: f64, processors: usize },
    /// The generator's threads woke late.
    Lag { p99: Duration },
    /// In a closed loop, the generator let its places wait.
    Slack { share: f64 },
    /// The tool contradicts itself.
    Little(Little),
    /// Messages of which nothing is known.
    Unaccounted(i64),
    /// Not all connections were there when messages began to flow.
    Unconnected { connected: usize, of: usize },
    /// There are too few messages for what is said of the slowest.
    Few { answered: u64 },
    /// It was ended before its time.
    Interrupted,
}

/// More messages than this share being late, the generator was the limit.
const LATE: f64 = 0.01;
const BUSY: f64 = 0.9;
const CROWDED: f64 = 0.2;
const LAG: Duration = Duration::from_millis(10);
const SLACK: f64 = 0.1;
/// The slowest of a hundred are at least ten then.
const FEW: u64 = 1_000;

impl Findings {
    /// The figures are those of the generator, or of nobody.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let counts = self.messages();
        let mut warnings = Vec::new();
        let late = if counts.sent == 0 { 0.0 } else { counts.share(counts.late) };
        if late > LATE {
            warnings.push(Warning::Late { share: late, p99: counts.lateness.percentile(99.0) });
        }
        let threads = &self.generator.threads;
        let most = |of: fn(&super::Thread) -> f64| threads.iter().map(of).fold(0.0, f64::max);
        let (busy, waited) = (most(|it| it.busy), most(|it| it.waited));
        if busy > BUSY {
            warnings.push(Warning::Busy { share: busy });
        }
        if waited > CROWDED {
            let processors = self.generator.processors;
            warnings.push(Warning::Crowded { share: waited, processors });
        }
        let lag = self.tally.loop_lag.percentile(99.0);
        if lag > LAG {
            warnings.push(Warning::Lag { p99: lag });
        }
        let little = self.little();
        if let Some(slack) = little.and_then(|little| self.slack(little)).filter(|it| *it > SLACK) {
            warnings.push(Warning::Slack { share: slack });
        }
        if let Some(little) = little.filter(|little| !little.holds()) {
            warnings.push(Warning::Little(little));
        }
        if counts.unaccounted() != 0 {
            warnings.push(Warning::Unaccounted(counts.unaccounted()));
        }
        if self.connected < self.connections {
            let (connected, of) = (self.connected, self.connections);
            warnings.push(Warning::Unconnected { connected, of });
        }
        if counts.answered < FEW {
            warnings.push(Warning::Few { answered: counts.answered });
        }
        if self.interrupted {
            warnings.push(Warning::Interrupted);
        }
        warnings
    }

    /// The share of the closed loop's places that waited for the generator.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 connections")]
    fn slack(&self, little: Little) -> Option<f64> {
        match self.plan.pace {
            Pace::Answers { in_flight, think }
                if think.is_zero() && self.messages().errors.total() == 0 =>
            {
                let places = (self.connected * in_flight) as f64;
                Some(1.0 - little.expected / places)
            }
            _ => None,
        }
    }
}

impl Warning {
    /// Whether the generator, and not the server, was the limit.
    pub(crate) const fn blames_the_generator(&self) -> bool {
        matches!(
            self,
            Self::Late { .. }
                | Self::Busy { .. }
                | Self::Crowded { .. }
                | Self::Lag { .. }
                | Self::Slack { .. }
        )
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { share, p99 } => write!(
                f,
                "{} of the messages were sent more than 1 ms after they were due (p99 {}); this is \
                 part of the response times. Use more --workers, another machine, or a lower --rate",
                percent(*share),
                time(*p99)
            ),
            Self::Busy { share } => write!(
                f,
                "a worker's thread was busy for {} of the time: it may have been the limit. Use more \
                 --workers, or another machine",
                percent(*share)
            ),
            Self::Crowded { share, processors } => write!(
                f,
                "a worker's thread waited for {} of the time for one of the {processors} processors: \
                 server and generator, or others, were in each other's way. Put them on machines of \
                 their own",
                percent(*share)
            ),
            Self::Lag { p99 } => write!(
                f,
                "the generator's threads woke up to {} late (p99): times are too long by up to that. \
                 Use more --workers, or another machine",
                time(*p99)
            ),
            Self::Slack { share } => write!(
                f,
                "for {} of the time a message could have been sent and was not: the generator was \
                 the limit. Use more --workers, or another machine",
                percent(*share)
            ),
            Self::Little(Little { seen, expected }) => write!(
                f,
                "Little's law does not hold: {seen:.1} messages were in flight, and rate times \
                 service time is {expected:.1}. The run was uneven, or too short; do not trust it"
            ),
            Self::Unaccounted(messages) => write!(
                f,
                "of {messages} messages nothing is known: a fault of this tool, please report it"
            ),
            Self::Unconnected { connected, of } => write!(
                f,
                "{} of {} connections were there when messages began to flow; see what went wrong",
                count(*connected as u64),
                count(*of as u64)
            ),
            Self::Few { answered } => write!(
                f,
                "{} answers are few: what is said of the slowest in a hundred rests on hardly \
                 any. Measure for longer (--duration)",
                count(*answered)
            ),
            Self::Interrupted => f.write_str("the run was ended before its time"),
        }
    }
}
