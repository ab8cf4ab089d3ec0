use std::{cell::RefCell, ops::Range, rc::Rc};

use tokio::sync::oneshot;

use crate::{
    error::{Delivery, Refusal, SendError, Unconfirmed, Unwritten},
    lifecycle::{Divide, ExitReason, Fate, Loss, Side},
    message::{Account, Outcomes, Tally},
};

/// Where a message's fate is told.
pub(crate) enum Reply {
    /// To its sender.
    Sender(oneshot::Sender<Result<Delivery, SendError>>),
    /// To whoever looks for its answer, with its session, and the reason why that ended, where it has.
    Request(Box<Told>),
    /// To the sender of a batch, once it is told of all messages: these are which.
    Batch(Rc<BatchReply>, Range<usize>),
    /// To whoever sent them by a sender.
    Account(Account),
}

type Told = dyn FnOnce(Fate, Side, Option<&ExitReason>);

impl Divide for Reply {
    fn front(&mut self, count: usize) -> Option<Self> {
        match self {
            Self::Sender(_) | Self::Request(_) => None,
            Self::Batch(batch, places) => {
                let start = places.start;
                places.start += count;
                Some(Self::Batch(Rc::clone(batch), start..places.start))
            }
            Self::Account(account) => Some(Self::Account(account.front(count))),
        }
    }
}

/// Tells the fate of a message, whose session has ended with `exit` where it has.
pub(crate) fn tell(reply: Reply, fate: Fate, side: Side, exit: Option<&ExitReason>) {
    match reply {
        Reply::Sender(sender) => {
            // The sender may have stopped waiting.
            let _ = sender.send(outcome(fate, exit));
        }
        Reply::Batch(batch, places) => batch.record(places, outcome(fate, exit)),
        Reply::Account(account) => account.settle(outcome(fate, exit)),
        Reply::Request(tell) => tell(fate, side, exit),
    }
}

#[inline]
fn outcome(fate: Fate, exit: Option<&ExitReason>) -> Result<Delivery, SendError> {
    match fate {
        Fate::Written => Ok(Delivery::Written),
        Fate::Confirmed => Ok(Delivery::Confirmed),
        Fate::NotWritten(loss) => Err(SendError::NotWritten(unwritten(loss, exit))),
        Fate::Unknown(Loss::Deadline) => Err(SendError::WrittenUnknown(Unconfirmed::Expired)),
        Fate::Unknown(_) => Err(SendError::WrittenUnknown(Unconfirmed::SessionEnded(ended(exit)))),
    }
}

/// The one answer to a batch, to which the fate of each of its messages is told.
pub(crate) struct BatchReply(RefCell<Answer>);

struct Answer {
    tally: Tally,
    /// Absent until it is known, and where nobody asks.
    sender: Option<oneshot::Sender<Outcomes>>,
}

impl BatchReply {
    /// Of so many messages.
    pub(crate) fn of(messages: usize) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Answer { tally: Tally::of(messages), sender: None })))
    }

    /// The messages at these places were not accepted.
    pub(crate) fn refuse(&self, places: Range<usize>, refusal: Refusal) {
        self.record(places, Err(refusal.into()));
    }

    /// Who is told.
    pub(crate) fn is_for(&self, sender: oneshot::Sender<Outcomes>) {
        let answer = &mut *self.0.borrow_mut();
        answer.sender = Some(sender);
        answer.give();
    }

    fn record(&self, places: Range<usize>, outcome: Result<Delivery, SendError>) {
        let answer = &mut *self.0.borrow_mut();
        answer.tally.record(places, outcome);
        if answer.tally.is_complete() {
            answer.give();
        }
    }
}

impl Answer {
    /// Gives the answer when nothing is missing of it.
    fn give(&mut self) {
        if self.sender.is_some()
            && let Some(outcomes) = self.tally.take()
            && let Some(sender) = self.sender.take()
        {
            // The sender may have stopped waiting.
            let _ = sender.send(outcomes);
        }
    }
}

/// Why a message was not written.
pub(crate) fn unwritten(loss: Loss, exit: Option<&ExitReason>) -> Unwritten {
    match loss {
        Loss::Session => Unwritten::SessionEnded(ended(exit)),
        Loss::Connection => Unwritten::ConnectionEnded,
        Loss::Deadline => Unwritten::Expired,
        Loss::Newer => Unwritten::Replaced,
    }
}

/// Why a session ended. Its end is always told with the reason.
pub(crate) fn ended(exit: Option<&ExitReason>) -> ExitReason {
    exit.cloned().unwrap_or(ExitReason::Cancelled)
}
