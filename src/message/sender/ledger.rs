use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    error::{Delivery, SendError, Unconfirmed},
    lifecycle::ExitReason,
    message::Tally,
};

type Outcome = Result<Delivery, SendError>;

/// What became of the messages that were sent one after the other while one session was up.
///
/// Messages next to each other mostly end alike and together. So it keeps where outcomes change, and
/// nothing of each message but who waits for it.
#[derive(Debug)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Debug)]
struct Entries {
    tally: Tally,
    waiting: BTreeMap<usize, Waker>,
}

impl Ledger {
    pub(super) fn open() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Entries { tally: Tally::endless(), waiting: BTreeMap::new() })))
    }

    fn record(&self, places: Range<usize>, outcome: Outcome) {
        let Range { start, end } = places;
        let mut entries = self.lock();
        entries.tally.record(start..end, outcome);
        if entries.waiting.is_empty() {
            return;
        }
        let mut told = entries.waiting.split_off(&start);
        let mut others = told.split_off(&end);
        entries.waiting.append(&mut others);
        drop(entries);
        // Whoever is woken may ask at once.
        told.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing in here panics, and a half-told ledger tells the truth of its half.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one message in its ledger.
#[derive(Debug)]
pub(super) struct Place {
    ledger: Arc<Ledger>,
    index: usize,
    waits: bool,
}

impl Place {
    pub(super) const fn new(ledger: Arc<Ledger>, index: usize) -> Self {
        Self { ledger, index, waits: false }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut entries = self.ledger.lock();
        if let Some(outcome) = entries.tally.get(self.index) {
            self.waits = false;
            return Poll::Ready(outcome.clone());
        }
        self.waits = true;
        let known = entries.waiting.get(&self.index);
        if known.is_none_or(|known| !known.will_wake(cx.waker())) {
            let before = entries.waiting.insert(self.index, cx.waker().clone());
            drop(entries);
            // What it dropped might ask the ledger in its turn.
            drop(before);
        }
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.waits {
            let waker = self.ledger.lock().waiting.remove(&self.index);
            drop(waker);
        }
    }
}

/// Messages next to each other, whose outcomes are to be told to their ledger.
#[derive(Debug)]
pub(crate) struct Account {
    ledger: Arc<Ledger>,
    places: Range<usize>,
}

impl Account {
    pub(super) const fn new(ledger: Arc<Ledger>, places: Range<usize>) -> Self {
        Self { ledger, places }
    }

    /// Takes out the first so many.
    pub(crate) fn front(&mut self, count: usize) -> Self {
        let start = self.places.start;
        self.places.start = self.places.end.min(start + count);
        Self { ledger: Arc::clone(&self.ledger), places: start..self.places.start }
    }

    /// All of them ended so.
    pub(crate) fn settle(mut self, outcome: Outcome) {
        self.ledger.record(std::mem::take(&mut self.places), outcome);
    }
}

/// What nobody settles was lost with the thread that had it, on whatever way it was.
impl Drop for Account {
    fn drop(&mut self) {
        if !self.places.is_empty() {
            let lost = Unconfirmed::SessionEnded(ExitReason::ArbiterStopped);
            let places = std::mem::take(&mut self.places);
            self.ledger.record(places, Err(SendError::WrittenUnknown(lost)));
        }
    }
}
