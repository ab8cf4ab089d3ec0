//! A session: a task that owns the socket, and what follows from its end.

use std::{rc::Rc, sync::Arc};

use actix::{ActorFutureExt as _, AsyncContext as _, Context};

use super::{
    Connection,
    watch::{Watch, crash_or_cancel},
};
use crate::{
    actor::fanout::{EpochInbound, ReadyWatch},
    lifecycle::{Awaited, Epoch, ExitReason, Input, State},
    spec::{NewSession, ReadyBy, Settings},
    transport::{Link, Opened, Session},
};

impl Connection {
    pub(super) fn opened(&mut self, epoch: Epoch, opened: Opened, ctx: &mut Context<Self>) {
        if self.machine.state() != State::Connecting {
            drop(opened);
            return self.attempt_failed(epoch, ExitReason::Cancelled, ctx);
        }
        let link = Link::new(Rc::clone(&self.outbox));
        let Settings { greeting, readiness, .. } = &*self.settings;
        self.awaited = Awaited::new(greeting.is_some(), readiness.waits());
        if self.awaited.is_over() {
            link.open_gate();
        }
        self.link = Some(Rc::clone(&link));
        // Subscribers hear of the session before its task can deliver a message of it.
        let subprotocol = opened.subprotocol.clone();
        let session =
            NewSession { connection: self.id.clone(), epoch, subprotocol: subprotocol.clone() };
        let _ = self.step(Input::Opened { epoch, subprotocol }, ctx);
        self.greet(session, ctx);

        let ready = match &self.settings.readiness.0 {
            ReadyBy::Message(is_it) => Some(Box::new(ReadyWatch {
                is_it: Arc::clone(is_it),
                link: Rc::clone(&link),
                connection: ctx.address().downgrade(),
            })),
            ReadyBy::Connect | ReadyBy::Mark => None,
        };
        let inbound = EpochInbound { epoch, fanout: Rc::clone(&self.fanout), ready };
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
            connection.stop_greeting();
            let reason = ended.unwrap_or_else(|error| match crash_or_cancel(error) {
                // It was cut.
                ExitReason::Cancelled => ExitReason::CloseUnanswered,
                crash => crash,
            });
            if let Some(link) = connection.link.take() {
                link.settle(&reason);
            }
            connection.fanout.borrow_mut().lose_requests(&reason);
            let _ = connection.step(Input::Exited { epoch, reason }, ctx);
        }));
    }
}
