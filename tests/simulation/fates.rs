//! What became of each message: what its sender was told, what was written, and what servers read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use wsvisor::{Delivery, Refusal, SendError, Unconfirmed, Unwritten};

use crate::{
    journal::Journal,
    terms::{Scope, Terms},
};

/// A message: its connection and its number there.
pub(crate) type Name = (usize, u64);

/// Written by senders, sockets and servers. A dialler has to be `Send`, hence the lock.
#[derive(Clone)]
pub(crate) struct Fates {
    journal: Journal,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    messages: BTreeMap<Name, Message>,
    unsettled: BTreeSet<Name>,
    /// By connection and whether they wait for readiness, and by stream where there may be two at a
    /// time: the message that was begun last.
    begun: BTreeMap<(usize, bool, u64), u64>,
    /// Connections that may have two sessions at a time: each keeps its order.
    rotating: BTreeSet<usize>,
    /// By connection: messages that were read.
    next: BTreeMap<usize, u64>,
    /// Connections of which a socket once took less than it was offered.
    choked: BTreeSet<usize>,
}

struct Message {
    terms: Terms,
    size: usize,
    epoch: u64,
    sent: Instant,
    answer: Option<Result<Delivery, SendError>>,
    begun: u32,
    written: u32,
    /// When servers read it, as places among all that they read.
    read: Vec<usize>,
}

/// Where a message was written.
pub(crate) struct Place {
    /// The session's, where it was greeted.
    pub(crate) epoch: Option<u64>,
    pub(crate) may_be_ready: bool,
    pub(crate) stream: u64,
}

/// The timer's grain.
pub(crate) const GRAIN: Duration = Duration::from_millis(2);
/// Bytes that may be encoded and not taken by the socket.
const ENCODED: usize = 64 * 1024;

impl Fates {
    pub(crate) fn begin(journal: &Journal) -> Self {
        Self { journal: journal.clone(), known: Arc::default() }
    }

    pub(crate) fn sent(&self, name: Name, terms: Terms, size: usize, epoch: u64) {
        let (sent, answer, read) = (Instant::now(), None, Vec::new());
        let message = Message { terms, size, epoch, sent, answer, begun: 0, written: 0, read };
        let known = &mut *self.known();
        known.messages.insert(name, message);
        known.unsettled.insert(name);
    }

    pub(crate) fn rotates(&self, member: usize) {
        self.known().rotating.insert(member);
    }

    /// Its sender was told.
    pub(crate) fn settled(&self, name: Name, answer: Result<Delivery, SendError>) {
        let (c, m) = name;
        let known = &mut *self.known();
        known.unsettled.remove(&name);
        let Some(message) = known.messages.get_mut(&name) else { return };
        let took = message.sent.elapsed();
        if let Some(limit) = message.terms.expires {
            self.journal.check(
                took <= limit + GRAIN,
                format_args!("c{c}: {m} was settled after {took:?}, and had {limit:?} (I13)"),
            );
        }
        self.journal.check(
            message.terms.may_end_as(&answer),
            format_args!("c{c}: {m} was sent on {:?}, and ended as {answer:?}", message.terms),
        );
        self.journal.check(
            !matches!(answer, Ok(Delivery::Confirmed)) || message.read.len() == 1,
            format_args!("c{c}: {m} is confirmed, and was read {} times (I11)", message.read.len()),
        );
        message.answer = Some(answer);
    }

    /// A socket of this connection does not take all that it is offered.
    pub(crate) fn choked(&self, member: usize) {
        self.known().choked.insert(member);
    }

    /// Its connection is gone, and nothing more is told.
    pub(crate) fn lost(&self, name: Name) {
        self.known().unsettled.remove(&name);
    }

    /// Its first byte was handed to the socket at this time.
    pub(crate) fn begun(&self, name: Name, at: Instant, place: &Place) {
        let (c, m) = name;
        let known = &mut *self.known();
        let Some(message) = known.messages.get_mut(&name) else {
            return self.journal.violation(format_args!("c{c}: nobody sent {m}"));
        };
        let Message { terms, .. } = *message;
        message.begun += 1;
        self.journal.check(
            message.begun == 1
                && matches!(message.answer, None | Some(Err(SendError::WrittenUnknown(_)))),
            format_args!("c{c}: {m} was written again, or after its end (I12)"),
        );
        if let Some(limit) = terms.expires {
            let late = at.saturating_duration_since(message.sent + limit);
            self.journal.check(
                at < message.sent + limit,
                format_args!("c{c}: {m} was written {late:?} after its deadline (I13)"),
            );
        }
        if terms.scope == Scope::Session {
            let wrong = place.epoch.filter(|epoch| *epoch != message.epoch);
            self.journal.check(
                wrong.is_none(),
                format_args!("c{c}: {m} of epoch {} was written in {wrong:?}", message.epoch),
            );
        }
        let waits = terms.waits_for_ready();
        self.journal.check(
            !waits || place.may_be_ready,
            format_args!("c{c}: {m} was written before its session was ready (I14)"),
        );
        let stream = if known.rotating.contains(&c) { place.stream } else { 0 };
        let before = known.begun.insert((c, waits, stream), m);
        self.journal.check(
            before.is_none_or(|before| before < m),
            format_args!("c{c}: {m} was written after {before:?} (I11)"),
        );
    }

    /// Its last byte was.
    pub(crate) fn written(&self, name: Name) {
        if let Some(message) = self.known().messages.get_mut(&name) {
            message.written += 1;
        }
    }

    /// A server read it.
    pub(crate) fn read(&self, name: Name) {
        let known = &mut *self.known();
        let place = known.next.entry(name.0).or_default();
        *place += 1;
        if let Some(message) = known.messages.get_mut(&name) {
            message.read.push(usize::try_from(*place).unwrap_or(usize::MAX));
        }
    }

    /// What a connection was given and has not settled is bounded (I15).
    pub(crate) fn check_bounds(&self, member: usize, messages: usize, bytes: usize) {
        let known = self.known();
        let unsettled: Vec<_> = known
            .unsettled
            .range((member, 0)..=(member, u64::MAX))
            .filter_map(|name| known.messages.get(name))
            // Others may still be before its mailbox.
            .filter(|message| message.sent < Instant::now())
            .collect();
        let sessions = if known.rotating.contains(&member) { 2 } else { 1 };
        let Some(smallest) = unsettled.iter().map(|message| message.size).min() else { return };
        let largest = unsettled.iter().map(|message| message.size).max().unwrap_or(0);
        let waiting = unsettled.iter().filter(|message| message.written == 0);
        let waiting: usize = waiting.map(|message| message.size).sum();
        let may_be_encoded = sessions > 1 || known.choked.contains(&member);
        let encoded = if may_be_encoded { sessions * ENCODED / smallest + 2 } else { 0 };
        self.journal.check(
            unsettled.len() <= messages + encoded,
            format_args!(
                "c{member}: {} messages are unsettled, of {smallest} bytes at least, and {messages} may wait (I15)",
                unsettled.len(),
            ),
        );
        self.journal.check(
            waiting <= bytes + sessions * (ENCODED + largest),
            format_args!("c{member}: {waiting} bytes wait, and {bytes} may (I15)"),
        );
    }

    /// Everything is over: each fate is held against what was written and read.
    pub(crate) fn close(&self) {
        let known = self.known();
        let mut last = BTreeMap::new();
        for (&(c, m), message) in &known.messages {
            let Message { answer, begun, written, read, terms, .. } = message;
            let class = (c, terms.waits_for_ready());
            let holds = match answer {
                // Its connection was gone.
                None | Some(Err(SendError::WrittenUnknown(_))) => *written <= 1 && read.len() <= 1,
                Some(Ok(Delivery::Confirmed)) => {
                    let in_order = read.first().is_some_and(|at| {
                        let before = last.insert(class, *at);
                        before.is_none_or(|before| before < *at) || known.rotating.contains(&c)
                    });
                    read.len() == 1 && *written == 1 && in_order
                }
                Some(Ok(_)) => *written == 1 && read.len() <= 1,
                Some(Err(_)) => *begun == 0 && read.is_empty(),
            };
            self.journal.check(
                holds,
                format_args!(
                    "c{c}: {m} ended as {answer:?}, was begun {begun} times, written {written} and read at {read:?} (I11)"
                ),
            );
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terms {
    /// Nothing ends as it could only on other terms.
    fn may_end_as(&self, answer: &Result<Delivery, SendError>) -> bool {
        match answer {
            Ok(Delivery::Confirmed) => self.confirmed,
            Ok(Delivery::Written) => !self.confirmed,
            Err(
                SendError::NotWritten(Unwritten::Expired)
                | SendError::WrittenUnknown(Unconfirmed::Expired)
                | SendError::Refused(Refusal::Expired | Refusal::TooSlow { .. }),
            ) => self.expires.is_some(),
            Err(SendError::NotWritten(Unwritten::Replaced)) => self.key.is_some(),
            Err(SendError::NotWritten(Unwritten::SessionEnded(_))) => self.scope != Scope::Durable,
            Err(SendError::Refused(Refusal::OtherSession { .. })) => self.scope == Scope::Session,
            _ => true,
        }
    }
}
