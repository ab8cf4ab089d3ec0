use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix::{Message, Recipient};
use serde::de::IgnoredAny;

use crate::{
    event::{
        Lane, Lifecycle, Parcel, Received, ReceivedBatch, Subscriber, Subscription, SubscriptionId,
    },
    lifecycle::{ConnectionId, Epoch, LifecycleEvent, Verdict},
    protocol::{Batch, BatchBuilder, Payload},
    spec::Kind,
    transport::Inbound,
};

/// Who hears of one connection, and the one order of all that it tells.
///
/// The connection's actor and its session's task both speak through it, so that a sequence number
/// is a place in that order whoever took it.
pub(super) struct Fanout {
    connection: ConnectionId,
    kind: Kind,
    next_seq: u64,
    lifecycle: Vec<Outlet<Lifecycle>>,
    each: Vec<Outlet<Received>>,
    batches: Vec<Outlet<ReceivedBatch>>,
    pub(super) received: u64,
    pub(super) unheard: u64,
    pub(super) not_json: u64,
    /// What the latest answered ping took.
    pub(super) round_trip: Option<Duration>,
}

/// One subscriber, and what is on its way to it.
struct Outlet<M>
where
    M: Message + Send,
    M::Result: Send,
{
    id: SubscriptionId,
    recipient: Recipient<M>,
    lane: Arc<Lane>,
    /// Lifecycle events that it had no room for.
    lost: u64,
}

impl Fanout {
    pub(super) fn new(connection: ConnectionId, kind: Kind) -> Self {
        Self {
            connection,
            kind,
            next_seq: 1,
            lifecycle: Vec::new(),
            each: Vec::new(),
            batches: Vec::new(),
            received: 0,
            unheard: 0,
            not_json: 0,
            round_trip: None,
        }
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        let id = subscription.id();
        let connection = self.connection.clone();
        match subscription.to {
            Subscriber::Lifecycle(to) => add(&mut self.lifecycle, Outlet::new(id, to, connection)),
            Subscriber::Each(to) => add(&mut self.each, Outlet::new(id, to, connection)),
            Subscriber::Batches(to) => add(&mut self.batches, Outlet::new(id, to, connection)),
        }
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.lifecycle.retain(|outlet| outlet.id != id);
        self.each.retain(|outlet| outlet.id != id);
        self.batches.retain(|outlet| outlet.id != id);
    }

    pub(super) fn emit(&mut self, epoch: Epoch, event: &LifecycleEvent) {
        // What a subscriber has lost is an event of its own, with a place of its own: between the
        // lost ones and this one others may have been delivered.
        for outlet in self.lifecycle.iter_mut().filter(|outlet| outlet.has_lost_and_has_room()) {
            let lagged = LifecycleEvent::Lagged { dropped: std::mem::take(&mut outlet.lost) };
            outlet.tell(epoch, self.next_seq, &lagged);
            self.next_seq += 1;
        }
        let seq = self.take_seqs(1);
        self.lifecycle.retain_mut(|outlet| outlet.tell(epoch, seq, event));
    }

    fn take_seqs(&mut self, count: usize) -> u64 {
        let first = self.next_seq;
        self.next_seq += count as u64;
        first
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let lanes = self.each.iter().map(|outlet| &outlet.lane);
        for lane in lanes.chain(self.batches.iter().map(|outlet| &outlet.lane)) {
            if lane.poll_room(cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    fn deliver(&mut self, epoch: Epoch, messages: &mut BatchBuilder) {
        if self.each.is_empty() && self.batches.is_empty() {
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
        let batch = Arc::new(messages.freeze());
        self.each.retain(|outlet| outlet.each(epoch, first_seq, &batch));
        self.batches.retain(|outlet| outlet.batch(epoch, first_seq, &batch));
    }
}

/// Subscribers are few and stay: no slot is kept for more.
fn add<T>(outlets: &mut Vec<T>, outlet: T) {
    outlets.reserve_exact(1);
    outlets.push(outlet);
}

fn is_json(payload: Payload<'_>) -> bool {
    payload.as_text().is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

impl<M> Outlet<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn new(id: SubscriptionId, recipient: Recipient<M>, connection: ConnectionId) -> Self {
        Self { id, recipient, lane: Lane::new(connection), lost: 0 }
    }

    /// Whether the subscriber still lives. The lane is the bound on what is in flight; the mailbox
    /// has none that can be relied on, so it is not asked.
    fn send(&self, message: M) -> bool {
        self.recipient.do_send(message);
        self.recipient.connected()
    }
}

impl Outlet<Lifecycle> {
    fn has_lost_and_has_room(&self) -> bool {
        self.lost > 0 && self.lane.has_room()
    }

    /// Whether the subscriber still lives.
    fn tell(&mut self, epoch: Epoch, seq: u64, event: &LifecycleEvent) -> bool {
        if !self.lane.has_room() {
            self.lost += 1;
            return self.recipient.connected();
        }
        self.send(Lifecycle { epoch, seq, event: event.clone(), lease: self.lane.lease(1, 0) })
    }
}

impl Outlet<Received> {
    fn each(&self, epoch: Epoch, first_seq: u64, batch: &Arc<Batch>) -> bool {
        let lease = self.lane.lease(batch.len(), batch.payload_bytes());
        let parcel = Arc::new(Parcel { batch: Arc::clone(batch), lease });
        for (index, seq) in (0..batch.len()).zip(first_seq..) {
            let parcel = Arc::clone(&parcel);
            self.recipient.do_send(Received { epoch, seq, index, parcel });
        }
        self.recipient.connected()
    }
}

impl Outlet<ReceivedBatch> {
    fn batch(&self, epoch: Epoch, first_seq: u64, batch: &Arc<Batch>) -> bool {
        let lease = self.lane.lease(1, batch.payload_bytes());
        self.send(ReceivedBatch { epoch, first_seq, batch: Arc::clone(batch), lease })
    }
}

/// The way from one epoch's session to the subscribers.
pub(super) struct EpochInbound {
    pub(super) epoch: Epoch,
    pub(super) fanout: Rc<RefCell<Fanout>>,
}

impl Inbound for EpochInbound {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.fanout.borrow().poll_room(cx)
    }

    fn deliver(&mut self, messages: &mut BatchBuilder) {
        self.fanout.borrow_mut().deliver(self.epoch, messages);
    }

    fn round_trip(&mut self, took: Duration) {
        self.fanout.borrow_mut().round_trip = Some(took);
    }

    fn suspect(&mut self, verdict: Verdict) {
        let event = LifecycleEvent::Suspected { verdict };
        let mut fanout = self.fanout.borrow_mut();
        tracing::warn!(connection = %fanout.connection, epoch = %self.epoch, "{event}");
        fanout.emit(self.epoch, &event);
    }
}
