//! A session: a task that owns the socket, and what follows from its end.

use std::rc::Rc;

use actix::{ActorFutureExt as _, AsyncContext as _, Context};

use super::{
    Connection,
    watch::{Watch, crash_or_cancel},
};
use crate::{
    actor::fanout::EpochInbound,
    lifecycle::{Epoch, ExitReason, Input, State},
    transport::{Link, Opened, Session},
};

impl Connection {
    pub(super) fn opened(&mut self, epoch: Epoch, opened: Opened, ctx: &mut Context<Self>) {
        if self.machine.state() != State::Connecting {
            drop(opened);
            return self.attempt_failed(epoch, ExitReason::Cancelled, ctx);
        }
        let link = Link::new(self.settings.outbox);
        self.link = Some(Rc::clone(&link));
        // Subscribers hear of the session before its task can deliver a message of it.
        let subprotocol = opened.subprotocol.clone();
        let _ = self.step(Input::Opened { epoch, subprotocol }, ctx);

        let inbound = EpochInbound { epoch, fanout: Rc::clone(&self.fanout) };
        let task = actix_rt::spawn(Session::new(
            opened,
            &self.settings,
            self.vigil.clone(),
            link,
            inbound,
        ));
        self.task = Some(task.abort_handle());
        ctx.spawn(Watch(task).map(move |ended, connection: &mut Self, ctx| {
            connection.task = None;
            let reason = ended.unwrap_or_else(|error| match crash_or_cancel(error) {
                // It was cut.
                ExitReason::Cancelled => ExitReason::CloseUnanswered,
                crash => crash,
            });
            if let Some(link) = connection.link.take() {
                link.settle(&reason);
            }
            let _ = connection.step(Input::Exited { epoch, reason }, ctx);
        }));
    }
}
