use std::time::Duration;

use crate::tally::Counts;

/// Little's law: what is in a system is what comes a second, times how long each stays. Both sides
/// are measured apart, so that a tool that counts or times wrongly contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Little {
    /// Messages without an answer, on average, as looked at from time to time.
    pub(crate) seen: f64,
    /// Answers a second, times the mean service time.
    pub(crate) expected: f64,
}

/// The two may differ by this share of the larger, or by this many messages.
const TOLERATED_SHARE: f64 = 0.15;
const TOLERATED: f64 = 1.0;
/// Fewer looks prove nothing.
const FEWEST_LOOKS: u64 = 20;

impl Little {
    #[expect(clippy::cast_precision_loss, reason = "it is compared with a tolerance")]
    pub(super) fn of(
        counts: &Counts,
        took: Duration,
        (in_flight, looks): (f64, u64),
    ) -> Option<Self> {
        if looks < FEWEST_LOOKS || took.is_zero() || counts.service.is_empty() {
            return None;
        }
        let rate = counts.answered as f64 / took.as_secs_f64();
        let expected = rate * counts.service.mean().as_secs_f64();
        Some(Self { seen: in_flight, expected })
    }

    pub(crate) fn holds(self) -> bool {
        let difference = (self.seen - self.expected).abs();
        difference <= TOLERATED.max(self.seen.max(self.expected) * TOLERATED_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Times;

    /// A thousand answers in ten seconds.
    fn counts(service: Duration) -> Counts {
        let mut times = Times::default();
        (0..1_000).for_each(|_| times.record(service));
        Counts { answered: 1_000, service: times, ..Counts::default() }
    }

    #[test]
    fn holds_where_time_and_number_agree() {
        let took = Duration::from_secs(10);
        for (millis, in_flight, holds) in [
            (50, 5.0, true),
            (50, 6.0, true),
            (500, 50.0, true),
            (500, 80.0, false),
            (50, 50.0, false),
        ] {
            let counts = counts(Duration::from_millis(millis));
            let little = Little::of(&counts, took, (in_flight, 500)).unwrap();
            assert_eq!(little.holds(), holds, "{millis} ms, {in_flight}: {little:?}");
        }
        assert_eq!(Little::of(&Counts::default(), took, (0.0, 500)), None, "no answer");
        let counts = counts(Duration::from_millis(500));
        assert_eq!(Little::of(&counts, took, (50.0, 1)), None, "hardly a look");
    }
}
