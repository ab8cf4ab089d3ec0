mod commands;
mod ending;
mod forbidding;
mod orders;
mod outlook;
#[cfg(fuzzing)]
mod script;
mod state;
mod step;
mod succession;
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
use super::{EndpointRotation, Epoch, Ledger, LifecycleEvent, Restraint, StableAfter};
use crate::{policy::PolicyDenied, protocol::Subprotocol};

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
    /// Absent while nothing fails. Boxed because that is most of the time.
    failures: Option<Box<Failures>>,
    /// Restarts that count against the supervisor's intensity, where each connection has a count.
    restarts: Option<Box<Ledger>>,
    supervised: Option<Supervised>,
    endpoints: EndpointRotation,
    /// Boxed because it is rare.
    succession: Option<Box<succession::Succession>>,
    /// Its supervisor is ending: no attempt follows any more.
    wanes: bool,
}

/// Attempts in a row that failed or did not become stable.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// When the first of them ended.
    since: Instant,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Connecting,
    Connected { stability: Stability },
    Closing { was_connected: bool, then: Then },
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
    /// The policy forbids it. Boxed because it is large and rare.
    GiveUp(Box<PolicyDenied>),
}

type Actions = Vec<Action>;

impl Machine {
    pub(crate) fn new(supervised: Option<Supervised>) -> Self {
        Self {
            phase: Phase::Idle,
            epoch: Epoch::NONE,
            failures: None,
            restarts: None,
            supervised,
            endpoints: EndpointRotation::over(1),
            succession: None,
            wanes: false,
        }
    }

    /// There are so many endpoints; the first comes first.
    pub(crate) fn rotate_over(&mut self, endpoints: usize) {
        self.endpoints = EndpointRotation::over(endpoints);
    }

    fn supervision(&self) -> Option<&Supervision> {
        self.supervised.as_ref().map(|supervised| &*supervised.supervision)
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

    /// Decides what `input` leads to. A refused command changes nothing.
    pub(crate) fn step(
        &mut self,
        input: Input,
        now: Instant,
        wall: SystemTime,
        rng: &mut dyn Rng,
    ) -> Result<Actions, Busy> {
        self.settle(now);
        let mut actions = match input {
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
            Input::Rotate { ready_within } => self.rotate(ready_within),
            Input::Opened { epoch, subprotocol } if epoch == self.epoch => {
                self.opened(subprotocol, now)
            }
            Input::Opened { epoch, subprotocol } if self.is_beside(epoch) => {
                self.successor_opened(subprotocol, now)
            }
            Input::SuccessorReady(epoch) if self.is_beside(epoch) => self.hand_over(now),
            Input::Exited { epoch, reason } if epoch == self.epoch => {
                self.exited(reason, now, wall, rng)
            }
            Input::Exited { epoch, reason } if self.is_beside(epoch) => {
                self.exited_beside(reason, now, wall, rng)
            }
            // A session of an older epoch has nothing to say any more.
            Input::Opened { .. } | Input::SuccessorReady(_) | Input::Exited { .. } => vec![],
            Input::Tick => self.tick(now),
            Input::Hold(due) => self.hold(due),
            Input::Release { everything } => self.release(everything, now),
            Input::Forbid(denied) => self.forbid(denied),
            Input::ForbidBeside(denied) => self.forbid_beside(denied, now, wall, rng),
            Input::Wane => self.wane(),
        };
        self.leave_none_beside(&mut actions);
        Ok(actions)
    }

    const fn emit(&self, event: LifecycleEvent) -> Action {
        Action::Emit(self.epoch, event)
    }

    fn dial(&mut self, urgency: Urgency) -> Action {
        self.epoch = self.next_epoch();
        self.phase = Phase::Connecting;
        Action::Dial(self.epoch, urgency)
    }

    /// A session that has been up for long enough is stable. Nothing else follows from that, so it wants no
    /// timer: it is found as the machine is asked.
    pub(crate) fn settle(&mut self, now: Instant) {
        if let Phase::Connected { stability } = &mut self.phase
            && let Stability::Pending(Some(due)) = *stability
            && due <= now
        {
            *stability = Stability::Stable;
            self.start_anew();
        }
    }

    /// What failed before counts no more.
    fn start_anew(&mut self) {
        self.failures = None;
    }

    fn opened(&mut self, subprotocol: Option<Subprotocol>, now: Instant) -> Actions {
        if !matches!(self.phase, Phase::Connecting) {
            // Cancelled at the same moment: `Exited` follows.
            return vec![];
        }
        self.connected(subprotocol, now)
    }

    fn connected(&mut self, subprotocol: Option<Subprotocol>, now: Instant) -> Actions {
        let stable_at = match self.supervision().map(|terms| terms.stable_after) {
            Some(StableAfter::Uptime(uptime)) => now.checked_add(uptime),
            Some(StableAfter::Ready) | None => None,
        };
        self.phase = Phase::Connected { stability: Stability::Pending(stable_at) };
        self.endpoints.works();
        vec![self.emit(LifecycleEvent::Connected { subprotocol })]
    }

    fn tick(&mut self, now: Instant) -> Actions {
        if self.due().is_none_or(|due| now < due) {
            return vec![];
        }
        match self.phase {
            Phase::BackingOff { .. } => vec![self.dial(Urgency::Patient)],
            Phase::Connected { .. } => self.tick_beside(now),
            _ => vec![],
        }
    }
}

#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;
