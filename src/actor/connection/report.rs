//! What a connection tells of itself to its supervisor, and to whoever waits for its rest.

use std::{rc::Rc, time::Duration};

use actix::ActorContext as _;
use tokio::sync::oneshot;

use super::{Connection, ConnectionContext};
use crate::{
    lifecycle::{ExitClass, ExitReason},
    protocol::CloseCode,
    transport::Route,
};

impl Connection {
    pub(super) fn report(&mut self, ctx: &mut ConnectionContext) {
        if self.is_at_rest() {
            self.outbox.end();
        }
        if self.bond.report(&self.id, &self.machine) {
            ctx.stop();
        }
    }

    /// Comes when the connection is at rest, or held.
    pub(in crate::actor) fn rest(&mut self) -> oneshot::Receiver<()> {
        self.bond.rest(&self.machine)
    }

    /// What a server asks of one connection holds for all to its host.
    pub(super) fn slow_down_others(
        &self,
        route: Option<&Rc<Route>>,
        reason: &ExitReason,
        class: ExitClass,
    ) {
        let Some(superior) = &self.bond.superior else { return };
        let Some(route) = route else { return };
        let Some(endpoint) = route.endpoint() else { return };
        let asked_for = match class {
            ExitClass::Retry { floor: Some(floor) }
            | ExitClass::RetrySlow { floor: Some(floor) } => floor.at_least,
            _ if reason.close_code() == CloseCode::TRY_AGAIN_LATER => TRY_AGAIN_LATER,
            _ => return,
        };
        superior.above.gate.hold(&endpoint.url().origin().into(), asked_for);
    }
}

/// How long a host is left alone that closed with 1013 and did not say for how long.
const TRY_AGAIN_LATER: Duration = Duration::from_secs(5);
