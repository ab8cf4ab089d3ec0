use std::time::Duration;

/// What happened from moment to moment. Its steps are merged in pairs when there are many, so that
/// a long run is kept in as little room as a short one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    steps: Vec<Step>,
}

/// One stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// Since the run began.
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) errors: u64,
    /// At its end.
    pub(crate) connected: usize,
    pub(crate) in_flight: u64,
    /// Of the answers that came in it: the median, and what one in a hundred exceeded. Of merged
    /// steps, the longer one.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

const MOST_STEPS: usize = 600;

impl Timeline {
    pub(crate) fn push(&mut self, step: Step) {
        self.steps.push(step);
        if self.steps.len() >= MOST_STEPS {
            self.steps = self.steps.chunks(2).filter_map(merged).collect();
        }
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn merged(steps: &[Step]) -> Option<Step> {
    let (first, rest) = steps.split_first()?;
    Some(rest.iter().fold(*first, |merged, next| Step {
        from: merged.from,
        to: next.to,
        sent: merged.sent + next.sent,
        answered: merged.answered + next.answered,
        errors: merged.errors + next.errors,
        connected: next.connected,
        in_flight: next.in_flight,
        p50: merged.p50.max(next.p50),
        p99: merged.p99.max(next.p99),
    }))
}

impl Step {
    /// A second.
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
    pub(crate) fn rate(&self, count: u64) -> f64 {
        let length = self.to.saturating_sub(self.from).as_secs_f64();
        if length > 0.0 { count as f64 / length } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_its_sums_in_little_room() {
        let mut timeline = Timeline::default();
        let at = |tick: u64| Duration::from_millis(250 * tick);
        for tick in 0..10_000 {
            timeline.push(Step { from: at(tick), to: at(tick + 1), sent: 5, ..Step::default() });
        }
        let steps = timeline.steps();
        assert!(steps.len() < MOST_STEPS, "{}", steps.len());
        assert_eq!(steps.iter().map(|step| step.sent).sum::<u64>(), 50_000);
        assert_eq!(steps.last().unwrap().to, at(10_000));
        assert!(steps.windows(2).all(|pair| pair[0].to == pair[1].from), "there is no gap");
        assert!(steps.iter().all(|step| (step.rate(step.sent) - 20.0).abs() < 1e-9));
    }
}
