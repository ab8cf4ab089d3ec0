//! One subscriber of one connection: what is on its way to it, and what becomes of what it has no room
//! for.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use actix::Recipient;

use super::letter::{Content as _, Letter, Lost};
use crate::{
    event::{Lane, MAX_BYTES, MAX_EVENTS, Overflow, Received, Wishes},
    lifecycle::{ConnectionId, SubscriptionId},
};

/// One subscriber, and what is on its way to it.
pub(super) struct Outlet<M: Letter> {
    pub(super) id: SubscriptionId,
    to: M::To,
    lane: Arc<Lane>,
    /// Absent for a subscriber that wants the default.
    custom: Option<Box<Custom<M>>>,
    /// To be told before what comes next. Absent for a subscriber that keeps up.
    lost: Option<Box<Lost>>,
}

struct Custom<M: Letter> {
    wishes: Wishes,
    overflow: Overflow,
    /// What waits for room in the lane, where the oldest is dropped for the newest.
    queue: VecDeque<M::Content>,
    queued: (usize, usize),
    /// Bounds of the queue, in events and bytes.
    room: (usize, usize),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is on its way, or was not wanted, or waits, or was counted as lost.
    Fine,
    /// The subscriber was too slow, and is to be let go.
    TooSlow,
    /// The subscriber is dead.
    Dead,
}

impl<M: Letter> Outlet<M> {
    pub(super) fn new(
        id: SubscriptionId,
        to: Arc<Recipient<M>>,
        connection: ConnectionId,
        wishes: Option<Box<Wishes>>,
    ) -> Self {
        let of = |wish: fn(&Wishes) -> Option<usize>| wishes.as_deref().and_then(wish);
        let events = of(|wishes| wishes.capacity).unwrap_or(MAX_EVENTS);
        let bytes = of(|wishes| wishes.capacity_bytes).unwrap_or(MAX_BYTES);
        let overflow =
            wishes.as_deref().and_then(|wishes| wishes.overflow).unwrap_or(M::Content::OVERFLOW);
        let (mut in_lane, mut room) = ((events, bytes), (0, 0));
        if overflow == Overflow::DropOldest {
            room = ((events / 2).max(1), (bytes / 2).max(1));
            in_lane = ((events - events / 2).max(1), (bytes - bytes / 2).max(1));
        }
        let custom = wishes.map(|wishes| {
            let (wishes, queue) = (*wishes, VecDeque::new());
            Box::new(Custom { wishes, overflow, queue, queued: (0, 0), room })
        });
        let lane = Lane::new(connection, in_lane.0, in_lane.1);
        Self { id, to: to.into(), lane, custom, lost: None }
    }

    fn overflow(&self) -> Overflow {
        self.custom.as_ref().map_or(M::Content::OVERFLOW, |custom| custom.overflow)
    }

    /// Whether the socket is not to be read until this subscriber has room. A dead one holds nobody.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.overflow() != Overflow::HoldBack || self.lane.has_room() || !M::connected(&self.to)
        {
            return Poll::Ready(());
        }
        self.lane.poll_room(cx)
    }

    /// Tells it, or does as the subscriber chose.
    pub(super) fn tell(&mut self, content: &M::Content) -> Told {
        let Some(custom) = &mut self.custom else {
            // The lane is the bound on what is in flight; the mailbox has none that can be relied on,
            // so it is not asked.
            if M::Content::OVERFLOW == Overflow::HoldBack || self.lane.has_room() {
                let lost = self.lost.take();
                M::send(&mut self.to, &self.lane, content.clone(), lost.map(|lost| *lost));
                return if M::connected(&self.to) { Told::Fine } else { Told::Dead };
            }
            return self.lose(content);
        };
        let Some(content) = content.select(&custom.wishes) else { return Told::Fine };
        if custom.queue.is_empty() && self.lane.has_room() {
            M::send(&mut self.to, &self.lane, content, self.lost.take().map(|lost| *lost));
            return if M::connected(&self.to) { Told::Fine } else { Told::Dead };
        }
        match custom.overflow {
            // It may exceed the bound by what one read held.
            Overflow::HoldBack if M::Content::OVERFLOW == Overflow::HoldBack => {
                M::send(&mut self.to, &self.lane, content, None);
                if M::connected(&self.to) { Told::Fine } else { Told::Dead }
            }
            Overflow::HoldBack | Overflow::DropNewest => self.lose(&content),
            Overflow::DropOldest => self.queue(content),
            Overflow::Unsubscribe => Told::TooSlow,
        }
    }

    /// Tells it even where there is no room: the last event of a subscription, or its first ones.
    pub(super) fn tell_anyway(&mut self, content: M::Content) {
        M::send(&mut self.to, &self.lane, content, self.lost.take().map(|lost| *lost));
        M::send_rest(&mut self.to);
    }

    fn lose(&mut self, content: &M::Content) -> Told {
        if !M::connected(&self.to) {
            return Told::Dead;
        }
        self.count_lost(content);
        Told::Fine
    }

    fn count_lost(&mut self, content: &M::Content) {
        let events = content.events() + self.lost.as_ref().map_or(0, |lost| lost.events);
        self.lost = Some(Box::new(Lost { events, place: content.place() }));
    }

    fn queue(&mut self, content: M::Content) -> Told {
        if !M::connected(&self.to) {
            return Told::Dead;
        }
        let Some(custom) = &mut self.custom else { return Told::Fine };
        let mut dropped = Vec::new();
        let (events, bytes) = M::weight(&content);
        custom.queued = (custom.queued.0 + events, custom.queued.1 + bytes);
        custom.queue.push_back(content);
        while custom.queue.len() > 1
            && (custom.queued.0 > custom.room.0 || custom.queued.1 > custom.room.1)
            && let Some(oldest) = custom.queue.pop_front()
        {
            let (events, bytes) = M::weight(&oldest);
            custom.queued = (custom.queued.0 - events, custom.queued.1 - bytes);
            dropped.push(oldest);
        }
        for oldest in &dropped {
            self.count_lost(oldest);
        }
        Told::Fine
    }

    /// What tells of a loss by itself, where that is to be told.
    fn loss(&self) -> Option<M::Content> {
        M::Content::of_loss(**self.lost.as_ref()?)
    }

    /// Sends what waits, as far as there is room. The task is woken when there is more of it.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>) {
        // So it is with most.
        if self.custom.is_none() && self.lost.is_none() {
            return;
        }
        while M::connected(&self.to) {
            let next = self.custom.as_mut().and_then(|custom| custom.next(&self.lane, cx));
            let content = match next {
                Some(Poll::Pending) => return,
                Some(Poll::Ready(content)) => content,
                None => {
                    let Some(loss) = self.loss() else { return };
                    if self.lane.poll_room(cx).is_pending() {
                        return;
                    }
                    self.lost = None;
                    loss
                }
            };
            self.tell_anyway(content);
        }
    }
}

impl Outlet<Received> {
    /// Whether some of what it was told is left for the next turn.
    pub(super) const fn has_more(&self) -> bool {
        self.to.has_more()
    }

    pub(super) fn send_rest(&mut self) {
        self.to.send_rest();
    }
}

impl<M: Letter> Custom<M> {
    /// The oldest that is queued, once there is room for it.
    fn next(&mut self, lane: &Arc<Lane>, cx: &mut Context<'_>) -> Option<Poll<M::Content>> {
        let oldest = self.queue.front()?;
        if lane.poll_room(cx).is_pending() {
            return Some(Poll::Pending);
        }
        let (events, bytes) = M::weight(oldest);
        self.queued = (self.queued.0 - events, self.queued.1 - bytes);
        let oldest = self.queue.pop_front()?;
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(Poll::Ready(oldest))
    }
}
