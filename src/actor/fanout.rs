use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use serde::de::IgnoredAny;

use super::{
    letter::{Content as _, Letter},
    outlet::{Outlet, Told},
    outlets::Outlets,
};
use crate::{
    event::{
        Haul, History, Lifecycle, Moment, Received, ReceivedBatch, Ring, Subscriber, Subscription,
        Wishes,
    },
    lifecycle::{ConnectionId, Epoch, LifecycleEvent, State, SubscriptionId},
    protocol::{BatchBuilder, Payload},
    spec::Kind,
};

/// Who hears of one connection, and the one order of all that it tells.
///
/// The connection's actor and its session both speak through it, so that a sequence number
/// is a place in that order whoever took it.
pub(super) struct Fanout {
    pub(super) connection: ConnectionId,
    kind: Kind,
    next_seq: u64,
    /// Of the lifecycle event that was told last.
    epoch: Epoch,
    lifecycle: Outlets<Lifecycle>,
    each: Outlets<Received>,
    batches: Outlets<ReceivedBatch>,
    /// What is kept for those who come later. Boxed because it is rare.
    history: Option<Box<Ring>>,
    pub(super) received: u64,
    pub(super) unheard: u64,
    pub(super) not_json: u64,
    /// What the latest answered ping took.
    pub(super) round_trip: Option<Duration>,
}

impl Fanout {
    pub(super) fn new(connection: ConnectionId, kind: Kind, history: Option<History>) -> Self {
        Self {
            connection,
            kind,
            next_seq: 1,
            epoch: Epoch::NONE,
            lifecycle: Outlets::default(),
            each: Outlets::default(),
            batches: Outlets::default(),
            history: history.map(|bounds| Box::new(Ring::new(bounds))),
            received: 0,
            unheard: 0,
            not_json: 0,
            round_trip: None,
        }
    }

    /// Where the connection is in its life is told to who asks for it, unless it has not begun.
    pub(super) fn subscribe(&mut self, subscription: Subscription, at: Option<(Epoch, State)>) {
        if !subscription.means(&self.connection) {
            return;
        }
        self.tell_rest();
        let id = subscription.id();
        let Subscription { to, wishes, .. } = subscription;
        let connection = self.connection.clone();
        match to {
            Subscriber::Lifecycle(to) => {
                let mut outlet = Outlet::new(id, to, connection, wishes.clone());
                if let Some(wishes) = wishes {
                    self.catch_up(&mut outlet, &wishes, at);
                }
                self.lifecycle.add(outlet);
            }
            Subscriber::Each(to) => {
                let mut outlet = Outlet::new(id, to, connection, wishes.clone());
                self.catch_up_messages(&mut outlet, wishes.as_deref());
                self.each.add(outlet);
            }
            Subscriber::Batches(to) => {
                let mut outlet = Outlet::new(id, to, connection, wishes.clone());
                self.catch_up_messages(&mut outlet, wishes.as_deref());
                self.batches.add(outlet);
            }
        }
    }

    fn catch_up(
        &mut self,
        outlet: &mut Outlet<Lifecycle>,
        wishes: &Wishes,
        at: Option<(Epoch, State)>,
    ) {
        if let Some(history) = &self.history {
            let wanted = |moment: &Moment| moment.select(wishes).is_some();
            for moment in history.moments(wishes.replay, wanted) {
                outlet.tell_anyway(moment);
            }
        }
        if let Some((epoch, state)) = at.filter(|_| wishes.state) {
            let seq = self.take_seqs(1);
            outlet.tell_anyway(Moment { epoch, seq, event: LifecycleEvent::Currently { state } });
        }
    }

    fn catch_up_messages<M: Letter<Content = Haul>>(
        &self,
        outlet: &mut Outlet<M>,
        wishes: Option<&Wishes>,
    ) {
        if let Some(history) = &self.history
            && let Some(wishes) = wishes
        {
            for haul in history.hauls(wishes.replay, |haul| haul.select(wishes)) {
                outlet.tell_anyway(haul);
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.lifecycle.remove(id);
        self.each.remove(id);
        self.batches.remove(id);
    }

    /// Tells all lifecycle subscribers.
    pub(super) fn emit(&mut self, epoch: Epoch, event: &LifecycleEvent) {
        let mut too_slow = Vec::new();
        self.tell_event(epoch, event, &mut too_slow);
        self.let_go(too_slow);
    }

    /// Sends what waits for subscribers, as far as they have room. Few let events wait: they chose to lose some, and
    /// are too slow.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>) {
        self.lifecycle.iter_mut().for_each(|outlet| outlet.pump(cx));
        self.each.iter_mut().for_each(|outlet| outlet.pump(cx));
        self.batches.iter_mut().for_each(|outlet| outlet.pump(cx));
    }

    /// Whether somebody was told some of the last messages only: [`tell_rest`](Self::tell_rest) is to be called
    /// at the session's next turn.
    pub(super) fn has_more(&self) -> bool {
        self.each.iter().any(Outlet::has_more)
    }

    /// Tells the rest of what was delivered.
    pub(super) fn tell_rest(&mut self) {
        self.each.iter_mut().for_each(Outlet::send_rest);
    }

    fn tell_event(&mut self, epoch: Epoch, event: &LifecycleEvent, too_slow: &mut TooSlow) {
        self.tell_rest();
        let seq = self.take_seqs(1);
        self.epoch = epoch;
        let moment = Moment { epoch, seq, event: event.clone() };
        self.lifecycle.tell_each(|outlet| tell(outlet, &moment, too_slow));
        if let Some(history) = &mut self.history {
            history.keep_moment(moment);
        }
    }

    /// Those that were too slow are left behind.
    fn let_go(&mut self, mut too_slow: TooSlow) {
        let epoch = self.epoch;
        while let Some(subscription) = too_slow.pop() {
            tracing::warn!(connection = %self.connection, %epoch, "a subscriber was too slow and is let go");
            let event = LifecycleEvent::Unsubscribed { subscription };
            // It is the last that a lifecycle subscriber is told.
            if let Some(mut outlet) = self.lifecycle.remove(subscription) {
                let seq = self.take_seqs(1);
                outlet.tell_anyway(Moment { epoch, seq, event: event.clone() });
            }
            self.tell_event(epoch, &event, &mut too_slow);
        }
    }

    fn take_seqs(&mut self, count: usize) -> u64 {
        let first = self.next_seq;
        self.next_seq += count as u64;
        first
    }

    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        for outlet in self.each.iter() {
            ready!(outlet.poll_room(cx));
        }
        for outlet in self.batches.iter() {
            ready!(outlet.poll_room(cx));
        }
        for outlet in self.lifecycle.iter() {
            ready!(outlet.poll_room(cx));
        }
        Poll::Ready(())
    }

    /// Delivers all of `messages`.
    pub(super) fn deliver(&mut self, epoch: Epoch, messages: &mut BatchBuilder) {
        if self.each.is_empty() && self.batches.is_empty() && self.history.is_none() {
            self.unheard += messages.len() as u64;
            messages.clear();
            return;
        }
        if self.kind == Kind::Json {
            let before = messages.len();
            messages.retain(is_json);
            let dropped = before - messages.len();
            if dropped > 0 {
                self.not_json += dropped as u64;
                tracing::warn!(connection = %self.connection, %epoch, dropped, "messages that are not JSON were dropped");
            }
        }
        if messages.is_empty() {
            return;
        }
        self.received += messages.len() as u64;
        let first_seq = self.take_seqs(messages.len());
        let mut haul = Haul::new(epoch, first_seq, Arc::new(messages.freeze()));
        haul.overlap = epoch != self.epoch;
        let mut too_slow = Vec::new();
        // Those who get them one by one are sent the first, and the others while they hear these.
        self.batches.tell_each(|outlet| tell(outlet, &haul, &mut too_slow));
        self.each.tell_each(|outlet| tell(outlet, &haul, &mut too_slow));
        if let Some(history) = &mut self.history {
            history.keep_haul(haul);
        }
        self.let_go(too_slow);
    }
}

/// Those that are to be let go.
type TooSlow = Vec<SubscriptionId>;

/// Tells a subscriber, and whether it stays.
fn tell<M: Letter>(outlet: &mut Outlet<M>, content: &M::Content, too_slow: &mut TooSlow) -> bool {
    match outlet.tell(content) {
        Told::Fine => true,
        Told::Dead => false,
        Told::TooSlow => {
            too_slow.push(outlet.id);
            // A lifecycle subscriber is still to be told so.
            M::Content::TELLS_OF_ENDS
        }
    }
}

fn is_json(payload: Payload<'_>) -> bool {
    payload.as_text().is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}
