use std::time::Duration;

use hdrhistogram::Histogram;

/// How long things took, in microseconds with three significant digits.
#[derive(Clone, Debug)]
pub(crate) struct Times(Histogram<u64>);

/// Longer ones count as this.
const LONGEST: u64 = 24 * 60 * 60 * 1_000_000;

impl Default for Times {
    fn default() -> Self {
        // It takes at most five digits, and grows with what it is told.
        match Histogram::new(3) {
            Ok(histogram) => Self(histogram),
            Err(error) => unreachable!("{error}"),
        }
    }
}

impl Times {
    pub(crate) fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST);
        // It grows, so that nothing is too long for it.
        let _never = self.0.record(micros.clamp(1, LONGEST));
    }

    pub(crate) fn add(&mut self, more: &Self) {
        // Both have the same bounds.
        let _never = self.0.add(&more.0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that so many percent did not exceed; zero where there are none.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.0.value_at_percentile(percent))
    }

    pub(crate) fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e6)
    }

    pub(crate) fn min(&self) -> Duration {
        Duration::from_micros(self.0.min())
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }

    /// What would have been seen by who asks at this interval, whatever became of the question
    /// before: for each time that is longer, those who asked meanwhile are added (Gil Tene's
    /// correction of coordinated omission).
    pub(crate) fn as_if_asked_every(&self, interval: Duration) -> Self {
        let interval = u64::try_from(interval.as_micros()).unwrap_or(LONGEST).max(1);
        Self(self.0.clone_correct(interval))
    }

    /// How many took between two times, the first excluded.
    pub(crate) fn between(&self, above: Duration, to: Duration) -> u64 {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(LONGEST);
        let (above, to) = (micros(above) + 1, micros(to));
        if above > to { 0 } else { self.0.count_between(above, to) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn times(all: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::default();
        all.into_iter().for_each(|time| times.record(millis(time)));
        times
    }

    fn is_about(measured: Duration, expected: Duration) -> bool {
        measured.abs_diff(expected) <= expected / 500
    }

    #[test]
    fn knows_percentiles_of_what_was_merged() {
        let mut low = times(1..=50);
        low.add(&times(51..=100));
        assert_eq!(low.count(), 100);
        for percent in [1_u32, 50, 90, 99, 100] {
            let measured = low.percentile(f64::from(percent));
            assert!(is_about(measured, millis(u64::from(percent))), "{measured:?}");
        }
        assert!(is_about(low.mean(), Duration::from_micros(50_500)), "{:?}", low.mean());
        assert_eq!(Times::default().percentile(99.0), Duration::ZERO);
    }

    #[test]
    fn a_stall_is_seen_by_all_who_would_have_asked() {
        // 99 answers within 1 ms, and one that took a second: a user a millisecond would have
        // waited for it 999 times more.
        let seen = times(std::iter::repeat_n(1, 99).chain([1_000]));
        let true_to_life = seen.as_if_asked_every(millis(1));
        assert!(seen.percentile(99.0) < millis(2));
        assert!(true_to_life.percentile(50.0) > millis(400), "{:?}", true_to_life.percentile(50.0));
    }

    #[test]
    fn counts_between_two_times() {
        let all = times([1, 2, 2, 3, 50]);
        assert_eq!(all.between(millis(0), millis(1)), 1);
        assert_eq!(all.between(millis(1), millis(3)), 3);
        assert_eq!(all.between(millis(3), millis(3)), 0);
    }

    #[test]
    fn what_takes_days_counts_as_one() {
        let mut times = Times::default();
        times.record(Duration::from_hours(1_000));
        assert!(times.max() > Duration::from_hours(23));
    }
}
