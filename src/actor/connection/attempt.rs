//! An attempt: a task that dials, and what follows from its end.

use std::{rc::Rc, sync::Arc};

use actix::{ActorFutureExt as _, AsyncContext as _, Context};

use super::{
    Connection,
    watch::{Watch, crash_or_cancel},
};
use crate::{
    lifecycle::{Epoch, ExitReason, Input, State, Urgency},
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
        self.route = Some(self.route(asked));
    }

    fn route(&self, asked: CheckedConnect) -> Rc<Route> {
        Rc::new(Route {
            id: self.id.clone(),
            asked,
            settings: Arc::clone(&self.settings),
            gate: self.bond.superior.as_ref().map(|superior| superior.gate.clone()),
            memory: Memory::default(),
            // What runs goes on.
            standing: match &self.route {
                Some(before) => Rc::clone(&before.standing),
                None => Rc::new(Standing::under(self.policy.clone())),
            },
        })
    }

    pub(super) fn dial(&mut self, epoch: Epoch, urgency: Urgency, ctx: &mut Context<Self>) {
        // The machine dials only after an accepted `Connect`, which set the route.
        let Some(route) = self.route.clone() else { return };
        let heed = match urgency {
            Urgency::Patient => Heed::Host,
            Urgency::Now => Heed::GateOnly,
        };
        let occasion = Occasion {
            endpoint: self.machine.endpoint(),
            last_failure: self.last_exit.as_deref().map(|(reason, _)| reason.clone()),
        };
        let task = actix_rt::spawn(dial(route, occasion, heed));
        self.task = Some(task.abort_handle());
        ctx.spawn(Watch(task).map(move |ended, connection: &mut Self, ctx| {
            connection.task = None;
            match ended {
                Ok(Ok(opened)) => connection.opened(epoch, opened, ctx),
                Ok(Err(reason)) => connection.attempt_failed(epoch, reason, ctx),
                Err(error) => connection.attempt_failed(epoch, crash_or_cancel(error), ctx),
            }
        }));
    }

    pub(super) fn attempt_failed(
        &mut self,
        epoch: Epoch,
        reason: ExitReason,
        ctx: &mut Context<Self>,
    ) {
        // An attempt that failed while it was being cancelled was cancelled.
        let cancelled = self.machine.state() == State::Closing;
        let reason = if cancelled { ExitReason::Cancelled } else { reason };
        self.outbox.end_session(false, &reason);
        let _ = self.step(Input::Exited { epoch, reason }, ctx);
    }
}
