//! What subscribers are told, by its type: how it is weighed, picked and sent.

use std::sync::Arc;

use actix::{Message, Recipient};

use crate::{
    event::{
        Haul, Lane, Lifecycle, Moment, OneByOne, Overflow, Rare, Received, ReceivedBatch, Wishes,
    },
    lifecycle::{Epoch, LifecycleEvent},
};

/// What is told as a message of this type, and how.
pub(super) trait Letter: Message<Result = ()> + Send + Sized + 'static {
    /// What is told, before it is addressed.
    type Content: Clone;

    /// The way to a subscriber.
    type To: From<Recipient<Self>>;

    /// What becomes of what a subscriber has no room for, unless it chose.
    const OVERFLOW: Overflow;

    /// Whether a subscriber that is let go is told so itself.
    const TELLS_OF_ENDS: bool;

    /// The events and bytes that a lane counts for it.
    fn weight(content: &Self::Content) -> (usize, usize);

    /// Events that are lost with it.
    fn events(content: &Self::Content) -> u64;

    /// Its place in the order of all events.
    fn place(content: &Self::Content) -> (Epoch, u64);

    /// What is left of it for a subscriber with these wishes.
    fn select(content: &Self::Content, wishes: &Wishes) -> Option<Self::Content>;

    /// What tells of a loss by itself, where there is such a thing.
    fn of_loss(lost: Lost) -> Option<Self::Content>;

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

impl Letter for Lifecycle {
    type Content = Moment;
    type To = Recipient<Self>;

    const OVERFLOW: Overflow = Overflow::DropNewest;
    const TELLS_OF_ENDS: bool = true;

    fn weight(_: &Moment) -> (usize, usize) {
        (1, 0)
    }

    fn events(_: &Moment) -> u64 {
        1
    }

    fn place(moment: &Moment) -> (Epoch, u64) {
        (moment.epoch, moment.seq)
    }

    fn select(moment: &Moment, wishes: &Wishes) -> Option<Moment> {
        let is_wanted =
            wishes.kinds.as_ref().is_none_or(|kinds| kinds.contains(&moment.event.kind()));
        is_wanted.then(|| moment.clone())
    }

    fn of_loss(lost: Lost) -> Option<Moment> {
        let Lost { events: dropped, place: (epoch, seq) } = lost;
        Some(Moment { epoch, seq, event: LifecycleEvent::Lagged { dropped } })
    }

    fn connected(to: &Recipient<Self>) -> bool {
        to.connected()
    }

    fn send(to: &mut Recipient<Self>, lane: &Arc<Lane>, moment: Moment, lost: Option<Lost>) {
        for Moment { epoch, seq, event } in lost.and_then(Self::of_loss).into_iter().chain([moment])
        {
            to.do_send(Self { epoch, seq, event, lease: lane.lease(1, 0) });
        }
    }
}

impl Letter for Received {
    type Content = Haul;
    type To = OneByOne;

    const OVERFLOW: Overflow = Overflow::HoldBack;
    const TELLS_OF_ENDS: bool = false;

    fn weight(haul: &Haul) -> (usize, usize) {
        (haul.batch.len(), haul.batch.payload_bytes())
    }

    fn events(haul: &Haul) -> u64 {
        haul.batch.len() as u64
    }

    fn place(haul: &Haul) -> (Epoch, u64) {
        (haul.epoch, haul.first_seq)
    }

    fn select(haul: &Haul, wishes: &Wishes) -> Option<Haul> {
        select(haul, wishes)
    }

    fn of_loss(_: Lost) -> Option<Haul> {
        // It is told with the next message.
        None
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
    type To = Recipient<Self>;

    const OVERFLOW: Overflow = Overflow::HoldBack;
    const TELLS_OF_ENDS: bool = false;

    fn weight(haul: &Haul) -> (usize, usize) {
        (1, haul.batch.payload_bytes())
    }

    fn events(haul: &Haul) -> u64 {
        haul.batch.len() as u64
    }

    fn place(haul: &Haul) -> (Epoch, u64) {
        (haul.epoch, haul.first_seq)
    }

    fn select(haul: &Haul, wishes: &Wishes) -> Option<Haul> {
        select(haul, wishes)
    }

    fn of_loss(_: Lost) -> Option<Haul> {
        // It is told with the next message.
        None
    }

    fn connected(to: &Recipient<Self>) -> bool {
        to.connected()
    }

    fn send(to: &mut Recipient<Self>, lane: &Arc<Lane>, haul: Haul, lost: Option<Lost>) {
        let Haul { epoch, first_seq, batch, places, overlap } = haul;
        let lease = lane.lease(1, batch.payload_bytes());
        let lagged = lost.map_or(0, |lost| lost.events);
        let rare = (lagged > 0 || overlap || places.is_some())
            .then(|| Box::new(Rare { places, lagged, overlap }));
        to.do_send(Self { epoch, first_seq, batch, lease, rare });
    }
}

fn select(haul: &Haul, wishes: &Wishes) -> Option<Haul> {
    if wishes.filter.is_any() {
        return Some(haul.clone());
    }
    haul.pick(|_, message| wishes.filter.matches(message))
}
