//! What a connection tells of itself to its supervisor, and to whoever waits for its rest.

use std::time::Duration;

use actix::{ActorContext as _, Context};
use tokio::sync::oneshot;

use super::Connection;
use crate::{
    actor::superior::Report,
    lifecycle::{ExitClass, ExitReason},
    protocol::CloseCode,
};

impl Connection {
    pub(super) fn report(&mut self, ctx: &mut Context<Self>) {
        let now = (self.machine.state(), self.machine.epoch());
        if now == self.reported {
            return;
        }
        self.reported = now;
        if let Some(superior) = &self.superior {
            let (state, epoch) = now;
            let report = Report {
                id: self.id.clone(),
                serial: superior.serial,
                state,
                epoch,
                alarm: self.alarm.take(),
            };
            if let Some(supervisor) = superior.reports.upgrade() {
                supervisor.do_send(report);
            }
        }
        if self.machine.is_settled() {
            for waiting in self.waiting_for_rest.drain(..) {
                let _ = waiting.send(());
            }
        }
        if self.is_at_rest() && self.stops_at_rest {
            ctx.stop();
        }
    }

    /// Comes when the connection is at rest, or held.
    pub(in crate::actor) fn rest(&mut self) -> oneshot::Receiver<()> {
        let (told, wait) = oneshot::channel();
        if self.machine.is_settled() {
            let _ = told.send(());
        } else {
            self.waiting_for_rest.push(told);
        }
        wait
    }

    /// What a server asks of one connection holds for all to its host.
    pub(super) fn slow_down_others(&self, reason: &ExitReason, class: ExitClass) {
        let (Some(route), Some(superior)) = (&self.route, &self.superior) else { return };
        let Some(endpoint) = route.endpoint() else { return };
        let asked_for = match class {
            ExitClass::Retry { floor: Some(floor) }
            | ExitClass::RetrySlow { floor: Some(floor) } => floor.at_least,
            _ if reason.close_code() == CloseCode::TRY_AGAIN_LATER => TRY_AGAIN_LATER,
            _ => return,
        };
        superior.gate.hold(&endpoint.url().origin().into(), asked_for);
    }
}

/// How long a host is left alone that closed with 1013 and did not say for how long.
const TRY_AGAIN_LATER: Duration = Duration::from_secs(5);
