//! What follows from a user's commands.

use super::{Action, Actions, Busy, Machine, Phase, Stability, Then, Urgency};
use crate::{
    lifecycle::{LifecycleEvent, StableAfter},
    protocol::CloseFrame,
};

impl Machine {
    pub(super) fn reconnect(&mut self) -> Result<Actions, Busy> {
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
            Phase::Connected { .. } if self.supervised.is_some() => {
                self.phase = Phase::Closing { was_connected: true, then: Then::Redial };
                Ok(vec![Action::Close(CloseFrame::normal())])
            }
            Phase::Connecting | Phase::Connected { .. } | Phase::Closing { .. } => {
                Err(Busy::InProgress)
            }
        }
    }

    pub(super) fn disconnect(&mut self, frame: CloseFrame) -> Actions {
        match &mut self.phase {
            Phase::Idle
            | Phase::Disconnected
            | Phase::Failed
            // It ends as the policy has it.
            | Phase::Closing { then: Then::GiveUp(_), .. } => vec![],
            Phase::Connecting => {
                self.phase = Phase::Closing { was_connected: false, then: Then::Stop };
                vec![Action::Abort]
            }
            Phase::Connected { .. } => {
                self.phase = Phase::Closing { was_connected: true, then: Then::Stop };
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

    pub(super) fn mark_ready(&mut self) {
        let waits_for_it =
            self.supervision().is_some_and(|terms| terms.stable_after == StableAfter::Ready);
        if let Some(is_marked) = self.open_successor() {
            *is_marked = true;
        } else if let Phase::Connected { stability } = &mut self.phase
            && waits_for_it
        {
            *stability = Stability::Stable;
            self.start_anew();
        }
    }
}
