//! The messages of one connection on their way to its sockets, over all its sessions.
//!
//! A message waits in the [`Outbox`] until a session can write it, is then in that session's
//! [`Flight`], from its encoding to the moment when its fate is known, and has exactly one [`Fate`].

mod aside;
mod fate;
mod flight;
mod limits;
#[cfg(test)]
mod model;
mod overflow;
mod run;
mod slot;
mod terms;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use self::aside::Aside;
pub use self::limits::OutboxLimits;
pub(crate) use self::{
    fate::{Fate, Loss},
    flight::Flight,
    limits::Room,
    overflow::Overflow,
    slot::{Divide, Slot},
    terms::{Expiry, Outlook, Scope, Terms, Unplaced},
};
use super::Side;

/// The messages that wait to be written, in the order in which they were accepted.
///
/// Bounded in messages and bytes; what does not fit is refused, never dropped. One message larger
/// than the byte limit is refused even by an empty outbox.
#[derive(Debug)]
pub(crate) struct Outbox<P, R> {
    at_once: VecDeque<Slot<P, R>>,
    /// For the session beside the one that is up. Boxed because it is rare.
    aside: Option<Box<Aside<P, R>>>,
    messages: usize,
    bytes: usize,
    next_seq: u64,
    /// What only messages with terms need. Boxed because most connections have none.
    rare: Option<Box<Rare<P, R>>>,
}

#[derive(Debug)]
struct Rare<P, R> {
    after_ready: VecDeque<Slot<P, R>>,
    /// No message expires before this.
    earliest: Option<Instant>,
    /// Where the message of each key is.
    keys: BTreeMap<Arc<str>, u64>,
}

impl<P, R> Default for Outbox<P, R> {
    fn default() -> Self {
        Self {
            at_once: VecDeque::new(),
            aside: None,
            messages: 0,
            bytes: 0,
            next_seq: 0,
            rare: None,
        }
    }
}

impl<P, R> Default for Rare<P, R> {
    fn default() -> Self {
        Self { after_ready: VecDeque::new(), earliest: None, keys: BTreeMap::new() }
    }
}

impl<P, R> Outbox<P, R> {
    /// Whether a message of `len` bytes and with this key fits, beside `unconfirmed` others that are
    /// written.
    pub(crate) fn has_room(
        &self,
        limits: &OutboxLimits,
        unconfirmed: usize,
        len: usize,
        key: Option<&str>,
    ) -> bool {
        let replaced = key.and_then(|key| self.find(key)).map(|slot| slot.len);
        let messages = self.len() + unconfirmed - usize::from(replaced.is_some());
        Room::beside(limits, messages, self.bytes - replaced.unwrap_or(0)).take(len)
    }

    /// What is left of the limits, beside `unconfirmed` messages that are written.
    pub(crate) fn room(&self, limits: &OutboxLimits, unconfirmed: usize) -> Room {
        Room::beside(limits, self.len() + unconfirmed, self.bytes)
    }

    /// Makes place for so many messages more, to save growing step by step.
    pub(crate) fn reserve(&mut self, messages: usize) {
        make_room(&mut self.at_once, messages);
    }

    /// Takes a message. One with the same key that waits is replaced, and told so; the newer one
    /// has a place of its own, at the end, so that messages are never written in another order than
    /// they were accepted in.
    pub(crate) fn push(
        &mut self,
        len: usize,
        payload: P,
        reply: Option<R>,
        terms: Option<Box<Terms>>,
        settle: &mut impl FnMut(R, Fate),
    ) {
        if let Some(key) = terms.as_ref().and_then(|terms| terms.key.as_ref()) {
            let seq = self.next_seq;
            let older = self.rare().keys.insert(Arc::clone(key), seq);
            if let Some(Slot { reply: Some(reply), .. }) = older.and_then(|seq| self.remove(seq)) {
                settle(reply, Fate::NotWritten(Loss::Newer));
            }
        }
        self.append(1, len, payload, reply, terms);
    }

    /// Takes `count` messages of `len` bytes together as one slot. They have such terms as
    /// [end when they are encoded](Terms::end_when_encoded).
    pub(crate) fn push_run(
        &mut self,
        count: usize,
        len: usize,
        payload: P,
        reply: Option<R>,
        terms: Option<Box<Terms>>,
    ) {
        debug_assert!(terms.as_deref().is_none_or(Terms::end_when_encoded), "{terms:?}");
        self.append(count, len, payload, reply, terms);
    }

    fn append(
        &mut self,
        count: usize,
        len: usize,
        payload: P,
        reply: Option<R>,
        terms: Option<Box<Terms>>,
    ) {
        let slot = Slot { seq: self.next_seq, count, len, payload, reply, terms };
        self.next_seq += 1;
        self.added(&slot);
        let queue = self.queue_of(&slot);
        make_room(queue, 1);
        queue.push_back(slot);
    }

    /// Takes back messages that a session could not begin to write. They were accepted before, so there
    /// is no limit here.
    pub(crate) fn take_back(&mut self, slots: Vec<Slot<P, R>>) {
        for slot in slots.into_iter().rev() {
            if let Some(key) = slot.terms.as_ref().and_then(|terms| terms.key.as_ref()) {
                self.rare().keys.insert(Arc::clone(key), slot.seq);
            }
            self.put_back(slot);
        }
    }

    /// Takes what is left of a run back to its place.
    pub(crate) fn put_back(&mut self, slot: Slot<P, R>) {
        self.added(&slot);
        let queue = self.queue_of(&slot);
        queue.insert(queue.partition_point(|other| other.seq < slot.seq), slot);
    }

    /// The oldest message that this session may write now, or run of them. Expire first what is due.
    pub(crate) fn pop(&mut self, side: Side, is_ready: bool) -> Option<Slot<P, R>> {
        let slot = match side {
            Side::Up => self.pop_up(is_ready),
            Side::Beside => self.aside.as_mut().and_then(|aside| aside.pop(is_ready)),
        }?;
        self.removed(&slot);
        self.release();
        Some(slot)
    }

    fn pop_up(&mut self, is_ready: bool) -> Option<Slot<P, R>> {
        if is_ready
            && let Some(Rare { after_ready, .. }) = self.rare.as_deref_mut()
            && let Some(first) = after_ready.front()
            && self.at_once.front().is_none_or(|other| first.seq < other.seq)
        {
            return after_ready.pop_front();
        }
        self.at_once.pop_front()
    }

    /// Whether [`pop`](Self::pop) has something.
    pub(crate) fn has_due(&self, side: Side, is_ready: bool) -> bool {
        if let Side::Beside = side {
            return self.aside.as_ref().is_some_and(|aside| aside.has_due(is_ready));
        }
        !self.at_once.is_empty() || is_ready && self.after_ready().is_some_and(|it| !it.is_empty())
    }

    /// Tells every message whose deadline has come that it is not written.
    pub(crate) fn expire(&mut self, now: Instant, settle: &mut impl FnMut(R, Fate)) {
        if self.next_deadline().is_none_or(|due| now < due) {
            return;
        }
        let is_over = |slot: &Slot<P, R>| slot.deadline().is_some_and(|due| due <= now);
        self.drain(is_over, Loss::Deadline, settle);
        let earliest = self.slots().filter_map(Slot::deadline).min();
        if let Some(rare) = &mut self.rare {
            rare.earliest = earliest;
        }
    }

    /// When [`expire`](Self::expire) is wanted next, at the earliest.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.rare.as_ref()?.earliest
    }

    /// The session or attempt has ended: what was for it alone is not written, nor, if it was
    /// ready, what was for the next ready session.
    pub(crate) fn end_session(
        &mut self,
        side: Side,
        was_ready: bool,
        settle: &mut impl FnMut(R, Fate),
    ) {
        let beside = self.aside.as_ref().map(|aside| aside.epoch);
        let was_for_it = |slot: &Slot<P, R>| match slot.terms.as_ref().map(|terms| terms.scope) {
            Some(Scope::Session(epoch)) => (side == Side::Beside) == (Some(epoch) == beside),
            None | Some(Scope::Now) => side == Side::Up,
            Some(Scope::UntilReady) => side == Side::Up && was_ready,
            Some(Scope::Durable) => false,
        };
        self.drain(was_for_it, Loss::Session, settle);
        if side == Side::Beside {
            self.aside = None;
        }
    }

    /// The connection has ended: nothing is written any more.
    pub(crate) fn end(&mut self, settle: &mut impl FnMut(R, Fate)) {
        self.drain(|_| true, Loss::Connection, settle);
        self.rare = None;
    }

    /// Messages that wait.
    pub(crate) const fn len(&self) -> usize {
        self.messages
    }

    /// The same, each run counted as one.
    pub(crate) fn slot_count(&self) -> usize {
        self.queues().map(VecDeque::len).sum()
    }

    /// Their bytes of payload.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes the messages that are meant, and tells them, in order.
    fn drain(
        &mut self,
        is_meant: impl Fn(&Slot<P, R>) -> bool,
        loss: Loss,
        settle: &mut impl FnMut(R, Fate),
    ) {
        let mut gone = Vec::new();
        for queue in self.queues_mut() {
            if queue.iter().any(&is_meant) {
                for slot in std::mem::take(queue) {
                    if is_meant(&slot) { gone.push(slot) } else { queue.push_back(slot) }
                }
            }
        }
        gone.sort_unstable_by_key(|slot| slot.seq);
        for slot in gone {
            self.removed(&slot);
            if let Some(reply) = slot.reply {
                settle(reply, Fate::NotWritten(loss));
            }
        }
        self.release();
    }

    fn queue_of(&mut self, slot: &Slot<P, R>) -> &mut VecDeque<Slot<P, R>> {
        if let Some(aside) = &mut self.aside
            && slot.is_for(aside.epoch)
        {
            &mut aside.queue
        } else if slot.waits_for_ready() {
            &mut self.rare.get_or_insert_default().after_ready
        } else {
            &mut self.at_once
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot<P, R>> {
        self.queues().flatten()
    }

    fn queues(&self) -> impl Iterator<Item = &VecDeque<Slot<P, R>>> {
        let aside = self.aside.as_ref().map(|aside| &aside.queue);
        [&self.at_once].into_iter().chain(self.after_ready()).chain(aside)
    }

    fn queues_mut(&mut self) -> impl Iterator<Item = &mut VecDeque<Slot<P, R>>> {
        let aside = self.aside.as_mut().map(|aside| &mut aside.queue);
        let after_ready = self.rare.as_mut().map(|rare| &mut rare.after_ready);
        [&mut self.at_once].into_iter().chain(after_ready).chain(aside)
    }

    fn after_ready(&self) -> Option<&VecDeque<Slot<P, R>>> {
        self.rare.as_ref().map(|rare| &rare.after_ready)
    }

    fn rare(&mut self) -> &mut Rare<P, R> {
        self.rare.get_or_insert_default()
    }

    fn find(&self, key: &str) -> Option<&Slot<P, R>> {
        let seq = *self.rare.as_ref()?.keys.get(key)?;
        self.queues()
            .find_map(|queue| queue.get(queue.binary_search_by_key(&seq, |slot| slot.seq).ok()?))
    }

    fn remove(&mut self, seq: u64) -> Option<Slot<P, R>> {
        let slot = self.queues_mut().find_map(|queue| {
            queue.remove(queue.binary_search_by_key(&seq, |slot| slot.seq).ok()?)
        })?;
        self.messages -= slot.count;
        self.bytes -= slot.len;
        Some(slot)
    }

    fn added(&mut self, slot: &Slot<P, R>) {
        self.messages += slot.count;
        self.bytes += slot.len;
        if let Some(due) = slot.deadline() {
            let earliest = &mut self.rare().earliest;
            *earliest = Some(earliest.map_or(due, |earliest| earliest.min(due)));
        }
    }

    fn removed(&mut self, slot: &Slot<P, R>) {
        self.messages -= slot.count;
        self.bytes -= slot.len;
        if let Some(key) = slot.terms.as_ref().and_then(|terms| terms.key.as_ref())
            && let Some(rare) = &mut self.rare
        {
            rare.keys.remove(key);
        }
    }

    /// An idle connection keeps no buffer from its busiest moment.
    fn release(&mut self) {
        if !self.at_once.is_empty() {
            return;
        }
        if self.at_once.capacity() > RETAINED {
            self.at_once = VecDeque::new();
        }
        if self.messages == 0 {
            self.rare = None;
        }
    }
}

/// Slots that an empty queue may keep: connections are many, and most send one message now and then.
const RETAINED: usize = 1;

/// Makes place for so many slots more: at first for no others.
fn make_room<T>(queue: &mut VecDeque<T>, more: usize) {
    if queue.is_empty() { queue.reserve_exact(more) } else { queue.reserve(more) }
}
