//! A session: what owns the socket, and what follows from its end.

use std::{rc::Rc, sync::Arc};

use super::{Connection, ConnectionContext, hosted::Hosted};
use crate::{
    actor::{
        inbound::{Judge, Lookout, ReadyWatch, Way},
        inquiry::Inquiry,
    },
    lifecycle::{Awaited, Epoch, ExitReason, Input, Side, State},
    spec::{NewSession, ReadyBy, Settings},
    transport::{Link, Opened, Session},
};

impl Connection {
    pub(super) fn opened(&mut self, epoch: Epoch, opened: Opened, ctx: &mut ConnectionContext) {
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
        // Subscribers hear of the session before it can deliver a message.
        let subprotocol = opened.subprotocol.clone();
        let session =
            NewSession { connection: self.id.clone(), epoch, subprotocol: subprotocol.clone() };
        let _ = self.step(Input::Opened { epoch, subprotocol }, ctx);
        self.greet(session);

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
        let lookout = (rotates || ready.is_some() || replier.is_some())
            .then(|| Box::new(Lookout { ready, rotates, replier, findings: Vec::new() }));
        let session = Session::new(opened, &self.settings, vigil, link);
        if let Some(seat) = self.seat_of(epoch) {
            seat.session = Hosted::new(session, Way { epoch, lookout });
        }
        if side == Side::Beside && awaited.is_over() {
            let _ = self.step(Input::SuccessorReady(epoch), ctx);
        }
    }

    pub(super) fn session_ended(
        &mut self,
        epoch: Epoch,
        reason: ExitReason,
        ctx: &mut ConnectionContext,
    ) {
        if let Some(link) = self.seat_of(epoch).and_then(|seat| seat.link.take()) {
            link.settle(&reason);
        }
        let side = self.side_of(epoch);
        self.requests.end_session(side, &reason);
        self.exited(side, epoch, reason, ctx);
    }
}
