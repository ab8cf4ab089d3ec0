//! One subscriber of one connection: what is on its way to it, and what becomes of what it has no room
//! for.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, ready},
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
    /// Absent for a subscriber that keeps up.
    behind: Option<Box<Behind>>,
}

/// What a subscriber is behind with.
#[derive(Default)]
struct Behind {
    /// To be told before what comes next.
    lost: Option<Lost>,
    /// Somebody waits for room in its lane.
    is_pumped: bool,
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
    /// It is on its way, or was not wanted, or was counted as lost.
    Fine,
    /// It waits, or what was lost is still to be told: somebody has to wait for room.
    Waits,
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
        Self { id, to: to.into(), lane, custom, behind: None }
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
                let lost = Behind::take_lost(&mut self.behind);
                M::send(&mut self.to, &self.lane, content.clone(), lost);
                return if M::connected(&self.to) { Told::Fine } else { Told::Dead };
            }
            return self.lose(content);
        };
        let Some(content) = content.select(&custom.wishes) else { return Told::Fine };
        if custom.queue.is_empty() && self.lane.has_room() {
            let lost = Behind::take_lost(&mut self.behind);
            M::send(&mut self.to, &self.lane, content, lost);
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
        M::send(&mut self.to, &self.lane, content, Behind::take_lost(&mut self.behind));
        M::send_rest(&mut self.to);
    }

    fn lose(&mut self, content: &M::Content) -> Told {
        if !M::connected(&self.to) {
            return Told::Dead;
        }
        self.count_lost(content);
        Told::Waits
    }

    fn count_lost(&mut self, content: &M::Content) {
        let Behind { lost, .. } = &mut **self.behind.get_or_insert_default();
        let events = content.events() + lost.map_or(0, |lost| lost.events);
        *lost = Some(Lost { events, place: content.place() });
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
        Told::Waits
    }

    /// Whether somebody is to wait for room in its lane, and nobody does yet.
    pub(super) fn wants_pump(&mut self) -> bool {
        let has_more = self.custom.as_ref().is_some_and(|custom| !custom.queue.is_empty())
            || self.loss().is_some();
        has_more && !std::mem::replace(&mut self.behind.get_or_insert_default().is_pumped, true)
    }

    /// Who waited does no more.
    pub(super) fn lose_pump(&mut self) {
        if let Some(behind) = &mut self.behind {
            behind.is_pumped = false;
        }
        self.behind.take_if(|behind| behind.lost.is_none());
    }

    /// What tells of a loss by itself, where that is to be told.
    fn loss(&self) -> Option<M::Content> {
        M::Content::of_loss(self.behind.as_ref()?.lost?)
    }

    /// Sends what waits as there is room. Ready when nothing waits any more.
    pub(super) fn poll_pump(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while M::connected(&self.to) {
            let next = self.custom.as_mut().and_then(|custom| custom.next(&self.lane, cx));
            let content = match next {
                Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(content)) => content,
                None => {
                    let Some(loss) = self.loss() else { break };
                    ready!(self.lane.poll_room(cx));
                    Behind::take_lost(&mut self.behind);
                    loss
                }
            };
            self.tell_anyway(content);
        }
        self.lose_pump();
        Poll::Ready(())
    }
}

impl Behind {
    /// What is told now. Nothing is kept where nobody waits either.
    fn take_lost(this: &mut Option<Box<Self>>) -> Option<Lost> {
        let behind = this.as_mut()?;
        let lost = behind.lost.take();
        if !behind.is_pumped {
            *this = None;
        }
        lost
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
