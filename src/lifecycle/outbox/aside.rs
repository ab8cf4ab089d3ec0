//! The messages of two sessions that are up at the same time.

use std::collections::VecDeque;

use super::{Outbox, Slot};
use crate::lifecycle::Epoch;

/// The messages that are for the session beside the one that is up, and for no other.
#[derive(Debug)]
pub(super) struct Aside<P, R> {
    pub(super) epoch: Epoch,
    pub(super) queue: VecDeque<Slot<P, R>>,
}

impl<P, R> Aside<P, R> {
    const fn of(epoch: Epoch) -> Self {
        Self { epoch, queue: VecDeque::new() }
    }

    pub(super) fn pop(&mut self, is_ready: bool) -> Option<Slot<P, R>> {
        self.queue.remove(self.due(is_ready)?)
    }

    pub(super) fn has_due(&self, is_ready: bool) -> bool {
        self.due(is_ready).is_some()
    }

    fn due(&self, is_ready: bool) -> Option<usize> {
        self.queue.iter().position(|slot| is_ready || !slot.waits_for_ready())
    }
}

impl<P, R> Outbox<P, R> {
    /// From now on, messages for the session of this epoch are for the one beside.
    pub(crate) fn set_aside(&mut self, epoch: Epoch) {
        self.aside = Some(Box::new(Aside::of(epoch)));
    }

    /// The session beside takes the place of the one that is up, which goes on beside it under this epoch
    /// where there is one.
    pub(crate) fn hand_over(&mut self, old: Option<Epoch>) {
        let mut beside = old.map(|epoch| Box::new(Aside::of(epoch)));
        let up = self.aside.take().map(|aside| aside.queue).unwrap_or_default();
        let all = [std::mem::take(&mut self.at_once), std::mem::take(&mut self.after_ready), up];
        let mut all: Vec<_> = all.into_iter().flatten().collect();
        all.sort_unstable_by_key(|slot| slot.seq);
        for slot in all {
            match &mut beside {
                Some(aside) if slot.is_for(aside.epoch) => aside.queue.push_back(slot),
                _ => self.queue_of(&slot).push_back(slot),
            }
        }
        self.aside = beside;
    }
}
