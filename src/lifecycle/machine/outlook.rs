//! What a connection may still do before it gives up, and which rule decided: for people who ask.

use std::time::{Duration, Instant, SystemTime};

use super::Machine;
use crate::lifecycle::{ClassRule, ExitClass, ExitReason, Intensity};

impl Machine {
    /// Attempts in a row that the retry budget leaves.
    pub(crate) fn attempts_left(&self) -> Option<u32> {
        let max = self.supervision()?.budget.max_attempts()?;
        Some(max.saturating_sub(self.attempt))
    }

    /// Time that the retry budget leaves for the failures in a row that there are.
    pub(crate) fn time_left(&self, now: Instant) -> Option<Duration> {
        let max = self.supervision()?.budget.max_elapsed()?;
        let taken = self.failing_since.map_or(Duration::ZERO, |since| now.duration_since(since));
        Some(max.saturating_sub(taken))
    }

    /// Restarts that the intensity leaves in its window, and the intensity.
    pub(crate) fn restarts_left(&self, now: Instant) -> Option<(u32, Intensity)> {
        let restraint = &self.supervised.as_ref()?.restraint;
        Some((restraint.left(self.restarts.as_deref(), now), *restraint.intensity()))
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
