use std::time::{Duration, Instant};

/// How much a connection may try before it gives up. Default: no end.
///
/// It starts anew with a session that becomes stable, and with a command that connects.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::{ConnectionSpec, RetryBudget};
///
/// let spec = ConnectionSpec::json("ticker", "wss://stream.example.com/v1")
///     .retry_budget(RetryBudget::attempts(20).elapsed(Duration::from_secs(3600)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryBudget {
    attempts: Option<u32>,
    elapsed: Option<Duration>,
}

impl RetryBudget {
    /// So many attempts in a row, the first included, may fail or not become stable.
    #[must_use]
    pub const fn attempts(attempts: u32) -> Self {
        Self { attempts: Some(attempts), elapsed: None }
    }

    /// No attempt begins later than this after the first failure in a row.
    #[must_use]
    pub const fn elapsed(self, elapsed: Duration) -> Self {
        Self { elapsed: Some(elapsed), ..self }
    }

    /// Attempts that may fail in a row, where there is a limit.
    #[must_use]
    pub const fn max_attempts(&self) -> Option<u32> {
        self.attempts
    }

    /// Time that failures in a row may take, where there is a limit.
    #[must_use]
    pub const fn max_elapsed(&self) -> Option<Duration> {
        self.elapsed
    }

    /// Whether an attempt that would begin at `due` is too much, after `failures` in a row of which
    /// the first was at `since`.
    pub(crate) fn is_spent(&self, failures: u32, since: Instant, due: Instant) -> bool {
        self.attempts.is_some_and(|attempts| failures >= attempts)
            || self.elapsed.is_some_and(|elapsed| due.saturating_duration_since(since) > elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_spent_by_attempts_or_by_time() {
        let since = Instant::now();
        let after = |seconds| since + Duration::from_secs(seconds);
        let endless = RetryBudget::default();
        assert!(!endless.is_spent(u32::MAX, since, after(u64::from(u32::MAX))));
        let three = RetryBudget::attempts(3);
        assert!(!three.is_spent(2, since, after(1)) && three.is_spent(3, since, after(1)));
        let minute = RetryBudget::default().elapsed(Duration::from_mins(1));
        assert!(!minute.is_spent(99, since, after(60)) && minute.is_spent(1, since, after(61)));
        let limits = |budget: RetryBudget| (budget.max_attempts(), budget.max_elapsed());
        assert_eq!(limits(endless), (None, None));
        assert_eq!(
            limits(three.elapsed(Duration::from_mins(1))),
            (Some(3), Some(Duration::from_mins(1)))
        );
    }
}
