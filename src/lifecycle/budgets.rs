use std::{fmt, time::Duration};

use super::Intensity;

/// What is left of the limits after which a connection or a supervisor is not started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budgets {
    /// Attempts in a row that failed or did not become stable.
    pub failed: u32,
    /// Attempts in a row that the [`RetryBudget`](crate::RetryBudget) leaves; none where it has no limit.
    pub attempts_left: Option<u32>,
    /// Time that the retry budget leaves for the failures in a row that there are; none where it has no
    /// limit.
    pub time_left: Option<Duration>,
    /// Restarts that the [`Intensity`] of the supervisor above leaves within its period, and the
    /// intensity; none where there is no supervisor above.
    pub restarts_left: Option<(u32, Intensity)>,
}

/// Lines of an explanation, each after a line break.
impl fmt::Display for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failed > 0 {
            write!(f, "\n  attempts in a row that failed: {}", self.failed)?;
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_where_there_is_a_limit() {
        let none = Budgets { failed: 0, attempts_left: None, time_left: None, restarts_left: None };
        let limited =
            Budgets { attempts_left: Some(3), time_left: Some(Duration::from_secs(90)), ..none };
        let intensity = Intensity::new(7, Duration::from_mins(1));
        for (budgets, text) in [
            (none, ""),
            // Without a failure in a row there is no count to tell.
            (limited, ""),
            (Budgets { failed: 2, ..none }, "\n  attempts in a row that failed: 2"),
            (
                Budgets { failed: 2, ..limited },
                "\n  attempts in a row that failed: 2, 3 left, 90s left",
            ),
            (
                Budgets { restarts_left: Some((5, intensity)), ..none },
                "\n  crashes within 60s: 5 of 7 left",
            ),
            (
                Budgets { restarts_left: Some((5, intensity.all_restarts())), ..limited },
                "\n  restarts within 60s: 5 of 7 left",
            ),
        ] {
            assert_eq!(budgets.to_string(), text);
        }
    }
}
