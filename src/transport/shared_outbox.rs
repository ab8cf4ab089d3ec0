use std::{
    cell::RefCell,
    ops::ControlFlow,
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use super::{
    load::{Load, Waiting},
    reply::{Reply, tell},
};
use crate::{
    clock::now,
    lifecycle::{
        Epoch, ExitReason, Fate, Outbox, OutboxLimits, Room, SendLimit, Side, Terms, Throttle,
    },
    message::{Fetched, Inlet},
    protocol::{Frames, OwnedPayload},
};

/// A connection's outbox: its actor puts messages in, as far as its limits go, and the session that is up takes
/// them out. Both run on the same thread.
pub(crate) struct SharedOutbox(RefCell<Inner>);

struct Inner {
    outbox: Outbox<Load, Reply>,
    /// Boxed because most connections have none.
    throttle: Option<Box<Throttle>>,
    /// What senders put in. Absent until somebody asks for one.
    inlet: Option<Arc<Inlet>>,
}

impl SharedOutbox {
    pub(crate) fn new(limit: Option<SendLimit>) -> Rc<Self> {
        let outbox = Outbox::default();
        let throttle = limit.map(|limit| Box::new(Throttle::new(limit)));
        Rc::new(Self(RefCell::new(Inner { outbox, throttle, inlet: None })))
    }

    /// Other limits hold from now on. What waits stays.
    pub(crate) fn limit(&self, limits: OutboxLimits, limit: Option<SendLimit>) {
        let inner = &mut *self.0.borrow_mut();
        if let Some(inlet) = &inner.inlet {
            inlet.limit(limits);
        }
        match (limit, &mut inner.throttle) {
            (Some(limit), Some(throttle)) => throttle.change(limit),
            (limit, none) => *none = limit.map(|limit| Box::new(Throttle::new(limit))),
        }
    }

    /// Whether a message fits, beside others that are written and wait to be confirmed.
    pub(crate) fn has_room(
        &self,
        limits: &OutboxLimits,
        unconfirmed: usize,
        len: usize,
        key: Option<&str>,
    ) -> bool {
        self.0.borrow().outbox.has_room(limits, unconfirmed, len, key)
    }

    /// What is left of the limits, beside others that are written and wait to be confirmed.
    pub(crate) fn room(&self, limits: &OutboxLimits, unconfirmed: usize) -> Room {
        self.0.borrow().outbox.room(limits, unconfirmed)
    }

    /// Makes place for so many messages more, to save growing step by step.
    pub(crate) fn reserve(&self, messages: usize) {
        self.0.borrow_mut().outbox.reserve(messages);
    }

    /// How long the send limit would keep a message waiting that is accepted now, behind what waits and
    /// `greeting` messages more. Nothing where it never would pass.
    pub(crate) fn wait(&self, greeting: usize, now: Instant) -> Option<Duration> {
        let inner = self.0.borrow();
        match &inner.throttle {
            Some(throttle) => throttle.wait(inner.outbox.len() + greeting, now),
            None => Some(Duration::ZERO),
        }
    }

    /// Takes a message that has room.
    pub(crate) fn push(
        &self,
        payload: OwnedPayload,
        reply: Option<Reply>,
        terms: Option<Box<Terms>>,
    ) {
        let inner = &mut *self.0.borrow_mut();
        inner.fetch_before();
        inner.outbox.push(payload.len(), Load::One(payload), reply, terms, &mut told);
    }

    /// Takes `count` messages of `len` bytes together, that have room, as a run.
    pub(crate) fn push_run(
        &self,
        count: usize,
        len: usize,
        frames: Frames,
        reply: Reply,
        terms: Option<Box<Terms>>,
    ) {
        let inner = &mut *self.0.borrow_mut();
        inner.fetch_before();
        inner.outbox.push_run(count, len, Load::Run(Box::new(frames)), Some(reply), terms);
    }

    /// Messages and bytes that wait to be written.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let inner = self.0.borrow();
        let (messages, bytes) =
            inner.inlet.as_ref().map(|inlet| inlet.waiting()).unwrap_or_default();
        (inner.outbox.len() + messages, inner.outbox.bytes() + bytes)
    }

    /// Where senders put what they send: `make` makes the place, when the first is asked for.
    pub(crate) fn inlet(&self, make: impl FnOnce() -> Arc<Inlet>) -> Arc<Inlet> {
        Arc::clone(self.0.borrow_mut().inlet.get_or_insert_with(make))
    }

    /// Whether there is a session in which senders may send.
    pub(crate) fn admit_senders(&self, is_up: bool) {
        let inner = &mut *self.0.borrow_mut();
        match &inner.inlet {
            Some(inlet) if is_up => inlet.open(),
            Some(_) => inner.close_inlet(),
            None => {}
        }
    }

    /// How many messages senders were refused since the last time.
    pub(crate) fn take_refusals(&self) -> u64 {
        self.0.borrow().inlet.as_ref().map_or(0, |inlet| inlet.take_refusals())
    }

    /// Tells what has expired.
    pub(crate) fn expire(&self, now: Instant) {
        self.0.borrow_mut().outbox.expire(now, &mut told);
    }

    /// When [`expire`](Self::expire) is wanted next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.0.borrow().outbox.next_deadline()
    }

    /// The session or the attempt ended: what was for it alone is told so.
    pub(crate) fn end_session(&self, side: Side, was_ready: bool, exit: &ExitReason) {
        let inner = &mut *self.0.borrow_mut();
        if side == Side::Up {
            inner.close_inlet();
        }
        let tell = &mut |reply, fate| tell(reply, fate, side, Some(exit));
        inner.outbox.end_session(side, was_ready, tell);
    }

    /// From now on, messages for the session of this epoch are for the one beside.
    pub(crate) fn set_aside(&self, epoch: Epoch) {
        self.0.borrow_mut().outbox.set_aside(epoch);
    }

    /// The session beside takes the place of the one that is up, which goes on beside it where it has not
    /// ended.
    pub(crate) fn hand_over(&self, old: Option<Epoch>) {
        let inner = &mut *self.0.borrow_mut();
        let fetched = inner.inlet.as_ref().and_then(|inlet| inlet.turn_over());
        inner.accept(fetched);
        inner.outbox.hand_over(old);
    }

    /// The connection ended: everything that is left is told so.
    pub(crate) fn end(&self) {
        let inner = &mut *self.0.borrow_mut();
        inner.close_inlet();
        inner.outbox.end(&mut told);
    }

    pub(super) fn take_back(&self, unbegun: Vec<Waiting>) {
        self.0.borrow_mut().outbox.take_back(unbegun);
    }

    pub(super) fn has_due(&self, side: Side, is_ready: bool) -> bool {
        let inner = self.0.borrow();
        let has_news = || inner.inlet.as_ref().is_some_and(|inlet| inlet.has_news());
        inner.outbox.has_due(side, is_ready) || side == Side::Up && has_news()
    }

    /// Lets a message pass the send limit, or says when one may.
    pub(super) fn pass(&self) -> Result<(), Instant> {
        match &mut self.0.borrow_mut().throttle {
            Some(throttle) => throttle.pass(now()),
            None => Ok(()),
        }
    }

    /// Slots of messages that wait.
    pub(super) fn slot_count(&self) -> usize {
        self.0.borrow().outbox.slot_count()
    }

    /// Gives messages that this session may write now to `take`, for as long as it says and the send limit
    /// lets them pass. Of a run, it takes so many at most as it is told, and one at least; what it leaves
    /// it gives back. Returns when the next one may pass, where the limit holds it back. `waker` is woken when
    /// senders have sent more.
    pub(super) fn drain(
        &self,
        side: Side,
        is_ready: bool,
        waker: &Waker,
        mut take: impl FnMut(Waiting, usize) -> (Option<Waiting>, ControlFlow<()>),
    ) -> Option<Instant> {
        let inner = &mut *self.0.borrow_mut();
        if side == Side::Up {
            inner.fetch(waker);
        }
        if inner.outbox.next_deadline().is_some() {
            inner.outbox.expire(now(), &mut told);
        }
        inner.drain(side, is_ready, &mut take)
    }

    /// Senders hear what their messages wait behind, beside others of the session on this side that are written
    /// and wait to be confirmed.
    pub(crate) fn tell_senders(&self, side: Side, unconfirmed: usize) {
        let inner = self.0.borrow();
        if let Some(inlet) = &inner.inlet {
            inlet.wait_behind(inner.outbox.len(), inner.outbox.bytes());
            inlet.wait_beside(side, unconfirmed);
        }
    }
}

impl Inner {
    fn drain(
        &mut self,
        side: Side,
        is_ready: bool,
        take: &mut impl FnMut(Waiting, usize) -> (Option<Waiting>, ControlFlow<()>),
    ) -> Option<Instant> {
        while self.outbox.has_due(side, is_ready) {
            let most = match &mut self.throttle {
                None => usize::MAX,
                Some(throttle) => match throttle.pass(now()) {
                    Ok(()) => 1,
                    Err(due) => return Some(due),
                },
            };
            let Some(waiting) = self.outbox.pop(side, is_ready) else { break };
            let (left, flow) = take(waiting, most);
            if let Some(left) = left {
                self.outbox.put_back(left);
            }
            if flow.is_break() {
                break;
            }
        }
        None
    }

    /// Takes over what senders sent.
    fn fetch(&mut self, waker: &Waker) {
        if let Some(inlet) = &self.inlet {
            let fetched = inlet.fetch(waker);
            self.accept(fetched);
        }
    }

    /// What senders sent before a message that comes by the address goes before it.
    fn fetch_before(&mut self) {
        let fetched = self.inlet.as_ref().and_then(|inlet| inlet.fetch_before());
        self.accept(fetched);
    }

    fn close_inlet(&mut self) {
        let fetched = self.inlet.as_ref().and_then(|inlet| inlet.close());
        self.accept(fetched);
    }

    fn accept(&mut self, fetched: Option<Fetched>) {
        if let Some(Fetched { frames, account }) = fetched {
            let (count, len) = (frames.len(), frames.payload_bytes());
            let (load, reply) = (Load::Run(frames), Reply::Account(account));
            self.outbox.push_run(count, len, load, Some(reply), None);
        }
    }
}

/// Tells the fate of a message that no session had.
fn told(reply: Reply, fate: Fate) {
    tell(reply, fate, Side::Up, None);
}
