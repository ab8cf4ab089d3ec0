//! What subscribers are told, by its type: how it is weighed, picked and sent.

use std::sync::Arc;

use actix::{Message, Recipient};

use crate::{
    event::{
        Haul, Lane, Lifecycle, Moment, OneByOne, Overflow, Rare, Received, ReceivedBatch, Wishes,
    },
    lifecycle::{Epoch, LifecycleEvent},
};

/// What is told, before it is addressed.
pub(super) trait Content: Clone {
    /// What becomes of what a subscriber has no room for, unless it chose.
    const OVERFLOW: Overflow;

    /// Whether a subscriber that is let go is told so itself.
    const TELLS_OF_ENDS: bool;

    /// Events that are lost with it.
    fn events(&self) -> u64;

    /// Its place in the order of all events.
    fn place(&self) -> (Epoch, u64);

    /// What is left of it for a subscriber with these wishes.
    fn select(&self, wishes: &Wishes) -> Option<Self>;

    /// What tells of a loss by itself, where there is such a thing.
    fn of_loss(lost: Lost) -> Option<Self>;
}

/// How content is told as a message of this type.
pub(super) trait Letter: Message<Result = ()> + Send + Sized + 'static {
    type Content: Content;

    /// The way to a subscriber.
    type To: From<Arc<Recipient<Self>>>;

    /// The events and bytes that a lane counts for it.
    fn weight(content: &Self::Content) -> (usize, usize);

    /// Whether the subscriber is alive.
    fn connected(to: &Self::To) -> bool;

    /// Sends it, and before it what was lost. Some of it may be left for the next turn.
    fn send(to: &mut Self::To, lane: &Arc<Lane>, content: Self::Content, lost: Option<Lost>);

    /// Sends what was left.
    fn send_rest(_: &mut Self::To) {}
}

/// What was lost since the last event that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) events: u64,
    /// Where the last of them was.
    pub(super) place: (Epoch, u64),
}

impl Content for Moment {
    const OVERFLOW: Overflow = Overflow::DropNewest;
    const TELLS_OF_ENDS: bool = true;

    fn events(&self) -> u64 {
        1
    }

    fn place(&self) -> (Epoch, u64) {
        (self.epoch, self.seq)
    }

    fn select(&self, wishes: &Wishes) -> Option<Self> {
        let is_wanted =
            wishes.kinds.as_ref().is_none_or(|kinds| kinds.contains(&self.event.kind()));
        is_wanted.then(|| self.clone())
    }

    fn of_loss(lost: Lost) -> Option<Self> {
        let Lost { events: dropped, place: (epoch, seq) } = lost;
        Some(Self { epoch, seq, event: LifecycleEvent::Lagged { dropped } })
    }
}

impl Content for Haul {
    const OVERFLOW: Overflow = Overflow::HoldBack;
    const TELLS_OF_ENDS: bool = false;

    fn events(&self) -> u64 {
        self.batch.len() as u64
    }

    fn place(&self) -> (Epoch, u64) {
        (self.epoch, self.first_seq)
    }

    fn select(&self, wishes: &Wishes) -> Option<Self> {
        if wishes.filter.is_any() {
            return Some(self.clone());
        }
        self.pick(|_, message| wishes.filter.matches(message))
    }

    fn of_loss(_: Lost) -> Option<Self> {
        // It is told with the next message.
        None
    }
}

impl Letter for Lifecycle {
    type Content = Moment;
    type To = Arc<Recipient<Self>>;

    fn weight(_: &Moment) -> (usize, usize) {
        (1, 0)
    }

    fn connected(to: &Arc<Recipient<Self>>) -> bool {
        to.connected()
    }

    fn send(to: &mut Arc<Recipient<Self>>, lane: &Arc<Lane>, moment: Moment, lost: Option<Lost>) {
        let before = lost.and_then(Moment::of_loss);
        for Moment { epoch, seq, event } in before.into_iter().chain([moment]) {
            to.do_send(Self { epoch, seq, event, lease: lane.lease(1, 0) });
        }
    }
}

impl Letter for Received {
    type Content = Haul;
    type To = OneByOne;

    fn weight(haul: &Haul) -> (usize, usize) {
        (haul.batch.len(), haul.batch.payload_bytes())
    }

    fn connected(to: &OneByOne) -> bool {
        to.connected()
    }

    fn send(to: &mut OneByOne, lane: &Arc<Lane>, haul: Haul, lost: Option<Lost>) {
        to.send(lane, haul, lost.map_or(0, |lost| lost.events));
    }

    fn send_rest(to: &mut OneByOne) {
        to.send_rest();
    }
}

impl Letter for ReceivedBatch {
    type Content = Haul;
    type To = Arc<Recipient<Self>>;

    fn weight(haul: &Haul) -> (usize, usize) {
        (1, haul.batch.payload_bytes())
    }

    fn connected(to: &Arc<Recipient<Self>>) -> bool {
        to.connected()
    }

    fn send(to: &mut Arc<Recipient<Self>>, lane: &Arc<Lane>, haul: Haul, lost: Option<Lost>) {
        let Haul { epoch, first_seq, batch, places, overlap } = haul;
        let lease = lane.lease(1, batch.payload_bytes());
        let lagged = lost.map_or(0, |lost| lost.events);
        let rare = (lagged > 0 || overlap || places.is_some())
            .then(|| Box::new(Rare { places, lagged, overlap }));
        to.do_send(Self { epoch, first_seq, batch, lease, rare });
    }
}
