//! What follows from an end: class, restart type, intensity, retry budget, backoff, in this order.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rand::Rng;

use super::{
    Action, Actions, Failures, Machine, Phase, Stability, Supervised, Then, Urgency,
    succession::delay,
};
use crate::lifecycle::{ExitClass, ExitReason, Floor, LifecycleEvent, OnExceeded};

impl Machine {
    pub(super) fn exited(
        &mut self,
        reason: ExitReason,
        now: Instant,
        wall: SystemTime,
        rng: &mut dyn Rng,
    ) -> Actions {
        let (was_connected, stable, then) = match &self.phase {
            Phase::Connecting => (false, false, None),
            Phase::Connected { stability } => (true, *stability == Stability::Stable, None),
            // What follows is decided, and asks for no more.
            Phase::Closing { was_connected, then } => (*was_connected, false, Some(then.clone())),
            // This epoch's end was already told.
            Phase::Idle | Phase::BackingOff { .. } | Phase::Disconnected | Phase::Failed => {
                return vec![];
            }
        };
        let (code, was_clean) = (reason.close_code(), reason.was_clean());
        let (reason, class) = match &then {
            // Whatever the socket's end was, this is why.
            Some(Then::GiveUp(denied)) => {
                (ExitReason::PolicyDenied((**denied).clone()), ExitClass::Fatal)
            }
            Some(_) => (reason, ExitClass::Shutdown),
            None => {
                let class = self.classify(&reason, wall);
                (reason, class)
            }
        };
        let ended = self.emit(if was_connected {
            LifecycleEvent::Disconnected { code, was_clean, reason: reason.clone(), class }
        } else {
            LifecycleEvent::ConnectionError { reason: reason.clone(), class }
        });
        let mut actions = vec![ended];
        match then {
            Some(Then::Redial) => {
                actions.push(self.emit(LifecycleEvent::Restarted));
                actions.push(self.dial(Urgency::Now));
            }
            Some(Then::Stop) => self.stop(&mut actions),
            Some(Then::GiveUp(_)) if self.supervised.is_some() => {
                self.give_up(reason, &mut actions);
            }
            Some(Then::GiveUp(_)) => self.phase = Phase::Failed,
            Some(Then::Hold(due)) => {
                self.phase = Phase::BackingOff { due, held: true };
                let (attempt, delay) = (self.attempt(), due.saturating_duration_since(now));
                actions.push(self.emit(LifecycleEvent::BackoffScheduled { attempt, delay }));
            }
            None => self.after_exit(reason, class, stable, now, rng, &mut actions),
        }
        actions
    }

    /// The class by the default table, or by the user's exceptions to it.
    pub(super) fn classify(&self, reason: &ExitReason, wall: SystemTime) -> ExitClass {
        let standard = ExitClass::of(reason, wall);
        match self.supervision().and_then(|terms| terms.classify.as_ref()) {
            Some(classify) => {
                classify.ask(reason, standard).or_floor(Floor::asked_for(reason, wall))
            }
            None => standard,
        }
    }

    pub(super) fn give_up(&mut self, reason: ExitReason, actions: &mut Actions) {
        self.phase = Phase::Failed;
        actions.push(self.emit(LifecycleEvent::GaveUp { reason }));
        self.tell_significance(actions);
    }

    fn tell_significance(&self, actions: &mut Actions) {
        if self.supervision().is_some_and(|terms| terms.significant) {
            actions.push(Action::SignificantEnd);
        }
    }

    fn stop(&mut self, actions: &mut Actions) {
        self.phase = Phase::Disconnected;
        if self.supervised.is_some() {
            actions.push(self.emit(LifecycleEvent::Stopped));
        }
    }

    /// What has failed in a row, this end included, unless that came after a stable session.
    fn count_failure(&mut self, stable: bool, now: Instant) -> Option<Failures> {
        if stable {
            self.start_anew();
            return None;
        }
        let new = || Box::new(Failures { count: 0, since: now });
        let failures = self.failures.get_or_insert_with(new);
        failures.count = failures.count.saturating_add(1);
        Some(**failures)
    }

    fn after_exit(
        &mut self,
        reason: ExitReason,
        class: ExitClass,
        stable: bool,
        now: Instant,
        rng: &mut dyn Rng,
        actions: &mut Actions,
    ) {
        let Some(Supervised { supervision, restraint }) = self.supervised.clone() else {
            self.phase =
                if class == ExitClass::Fatal { Phase::Failed } else { Phase::Disconnected };
            return;
        };
        if self.wanes {
            return self.stop(actions);
        }
        if !supervision.restart.restarts_after(&class) {
            if class == ExitClass::Fatal {
                self.give_up(reason, actions);
            } else {
                self.stop(actions);
                self.tell_significance(actions);
            }
            return;
        }
        let failures = self.count_failure(stable, now);
        let attempt = failures.map_or(0, |failures| failures.count);
        let elsewhere = self.endpoints.ended(&reason);
        let mut delay = if let ExitReason::SupervisorPanicked = reason {
            // What it supervises runs on meanwhile.
            Duration::ZERO
        } else {
            delay(&supervision.backoff, class, &reason, elsewhere, attempt, rng)
        };
        // Nobody has asked for a pause.
        let mut may_be_now = !class.has_floor();
        if let Some(on_exceeded) = restraint.record(&mut self.restarts, class, now) {
            let intensity = *restraint.intensity();
            let too_many = |last| ExitReason::TooManyRestarts {
                max_restarts: intensity.max_restarts(),
                period: intensity.period(),
                last: Arc::new(last),
            };
            match on_exceeded {
                OnExceeded::Delay(least) => {
                    delay = delay.max(least);
                    may_be_now = false;
                }
                OnExceeded::Quarantine => return self.give_up(too_many(reason), actions),
                OnExceeded::ShutdownSupervisor => {
                    let reason = too_many(reason);
                    self.give_up(reason.clone(), actions);
                    return actions.push(Action::Escalate(reason));
                }
            }
        }
        if let Some(Failures { count: attempts, since }) = failures
            && supervision.budget.is_spent(attempts, since, now + delay)
        {
            let last = Arc::new(reason);
            return self.give_up(ExitReason::RetriesExhausted { attempts, last }, actions);
        }
        let due = now + delay;
        // The group's other connections are to end before this one is started again.
        let held = restraint.fails_group(class);
        if may_be_now && !held && self.take_over(now, actions) {
            return;
        }
        self.phase = Phase::BackingOff { due, held };
        actions.push(self.emit(LifecycleEvent::BackoffScheduled { attempt, delay }));
        if held {
            actions.push(Action::Cascade(due));
        }
    }
}
