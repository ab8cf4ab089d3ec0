//! What follows in a rotation: of a successor beside the session that is up, and of the session
//! before it, which drains.

use std::time::{Duration, Instant, SystemTime};

use rand::Rng;

use super::{Action, Actions, Machine, Phase};
use crate::{
    lifecycle::{Backoff, Epoch, ExitClass, ExitReason, LifecycleEvent, RotateError},
    policy::PolicyDenied,
    protocol::Subprotocol,
};

/// What is beside the session that is up. Absent where there was no rotation in its time.
#[derive(Debug)]
pub(super) struct Succession {
    /// Of the latest attempt.
    latest: Epoch,
    stage: Stage,
    /// Successors in a row that failed.
    failures: u32,
    ready_within: Duration,
}

#[derive(Debug)]
enum Stage {
    /// Nothing is.
    Alone,
    /// The next successor is tried then.
    Waiting(Instant),
    /// Its attempt is under way.
    Dialling,
    /// It is to be ready at this time.
    Open { until: Instant, subprotocol: Option<Subprotocol>, is_marked: bool },
    /// It was told to end.
    Ending,
    /// The session of this epoch drains. Whether another rotation is due after it.
    Draining { old: Epoch, again: bool },
}

impl Succession {
    /// The epoch of what is beside, if anything is.
    const fn beside(&self) -> Option<Epoch> {
        match self.stage {
            Stage::Alone | Stage::Waiting(_) => None,
            Stage::Dialling | Stage::Open { .. } | Stage::Ending => Some(self.latest),
            Stage::Draining { old, .. } => Some(old),
        }
    }
}

impl Machine {
    /// The epoch of the next attempt.
    pub(super) fn next_epoch(&self) -> Epoch {
        self.succession.as_ref().map_or(self.epoch, |it| it.latest.max(self.epoch)).next()
    }

    /// Whether what is beside the session that is up has this epoch.
    pub(super) fn is_beside(&self, epoch: Epoch) -> bool {
        self.succession.as_ref().and_then(|it| it.beside()) == Some(epoch)
    }

    /// The epoch of the successor that is under way.
    pub(crate) fn successor(&self) -> Option<Epoch> {
        let succession = self.succession.as_ref()?;
        match succession.stage {
            Stage::Dialling | Stage::Open { .. } => Some(succession.latest),
            _ => None,
        }
    }

    /// Whether the successor is open, so that what is said of readiness is said of it.
    pub(super) fn open_successor(&mut self) -> Option<&mut bool> {
        match &mut self.succession.as_mut()?.stage {
            Stage::Open { is_marked, .. } => Some(is_marked),
            _ => None,
        }
    }

    /// When something is to be done about it.
    pub(super) fn succession_due(&self) -> Option<Instant> {
        match self.succession.as_ref()?.stage {
            Stage::Waiting(due) => Some(due),
            Stage::Open { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Whether a rotation may begin now.
    pub(crate) fn can_rotate(&self) -> Result<(), RotateError> {
        let stage = self.succession.as_ref().map(|it| &it.stage);
        match (&self.phase, stage) {
            _ if self.wanes => Err(RotateError::Waning),
            (Phase::Connected { .. }, None | Some(Stage::Alone | Stage::Waiting(_))) => Ok(()),
            (Phase::Connected { .. }, Some(_)) => Err(RotateError::InProgress),
            _ => Err(RotateError::NotConnected),
        }
    }

    /// A successor is wanted: now, or, where it has to be, once the session before has drained.
    pub(super) fn rotate(&mut self, ready_within: Duration) -> Actions {
        match self.can_rotate() {
            Ok(()) => {}
            Err(RotateError::InProgress) => {
                if let Some(Stage::Draining { again, .. }) =
                    self.succession.as_mut().map(|it| &mut it.stage)
                {
                    *again = true;
                }
                return vec![];
            }
            Err(_) => return vec![],
        }
        let (stage, latest) = (Stage::Alone, self.epoch);
        let fresh = Succession { latest, stage, failures: 0, ready_within };
        self.succession.get_or_insert_with(|| Box::new(fresh)).ready_within = ready_within;
        self.dial_successor()
    }

    fn dial_successor(&mut self) -> Actions {
        let epoch = self.next_epoch();
        let Some(succession) = &mut self.succession else { return vec![] };
        succession.latest = epoch;
        succession.stage = Stage::Dialling;
        vec![Action::DialBeside(epoch)]
    }

    pub(super) fn successor_opened(
        &mut self,
        subprotocol: Option<Subprotocol>,
        now: Instant,
    ) -> Actions {
        if let Some(succession) = &mut self.succession
            && let Stage::Dialling = succession.stage
        {
            let until = now.checked_add(succession.ready_within).unwrap_or(now);
            succession.stage = Stage::Open { until, subprotocol, is_marked: false };
        }
        vec![]
    }

    /// The successor is ready, and takes over.
    pub(super) fn hand_over(&mut self, now: Instant) -> Actions {
        let Some(succession) = &mut self.succession else { return vec![] };
        let stage = std::mem::replace(&mut succession.stage, Stage::Alone);
        let Stage::Open { subprotocol, is_marked, .. } = stage else {
            succession.stage = stage;
            return vec![];
        };
        let old = std::mem::replace(&mut self.epoch, succession.latest);
        succession.stage = Stage::Draining { old, again: false };
        succession.failures = 0;
        let reason = ExitReason::Rotated;
        let (code, was_clean) = (reason.close_code(), reason.was_clean());
        let class = ExitClass::Shutdown;
        let mut actions = vec![
            Action::Emit(old, LifecycleEvent::Disconnected { code, was_clean, reason, class }),
            Action::HandOver { old },
        ];
        actions.extend(self.connected(subprotocol, now));
        if is_marked {
            self.mark_ready();
        }
        actions
    }

    /// What is beside has ended.
    pub(super) fn exited_beside(
        &mut self,
        reason: ExitReason,
        now: Instant,
        wall: SystemTime,
        rng: &mut dyn Rng,
    ) -> Actions {
        let Some(succession) = &mut self.succession else { return vec![] };
        match succession.stage {
            Stage::Draining { again, .. } => {
                succession.stage = if again { Stage::Waiting(now) } else { Stage::Alone };
                vec![]
            }
            _ => self.rotation_failed(reason, now, wall, rng),
        }
    }

    /// The session that is up goes on, and another successor is tried later.
    fn rotation_failed(
        &mut self,
        reason: ExitReason,
        now: Instant,
        wall: SystemTime,
        rng: &mut dyn Rng,
    ) -> Actions {
        let Some(succession) = &mut self.succession else { return vec![] };
        succession.failures = succession.failures.saturating_add(1);
        let failures = succession.failures;
        let class = self.classify(&reason, wall);
        let elsewhere = self.endpoints.ended(&reason);
        let usual = Backoff::default();
        let backoff = self.supervision().map_or(&usual, |terms| &terms.backoff);
        let retry_in = match class {
            ExitClass::Fatal => backoff.slow_delay(None, rng),
            _ => delay(backoff, class, &reason, elsewhere, failures, rng),
        };
        if let Some(succession) = &mut self.succession {
            succession.stage = match now.checked_add(retry_in) {
                Some(due) => Stage::Waiting(due),
                None => Stage::Alone,
            };
        }
        vec![self.emit(LifecycleEvent::RotationFailed { reason, class, retry_in })]
    }

    /// The policy forbids what is beside, and not the session that is up.
    pub(super) fn forbid_beside(
        &mut self,
        denied: PolicyDenied,
        now: Instant,
        wall: SystemTime,
        rng: &mut dyn Rng,
    ) -> Actions {
        let Some(succession) = &self.succession else { return vec![] };
        match succession.stage {
            Stage::Alone | Stage::Waiting(_) => vec![],
            _ => {
                let reason = ExitReason::PolicyDenied(denied);
                let mut actions = vec![Action::DropBeside(reason.clone())];
                actions.extend(self.exited_beside(reason, now, wall, rng));
                actions
            }
        }
    }

    pub(super) fn tick_beside(&mut self, now: Instant) -> Actions {
        let Some(succession) = &mut self.succession else { return vec![] };
        match succession.stage {
            Stage::Waiting(due) if due <= now => self.dial_successor(),
            Stage::Open { until, .. } if until <= now => {
                let within = succession.ready_within;
                succession.stage = Stage::Ending;
                vec![Action::EndBeside(ExitReason::NotReady { within })]
            }
            _ => vec![],
        }
    }

    /// No successor is wanted any more.
    pub(super) fn give_up_rotating(&mut self, actions: &mut Actions) {
        if let Some(succession) = &mut self.succession
            && !matches!(succession.stage, Stage::Draining { .. })
        {
            let stage = std::mem::replace(&mut succession.stage, Stage::Alone);
            if let Stage::Dialling | Stage::Open { .. } | Stage::Ending = stage {
                actions.insert(0, Action::DropBeside(ExitReason::Cancelled));
            }
        }
    }

    /// The session that is up has ended, and another follows: the successor that is under way, if there
    /// is one.
    pub(super) fn take_over(&mut self, now: Instant, actions: &mut Actions) -> bool {
        let is_under_way = self.successor().is_some();
        let Some(succession) = self.succession.take_if(|_| is_under_way) else { return false };
        actions.push(self.emit(LifecycleEvent::Restarted));
        self.epoch = succession.latest;
        self.phase = Phase::Connecting;
        actions.push(Action::TakeOver);
        if let Stage::Open { subprotocol, is_marked, .. } = succession.stage {
            actions.extend(self.connected(subprotocol, now));
            if is_marked {
                self.mark_ready();
            }
        }
        true
    }

    /// Nothing stays beside for longer than a session is up: a successor until that is told to end, and one
    /// that drains until it has.
    pub(super) fn leave_none_beside(&mut self, actions: &mut Actions) {
        let Some(succession) = &mut self.succession else { return };
        let stays = match self.phase {
            Phase::Connected { .. } => true,
            Phase::Closing { .. } => {
                self.give_up_rotating(actions);
                return;
            }
            _ => false,
        };
        if !stays {
            let reason = match std::mem::replace(&mut succession.stage, Stage::Alone) {
                Stage::Alone | Stage::Waiting(_) => None,
                Stage::Draining { .. } => Some(ExitReason::CloseUnanswered),
                _ => Some(ExitReason::Cancelled),
            };
            if let Some(reason) = reason {
                actions.insert(0, Action::DropBeside(reason));
            }
        }
        if let Stage::Alone = succession.stage
            && succession.latest <= self.epoch
        {
            self.succession = None;
        }
    }

    /// Whatever was beside is lost with the actor that had it.
    pub(crate) fn lose_beside(&mut self) {
        if let Some(succession) = &mut self.succession {
            succession.stage = Stage::Alone;
        }
    }
}

/// How long the next attempt waits after an end of this class.
pub(super) fn delay(
    backoff: &Backoff,
    class: ExitClass,
    reason: &ExitReason,
    elsewhere: bool,
    attempt: u32,
    rng: &mut dyn Rng,
) -> Duration {
    match class {
        ExitClass::Retry { .. } | ExitClass::RetrySlow { .. } if elsewhere => {
            backoff.delay(attempt, None, rng)
        }
        // The provider is asked for other credentials, and the server for nothing that it refused
        // before.
        ExitClass::Retry { floor: None } if reason.calls_for_credentials() => Duration::ZERO,
        ExitClass::RetrySlow { floor } => backoff.slow_delay(floor, rng),
        ExitClass::Retry { floor } => backoff.delay(attempt, floor, rng),
        _ => backoff.delay(attempt, None, rng),
    }
}
