use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::Waker,
};

use super::{
    ledger::{Account, Ledger, Place},
    spare,
};
use crate::{
    entropy::masking_key,
    error::Refusal,
    lifecycle::{OutboxLimits, Room, Side},
    protocol::{Frames, Payload},
    spec::Kind,
};

/// Where senders put their messages, and a connection fetches them: frames that are ready to be written.
///
/// Senders may be on any thread. Nothing of a user's runs while it is locked.
pub(crate) struct Inlet {
    kind: Kind,
    state: Mutex<State>,
    /// Something was sent since the last fetch, or whoever fetches next is not known yet.
    has_news: AtomicBool,
    /// What waits in the outbox, as it was last seen: messages and bytes.
    ahead: (AtomicUsize, AtomicUsize),
    /// What waits to be confirmed, of the session that is up and of the one beside it.
    unconfirmed: [AtomicUsize; 2],
    /// Has the connection look at what was refused.
    tell_of_refusals: Box<dyn Fn() + Send + Sync>,
}

struct State {
    limits: OutboxLimits,
    /// Absent while there are none.
    frames: Option<Box<Frames>>,
    /// Of the session that is up. Absent while none takes messages.
    ledger: Option<Arc<Ledger>>,
    /// The place in the ledger of the message that comes next.
    next: usize,
    /// For want of room, and not told.
    refused: u64,
    /// Of the session that fetches.
    waker: Option<Waker>,
}

/// What senders sent since the last time.
pub(crate) struct Fetched {
    pub(crate) frames: Box<Frames>,
    pub(crate) account: Account,
}

impl Inlet {
    /// Of a connection that is not up. `tell_of_refusals` is called where there is no room for a message, the
    /// first time since [`take_refusals`](Self::take_refusals).
    pub(crate) fn new(
        kind: Kind,
        limits: OutboxLimits,
        tell_of_refusals: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        let state = State { limits, frames: None, ledger: None, next: 0, refused: 0, waker: None };
        Arc::new(Self {
            kind,
            state: Mutex::new(state),
            has_news: AtomicBool::new(true),
            ahead: Default::default(),
            unconfirmed: Default::default(),
            tell_of_refusals: Box::new(tell_of_refusals),
        })
    }

    pub(super) fn send(&self, message: Payload<'_>, is_json: bool) -> Result<Place, Refusal> {
        if !self.kind.sends(is_json) {
            return Err(Refusal::NotJson);
        }
        let key = masking_key();
        let mut state = self.lock();
        let Some(ledger) = &state.ledger else { return Err(Refusal::NotConnected) };
        let unconfirmed: usize = self.unconfirmed.iter().map(|count| count.load(Relaxed)).sum();
        let (messages, bytes) = state.waiting();
        let messages = messages + self.ahead.0.load(Relaxed) + unconfirmed;
        let bytes = bytes + self.ahead.1.load(Relaxed);
        if !Room::beside(&state.limits, messages, bytes).take(message.len()) {
            state.refused += 1;
            if state.refused == 1 {
                drop(state);
                (self.tell_of_refusals)();
            }
            return Err(Refusal::OutboxFull { messages, bytes });
        }
        let place = Place::new(Arc::clone(ledger), state.next);
        state.next += 1;
        let is_first = state.frames.is_none();
        let waker = if is_first { state.waker.take() } else { None };
        state.frames.get_or_insert_with(spare::take).push(message, key);
        if is_first {
            self.has_news.store(true, Release);
        }
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(place)
    }

    /// Whether there is something to fetch.
    pub(crate) fn has_news(&self) -> bool {
        self.has_news.load(Acquire)
    }

    /// What was sent since the last time. `waker` is woken when there is more.
    pub(crate) fn fetch(&self, waker: &Waker) -> Option<Fetched> {
        if !self.has_news() {
            return None;
        }
        let mut state = self.lock();
        self.has_news.store(false, Relaxed);
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        state.fetch()
    }

    /// What was sent before a message that comes another way. It is told as news to the session all the same.
    pub(crate) fn fetch_before(&self) -> Option<Fetched> {
        if self.has_news() { self.lock().fetch() } else { None }
    }

    /// So many messages with so many bytes wait before those that are to come.
    pub(crate) fn wait_behind(&self, messages: usize, bytes: usize) {
        self.ahead.0.store(messages, Relaxed);
        self.ahead.1.store(bytes, Relaxed);
    }

    /// So many messages of the session on this side are written and wait to be confirmed.
    pub(crate) fn wait_beside(&self, side: Side, unconfirmed: usize) {
        let [up, beside] = &self.unconfirmed;
        match side {
            Side::Up => up.store(unconfirmed, Relaxed),
            Side::Beside => beside.store(unconfirmed, Relaxed),
        }
    }

    /// A session takes messages.
    pub(crate) fn open(&self) {
        let state = &mut *self.lock();
        if state.ledger.is_none() {
            state.begin();
            self.has_news.store(true, Release);
        }
    }

    /// None does any more. What was sent before is fetched.
    pub(crate) fn close(&self) -> Option<Fetched> {
        let state = &mut *self.lock();
        let fetched = state.fetch();
        state.ledger = None;
        state.waker = None;
        fetched
    }

    /// Another session takes messages from here on. What was sent before is fetched.
    pub(crate) fn turn_over(&self) -> Option<Fetched> {
        let state = &mut *self.lock();
        let fetched = state.fetch();
        if state.ledger.is_some() {
            state.begin();
        }
        // It is another session that fetches from here on.
        self.has_news.store(true, Release);
        fetched
    }

    /// Other limits hold from now on.
    pub(crate) fn limit(&self, limits: OutboxLimits) {
        self.lock().limits = limits;
    }

    /// Messages and bytes that wait to be fetched.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.lock().waiting()
    }

    /// How many were refused for want of room since the last time.
    pub(crate) fn take_refusals(&self) -> u64 {
        std::mem::take(&mut self.lock().refused)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self) {
        self.ledger = Some(Ledger::open());
        self.next = 0;
    }

    fn waiting(&self) -> (usize, usize) {
        self.frames.as_ref().map_or((0, 0), |frames| (frames.len(), frames.payload_bytes()))
    }

    fn fetch(&mut self) -> Option<Fetched> {
        let ledger = self.ledger.as_ref()?;
        let frames = self.frames.take()?;
        let account = Account::new(Arc::clone(ledger), self.next - frames.len()..self.next);
        Some(Fetched { frames, account })
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}
