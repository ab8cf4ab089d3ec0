//! Where the machine stands, for those who carry out what it says.

use std::time::Instant;

use super::{Busy, Machine, Phase, Stability, Then};
use crate::lifecycle::{Epoch, ExitClass, Outlook, RestartPolicy, State};

impl Machine {
    /// Which of them an attempt dials.
    pub(crate) const fn endpoint(&self) -> usize {
        self.endpoints.current()
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

    pub(crate) fn attempt(&self) -> u32 {
        self.failures.as_ref().map_or(0, |failures| failures.count)
    }

    /// Whether the session that is up counts as stable, as of when the machine was asked to
    /// [`settle`](Self::settle) last.
    pub(crate) const fn is_stable(&self) -> bool {
        matches!(self.phase, Phase::Connected { stability: Stability::Stable })
    }

    /// How it comes back; nothing where it is not supervised.
    pub(crate) fn restart_policy(&self) -> Option<RestartPolicy> {
        self.supervision().map(|supervision| supervision.restart)
    }

    /// Whether an end of this class is one of its group.
    pub(crate) fn fails_group(&self, class: ExitClass) -> bool {
        self.supervised.as_ref().is_some_and(|terms| terms.restraint.fails_group(class))
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
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::BackingOff { due, held: false } => Some(due),
            Phase::Connected { .. } => self.succession_due(),
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
    pub(crate) fn outlook(&self) -> Outlook {
        match self.phase {
            Phase::Connected { .. } => Outlook::Open(self.epoch, self.successor()),
            Phase::Connecting => Outlook::Later(Some(self.epoch)),
            Phase::BackingOff { .. }
            | Phase::Closing { then: Then::Redial | Then::Hold(_), .. } => Outlook::Later(None),
            Phase::Closing { then: Then::Stop | Then::GiveUp(_), .. }
            | Phase::Idle
            | Phase::Disconnected
            | Phase::Failed => Outlook::Nothing,
        }
    }
}
