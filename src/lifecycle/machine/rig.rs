//! What the tests of the machine share.

use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{
    lifecycle::{ExitReason, Intensity, RestartPolicy},
    policy::AccessPolicy,
    protocol::CloseFrame,
};

pub(super) const WALL: SystemTime = SystemTime::UNIX_EPOCH;

/// A machine with its clock and its luck.
pub(super) struct Rig {
    pub(super) machine: Machine,
    pub(super) now: Instant,
    pub(super) rng: ChaCha8Rng,
}

impl Rig {
    pub(super) fn alone() -> Self {
        Self::with(None)
    }

    pub(super) fn supervised(restart: RestartPolicy) -> Self {
        Self::with(Some(Supervision { restart, ..Supervision::default() }))
    }

    pub(super) fn with(supervision: Option<Supervision>) -> Self {
        Self::restrained(supervision, Intensity::default())
    }

    pub(super) fn restrained(supervision: Option<Supervision>, intensity: Intensity) -> Self {
        Self {
            machine: Machine::new(supervision.map(|supervision| Supervised {
                supervision: Arc::new(supervision),
                restraint: Arc::new(Restraint::new(intensity, None)),
            })),
            now: Instant::now(),
            rng: ChaCha8Rng::seed_from_u64(1),
        }
    }

    pub(super) fn try_step(&mut self, input: Input) -> Result<Vec<String>, Busy> {
        let actions = self.machine.step(input, self.now, WALL, &mut self.rng)?;
        Ok(actions.iter().map(name).collect())
    }

    pub(super) fn step(&mut self, input: Input) -> Vec<String> {
        self.try_step(input).expect("the command is accepted")
    }

    pub(super) fn opened(&mut self) -> Vec<String> {
        let epoch = self.machine.epoch();
        self.step(Input::Opened { epoch, subprotocol: None })
    }

    pub(super) fn exited(&mut self, reason: ExitReason) -> Vec<String> {
        let epoch = self.machine.epoch();
        self.step(Input::Exited { epoch, reason })
    }

    pub(super) fn disconnect(&mut self) -> Vec<String> {
        self.step(Input::Disconnect(CloseFrame::normal()))
    }

    pub(super) fn pass(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        self.step(Input::Tick)
    }

    pub(super) fn wait_until_due(&mut self) -> Vec<String> {
        let due = self.machine.due().expect("a timer is armed");
        self.pass(due.saturating_duration_since(self.now))
    }
}

pub(super) fn name(action: &Action) -> String {
    match action {
        Action::Dial(epoch, _) => format!("Dial {epoch}"),
        Action::DialBeside(epoch) => format!("DialBeside {epoch}"),
        Action::HandOver { old } => format!("HandOver from {old}"),
        Action::TakeOver => "TakeOver".into(),
        Action::EndBeside(_) => "EndBeside".into(),
        Action::DropBeside(_) => "DropBeside".into(),
        Action::Abort => "Abort".into(),
        Action::Close(frame) => format!("Close {}", frame.code().get()),
        Action::Discard(_) => "Discard".into(),
        Action::Emit(_, LifecycleEvent::BackoffScheduled { attempt, .. }) => {
            format!("Backoff {attempt}")
        }
        Action::Emit(_, LifecycleEvent::Disconnected { code, was_clean, .. }) => {
            let how = if *was_clean { "clean" } else { "unclean" };
            format!("Disconnected {} {how}", code.get())
        }
        Action::Escalate(_) => "Escalate".into(),
        Action::Cascade(_) => "Cascade".into(),
        Action::SignificantEnd => "SignificantEnd".into(),
        Action::Emit(_, event) => {
            let text = format!("{event:?}");
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

pub(super) fn denied() -> PolicyDenied {
    AccessPolicy::deny_all().check("wss://a.example").unwrap_err().into()
}

pub(super) fn lost() -> ExitReason {
    ExitReason::Eof { mid_message: false }
}

pub(super) fn closed(code: u16) -> ExitReason {
    ExitReason::ClosedByPeer(Some(CloseFrame::bare(code.into())))
}

pub(super) fn closed_by_us() -> ExitReason {
    ExitReason::ClosedByUs(Some(CloseFrame::normal()))
}
