//! An attempt: a task that dials, and what follows from its end.

use std::{rc::Rc, sync::Arc};

use super::{Connection, ConnectionContext, owned::Owned};
use crate::{
    lifecycle::{Epoch, ExitReason, Input, Side, State, Urgency},
    message::CheckedConnect,
    supervision::Heed,
    transport::{Memory, Occasion, Opened, Route, Standing, dial},
};

impl Connection {
    /// Sets what to dial when the actor starts.
    pub(in crate::actor) fn with_route(mut self, checked: CheckedConnect) -> Self {
        self.set_route(checked);
        self
    }

    /// From now on, attempts dial what was asked for.
    pub(in crate::actor) fn set_route(&mut self, asked: CheckedConnect) {
        self.machine.rotate_over(asked.endpoints.len());
        // What runs goes on.
        let standing = |route: &Rc<Route>| Rc::clone(&route.standing);
        if let Some(mut beside) = self.beside.take() {
            beside.route = self.route(asked.clone(), standing(&beside.route));
            self.beside = Some(beside);
        }
        let standing = self.route.as_ref().map(standing);
        let standing = standing.unwrap_or_else(|| Rc::new(Standing::under(self.policy.clone())));
        self.route = Some(self.route(asked, standing));
    }

    fn route(&self, asked: CheckedConnect, standing: Rc<Standing>) -> Rc<Route> {
        Rc::new(Route {
            id: self.id.clone(),
            asked,
            settings: Arc::clone(&self.settings),
            gate: self.bond.superior.as_ref().map(|superior| superior.above.gate.clone()),
            memory: Memory::default(),
            standing,
        })
    }

    pub(super) fn dial(&mut self, epoch: Epoch, urgency: Urgency) {
        tracing::debug!(connection = %self.id, %epoch, "Dials");
        // The machine dials only after an accepted `Connect`, which set the route.
        let Some(route) = self.route.clone() else { return };
        let heed = match urgency {
            Urgency::Patient => Heed::Host,
            Urgency::Now => Heed::GateOnly,
        };
        self.seat.attempt = Some(self.attempt(route, heed));
    }

    pub(super) fn attempt(
        &self,
        route: Rc<Route>,
        heed: Heed,
    ) -> Owned<Result<Opened, ExitReason>> {
        let occasion = Occasion {
            endpoint: self.machine.endpoint(),
            last_failure: self.last_exit.as_deref().map(|(reason, _)| reason.clone()),
        };
        Owned::spawn(dial(route, occasion, heed))
    }

    pub(super) fn attempt_failed(
        &mut self,
        epoch: Epoch,
        reason: ExitReason,
        ctx: &mut ConnectionContext,
    ) {
        let side = self.side_of(epoch);
        // An attempt that failed while it was being cancelled was cancelled.
        let cancelled = self.machine.state() == State::Closing;
        let reason = if cancelled { ExitReason::Cancelled } else { reason };
        self.outbox.end_session(side, false, &reason);
        self.exited(side, epoch, reason, ctx);
    }

    /// The attempt or the session of this epoch has ended, and its messages are settled.
    pub(super) fn exited(
        &mut self,
        side: Side,
        epoch: Epoch,
        reason: ExitReason,
        ctx: &mut ConnectionContext,
    ) {
        let _ = self.step(Input::Exited { epoch, reason }, ctx);
        if side == Side::Beside {
            self.forget_beside();
        }
    }
}
