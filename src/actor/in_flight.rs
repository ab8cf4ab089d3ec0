//! The requests of a connection that are not answered, and how their answers are known.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    error::Refusal,
    lifecycle::{Epoch, ExitReason, Fate, Loss, Requests, Side},
    message::{Answer, RequestError},
    protocol::{BatchBuilder, Payload},
    spec::{Correlator as _, JsonRpc, SharedCorrelator},
    transport::{ended, unwritten},
};

/// Who waits for an answer.
pub(super) type Asker = oneshot::Sender<Result<Answer, RequestError>>;

/// Requests that are not answered. Most connections have none: then there is nothing here, and nothing to ask.
#[derive(Default)]
pub(super) struct InFlight(Option<SharedRequests>);

/// They are shared with the messages that carry them, whose fates are told here.
pub(super) type SharedRequests = Rc<RefCell<Correlated>>;

#[derive(Default)]
pub(super) struct Correlated {
    requests: Requests<Asked>,
    correlator: Option<SharedCorrelator>,
}

struct Asked {
    asker: Asker,
    after: Duration,
}

impl InFlight {
    /// Whether another of this key may be in flight, where that are `most` at most.
    pub(super) fn admits(&self, key: &str, most: usize) -> Result<(), Refusal> {
        let Some(correlated) = &self.0 else { return Ok(()) };
        let requests = &correlated.borrow().requests;
        if requests.contains(key) {
            return Err(Refusal::KeyInFlight);
        }
        match requests.len() {
            in_flight if in_flight >= most => Err(Refusal::TooManyRequests { in_flight }),
            _ => Ok(()),
        }
    }

    /// Where another is put in. `correlator` knows its answer, unless others are in flight that came with another.
    pub(super) fn open(&mut self, correlator: Option<SharedCorrelator>) -> SharedRequests {
        let shared = self.0.get_or_insert_default();
        let correlated = &mut *shared.borrow_mut();
        if correlated.requests.len() == 0 {
            correlated.correlator = correlator;
        }
        Rc::clone(shared)
    }

    /// Takes the answers to requests out of what was received.
    pub(super) fn hear(&mut self, epoch: Epoch, messages: &mut BatchBuilder) {
        self.with(|correlated| messages.retain(|payload| !correlated.answers(epoch, payload)));
    }

    /// This session has ended, and no answer comes to what was written in it.
    pub(super) fn end_session(&mut self, side: Side, exit: &ExitReason) {
        self.with(|Correlated { requests, .. }| {
            for Asked { asker, .. } in requests.end_session(side) {
                let _ = asker.send(Err(RequestError::Lost(exit.clone())));
            }
        });
    }

    /// The session beside takes the place of the one that is up, which goes on beside it.
    pub(super) fn hand_over(&mut self) {
        self.with(|Correlated { requests, .. }| requests.hand_over());
    }

    /// Whether answers may come in this session.
    pub(super) fn awaits(&self, side: Side) -> bool {
        self.0.as_ref().is_some_and(|correlated| correlated.borrow().requests.awaits(side))
    }

    /// Tells whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.with(|Correlated { requests, .. }| {
            for Asked { asker, after } in requests.expire(now) {
                let _ = asker.send(Err(RequestError::TimedOut { after }));
            }
        });
    }

    /// When [`expire`](Self::expire) is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.as_ref()?.borrow().requests.next_deadline()
    }

    /// Nothing is kept once none is left.
    fn with(&mut self, change: impl FnOnce(&mut Correlated)) {
        let Some(shared) = &self.0 else { return };
        change(&mut shared.borrow_mut());
        if shared.borrow().requests.len() == 0 {
            self.0 = None;
        }
    }
}

impl Correlated {
    /// A request is on its way.
    pub(super) fn accept(
        &mut self,
        key: Box<str>,
        asker: Asker,
        after: Duration,
        deadline: Instant,
    ) {
        self.requests.accept(key, Asked { asker, after }, deadline);
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
    pub(super) fn told(&mut self, key: &str, fate: Fate, side: Side, exit: Option<&ExitReason>) {
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
