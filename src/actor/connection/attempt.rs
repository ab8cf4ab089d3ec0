//! An attempt: a task that dials, and what follows from its end.

use std::{rc::Rc, sync::Arc};

use actix::{ActorFutureExt as _, AsyncContext as _, Context};

use super::{
    Connection,
    watch::{Watch, crash_or_cancel},
};
use crate::{
    lifecycle::{Epoch, ExitReason, Input, Side, State, Urgency},
    message::CheckedConnect,
    supervision::Heed,
    transport::{Memory, Occasion, Route, Standing, dial},
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
            gate: self.bond.superior.as_ref().map(|superior| superior.gate.clone()),
            memory: Memory::default(),
            standing,
        })
    }

    pub(super) fn dial(&mut self, epoch: Epoch, urgency: Urgency, ctx: &mut Context<Self>) {
        // The machine dials only after an accepted `Connect`, which set the route.
        let Some(route) = self.route.clone() else { return };
        let heed = match urgency {
            Urgency::Patient => Heed::Host,
            Urgency::Now => Heed::GateOnly,
        };
        self.seat.task = Some(self.attempt(epoch, route, heed, ctx));
    }

    /// Starts an attempt, whose end is told to what there is of its epoch then.
    pub(super) fn attempt(
        &self,
        epoch: Epoch,
        route: Rc<Route>,
        heed: Heed,
        ctx: &mut Context<Self>,
    ) -> tokio::task::AbortHandle {
        let occasion = Occasion {
            endpoint: self.machine.endpoint(),
            last_failure: self.last_exit.as_deref().map(|(reason, _)| reason.clone()),
        };
        let task = actix_rt::spawn(dial(route, occasion, heed));
        let handle = task.abort_handle();
        ctx.spawn(Watch(task).map(move |ended, connection: &mut Self, ctx| {
            let Some(seat) = connection.seat_of(epoch) else { return };
            seat.task = None;
            match ended {
                Ok(Ok(opened)) => connection.opened(epoch, opened, ctx),
                Ok(Err(reason)) => connection.attempt_failed(epoch, reason, ctx),
                Err(error) => connection.attempt_failed(epoch, crash_or_cancel(error), ctx),
            }
        }));
        handle
    }

    pub(super) fn attempt_failed(
        &mut self,
        epoch: Epoch,
        reason: ExitReason,
        ctx: &mut Context<Self>,
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
        ctx: &mut Context<Self>,
    ) {
        let _ = self.step(Input::Exited { epoch, reason }, ctx);
        if side == Side::Beside {
            self.forget_beside();
        }
    }
}
