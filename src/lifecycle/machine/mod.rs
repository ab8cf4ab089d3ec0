mod ending;
mod forbidding;
mod outlook;
#[cfg(fuzzing)]
mod script;
mod step;
mod terms;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use rand::Rng;

#[cfg(fuzzing)]
pub use self::script::run_machine;
pub(crate) use self::{
    step::{Action, Busy, Input, Urgency},
    terms::{Supervised, Supervision},
};
use super::{
    Epoch, Ledger, LifecycleEvent, Outlook, RestartPolicy, Restraint, Rotation, StableAfter, State,
};
use crate::{
    policy::PolicyDenied,
    protocol::{CloseCode, CloseFrame, Subprotocol},
};

/// The state machine of one connection.
///
/// It holds all that decides what happens next and does nothing itself: [`Machine::step`] takes
/// one input and returns what to do, in order. The one timer it may want is a value too,
/// [`Machine::due`]; since that value is part of the state, a timer of an older epoch cannot fire
/// into a newer one.
#[derive(Debug)]
pub(crate) struct Machine {
    phase: Phase,
    epoch: Epoch,
    /// Attempts in a row that failed or did not become stable.
    attempt: u32,
    /// When the first of them ended.
    failing_since: Option<Instant>,
    /// Restarts that count against the supervisor's intensity, where each connection has a count.
    restarts: Option<Box<Ledger>>,
    supervised: Option<Supervised>,
    rotation: Rotation,
    /// Its supervisor is ending: no attempt follows any more.
    wanes: bool,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Connecting,
    Connected { stability: Stability },
    Closing { was_connected: bool, stable: bool, then: Then },
    BackingOff { due: Instant, held: bool },
    Disconnected,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stability {
    /// Becomes stable at this time, or by `MarkReady` where there is none.
    Pending(Option<Instant>),
    Stable,
}

/// What follows once the session that is being closed has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Then {
    Stop,
    Redial,
    /// Wait until the supervisor releases the group, which is to be at this time.
    Hold(Instant),
    /// The policy forbids it.
    GiveUp(PolicyDenied),
}

type Actions = Vec<Action>;

impl Machine {
    pub(crate) const fn new(supervised: Option<Supervised>) -> Self {
        Self {
            phase: Phase::Idle,
            epoch: Epoch::NONE,
            attempt: 0,
            failing_since: None,
            restarts: None,
            supervised,
            rotation: Rotation::over(1),
            wanes: false,
        }
    }

    /// There are so many endpoints; the first comes first.
    pub(crate) const fn rotate_over(&mut self, endpoints: usize) {
        self.rotation = Rotation::over(endpoints);
    }

    /// Which of them an attempt dials.
    pub(crate) const fn endpoint(&self) -> usize {
        self.rotation.current()
    }

    fn supervision(&self) -> Option<&Supervision> {
        self.supervised.as_ref().map(|supervised| &*supervised.supervision)
    }

    pub(crate) const fn state(&self) -> State {
        match self.phase {
            Phase::Idle => State::Idle,
            Phase::Connecting => State::Connecting,
            Phase::Connected { .. } => State::Connected,
            Phase::Closing { .. } => State::Closing,
            Phase::BackingOff { .. } => State::BackingOff,
            Phase::Disconnected => State::Disconnected,
            Phase::Failed => State::Failed,
        }
    }

    /// The epoch of the latest attempt.
    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What follows from the next end follows from these terms.
    pub(crate) fn update(&mut self, supervision: Arc<Supervision>) {
        if let Some(supervised) = &mut self.supervised {
            supervised.supervision = supervision;
        }
    }

    /// There is another supervisor, whose limits hold from now on.
    pub(crate) fn restrain(&mut self, restraint: Arc<Restraint>) {
        if let Some(supervised) = &mut self.supervised {
            supervised.restraint = restraint;
        }
        self.restarts = None;
    }

    /// Whether the session that is up counts as stable.
    pub(crate) const fn is_stable(&self) -> bool {
        matches!(self.phase, Phase::Connected { stability: Stability::Stable })
    }

    /// Whether its supervisor is ending.
    pub(crate) const fn wanes(&self) -> bool {
        self.wanes
    }

    /// Whether nothing happens until a command comes.
    pub(crate) const fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Disconnected | Phase::Failed)
    }

    /// Whether it waits for its supervisor, or has nothing to do.
    pub(crate) const fn is_settled(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Disconnected | Phase::Failed => true,
            Phase::BackingOff { held, .. } => held,
            _ => false,
        }
    }

    /// Whether it waits for its supervisor to start it again.
    pub(crate) const fn is_held(&self) -> bool {
        matches!(self.phase, Phase::BackingOff { held: true, .. })
    }

    /// When it is to be started again by its supervisor, for which it waits, or will once its session
    /// has ended.
    pub(crate) const fn held_until(&self) -> Option<Instant> {
        match self.phase {
            Phase::BackingOff { due, held: true }
            | Phase::Closing { then: Then::Hold(due), .. } => Some(due),
            _ => None,
        }
    }

    /// When the next attempt is to be.
    pub(crate) const fn next_attempt(&self) -> Option<Instant> {
        match self.phase {
            Phase::BackingOff { due, .. } => Some(due),
            _ => None,
        }
    }

    /// When [`Input::Tick`] is wanted next.
    pub(crate) const fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::BackingOff { due, held: false } => Some(due),
            Phase::Connected { stability: Stability::Pending(due) } => due,
            _ => None,
        }
    }

    /// Whether `Connect` would be accepted now.
    pub(crate) const fn can_connect(&self) -> Result<(), Busy> {
        match self.phase {
            Phase::Idle | Phase::Disconnected | Phase::Failed if self.wanes => Err(Busy::Waning),
            Phase::Idle | Phase::Disconnected | Phase::Failed => Ok(()),
            _ => Err(Busy::InProgress),
        }
    }

    /// What a message may hope for.
    pub(crate) const fn outlook(&self) -> Outlook {
        match self.phase {
            Phase::Connected { .. } => Outlook::Open(self.epoch),
            Phase::Connecting => Outlook::Later(Some(self.epoch)),
            Phase::BackingOff { .. }
            | Phase::Closing { then: Then::Redial | Then::Hold(_), .. } => Outlook::Later(None),
            Phase::Closing { then: Then::Stop | Then::GiveUp(_), .. }
            | Phase::Idle
            | Phase::Disconnected
            | Phase::Failed => Outlook::Nothing,
        }
    }

    /// Decides what `input` leads to. A refused command changes nothing.
    pub(crate) fn step(
        &mut self,
        input: Input,
        now: Instant,
        wall: SystemTime,
        rng: &mut dyn Rng,
    ) -> Result<Actions, Busy> {
        Ok(match input {
            Input::Connect => {
                self.can_connect()?;
                self.start_anew();
                vec![self.dial(Urgency::Patient)]
            }
            Input::Reconnect => self.reconnect()?,
            Input::Disconnect(frame) => self.disconnect(frame),
            Input::MarkReady => {
                self.mark_ready();
                vec![]
            }
            Input::Opened { epoch, subprotocol } if epoch == self.epoch => {
                self.opened(subprotocol, now)
            }
            Input::Exited { epoch, reason } if epoch == self.epoch => {
                self.exited(reason, now, wall, rng)
            }
            // A session of an older epoch has nothing to say any more.
            Input::Opened { .. } | Input::Exited { .. } => vec![],
            Input::Tick => self.tick(now),
            Input::Hold(due) => self.hold(due),
            Input::Release { everything } => self.release(everything, now),
            Input::Forbid(denied) => self.forbid(denied),
            Input::Wane => self.wane(),
        })
    }

    const fn emit(&self, event: LifecycleEvent) -> Action {
        Action::Emit(self.epoch, event)
    }

    fn dial(&mut self, urgency: Urgency) -> Action {
        self.epoch = self.epoch.next();
        self.phase = Phase::Connecting;
        Action::Dial(self.epoch, urgency)
    }

    fn reconnect(&mut self) -> Result<Actions, Busy> {
        match self.phase {
            _ if self.wanes => Err(Busy::Waning),
            Phase::Idle => Err(Busy::NeverConnected),
            Phase::Disconnected | Phase::Failed => {
                // From rest, attempts are counted anew, as after `Connect`.
                self.start_anew();
                Ok(vec![self.dial(Urgency::Now)])
            }
            Phase::BackingOff { .. } => {
                Ok(vec![self.emit(LifecycleEvent::Restarted), self.dial(Urgency::Now)])
            }
            Phase::Connected { stability } if self.supervised.is_some() => {
                let stable = stability == Stability::Stable;
                self.phase = Phase::Closing { was_connected: true, stable, then: Then::Redial };
                Ok(vec![Action::Close(CloseFrame::normal())])
            }
            Phase::Connecting | Phase::Connected { .. } | Phase::Closing { .. } => {
                Err(Busy::InProgress)
            }
        }
    }

    fn disconnect(&mut self, frame: CloseFrame) -> Actions {
        match &mut self.phase {
            Phase::Idle
            | Phase::Disconnected
            | Phase::Failed
            // It ends as the policy has it.
            | Phase::Closing { then: Then::GiveUp(_), .. } => vec![],
            Phase::Connecting => {
                self.phase =
                    Phase::Closing { was_connected: false, stable: false, then: Then::Stop };
                vec![Action::Abort]
            }
            Phase::Connected { stability } => {
                let stable = *stability == Stability::Stable;
                self.phase = Phase::Closing { was_connected: true, stable, then: Then::Stop };
                vec![Action::Close(frame)]
            }
            Phase::Closing { then, .. } => {
                *then = Then::Stop;
                vec![]
            }
            Phase::BackingOff { .. } => {
                self.phase = Phase::Disconnected;
                vec![self.emit(LifecycleEvent::Stopped)]
            }
        }
    }

    /// The supervisor is ending. A session that is up is closed when its turn comes.
    fn wane(&mut self) -> Actions {
        self.wanes = true;
        match self.phase {
            Phase::Connected { .. } => vec![],
            _ => self.disconnect(CloseFrame::bare(CloseCode::GOING_AWAY)),
        }
    }

    /// A temporary connection is not started again with its group: it ends.
    fn hold(&mut self, due: Instant) -> Actions {
        let is_temporary =
            self.supervision().is_none_or(|terms| terms.restart == RestartPolicy::Temporary);
        if is_temporary {
            return self.disconnect(CloseFrame::normal());
        }
        match &mut self.phase {
            Phase::Idle
            | Phase::Disconnected
            | Phase::Failed
            // It was told to stop, and stops.
            | Phase::Closing { then: Then::Stop | Then::GiveUp(_), .. } => vec![],
            Phase::BackingOff { held, .. } => {
                *held = true;
                vec![]
            }
            Phase::Closing { then, .. } => {
                *then = Then::Hold(due);
                vec![]
            }
            Phase::Connecting => {
                let then = Then::Hold(due);
                self.phase = Phase::Closing { was_connected: false, stable: false, then };
                vec![Action::Abort]
            }
            Phase::Connected { stability } => {
                let (stable, then) = (*stability == Stability::Stable, Then::Hold(due));
                self.phase = Phase::Closing { was_connected: true, stable, then };
                vec![Action::Close(CloseFrame::normal())]
            }
        }
    }

    /// As OTP does, this also starts what was told to stop before. What gave up stays as it is.
    fn release(&mut self, everything: bool, now: Instant) -> Actions {
        if everything {
            self.wanes = false;
        } else if self.wanes {
            return vec![];
        }
        match self.phase {
            // It was backing off by itself before it was held, and its server may have asked for it.
            Phase::BackingOff { due, held: true } if now < due => {
                self.phase = Phase::BackingOff { due, held: false };
                vec![]
            }
            Phase::BackingOff { held: true, .. } => vec![self.dial(Urgency::Patient)],
            // It starts again as soon as its session has ended.
            Phase::Closing { was_connected, stable, then: Then::Hold(_) } => {
                self.phase = Phase::Closing { was_connected, stable, then: Then::Redial };
                vec![]
            }
            Phase::Disconnected => {
                self.start_anew();
                vec![self.dial(Urgency::Patient)]
            }
            Phase::Failed if everything => {
                self.start_anew();
                vec![self.dial(Urgency::Patient)]
            }
            _ => vec![],
        }
    }

    fn mark_ready(&mut self) {
        let waits_for_it =
            self.supervision().is_some_and(|terms| terms.stable_after == StableAfter::Ready);
        if let Phase::Connected { stability } = &mut self.phase
            && waits_for_it
        {
            *stability = Stability::Stable;
            self.start_anew();
        }
    }

    /// What failed before counts no more.
    const fn start_anew(&mut self) {
        self.attempt = 0;
        self.failing_since = None;
    }

    fn opened(&mut self, subprotocol: Option<Subprotocol>, now: Instant) -> Actions {
        if !matches!(self.phase, Phase::Connecting) {
            // Cancelled at the same moment: `Exited` follows.
            return vec![];
        }
        let stable_at = match self.supervision().map(|terms| terms.stable_after) {
            Some(StableAfter::Uptime(uptime)) => now.checked_add(uptime),
            Some(StableAfter::Ready) | None => None,
        };
        self.phase = Phase::Connected { stability: Stability::Pending(stable_at) };
        self.rotation.works();
        vec![self.emit(LifecycleEvent::Connected { subprotocol })]
    }

    fn tick(&mut self, now: Instant) -> Actions {
        if self.due().is_none_or(|due| now < due) {
            return vec![];
        }
        match &mut self.phase {
            Phase::BackingOff { .. } => vec![self.dial(Urgency::Patient)],
            Phase::Connected { stability } => {
                *stability = Stability::Stable;
                self.start_anew();
                vec![]
            }
            _ => vec![],
        }
    }
}

#[cfg(test)]
mod tests;
