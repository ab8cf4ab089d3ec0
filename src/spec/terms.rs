//! Terms of supervision that cannot be. As OTP does, combinations that can mean nothing are refused.

use crate::{
    error::InvalidSpec,
    lifecycle::{Backoff, Intensity, OnExceeded, RestartPolicy, StableAfter, Supervision},
    supervision::AutoShutdown,
};

impl Supervision {
    pub(crate) fn check(&self) -> Result<(), InvalidSpec> {
        if self.budget.max_attempts() == Some(0) {
            Err(InvalidSpec::ZeroLimit("retry_budget.attempts"))
        } else if self.budget.max_elapsed().is_some_and(|elapsed| elapsed.is_zero()) {
            Err(InvalidSpec::ZeroLimit("retry_budget.elapsed"))
        } else if let StableAfter::Uptime(uptime) = self.stable_after
            && uptime.is_zero()
        {
            Err(InvalidSpec::AlwaysStable)
        } else {
            Ok(())
        }
    }

    pub(crate) fn check_significance(&self, auto: AutoShutdown) -> Result<(), InvalidSpec> {
        match (self.significant, self.restart, auto) {
            (true, RestartPolicy::Permanent, _) => Err(InvalidSpec::Significant(
                "a permanent child does not end by itself; make it transient or temporary",
            )),
            (true, _, AutoShutdown::Never) => Err(InvalidSpec::Significant(
                "its supervisor never ends by itself; give that an auto_shutdown",
            )),
            _ => Ok(()),
        }
    }
}

impl Intensity {
    pub(crate) fn check(&self) -> Result<(), InvalidSpec> {
        if self.period().is_zero() {
            return Err(InvalidSpec::ZeroLimit("intensity.period"));
        }
        match self.consequence() {
            OnExceeded::Delay(delay) if delay.is_zero() => {
                Err(InvalidSpec::ZeroLimit("intensity.on_exceeded.delay"))
            }
            _ => Ok(()),
        }
    }

    /// Two limits that are both sensible may cancel each other.
    pub(crate) fn check_with(&self, backoff: &Backoff) -> Result<(), InvalidSpec> {
        self.check()?;
        if backoff.is_none() && !self.counts_all_restarts() {
            return Err(InvalidSpec::HotLoop);
        }
        if self.is_reachable_with(backoff) {
            Ok(())
        } else {
            Err(InvalidSpec::UnreachableIntensity {
                max_restarts: self.max_restarts(),
                period: self.period(),
            })
        }
    }
}
