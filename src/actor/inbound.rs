//! The way from a session to its subscribers and its connection.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix::{Handler, Message, WeakAddr};

use super::{
    connection::{Connection, FoundReady, NotToldReady, Outgrown},
    fanout::Fanout,
    inquiry::{Inquiry, Outcome},
};
use crate::{
    lifecycle::{Epoch, LifecycleEvent, Side, Verdict},
    protocol::BatchBuilder,
    spec::{Replies, SharedPredicate, SharedReplier},
    transport::{Inbound, Link},
};

/// The way from one epoch's session to the subscribers.
pub(super) struct EpochInbound {
    pub(super) epoch: Epoch,
    pub(super) fanout: Rc<RefCell<Fanout>>,
    /// What the session tells its connection. Boxed because it is rare.
    pub(super) feedback: Option<Box<Feedback>>,
}

/// What a session tells its connection while it lives.
pub(super) struct Feedback {
    pub(super) connection: WeakAddr<Connection>,
    /// Until the session is ready, where a message says so.
    pub(super) ready: Option<ReadyWatch>,
    /// It is replaced by another when it is old.
    pub(super) rotates: bool,
    /// What replies to messages at once.
    pub(super) replier: Option<SharedReplier>,
}

/// Looks for the messages that say that the session is ready.
pub(super) struct ReadyWatch {
    pub(super) by: Judge,
    pub(super) link: Rc<Link>,
}

/// Who says so.
pub(super) enum Judge {
    Predicate(SharedPredicate),
    Recipient(Inquiry),
}

impl Feedback {
    /// Pending while an answer is waited for: then nothing more is to be read.
    fn poll(&mut self, epoch: Epoch, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ReadyWatch { by: Judge::Recipient(inquiry), link }) = &mut self.ready else {
            return Poll::Ready(());
        };
        if !link.is_ready() {
            match ready!(inquiry.poll(cx)) {
                None => return Poll::Ready(()),
                Some(Outcome::Ready) => self.tell(FoundReady(epoch)),
                Some(Outcome::Failed(verdict)) => self.tell(NotToldReady(epoch, verdict)),
            }
        }
        self.ready = None;
        Poll::Ready(())
    }

    fn reply(&self, messages: &BatchBuilder, frames: &mut Vec<u8>) {
        if let Some(SharedReplier(reply)) = &self.replier {
            let mut replies = Replies::behind(frames);
            messages.iter().for_each(|message| reply(message, &mut replies));
        }
    }

    /// Whether it is of no use any more.
    const fn is_over(&self) -> bool {
        self.ready.is_none() && !self.rotates && self.replier.is_none()
    }

    fn look(&mut self, epoch: Epoch, messages: &mut BatchBuilder) {
        let Some(ReadyWatch { by, link }) = &mut self.ready else { return };
        if link.is_ready() {
            self.ready = None;
        } else if by.looks_at(messages) {
            self.tell(FoundReady(epoch));
            self.ready = None;
        }
    }

    fn tell<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        Connection: Handler<M>,
    {
        if let Some(connection) = self.connection.upgrade() {
            connection.do_send(message);
        }
    }
}

impl Judge {
    /// Whether one of the messages makes the session ready, as far as is known at once.
    fn looks_at(&mut self, messages: &mut BatchBuilder) -> bool {
        let mut found = false;
        messages.retain(|message| {
            match self {
                Self::Predicate(is_it) => found = found || is_it(message),
                Self::Recipient(inquiry) => inquiry.add(message),
            }
            true
        });
        found
    }
}

impl Inbound for EpochInbound {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(feedback) = &mut self.feedback {
            ready!(feedback.poll(self.epoch, cx));
        }
        self.fanout.borrow().poll_room(cx)
    }

    fn begin_turn(&mut self) {
        self.fanout.borrow_mut().tell_rest();
    }

    fn wants_turn(&self) -> bool {
        self.fanout.borrow().has_more()
    }

    fn deliver(&mut self, messages: &mut BatchBuilder, replies: Option<&mut Vec<u8>>) {
        if let Some(feedback) = &mut self.feedback {
            if let Some(frames) = replies {
                feedback.reply(messages, frames);
            }
            feedback.look(self.epoch, messages);
            if feedback.is_over() {
                self.feedback = None;
            }
        }
        Fanout::deliver(&self.fanout, self.epoch, messages);
    }

    fn round_trip(&mut self, took: Duration) {
        self.fanout.borrow_mut().round_trip = Some(took);
    }

    fn suspect(&mut self, verdict: Verdict) {
        let event = LifecycleEvent::Suspected { verdict };
        let connection = &self.fanout.borrow().connection.clone();
        tracing::warn!(%connection, epoch = %self.epoch, "{event}");
        Fanout::emit(&self.fanout, self.epoch, &event);
    }

    fn outgrow(&mut self, verdict: Verdict) {
        if let Some(feedback) = &self.feedback {
            feedback.tell(Outgrown(self.epoch, verdict));
        }
    }

    fn rotates(&self) -> bool {
        self.feedback.as_ref().is_some_and(|feedback| feedback.rotates)
    }

    fn awaits_answers(&self) -> bool {
        self.fanout.borrow().awaits_answers(Side::Beside)
    }
}
