//! The way of a request out, and of its answer back.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use actix::{Handler, dev::MessageResponse};

use super::{
    connection::{Connection, ConnectionContext},
    in_flight::{Asker, SharedRequests},
};
use crate::{
    clock::now,
    error::Refusal,
    lifecycle::{ExitReason, Expiry, Fate, Side, Terms},
    message::Request,
    protocol::OwnedPayload,
    transport::{Reply, SharedOutbox},
};

impl Handler<Request> for Connection {
    type Result = Pose;

    fn handle(&mut self, request: Request, _: &mut ConnectionContext) -> Pose {
        Pose(self.pose(request))
    }
}

impl Connection {
    fn pose(&mut self, request: Request) -> Result<Posed, Refusal> {
        let Request { payload, is_json, key, timeout, terms } = request;
        if !self.kind.sends(is_json) {
            return Err(Refusal::NotJson);
        }
        self.requests.admits(&key, self.settings.outbox.messages)?;
        let (now, mut terms) = (now(), terms.unwrap_or_default());
        // It is not written any later than its answer could come in time.
        terms.accept(now);
        let deadline = now.checked_add(timeout).unwrap_or(now + FAR);
        let deadline = terms.deadline().map_or(deadline, |due| due.min(deadline));
        terms.expiry = Expiry::At(deadline);
        // The answer says more.
        terms.confirmed = false;
        self.admit(payload.len(), Some(&mut terms))?;
        Ok(Posed {
            outbox: Rc::clone(&self.outbox),
            requests: self.requests.open(self.settings.correlator.clone()),
            payload,
            terms,
            key,
            deadline,
            after: timeout,
        })
    }
}

/// A time-out beyond the clock's range is this.
const FAR: Duration = Duration::from_hours(365 * 24);

/// The answer to a request: it comes later, or it is refused now.
pub struct Pose(Result<Posed, Refusal>);

struct Posed {
    outbox: Rc<SharedOutbox>,
    requests: SharedRequests,
    payload: OwnedPayload,
    terms: Box<Terms>,
    key: Box<str>,
    deadline: Instant,
    after: Duration,
}

impl MessageResponse<Connection, Request> for Pose {
    fn handle(self, _: &mut ConnectionContext, asker: Option<Asker>) {
        let posed = match (self.0, asker) {
            (Ok(posed), Some(asker)) => (posed, asker),
            // Nobody waits for an answer: it is a message like any other.
            (Ok(posed), None) => return posed.outbox.push(posed.payload, None, Some(posed.terms)),
            (Err(refusal), asker) => {
                if let Some(asker) = asker {
                    let _ = asker.send(Err(refusal.into()));
                }
                return;
            }
        };
        let (Posed { outbox, requests, payload, terms, key, deadline, after }, asker) = posed;
        requests.borrow_mut().accept(key.clone(), asker, after, deadline);
        let told = move |fate: Fate, side: Side, exit: Option<&ExitReason>| {
            requests.borrow_mut().told(&key, fate, side, exit);
        };
        outbox.push(payload, Some(Reply::Request(Box::new(told))), Some(terms));
    }
}
