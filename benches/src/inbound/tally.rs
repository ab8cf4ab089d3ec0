//! Counting a flood.

use std::{
    hint::black_box,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    contenders::Show,
    message::Shape,
    usage::{Cost, Usage},
};

/// A flood, from its first message to its last, on all connections and threads together.
pub(super) struct Flood {
    messages: u64,
    /// Tallies that are not full.
    counting: AtomicUsize,
    first: OnceLock<Option<Usage>>,
    cost: Mutex<Option<Result<Cost>>>,
}

/// The flood's cost, once its last message has come.
pub(super) struct Pending(Arc<Flood>);

/// Counts a share of a flood, and reads each message as its user would.
pub(super) struct Tally {
    shape: Shape,
    left: u64,
    flood: Arc<Flood>,
    started: bool,
    wrong: bool,
    len: usize,
}

impl Flood {
    /// A flood of so many messages, which so many tallies count.
    pub(super) fn of(tallies: usize, messages: u64) -> (Arc<Self>, Pending) {
        let flood = Arc::new(Self {
            messages,
            counting: AtomicUsize::new(tallies),
            first: OnceLock::new(),
            cost: Mutex::new(None),
        });
        (Arc::clone(&flood), Pending(flood))
    }

    #[cold]
    fn begin(&self) {
        self.first.get_or_init(|| Usage::now().ok());
    }

    #[cold]
    fn end(&self) {
        let first = self.first.get().copied().flatten().context("no usage at the first message");
        let cost = first.and_then(|first| {
            // The first message was there when the time began.
            Ok(Usage::now()?.each_since(first, self.messages - 1))
        });
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner) = Some(cost);
    }
}

impl Pending {
    /// Every connection has ended.
    pub(super) fn wait(self) -> Result<Cost> {
        let cost = self.0.cost.lock().unwrap_or_else(PoisonError::into_inner).take();
        cost.unwrap_or_else(|| Err(anyhow!("not all messages of the flood came")))
    }
}

impl Tally {
    pub(super) fn new(shape: Shape, messages: u64, flood: &Arc<Flood>) -> Self {
        let (flood, len) = (Arc::clone(flood), shape.payload().len());
        Self { shape, left: messages, flood, started: false, wrong: false, len }
    }

    #[inline]
    fn count(&mut self, payload: &[u8]) {
        self.wrong |= payload.len() != self.len;
        black_box(payload.first().copied());
        if !self.started {
            self.started = true;
            self.flood.begin();
        }
        self.left = self.left.wrapping_sub(1);
        if self.left == 0 && !self.wrong && self.flood.counting.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.flood.end();
        }
    }

    fn parse(&mut self, text: &str) {
        match self.shape.parse(text) {
            Ok(read) => drop(black_box(read)),
            Err(_) => self.wrong = true,
        }
    }
}

impl Show for Tally {
    #[inline]
    fn text(&mut self, text: &str) {
        if self.shape.is_json() {
            self.parse(text);
        }
        self.count(text.as_bytes());
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        if self.shape.is_json() {
            match std::str::from_utf8(bytes) {
                Ok(text) => self.parse(text),
                Err(_) => self.wrong = true,
            }
        }
        self.count(bytes);
    }
}
