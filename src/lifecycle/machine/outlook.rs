//! What a connection may still do before it gives up, and which rule decided: for people who ask.

use std::time::{Duration, Instant, SystemTime};

use super::Machine;
use crate::lifecycle::{Budgets, ClassRule, ExitClass, ExitReason, Restraint, RetryBudget};

impl Machine {
    pub(crate) fn budgets(&self, now: Instant) -> Budgets {
        let budget = self.supervision().map(|terms| &terms.budget);
        let taken =
            self.failures.as_ref().map_or(Duration::ZERO, |it| now.duration_since(it.since));
        let attempts = budget.and_then(RetryBudget::max_attempts);
        let elapsed = budget.and_then(RetryBudget::max_elapsed);
        let left = |restraint: &Restraint| restraint.left(self.restarts.as_deref(), now);
        Budgets {
            failed: self.attempt(),
            attempts_left: attempts.map(|most| most.saturating_sub(self.attempt())),
            time_left: elapsed.map(|most| most.saturating_sub(taken)),
            restarts_left: self
                .supervised
                .as_ref()
                .map(|terms| (left(&terms.restraint), *terms.restraint.intensity())),
        }
    }

    /// Which rule decides about this end, by the terms that hold now.
    pub(crate) fn rule_of(&self, reason: &ExitReason, class: ExitClass) -> ClassRule {
        if class == ExitClass::Shutdown {
            return ClassRule::Command;
        }
        let Some(classify) = self.supervision().and_then(|terms| terms.classify.as_ref()) else {
            return ClassRule::row(reason);
        };
        match classify.rule(reason) {
            Some(rule) => ClassRule::Exception(rule),
            None if std::mem::discriminant(&ExitClass::of(reason, SystemTime::UNIX_EPOCH))
                == std::mem::discriminant(&class) =>
            {
                ClassRule::row(reason)
            }
            None => ClassRule::Classify,
        }
    }
}
