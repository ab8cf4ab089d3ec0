//! The way of a message from its command into the outbox.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use actix::{Actor, Handler, Message, dev::MessageResponse};
use tokio::sync::oneshot;

use super::connection::{Connection, ConnectionContext};
use crate::{
    clock::now,
    error::{Delivery, Refusal, SendError},
    lifecycle::{LifecycleEvent, Scope, Side, Terms, Unplaced},
    message::{Inlet, Outcomes, SendBatch, Sender},
    protocol::OwnedPayload,
    transport::{BatchReply, Link, Reply, SharedOutbox},
};

/// The answer to a send: it puts the message into the outbox together with the sender's reply, so
/// that nothing is spawned and nothing is awaited between the two.
pub struct Enqueue(Result<Accepted, Refusal>);

/// A message that the outbox has room for.
struct Accepted {
    outbox: Rc<SharedOutbox>,
    payload: OwnedPayload,
    terms: Option<Box<Terms>>,
}

impl Connection {
    pub(super) fn enqueue_as_is(
        &mut self,
        payload: OwnedPayload,
        terms: Option<Box<Terms>>,
    ) -> Enqueue {
        if self.kind.sends(false) {
            self.enqueue(payload, terms)
        } else {
            Enqueue(Err(Refusal::NotJson))
        }
    }

    pub(super) fn enqueue(
        &mut self,
        payload: OwnedPayload,
        mut terms: Option<Box<Terms>>,
    ) -> Enqueue {
        Enqueue(self.admit(payload.len(), terms.as_deref_mut()).map(|()| Accepted {
            outbox: Rc::clone(&self.outbox),
            payload,
            terms,
        }))
    }

    /// Takes the messages of a batch until one is refused, and all behind it with it.
    pub(super) fn enqueue_batch(&mut self, mut batch: SendBatch) -> EnqueueBatch {
        let count = batch.len();
        let reply = BatchReply::of(count);
        let terms = batch.terms.take();
        let (accepted, refusal) = if !self.kind.sends(batch.is_json()) {
            (0, Some(Refusal::NotJson))
        } else if let Err(refusal) = self.judge_scope(terms.as_deref()) {
            (0, Some(refusal))
        } else {
            match terms {
                Some(terms) if !terms.end_when_encoded() => self.enqueue_each(batch, terms, &reply),
                terms => self.enqueue_run(batch, terms, &reply),
            }
        };
        if let Some(refusal) = refusal {
            reply.refuse(accepted..count, refusal);
        }
        EnqueueBatch(reply)
    }

    /// Takes the messages of a batch that have room. How many, and why no more.
    fn enqueue_run(
        &mut self,
        batch: SendBatch,
        terms: Option<Box<Terms>>,
        reply: &Rc<BatchReply>,
    ) -> (usize, Option<Refusal>) {
        let unconfirmed = self.unconfirmed();
        let (mut room, mut len) = (self.outbox.room(&self.settings.outbox, unconfirmed), 0);
        let have_room = batch.lens().take_while(|len| room.take(*len));
        let accepted = have_room.inspect(|it| len += it).count();
        let is_cut = accepted < batch.len();
        if accepted > 0 {
            let reply = Reply::Batch(Rc::clone(reply), 0..accepted);
            self.outbox.push_run(accepted, len, batch.into_frames(accepted), reply, terms);
        }
        (accepted, is_cut.then(|| self.refuse_for_want_of_room(unconfirmed)))
    }

    /// Takes the messages of a batch one by one, as each has a way of its own by these terms. How many,
    /// and why no more.
    fn enqueue_each(
        &mut self,
        batch: SendBatch,
        mut terms: Box<Terms>,
        reply: &Rc<BatchReply>,
    ) -> (usize, Option<Refusal>) {
        let unconfirmed = self.unconfirmed();
        let limits = &self.settings.outbox;
        let (count, mut room) = (batch.len(), self.outbox.room(limits, unconfirmed));
        for (index, payload) in batch.into_payloads().enumerate() {
            if !room.take(payload.len()) {
                return (index, Some(self.refuse_for_want_of_room(unconfirmed)));
            }
            if let Err(refusal) = self.judge_deadline(&mut terms) {
                return (index, Some(refusal));
            }
            if index == 0 {
                self.outbox.reserve(count.min(self.settings.outbox.messages));
            }
            let reply = Reply::Batch(Rc::clone(reply), index..index + 1);
            self.outbox.push(payload, Some(reply), Some(terms.clone()));
        }
        (count, None)
    }

    /// Whether a message of `len` bytes is accepted. If it is, it must come into the outbox next.
    pub(super) fn admit(&mut self, len: usize, terms: Option<&mut Terms>) -> Result<(), Refusal> {
        self.judge_scope(terms.as_deref())?;
        let key = terms.as_ref().and_then(|terms| terms.key.clone());
        let unconfirmed = self.unconfirmed();
        let limits = &self.settings.outbox;
        if !self.outbox.has_room(limits, unconfirmed, len, key.as_deref()) {
            return Err(self.refuse_for_want_of_room(unconfirmed));
        }
        if let Some(terms) = terms {
            self.judge_deadline(terms)?;
            if let Some(key) = key {
                self.links().for_each(|link| link.replace(&key));
            }
        }
        Ok(())
    }

    /// Whether there is a session that the message may be for.
    fn judge_scope(&self, terms: Option<&Terms>) -> Result<(), Refusal> {
        let scope = terms.map(|terms| terms.scope).unwrap_or_default();
        scope.check(self.machine.outlook()).map_err(|unplaced| Refusal::of(unplaced, scope))
    }

    /// Whether a message that is accepted now may be written before its deadline.
    fn judge_deadline(&mut self, terms: &mut Terms) -> Result<(), Refusal> {
        let now = now();
        terms.accept(now);
        let Some(deadline) = terms.deadline() else { return Ok(()) };
        if deadline <= now {
            return Err(Refusal::Expired);
        }
        let greeting = self.seat.link.as_ref().map_or(0, |link| link.greeting_left());
        let wait = self.outbox.wait(greeting, now);
        let left = deadline.saturating_duration_since(now);
        if wait.is_none_or(|wait| wait >= left) {
            return Err(Refusal::TooSlow { would_wait: wait.unwrap_or(Duration::MAX) });
        }
        self.wake_at(deadline);
        Ok(())
    }

    fn unconfirmed(&self) -> usize {
        self.links().map(|link| link.unconfirmed()).sum()
    }

    fn refuse_for_want_of_room(&mut self, unconfirmed: usize) -> Refusal {
        self.tell_of_refusal();
        let (messages, bytes) = self.outbox.queued();
        Refusal::OutboxFull { messages: messages + unconfirmed, bytes }
    }

    /// Where messages may be put in beside the mailbox.
    pub(super) fn sender(&self, ctx: &ConnectionContext) -> Sender {
        let inlet = self.outbox.inlet(|| {
            let connection = ctx.weak_address();
            Inlet::new(self.kind, self.settings.outbox, move || {
                if let Some(connection) = connection.upgrade() {
                    connection.do_send(SendersRefused);
                }
            })
        });
        self.admit_senders();
        Sender::to(inlet)
    }

    /// Senders may send while a session is up.
    pub(super) fn admit_senders(&self) {
        self.outbox.admit_senders(self.judge_scope(None).is_ok());
        self.tell_senders();
    }

    /// What their messages wait behind.
    pub(super) fn tell_senders(&self) {
        let unconfirmed = |link: Option<&Rc<Link>>| link.map_or(0, |link| link.unconfirmed());
        let beside = self.beside.as_ref().and_then(|beside| beside.seat.link.as_ref());
        self.outbox.tell_senders(Side::Up, unconfirmed(self.seat.link.as_ref()));
        self.outbox.tell_senders(Side::Beside, unconfirmed(beside));
    }

    fn tell_of_refusal(&mut self) {
        self.tell_of_refusals(1);
    }

    fn tell_of_refusals(&mut self, count: u64) {
        self.overflow.get_or_insert_default().refused(count);
        if let Some(due) = self.tell_overflow() {
            self.wake_at(due);
        }
    }

    /// Tells what is due of the outbox's refusals, and when it is to be asked again.
    pub(super) fn tell_overflow(&mut self) -> Option<Instant> {
        let now = now();
        let overflow = self.overflow.as_mut()?;
        if let Some(refused) = overflow.take(now) {
            self.emit(self.machine.epoch(), &LifecycleEvent::OutboxFull { refused });
        }
        self.overflow.as_ref()?.due(now)
    }
}

/// Senders were refused messages for want of room.
#[derive(Message)]
#[rtype(result = "()")]
struct SendersRefused;

impl Handler<SendersRefused> for Connection {
    type Result = ();

    fn handle(&mut self, _: SendersRefused, _: &mut ConnectionContext) {
        let count = self.outbox.take_refusals();
        // What they were refused for may be over.
        self.tell_senders();
        self.tell_of_refusals(count);
    }
}

/// The answer to a batch, whose messages are in the outbox.
pub struct EnqueueBatch(Rc<BatchReply>);

impl<A, M> MessageResponse<A, M> for EnqueueBatch
where
    A: Actor,
    M: Message<Result = Outcomes>,
{
    fn handle(self, _: &mut A::Context, sender: Option<oneshot::Sender<Outcomes>>) {
        if let Some(sender) = sender {
            self.0.is_for(sender);
        }
    }
}

impl Refusal {
    const fn of(unplaced: Unplaced, scope: Scope) -> Self {
        match (unplaced, scope) {
            (Unplaced::OtherSession, Scope::Session(asked)) => Self::OtherSession { asked },
            _ => Self::NotConnected,
        }
    }
}

impl<A, M> MessageResponse<A, M> for Enqueue
where
    A: Actor,
    M: Message<Result = Result<Delivery, SendError>>,
{
    fn handle(self, _: &mut A::Context, reply: Option<oneshot::Sender<M::Result>>) {
        match (self.0, reply) {
            (Ok(Accepted { outbox, payload, terms }), reply) => {
                outbox.push(payload, reply.map(Reply::Sender), terms);
            }
            (Err(refusal), Some(reply)) => {
                // The sender may have stopped waiting.
                let _ = reply.send(Err(refusal.into()));
            }
            (Err(_), None) => {}
        }
    }
}
