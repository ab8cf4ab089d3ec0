//! The way of a request out, and of its answer back.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::{Handler, dev::MessageResponse};
use tokio::sync::oneshot;

use super::{
    connection::{Connection, ConnectionContext},
    fanout::Fanout,
};
use crate::{
    clock::now,
    error::Refusal,
    lifecycle::{Epoch, ExitReason, Expiry, Fate, Loss, Requests, Side, Terms},
    message::{Answer, Request, RequestError},
    protocol::{BatchBuilder, OwnedPayload, Payload},
    spec::{Correlator as _, JsonRpc, SharedCorrelator},
    transport::{Reply, SharedOutbox, ended, unwritten},
};

/// Who waits for an answer.
type Asker = oneshot::Sender<Result<Answer, RequestError>>;

/// The requests of a connection that are not answered, and how their answers are known.
pub(super) struct InFlight {
    requests: Requests<Asked>,
    correlator: Option<SharedCorrelator>,
}

struct Asked {
    asker: Asker,
    after: Duration,
}

impl InFlight {
    fn new(correlator: Option<SharedCorrelator>) -> Self {
        Self { requests: Requests::default(), correlator }
    }

    /// Takes out of `messages` those that answer a request.
    fn hear(&mut self, epoch: Epoch, messages: &mut BatchBuilder) {
        messages.retain(|payload| !self.answers(epoch, payload));
    }

    fn answers(&mut self, epoch: Epoch, payload: Payload<'_>) -> bool {
        let key = match &self.correlator {
            Some(correlator) => correlator.0.answers(payload),
            None => JsonRpc.answers(payload),
        };
        let Some(Asked { asker, .. }) = key.and_then(|key| self.requests.answered(&key)) else {
            return false;
        };
        let payload = payload.into();
        // To one who does not wait any more it is no answer.
        asker.send(Ok(Answer { epoch, payload })).is_ok()
    }

    /// What became of the request's message.
    fn told(&mut self, key: &str, fate: Fate, side: Side, exit: Option<&ExitReason>) {
        let loss = match fate {
            Fate::Written | Fate::Confirmed => return self.requests.written(key, side),
            Fate::NotWritten(loss) | Fate::Unknown(loss) => loss,
        };
        let Some(Asked { asker, after }) = self.requests.withdraw(key) else { return };
        // The asker may have stopped waiting.
        let _ = asker.send(Err(match (fate, loss) {
            (Fate::NotWritten(_), loss) => RequestError::NotWritten(unwritten(loss, exit)),
            (_, Loss::Deadline) => RequestError::TimedOut { after },
            _ => RequestError::Lost(ended(exit)),
        }));
    }
}

/// Most connections have no request in flight: then there is nothing here, and nothing to ask.
impl Fanout {
    /// Takes the answers to requests out of what was received.
    pub(super) fn hear_answers(&mut self, epoch: Epoch, messages: &mut BatchBuilder) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.hear(epoch, messages);
            self.release_requests();
        }
    }

    /// This session has ended, and no answer comes to what was written in it.
    pub(super) fn lose_requests(&mut self, side: Side, exit: &ExitReason) {
        if let Some(in_flight) = &mut self.in_flight {
            for Asked { asker, .. } in in_flight.requests.end_session(side) {
                let _ = asker.send(Err(RequestError::Lost(exit.clone())));
            }
            self.release_requests();
        }
    }

    /// The session beside takes the place of the one that is up, which goes on beside it.
    pub(super) fn hand_over_requests(&mut self) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.requests.hand_over();
        }
    }

    /// Whether answers may come in this session.
    pub(super) fn awaits_answers(&self, side: Side) -> bool {
        self.in_flight.as_ref().is_some_and(|it| it.requests.awaits(side))
    }

    /// Tells whose time is over.
    pub(super) fn expire_requests(&mut self, now: Instant) {
        if let Some(in_flight) = &mut self.in_flight {
            for Asked { asker, after } in in_flight.requests.expire(now) {
                let _ = asker.send(Err(RequestError::TimedOut { after }));
            }
            self.release_requests();
        }
    }

    /// When [`expire_requests`](Self::expire_requests) is wanted next.
    pub(super) fn next_request_deadline(&self) -> Option<Instant> {
        self.in_flight.as_ref()?.requests.next_deadline()
    }

    fn release_requests(&mut self) {
        if self.in_flight.as_ref().is_some_and(|it| it.requests.len() == 0) {
            self.in_flight = None;
        }
    }
}

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
        if let Some(in_flight) = &self.fanout.borrow().in_flight {
            if in_flight.requests.contains(&key) {
                return Err(Refusal::KeyInFlight);
            }
            if in_flight.requests.len() >= self.settings.outbox.messages {
                let in_flight = in_flight.requests.len();
                return Err(Refusal::TooManyRequests { in_flight });
            }
        }
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
            fanout: Rc::clone(&self.fanout),
            correlator: self.settings.correlator.clone(),
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
    fanout: Rc<RefCell<Fanout>>,
    correlator: Option<SharedCorrelator>,
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
        let (Posed { outbox, fanout, correlator, payload, terms, key, deadline, after }, asker) =
            posed;
        fanout
            .borrow_mut()
            .in_flight
            .get_or_insert_with(|| Box::new(InFlight::new(correlator)))
            .requests
            .accept(key.clone(), Asked { asker, after }, deadline);
        let told = move |fate: Fate, side: Side, exit: Option<&ExitReason>| {
            let fanout = &mut *fanout.borrow_mut();
            if let Some(in_flight) = &mut fanout.in_flight {
                in_flight.told(&key, fate, side, exit);
                fanout.release_requests();
            }
        };
        outbox.push(payload, Some(Reply::Request(Box::new(told))), Some(terms));
    }
}
