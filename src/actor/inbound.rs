//! The way from a session to its subscribers, and what it finds for its connection.

use std::{
    mem,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    fanout::Fanout,
    in_flight::InFlight,
    inquiry::{Inquiry, Outcome},
};
use crate::{
    lifecycle::{Epoch, LifecycleEvent, Side, Verdict},
    protocol::BatchBuilder,
    spec::{Replies, SharedPredicate, SharedReplier},
    transport::{Inbound, Link},
};

/// The way from one epoch's session to the subscribers, while the session has its turn.
pub(super) struct EpochInbound<'a> {
    pub(super) way: &'a mut Way,
    pub(super) fanout: &'a mut Fanout,
    pub(super) requests: &'a mut InFlight,
}

/// What of that way stays from turn to turn.
pub(super) struct Way {
    pub(super) epoch: Epoch,
    /// What is looked at on the way. Boxed because it is rare.
    pub(super) lookout: Option<Box<Lookout>>,
}

/// What else is done with a session's messages and its age than to tell subscribers.
pub(super) struct Lookout {
    /// Until the session is ready, where a message says so.
    pub(super) ready: Option<ReadyWatch>,
    /// It is replaced by another when it is old.
    pub(super) rotates: bool,
    /// What replies to messages at once.
    pub(super) replier: Option<SharedReplier>,
    /// What its connection does not know yet.
    pub(super) findings: Vec<Finding>,
}

/// What a session has found, and its connection acts upon after the session's turn.
pub(super) enum Finding {
    /// A message says that the session is ready.
    Ready,
    /// Who was asked does not say whether it is.
    NotToldReady(Verdict),
    /// It is to be replaced by another, because of this.
    Outgrown(Verdict),
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

impl Lookout {
    /// Pending while an answer is waited for: then nothing more is to be read.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ReadyWatch { by: Judge::Recipient(inquiry), link }) = &mut self.ready else {
            return Poll::Ready(());
        };
        if !link.is_ready() {
            match ready!(inquiry.poll(cx)) {
                None => return Poll::Ready(()),
                Some(Outcome::Ready) => self.findings.push(Finding::Ready),
                Some(Outcome::Failed(verdict)) => {
                    self.findings.push(Finding::NotToldReady(verdict));
                }
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
        self.ready.is_none() && !self.rotates && self.replier.is_none() && self.findings.is_empty()
    }

    fn look(&mut self, messages: &mut BatchBuilder) {
        let Some(ReadyWatch { by, link }) = &mut self.ready else { return };
        if link.is_ready() {
            self.ready = None;
        } else if by.looks_at(messages) {
            self.findings.push(Finding::Ready);
            self.ready = None;
        }
    }
}

impl Way {
    /// What was found since this was asked last, in order.
    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        self.lookout.as_mut().map_or_else(Vec::new, |lookout| mem::take(&mut lookout.findings))
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

impl Inbound for EpochInbound<'_> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(lookout) = &mut self.way.lookout {
            ready!(lookout.poll(cx));
        }
        self.fanout.poll_room(cx)
    }

    fn begin_turn(&mut self) {
        self.fanout.tell_rest();
    }

    fn wants_turn(&self) -> bool {
        self.fanout.has_more()
    }

    fn deliver(&mut self, messages: &mut BatchBuilder, replies: Option<&mut Vec<u8>>) {
        if let Some(lookout) = &mut self.way.lookout {
            if let Some(frames) = replies {
                lookout.reply(messages, frames);
            }
            lookout.look(messages);
            if lookout.is_over() {
                self.way.lookout = None;
            }
        }
        // Answers are heard by who asked, and by nobody else.
        self.requests.hear(self.way.epoch, messages);
        self.fanout.deliver(self.way.epoch, messages);
    }

    fn round_trip(&mut self, took: Duration) {
        self.fanout.round_trip = Some(took);
    }

    fn suspect(&mut self, verdict: Verdict) {
        let event = LifecycleEvent::Suspected { verdict };
        let connection = &self.fanout.connection;
        tracing::warn!(%connection, epoch = %self.way.epoch, "{event}");
        self.fanout.emit(self.way.epoch, &event);
    }

    fn outgrow(&mut self, verdict: Verdict) {
        if let Some(lookout) = &mut self.way.lookout {
            lookout.findings.push(Finding::Outgrown(verdict));
        }
    }

    fn rotates(&self) -> bool {
        self.way.lookout.as_ref().is_some_and(|lookout| lookout.rotates)
    }

    fn awaits_answers(&self) -> bool {
        self.requests.awaits(Side::Beside)
    }
}
