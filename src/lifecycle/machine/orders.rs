//! What follows from the orders of a supervisor.

use std::time::Instant;

use super::{Action, Actions, Machine, Phase, Then, Urgency};
use crate::{
    lifecycle::RestartPolicy,
    protocol::{CloseCode, CloseFrame},
};

impl Machine {
    /// The supervisor is ending. A session that is up is closed when its turn comes.
    pub(super) fn wane(&mut self) -> Actions {
        self.wanes = true;
        match self.phase {
            Phase::Connected { .. } => {
                let mut actions = vec![];
                self.give_up_rotating(&mut actions);
                actions
            }
            _ => self.disconnect(CloseFrame::bare(CloseCode::GOING_AWAY)),
        }
    }

    /// A temporary connection is not started again with its group: it ends.
    pub(super) fn hold(&mut self, due: Instant) -> Actions {
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
                self.phase = Phase::Closing { was_connected: false, then };
                vec![Action::Abort]
            }
            Phase::Connected { .. } => {
                self.phase = Phase::Closing { was_connected: true, then: Then::Hold(due) };
                vec![Action::Close(CloseFrame::normal())]
            }
        }
    }

    /// As OTP does, this also starts what was told to stop before. What gave up stays as it is.
    pub(super) fn release(&mut self, everything: bool, now: Instant) -> Actions {
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
            Phase::Closing { was_connected, then: Then::Hold(_) } => {
                self.phase = Phase::Closing { was_connected, then: Then::Redial };
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
}
