//! A session: a task that owns the socket, and what follows from its end.

use std::{rc::Rc, sync::Arc};

use actix::{ActorFutureExt as _, AsyncContext as _, Context};

use super::{
    Connection,
    watch::{Watch, crash_or_cancel},
};
use crate::{
    actor::{
        inbound::{EpochInbound, Feedback, Judge, ReadyWatch},
        inquiry::Inquiry,
    },
    lifecycle::{Awaited, Epoch, ExitReason, Input, Side, State},
    spec::{NewSession, ReadyBy, Settings},
    transport::{Link, Opened, Session},
};

impl Connection {
    pub(super) fn opened(&mut self, epoch: Epoch, opened: Opened, ctx: &mut Context<Self>) {
        let side = self.side_of(epoch);
        if side == Side::Up && self.machine.state() != State::Connecting {
            drop(opened);
            return self.attempt_failed(epoch, ExitReason::Cancelled, ctx);
        }
        let link = Link::new(Rc::clone(&self.outbox), side);
        let Settings { greeting, readiness, .. } = &*self.settings;
        let awaited = Awaited::new(greeting.is_some(), readiness.waits());
        if awaited.is_over() && side == Side::Up {
            link.open_gate();
        }
        let vigil = self.vigil_of(side);
        let Some(seat) = self.seat_of(epoch) else { return };
        seat.awaited = awaited;
        seat.vigil.clone_from(&vigil);
        seat.link = Some(Rc::clone(&link));
        // Subscribers hear of the session before its task can deliver a message of it.
        let subprotocol = opened.subprotocol.clone();
        let session =
            NewSession { connection: self.id.clone(), epoch, subprotocol: subprotocol.clone() };
        let _ = self.step(Input::Opened { epoch, subprotocol }, ctx);
        self.greet(session, ctx);

        let judge = match &self.settings.readiness.0 {
            ReadyBy::Connect | ReadyBy::Mark => None,
            ReadyBy::Message(is_it) => Some(Judge::Predicate(Arc::clone(is_it))),
            ReadyBy::Asked(whom) => {
                let within = self.settings.timeouts.provider;
                let (whom, id) = (whom.clone(), self.id.clone());
                Some(Judge::Recipient(Inquiry::new(whom, id, epoch, within)))
            }
        };
        let ready = judge.map(|by| ReadyWatch { by, link: Rc::clone(&link) });
        let rotates = self.settings.rotation.is_some();
        let replier = self.settings.replier.clone();
        let feedback = (rotates || ready.is_some() || replier.is_some()).then(|| {
            let connection = ctx.address().downgrade();
            Box::new(Feedback { connection, ready, rotates, replier })
        });
        let inbound = EpochInbound { epoch, fanout: Rc::clone(&self.fanout), feedback };
        let task = actix_rt::spawn(Session::new(opened, &self.settings, vigil, link, inbound));
        if let Some(seat) = self.seat_of(epoch) {
            seat.task = Some(task.abort_handle());
        }
        ctx.spawn(Watch(task).map(move |ended, connection: &mut Self, ctx| {
            let Some(seat) = connection.seat_of(epoch) else { return };
            seat.task = None;
            seat.stop_greeting();
            let link = seat.link.take();
            let reason = ended.unwrap_or_else(|error| match crash_or_cancel(error) {
                // It was cut.
                ExitReason::Cancelled => ExitReason::CloseUnanswered,
                crash => crash,
            });
            if let Some(link) = link {
                link.settle(&reason);
            }
            let side = connection.side_of(epoch);
            connection.fanout.borrow_mut().lose_requests(side, &reason);
            connection.exited(side, epoch, reason, ctx);
        }));
        if side == Side::Beside && awaited.is_over() {
            let _ = self.step(Input::SuccessorReady(epoch), ctx);
        }
    }
}
