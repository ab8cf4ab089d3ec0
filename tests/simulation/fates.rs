//! What became of each message: what its sender was told, what was written, and what servers read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use wsvisor::{Delivery, SendError, Unconfirmed, Unwritten};

use crate::{
    journal::Journal,
    terms::{Scope, Terms},
};

/// A message: its connection and its number there.
pub(crate) type Name = (usize, u64);

/// Written by senders, sockets and servers. A dialler has to be `Send`, hence the lock.
#[derive(Clone)]
pub(crate) struct Fates {
    pub(crate) journal: Journal,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) messages: BTreeMap<Name, Message>,
    pub(crate) unsettled: BTreeSet<Name>,
    /// By connection and order, and by stream where there may be two at a time: the message that was begun
    /// last.
    begun: BTreeMap<(usize, Order, u64), u64>,
    /// Connections that may have two sessions at a time: each keeps its order.
    pub(crate) rotating: BTreeSet<usize>,
    /// By connection: messages that were read.
    next: BTreeMap<usize, u64>,
    /// Connections of which a socket once took less than it was offered.
    pub(crate) choked: BTreeSet<usize>,
    /// By connection: messages that may wait to be written or confirmed.
    pub(crate) limits: BTreeMap<usize, usize>,
}

pub(crate) struct Message {
    pub(crate) terms: Terms,
    pub(crate) is_request: bool,
    pub(crate) way: Way,
    pub(crate) size: usize,
    epoch: u64,
    pub(crate) sent: Instant,
    /// As many others as may wait, or more, which had been written before, and were to be confirmed.
    pub(crate) beside: Vec<Name>,
    answer: Option<Result<Delivery, SendError>>,
    pub(crate) settled: Option<Instant>,
    /// The stream that it was written to, and when that ended.
    stream: Option<u64>,
    stream_ended: Option<Instant>,
    begun: u32,
    pub(crate) written: u32,
    pub(crate) written_at: Option<Instant>,
    /// When servers read it, as places among all that they read.
    read: Vec<usize>,
    /// How often servers answered it, when the socket first gave an answer, and how many went to subscribers.
    answers: usize,
    answer_came: Option<Instant>,
    overheard: usize,
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Address,
    /// It is told with all others of its batch.
    Batch,
    Sender,
}

/// Messages of one order are written in the order in which they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    AtOnce,
    AfterReady,
    BySender,
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
/// What comes while a session closes is not heard, and no session closes for longer.
const LONGEST_CLOSE: Duration = Duration::from_millis(6_100);
impl Fates {
    pub(crate) fn begin(journal: &Journal) -> Self {
        Self { journal: journal.clone(), known: Arc::default() }
    }

    pub(crate) fn sent(&self, name: Name, terms: Terms, size: usize, epoch: u64) {
        self.accepted(name, terms, false, size, epoch);
    }

    /// It does not go alone by the address.
    pub(crate) fn goes_by(&self, name: Name, way: Way) {
        if let Some(message) = self.known().messages.get_mut(&name) {
            message.way = way;
        }
    }

    /// A request, which has so long for everything. Its answer is its confirmation.
    pub(crate) fn asked(&self, name: Name, terms: Terms, within: Duration, epoch: u64) {
        let expires = terms.expires.map_or(within, |limit| limit.min(within));
        let terms = Terms { expires: Some(expires), confirmed: true, ..terms };
        self.accepted(name, terms, true, 0, epoch);
    }

    fn accepted(&self, name: Name, terms: Terms, is_request: bool, size: usize, epoch: u64) {
        let known = &mut *self.known();
        let message = Message {
            terms,
            is_request,
            way: Way::Address,
            size,
            epoch,
            sent: Instant::now(),
            beside: known.beside(name.0),
            answer: None,
            settled: None,
            stream: None,
            stream_ended: None,
            begun: 0,
            written: 0,
            written_at: None,
            read: Vec::new(),
            answers: 0,
            answer_came: None,
            overheard: 0,
        };
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
        if !matches!(answer, Err(SendError::Refused(_))) {
            self.check_room(known, name);
        }
        let Some(message) = known.messages.get_mut(&name) else { return };
        let took = message.sent.elapsed();
        if let Some(limit) = message.terms.expires {
            let has_expired = matches!(
                answer,
                Err(SendError::NotWritten(Unwritten::Expired)
                    | SendError::WrittenUnknown(Unconfirmed::Expired))
            );
            self.journal.check(
                (took <= limit + GRAIN || message.way == Way::Batch)
                    && (!has_expired || limit <= took + GRAIN),
                format_args!("c{c}: {m} was settled after {took:?}, and had {limit:?} (I13)"),
            );
        }
        let late = message.stream_ended.map(|ended| ended.elapsed());
        self.journal.check(
            message.way == Way::Batch || late.is_none_or(|late| late <= GRAIN),
            format_args!("c{c}: {m} was settled {late:?} after the end of its session (I19)"),
        );
        self.journal.check(
            message.terms.may_end_as(&answer),
            format_args!("c{c}: {m} was sent on {:?}, and ended as {answer:?}", message.terms),
        );
        self.journal.check(
            !matches!(answer, Ok(Delivery::Confirmed)) || message.read.len() == 1,
            format_args!("c{c}: {m} is confirmed, and was read {} times (I11)", message.read.len()),
        );
        let has_timed_out = matches!(answer, Err(SendError::WrittenUnknown(Unconfirmed::Expired)));
        let came = message.answer_came.map(|came| came.elapsed());
        self.journal.check(
            !message.is_request || !has_timed_out || came.is_none_or(|ago| ago < LONGEST_CLOSE),
            format_args!("c{c}: {m} was answered {came:?} ago, and has timed out (I20)"),
        );
        message.answer = Some(answer);
        message.settled = Some(Instant::now());
    }

    /// A stream is over: what became of all that was written to it is told at this moment (I19).
    pub(crate) fn ended(&self, stream: u64) {
        let known = &mut *self.known();
        for name in &known.unsettled {
            if let Some(message) = known.messages.get_mut(name)
                && message.stream == Some(stream)
            {
                message.stream_ended = Some(Instant::now());
            }
        }
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
        message.stream = Some(place.stream);
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
                format_args!("c{c}: {m} of epoch {} was written in {wrong:?} (I21)", message.epoch),
            );
        }
        let waits = terms.waits_for_ready();
        self.journal.check(
            !waits || place.may_be_ready,
            format_args!("c{c}: {m} was written before its session was ready (I14)"),
        );
        let rotates = known.rotating.contains(&c);
        let stream = if rotates { place.stream } else { 0 };
        let latest = known.begun.entry((c, message.order(), stream)).or_insert(m);
        let before = *latest;
        *latest = before.max(m);
        // The session before it may have drained, and not begun to write it.
        let may_be_late = rotates && terms.scope == Scope::Durable;
        self.journal.check(
            before <= m || may_be_late,
            format_args!("c{c}: {m} was written after {before} (I11)"),
        );
    }

    /// Its last byte was.
    pub(crate) fn written(&self, name: Name) {
        if let Some(message) = self.known().messages.get_mut(&name) {
            message.written += 1;
            message.written_at = Some(Instant::now());
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

    /// A server answers a request.
    pub(crate) fn answers(&self, name: Name) {
        if let Some(message) = self.known().messages.get_mut(&name) {
            message.answers += 1;
        }
    }

    /// The socket gave an answer to a request.
    pub(crate) fn answer_came(&self, name: Name) {
        if let Some(message) = self.known().messages.get_mut(&name) {
            message.answer_came.get_or_insert_with(Instant::now);
        }
    }

    /// An answer went to a subscriber.
    pub(crate) fn overheard(&self, name: Name) {
        if let Some(message) = self.known().messages.get_mut(&name) {
            message.overheard += 1;
        }
    }

    /// Everything is over: each fate is held against what was written and read.
    pub(crate) fn close(&self) {
        let known = self.known();
        let mut last = BTreeMap::new();
        for (&(c, m), message) in &known.messages {
            let Message { answer, begun, written, read, .. } = message;
            let answered = usize::from(message.is_request && matches!(answer, Some(Ok(_))));
            self.journal.check(
                message.overheard + answered <= message.answers,
                format_args!(
                    "c{c}: of {} answers to {m}, its sender had {answered} and a subscriber {} (I20)",
                    message.answers, message.overheard
                ),
            );
            let class = (c, message.order());
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

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
    fn order(&self) -> Order {
        match self.way {
            Way::Sender => Order::BySender,
            _ if self.terms.waits_for_ready() => Order::AfterReady,
            _ => Order::AtOnce,
        }
    }
}
