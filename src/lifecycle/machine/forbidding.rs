//! What follows when the access policy changes and forbids a connection.

use super::{Action, Actions, Machine, Phase, Then};
use crate::{
    lifecycle::ExitReason,
    policy::PolicyDenied,
    protocol::{CloseCode, CloseFrame},
};

impl Machine {
    /// What runs ends, and what waits for its next attempt waits no more. What rests goes on resting:
    /// its next `Connect` or `Reconnect` is judged.
    pub(super) fn forbid(&mut self, denied: PolicyDenied) -> Actions {
        match &mut self.phase {
            Phase::Idle | Phase::Disconnected | Phase::Failed => vec![],
            Phase::Closing { then, .. } => {
                let discard = Action::Discard(ExitReason::PolicyDenied(denied.clone()));
                // What was told to stop stops.
                if *then != Then::Stop {
                    *then = Then::GiveUp(Box::new(denied));
                }
                vec![discard]
            }
            Phase::Connecting => {
                let then = Then::GiveUp(Box::new(denied));
                self.phase = Phase::Closing { was_connected: false, then };
                vec![Action::Abort]
            }
            Phase::Connected { .. } => {
                let discard = Action::Discard(ExitReason::PolicyDenied(denied.clone()));
                let then = Then::GiveUp(Box::new(denied));
                self.phase = Phase::Closing { was_connected: true, then };
                vec![discard, Action::Close(CloseFrame::bare(CloseCode::POLICY))]
            }
            Phase::BackingOff { .. } => {
                let mut actions = vec![];
                self.give_up(ExitReason::PolicyDenied(denied), &mut actions);
                actions
            }
        }
    }
}
