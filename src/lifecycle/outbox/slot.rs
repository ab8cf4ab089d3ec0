use std::time::Instant;

use super::{Scope, Terms};
use crate::lifecycle::Epoch;

/// A message that waits, or a run of them: several that were accepted together, have nothing between
/// them, and share such terms as never part them before they are written.
#[derive(Debug)]
pub(crate) struct Slot<P, R> {
    /// Its place in the order.
    pub(super) seq: u64,
    /// How many messages.
    pub(crate) count: usize,
    /// Their bytes together.
    pub(crate) len: usize,
    pub(crate) payload: P,
    /// Absent where nobody asks.
    pub(crate) reply: Option<R>,
    /// Absent where the default was asked for.
    pub(crate) terms: Option<Box<Terms>>,
}

/// What tells the fates of messages.
pub(crate) trait Divide: Sized {
    /// Takes out what tells those of the first so many. Nothing where it is for one message.
    fn front(&mut self, count: usize) -> Option<Self>;
}

impl<P, R> Slot<P, R> {
    /// The first so many messages, with so many bytes, were taken out of the payload. Returns what tells
    /// their fates.
    pub(crate) fn take_front(&mut self, count: usize, len: usize) -> Option<R>
    where
        R: Divide,
    {
        self.count -= count;
        self.len -= len;
        if self.count == 0 { self.reply.take() } else { self.reply.as_mut()?.front(count) }
    }

    /// Whether it is for the session of this epoch alone.
    pub(super) fn is_for(&self, epoch: Epoch) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.scope == Scope::Session(epoch))
    }

    pub(super) fn waits_for_ready(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.waits_for_ready())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.terms.as_ref()?.deadline()
    }
}
