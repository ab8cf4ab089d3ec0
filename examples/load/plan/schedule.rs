use std::time::Duration;

use super::{Phase, Rate, Timetable};

/// When each message of an open loop is due, whatever became of those before it. Latency is
/// measured from these times, so that a server that makes users wait in line is seen to do so.
///
/// ```text
/// rate  to ┤        ╭────────
///          │      ╱ │
///     from ┤────╱   │            the n-th message is due when the area
///          │warm│msg│ churn      below the line has reached n
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    segments: Vec<Segment>,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    phase: Phase,
    start: f64,
    length: f64,
    from: f64,
    to: f64,
    /// Messages before it, in parts.
    before: f64,
}

/// A message's place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// After the first message could be due.
    pub(crate) after: Duration,
    pub(crate) phase: Phase,
}

impl Schedule {
    /// Warms up at the rate's beginning, goes evenly to its end, and stays there during churn.
    pub(crate) fn of(timetable: &Timetable, Rate { from, to }: Rate) -> Self {
        Self::new(timetable, |phase| match phase {
            Phase::WarmUp => (from, from),
            Phase::Message => (from, to),
            _ => (to, to),
        })
    }

    /// At this rate in this phase alone.
    pub(crate) fn only_in(only: Phase, timetable: &Timetable, rate: f64) -> Self {
        Self::new(timetable, |phase| if phase == only { (rate, rate) } else { (0.0, 0.0) })
    }

    fn new(timetable: &Timetable, rates: impl Fn(Phase) -> (f64, f64)) -> Self {
        let (mut start, mut before) = (0.0, 0.0);
        let segments = timetable.phases().map(|(phase, length)| {
            let (from, to) = rates(phase);
            let length = length.as_secs_f64();
            let segment = Segment { phase, start, length, from, to, before };
            start += length;
            before = segment.end();
            segment
        });
        Self { segments: segments.to_vec() }
    }

    /// When the message of this number is due, from 0; none when the schedule is over by then.
    #[expect(clippy::cast_precision_loss, reason = "2^52 messages take more than a century")]
    pub(crate) fn due(&self, number: u64) -> Option<Due> {
        let number = number as f64;
        let segment = self.segments.iter().find(|segment| number < segment.end())?;
        let after = segment.start + segment.time_of(number - segment.before);
        Some(Due { after: Duration::from_secs_f64(after), phase: segment.phase })
    }
}

impl Segment {
    /// Messages until its end.
    fn end(&self) -> f64 {
        self.before + f64::midpoint(self.from, self.to) * self.length
    }

    /// When its n-th message is due. With the slope `a`, `n = from·t + a·t²/2`; the root is written
    /// so that it holds for `a = 0`.
    fn time_of(&self, number: f64) -> f64 {
        if number <= 0.0 {
            return 0.0;
        }
        let slope = (self.to - self.from) / self.length;
        let root = (self.from * self.from + 2.0 * slope * number).max(0.0).sqrt();
        (2.0 * number / (self.from + root)).min(self.length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timetable(warm_up: u64, message: u64, churn: u64) -> Timetable {
        let [warm_up, message, churn] = [warm_up, message, churn].map(Duration::from_secs);
        Timetable { warm_up, message, churn }
    }

    fn all(schedule: &Schedule) -> Vec<Due> {
        (0..).map_while(|number| schedule.due(number)).collect()
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let schedule = Schedule::of(&timetable(0, 2, 0), "100".parse().unwrap());
        let due = all(&schedule);
        assert_eq!(due.len(), 200);
        for (number, due) in (0..).zip(&due) {
            let expected = Duration::from_millis(10 * number);
            assert!(due.after.abs_diff(expected) < Duration::from_micros(1), "{number}: {due:?}");
        }
    }

    #[test]
    fn a_ramp_grows_evenly() {
        let schedule = Schedule::of(&timetable(0, 10, 0), "0..100".parse().unwrap());
        let due = all(&schedule);
        assert_eq!(due.len(), 500);
        // The area below the line: 5 messages in the first second, 95 in the last.
        for second in 0..10 {
            let within = due.iter().filter(|due| due.after.as_secs() == second).count();
            let expected = 5 + 10 * usize::try_from(second).unwrap();
            assert!(within.abs_diff(expected) <= 1, "second {second}: {within} of {expected}");
        }
    }

    #[test]
    fn warm_up_and_churn_have_the_rates_at_the_ramps_ends() {
        let schedule = Schedule::of(&timetable(2, 10, 3), "10..30".parse().unwrap());
        let count = |phase| all(&schedule).iter().filter(|due| due.phase == phase).count();
        assert_eq!(count(Phase::WarmUp), 20);
        assert_eq!(count(Phase::Message), 200);
        assert_eq!(count(Phase::Churn), 90);
    }

    #[test]
    fn one_phase_alone() {
        let schedule = Schedule::only_in(Phase::Churn, &timetable(2, 10, 3), 5.0);
        let due = all(&schedule);
        assert_eq!(due.len(), 15);
        assert_eq!(due[0], Due { after: Duration::from_secs(12), phase: Phase::Churn });
    }

    proptest! {
        #[test]
        fn times_rise_and_agree_with_the_timetable(
            (warm_up, message, churn) in (0_u64..3, 1_u64..5, 0_u64..3),
            (from, to) in (0.0..300.0_f64, 0.1..300.0_f64),
        ) {
            let timetable = timetable(warm_up, message, churn);
            let mut last = Duration::ZERO;
            for due in all(&Schedule::of(&timetable, Rate { from, to })) {
                prop_assert!(last <= due.after, "{last:?} then {due:?}");
                let margin = Duration::from_micros(1);
                prop_assert!(timetable.start_of(due.phase) <= due.after + margin);
                let end = timetable.start_of(due.phase) + timetable.length_of(due.phase);
                prop_assert!(due.after <= end + margin);
                last = due.after;
            }
        }
    }
}
