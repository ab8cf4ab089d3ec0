//! The access policy of a connection, which may change while it lives.

use super::{Connection, ConnectionContext};
use crate::{
    error::ConnectError,
    lifecycle::{Input, State},
    policy::{AccessPolicy, PolicyDenied},
};

impl Connection {
    /// From now on this policy holds, and the answer is whether it lets the connection be.
    pub(in crate::actor) fn enforce(
        &mut self,
        policy: AccessPolicy,
        ctx: &mut ConnectionContext,
    ) -> Result<(), PolicyDenied> {
        self.policy = policy;
        let Some(route) = &self.route else { return Ok(()) };
        route.standing.set_policy(self.policy.clone());
        let judged = self.judge();
        if let Err(denied) = &judged {
            // The machine refuses no Forbid.
            let _ = self.step(Input::Forbid(denied.clone()), ctx);
        }
        if let Some(beside) = &self.beside {
            let standing = &beside.route.standing;
            standing.set_policy(self.policy.clone());
            if let Some(Err(denied)) = standing.judge() {
                let _ = self.step(Input::ForbidBeside(denied), ctx);
            }
        }
        judged
    }

    /// Whether the policy allows the connection: what it is connected to or dials, else what it would
    /// dial.
    fn judge(&self) -> Result<(), PolicyDenied> {
        let Some(route) = &self.route else { return Ok(()) };
        let is_up =
            matches!(self.machine.state(), State::Connecting | State::Connected | State::Closing);
        let standing = if is_up { route.standing.judge() } else { None };
        standing.unwrap_or_else(|| route.asked.endpoints.judge(&self.policy))
    }

    /// Whether the policy allows another attempt, where none is up.
    pub(super) fn judge_reconnect(&self) -> Result<(), ConnectError> {
        if self.is_at_rest() { self.judge().map_err(ConnectError::from) } else { Ok(()) }
    }
}
