//! The messages of one read on their way to one subscriber, one by one.
//!
//! Each is an actor message of its own, for which actix takes memory from the allocator twice and gives it
//! back when it was handled. Were all of a read sent at once, and to many subscribers, that memory would be in no
//! near cache when it is handled, and past what an allocator keeps at hand. So one is under way at a
//! time: where it is dropped on the thread that sent it, it hands its share of the parcel on to the next,
//! which is sent there and then. Nothing is locked for that, and nothing counted. Whoever keeps it, or drops it
//! on another thread, is sent all that is left when the session has its next turn.

use std::{
    cell::RefCell,
    sync::{Arc, Weak},
};

use actix::Recipient;

use super::{Haul, Lane, Lease, Received};
use crate::{
    lifecycle::ConnectionId,
    protocol::{OwnedPayload, Payload},
};

/// So many are sent at once: an allocator has memory at hand for them, and the session is spared a turn.
const FEW: usize = 4;

/// What the messages of one read that go to one subscriber share: one lease and one count for all of them.
#[derive(Debug)]
pub(crate) struct Parcel {
    haul: Haul,
    /// Lost before the first.
    lagged: u64,
    lease: Lease,
    /// Where its thread keeps its relay, if it has one.
    slot: Option<usize>,
}

/// One message's share of a parcel.
#[derive(Debug)]
pub(crate) struct Share {
    /// Absent once it is handed on.
    parcel: Option<Arc<Parcel>>,
    index: usize,
}

/// The way to a subscriber that gets messages one by one.
pub(crate) struct OneByOne {
    to: Arc<Recipient<Received>>,
    /// What may not be sent as a whole.
    last: Option<Weak<Parcel>>,
}

/// A parcel of which one message is under way.
struct Relay {
    to: Arc<Recipient<Received>>,
    parcel: Arc<Parcel>,
    /// The index of the message that is sent next.
    next: usize,
}

/// The relays of one thread.
struct Relays {
    slots: Vec<Option<Relay>>,
    free: Vec<usize>,
}

thread_local! {
    static RELAYS: RefCell<Relays> =
        const { RefCell::new(Relays { slots: Vec::new(), free: Vec::new() }) };
}

impl OneByOne {
    pub(crate) fn connected(&self) -> bool {
        self.to.connected()
    }

    /// Whether [`send_rest`](Self::send_rest) is to be called at the session's next turn.
    pub(crate) const fn has_more(&self) -> bool {
        self.last.is_some()
    }

    /// Sends the first of them, or all if they are few.
    pub(crate) fn send(&mut self, lane: &Arc<Lane>, haul: Haul, lagged: u64) {
        self.send_rest();
        let len = haul.batch.len();
        let lease = lane.lease(len, haul.batch.payload_bytes());
        let slot = (len > FEW).then(|| RELAYS.with_borrow_mut(Relays::reserve));
        let parcel = Arc::new(Parcel { haul, lagged, lease, slot });
        let relay = Relay { to: Arc::clone(&self.to), parcel, next: 0 };
        if slot.is_none() {
            return relay.send_all();
        }
        self.last = Some(Arc::downgrade(&relay.parcel));
        let parcel = Arc::clone(&relay.parcel);
        RELAYS.with_borrow_mut(|relays| relays.begin(relay));
        Relays::hand_on(parcel);
    }

    /// Sends all that is left.
    pub(crate) fn send_rest(&mut self) {
        let Some(parcel) = self.last.take().and_then(|last| last.upgrade()) else { return };
        // The thread may be about to end.
        let relay = RELAYS.try_with(|relays| relays.borrow_mut().end(&parcel));
        if let Ok(Some(relay)) = relay {
            relay.send_all();
        }
    }
}

impl From<Arc<Recipient<Received>>> for OneByOne {
    fn from(to: Arc<Recipient<Received>>) -> Self {
        Self { to, last: None }
    }
}

impl Drop for OneByOne {
    fn drop(&mut self) {
        self.send_rest();
    }
}

impl Relay {
    fn send_all(self) {
        for index in self.next..self.parcel.haul.batch.len() {
            self.to.do_send(Parcel::message(Arc::clone(&self.parcel), index));
        }
    }

    /// Sends the next. Whether it was the last.
    fn send_one(&mut self, parcel: Arc<Parcel>) -> bool {
        let index = self.next;
        self.next += 1;
        self.to.do_send(Parcel::message(parcel, index));
        self.next >= self.parcel.haul.batch.len()
    }
}

impl Relays {
    fn reserve(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        })
    }

    fn begin(&mut self, relay: Relay) {
        if let Some(slot) = relay.parcel.slot.and_then(|slot| self.slots.get_mut(slot)) {
            *slot = Some(relay);
        }
    }

    /// Sends the next message of this parcel with this share of it, where its relay is this thread's.
    fn hand_on(parcel: Arc<Parcel>) {
        let Some(slot) = parcel.slot else { return };
        // The thread may be about to end, or this message be dropped in here: its subscriber is dead.
        let _ = RELAYS.try_with(|relays| {
            let Ok(mut relays) = relays.try_borrow_mut() else { return };
            if let Some(place) = relays.slots.get_mut(slot)
                && let Some(relay) = place
                && Arc::ptr_eq(&relay.parcel, &parcel)
                && relay.send_one(parcel)
            {
                *place = None;
                relays.free.push(slot);
            }
        });
    }

    fn end(&mut self, parcel: &Arc<Parcel>) -> Option<Relay> {
        let slot = parcel.slot?;
        let is_it = |relay: &mut Relay| Arc::ptr_eq(&relay.parcel, parcel);
        let relay = self.slots.get_mut(slot)?.take_if(is_it)?;
        self.free.push(slot);
        Some(relay)
    }
}

impl Parcel {
    fn message(self: Arc<Self>, index: usize) -> Received {
        let (epoch, seq) = (self.haul.epoch, self.haul.seq(index));
        Received { epoch, seq, share: Share { parcel: Some(self), index } }
    }
}

impl Share {
    #[inline]
    #[expect(clippy::expect_used, reason = "it is handed on when it is dropped")]
    fn parcel(&self) -> &Parcel {
        self.parcel.as_ref().expect("a share has its parcel until it is dropped")
    }

    pub(crate) fn connection(&self) -> &ConnectionId {
        self.parcel().lease.connection()
    }

    pub(crate) fn lagged(&self) -> u64 {
        if self.index == 0 { self.parcel().lagged } else { 0 }
    }

    pub(crate) fn is_overlap(&self) -> bool {
        self.parcel().haul.overlap
    }

    #[inline]
    pub(crate) fn payload(&self) -> Payload<'_> {
        // Only the places of messages are handed out.
        self.parcel().haul.batch.get(self.index).unwrap_or(Payload::Binary(&[]))
    }

    pub(crate) fn owned(&self) -> OwnedPayload {
        let payload = self.parcel().haul.batch.get_owned(self.index);
        payload.unwrap_or_else(|| Payload::Binary(&[]).into())
    }
}

impl Drop for Share {
    #[inline]
    fn drop(&mut self) {
        if let Some(parcel) = self.parcel.take() {
            Relays::hand_on(parcel);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use actix::{Actor, ActorContext as _, Addr, Context, Handler, Message, System};

    use super::*;
    use crate::{lifecycle::Epoch, protocol::BatchBuilder};

    /// Counts messages, and drops them or keeps them.
    #[derive(Default)]
    struct Hearer {
        heard: Rc<Cell<usize>>,
        keeps: bool,
        kept: Vec<Received>,
    }

    impl Actor for Hearer {
        type Context = Context<Self>;
    }

    impl Handler<Received> for Hearer {
        type Result = ();

        fn handle(&mut self, message: Received, _: &mut Context<Self>) {
            assert_eq!(message.seq, self.heard.get() as u64 + 5, "in order");
            self.heard.set(self.heard.get() + 1);
            if self.keeps {
                self.kept.push(message);
            }
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Stop;

    impl Handler<Stop> for Hearer {
        type Result = ();

        fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
            ctx.stop();
        }
    }

    fn start(keeps: bool) -> (Addr<Hearer>, OneByOne, Rc<Cell<usize>>) {
        let hearer = Hearer { keeps, ..Hearer::default() };
        let heard = Rc::clone(&hearer.heard);
        let hearer = hearer.start();
        let way = OneByOne::from(Arc::new(hearer.clone().recipient()));
        (hearer, way, heard)
    }

    fn lane() -> Arc<Lane> {
        Lane::new("a".into(), 1, 1)
    }

    fn haul(len: usize) -> Haul {
        let mut builder = BatchBuilder::default();
        (0..len).for_each(|_| builder.push_text("text"));
        Haul::new(Epoch::NONE, 5, Arc::new(builder.freeze()))
    }

    async fn settle() {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }

    /// Relays that stand, and places for them.
    fn relays() -> (usize, usize) {
        RELAYS.with_borrow(|relays| (relays.slots.len() - relays.free.len(), relays.slots.len()))
    }

    #[test]
    fn one_message_is_under_way_at_a_time() {
        System::new().block_on(async {
            let (_hearer, mut way, heard) = start(false);
            let lane = lane();
            way.send(&lane, haul(10), 0);
            let parcel = way.last.clone().unwrap();
            assert_eq!(parcel.strong_count(), 2, "the message has it, and the relay");
            assert!(way.has_more() && !lane.has_room());
            settle().await;
            assert_eq!((heard.get(), parcel.strong_count()), (10, 0));
            assert!(lane.has_room());
            assert_eq!(relays(), (0, 1));
            way.send_rest();
            assert_eq!((way.has_more(), heard.get()), (false, 10));
        });
    }

    #[test]
    fn few_are_sent_together() {
        System::new().block_on(async {
            let (_hearer, mut way, heard) = start(false);
            way.send(&lane(), haul(FEW), 0);
            assert!(!way.has_more());
            settle().await;
            assert_eq!((heard.get(), relays()), (FEW, (0, 0)));
        });
    }

    #[test]
    fn who_keeps_them_is_sent_the_rest() {
        System::new().block_on(async {
            let (_hearer, mut way, heard) = start(true);
            let lane = lane();
            way.send(&lane, haul(10), 0);
            settle().await;
            assert_eq!(heard.get(), 1);
            way.send_rest();
            settle().await;
            assert_eq!((heard.get(), relays()), (10, (0, 1)));
            assert!(!lane.has_room(), "they are kept");
        });
    }

    #[test]
    fn what_is_left_goes_before_what_is_new() {
        System::new().block_on(async {
            let (_hearer, mut way, heard) = start(true);
            way.send(&lane(), haul(10), 0);
            way.send(&lane(), Haul { first_seq: 15, ..haul(10) }, 0);
            drop(way);
            settle().await;
            assert_eq!((heard.get(), relays().0), (20, 0));
        });
    }

    #[test]
    fn the_dead_are_sent_nothing_and_hold_no_room() {
        System::new().block_on(async {
            for keeps in [false, true] {
                let (hearer, mut way, heard) = start(keeps);
                let lane = lane();
                way.send(&lane, haul(10), 0);
                // It comes behind the first.
                hearer.send(Stop).await.unwrap();
                settle().await;
                way.send(&lane, haul(10), 0);
                assert!(!way.connected());
                drop(way);
                assert!(lane.has_room());
                assert_eq!(relays().0, 0);
                assert_eq!(heard.get(), 1);
            }
        });
    }
}
