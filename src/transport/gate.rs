use std::{
    cell::Cell,
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use crate::{
    clock::now,
    entropy::with_entropy,
    supervision::{DialGate, Heed, HostBreaker, Outcome, Place, Queue, Ticket},
};

/// The gate before the dials of all connections of a supervisor, on whatever thread they are.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Mutex<Inner>>);

struct Inner {
    queue: Queue,
    /// Who waits: the first of them asks again when time passes, the others are woken by it.
    waiting: HashMap<Ticket, Waiter>,
}

/// Places that are kept while nobody waits.
const RETAINED: usize = 64;

enum Waiter {
    Waits(Waker),
    Admitted,
}

/// Leave to dial. Its end has to be told; dropping it tells that the dial was given up.
pub(crate) struct Permit {
    gate: Gate,
    host: Arc<str>,
    outcome: Outcome,
}

/// A place in the queue.
struct Turn {
    gate: Gate,
    host: Arc<str>,
    ticket: Ticket,
    admitted: bool,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    pub(crate) fn new(gate: DialGate, breaker: Option<HostBreaker>) -> Self {
        let queue = Queue::new(gate, breaker);
        Self(Arc::new(Mutex::new(Inner { queue, waiting: HashMap::new() })))
    }

    /// Waits for the turn to dial this host, however long that takes; `waits_with` holds its ticket
    /// meanwhile.
    pub(crate) async fn enter(
        &self,
        host: &Arc<str>,
        heed: Heed,
        waits_with: &Cell<Option<Ticket>>,
    ) -> Permit {
        let ticket = self.lock().queue.arrive(host, heed);
        waits_with.set(Some(ticket));
        let (gate, host) = (self.clone(), Arc::clone(host));
        let mut turn = Turn { gate, host, ticket, admitted: false, alarm: None };
        poll_fn(|cx| turn.poll(cx)).await;
        waits_with.set(None);
        Permit { gate: self.clone(), host: Arc::clone(&turn.host), outcome: Outcome::Unknown }
    }

    /// The host asked to be left alone for so long.
    pub(crate) fn hold(&self, host: &Arc<str>, time: Duration) {
        let now = now();
        with_entropy(|rng| self.lock().queue.hold(host, time, now, rng));
    }

    /// Where the owner of a ticket stands, and what it waits for.
    pub(crate) fn place(&self, ticket: Ticket) -> Option<Place> {
        self.lock().queue.place(ticket, now())
    }

    /// Whether the host counts as down, and how many wait for it.
    pub(crate) fn look(&self, host: &str) -> (bool, usize) {
        self.lock().queue.look(host)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Lets through whose turn it is, and wakes who is the first then.
    fn advance(&mut self, now: Instant) {
        while let Some(ticket) = self.queue.next(now) {
            self.admit(ticket);
        }
        let first = self.queue.first().and_then(|first| self.waiting.get(&first));
        if let Some(Waiter::Waits(waker)) = first {
            waker.wake_by_ref();
        }
    }

    /// It waits no more. After an outage of a whole fleet no places are kept for one.
    fn forget(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiting.remove(&ticket);
        if self.waiting.is_empty() && self.waiting.capacity() > RETAINED {
            self.waiting = HashMap::new();
        }
        waiter
    }

    fn admit(&mut self, ticket: Ticket) {
        if let Some(Waiter::Waits(waker)) = self.waiting.insert(ticket, Waiter::Admitted) {
            waker.wake();
        }
    }

    /// Whether it is the turn of this one. Those before it are let through as well.
    fn admits(&mut self, ticket: Ticket, now: Instant) -> bool {
        while let Some(next) = self.queue.next(now) {
            if next == ticket {
                return true;
            }
            self.admit(next);
        }
        matches!(self.waiting.get(&ticket), Some(Waiter::Admitted))
    }
}

impl Turn {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = now();
            let wake_at = {
                let inner = &mut *self.gate.lock();
                if inner.admits(self.ticket, now) {
                    inner.forget(self.ticket);
                    self.admitted = true;
                    // Somebody else is to ask again when time passes.
                    inner.advance(now);
                    return Poll::Ready(());
                }
                inner.waiting.insert(self.ticket, Waiter::Waits(cx.waker().clone()));
                let is_first = inner.queue.first() == Some(self.ticket);
                inner.queue.wake_at(now).filter(|_| is_first)
            };
            let Some(at) = wake_at else {
                self.alarm = None;
                return Poll::Pending;
            };
            let mut alarm = Box::pin(tokio::time::sleep_until(at.into()));
            if alarm.as_mut().poll(cx).is_pending() {
                self.alarm = Some(alarm);
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.admitted {
            return;
        }
        let now = now();
        let inner = &mut *self.gate.lock();
        match inner.forget(self.ticket) {
            // It was let through and never knew.
            Some(Waiter::Admitted) => with_entropy(|rng| {
                inner.queue.ended(&self.host, Outcome::Unknown, now, rng);
            }),
            _ => inner.queue.withdraw(&self.host, self.ticket, now),
        }
        inner.advance(now);
    }
}

impl Permit {
    /// The dial has ended so.
    pub(crate) fn ended(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = now();
        let inner = &mut *self.gate.lock();
        with_entropy(|rng| inner.queue.ended(&self.host, self.outcome, now, rng));
        inner.advance(now);
    }
}
