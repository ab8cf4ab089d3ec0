//! The outbox and the flight of a session, against the obvious model: one list of all messages, and
//! one list of what is in the stream, searched from the beginning for every answer.

use std::time::{Duration, Instant};

use proptest::{prelude::*, sample::select};

use super::*;
use crate::lifecycle::Epoch;

#[derive(Clone, Debug)]
enum Step {
    Send {
        len: usize,
        terms: Option<Terms>,
        asked: bool,
    },
    /// A session comes up.
    Open,
    Ready,
    /// So many messages are encoded, and the ping that is due.
    Encode(usize),
    /// A ping that nobody waits for.
    Ping,
    /// The socket takes so many bytes.
    Hand(usize),
    /// The peer answers one of its pings, or none.
    Pong(usize),
    Pass(u64),
    EndSession,
    EndConnection,
}

fn terms() -> impl Strategy<Value = Terms> {
    let scope = select(vec![
        Scope::Now,
        Scope::Session(Epoch::NONE),
        Scope::UntilReady,
        Scope::Durable,
        Scope::Durable,
    ]);
    let expiry = prop_oneof![
        2 => Just(Expiry::Never),
        1 => (0u64..40).prop_map(|ms| Expiry::In(Duration::from_millis(ms))),
    ];
    let key = proptest::option::weighted(0.4, select(vec!["a", "b"]));
    (scope, expiry, key, any::<bool>(), any::<bool>()).prop_map(
        |(scope, expiry, key, after_ready, confirmed)| {
            let key = key.map(Arc::from);
            Terms { scope, expiry, key, after_ready, confirmed }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..30, proptest::option::weighted(0.7, terms()), any::<bool>())
            .prop_map(|(len, terms, asked)| Step::Send { len, terms, asked }),
        3 => Just(Step::Open),
        2 => Just(Step::Ready),
        5 => (0usize..4).prop_map(Step::Encode),
        1 => Just(Step::Ping),
        5 => (0usize..80).prop_map(Step::Hand),
        3 => (0usize..3).prop_map(Step::Pong),
        4 => (0u64..20).prop_map(Step::Pass),
        1 => Just(Step::EndSession),
        1 => prop_oneof![9 => Just(Step::EndSession), 1 => Just(Step::EndConnection)],
    ]
}

/// A message's whole story.
#[derive(Clone, Debug)]
struct Told {
    terms: Terms,
    len: usize,
    asked: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Waiting,
    InStream,
    Over,
}

/// What one frame of the stream is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Frame {
    Message(usize),
    Ping(u64),
}

#[derive(Default)]
struct Model {
    messages: Vec<Told>,
    /// Every frame of the session, with its size.
    stream: Vec<(Frame, usize)>,
    handed: usize,
    /// The last ping that was answered, and all before it.
    answered: Vec<u64>,
    fates: Vec<(usize, Fate)>,
}

impl Model {
    fn start_of(&self, frame: Frame) -> usize {
        let before = self.stream.iter().take_while(|(other, _)| *other != frame);
        before.map(|(_, size)| size).sum()
    }

    fn end_of(&self, frame: Frame) -> usize {
        let size =
            self.stream.iter().find(|(other, _)| *other == frame).map_or(0, |(_, size)| *size);
        self.start_of(frame) + size
    }

    fn is_begun(&self, id: usize) -> bool {
        self.messages[id].place == Place::InStream
            && self.start_of(Frame::Message(id)) < self.handed
    }

    fn is_handed(&self, id: usize) -> bool {
        self.messages[id].place == Place::InStream && self.end_of(Frame::Message(id)) <= self.handed
    }

    fn live(&self) -> Vec<usize> {
        // What is in the stream was accepted before what waits, unless that waited for readiness.
        let mut ids: Vec<_> =
            (0..self.messages.len()).filter(|id| self.messages[*id].place != Place::Over).collect();
        ids.sort_by_key(|id| match self.messages[*id].place {
            Place::InStream => (0, !self.is_handed(*id), self.start_of(Frame::Message(*id))),
            _ => (1, true, *id),
        });
        ids
    }

    fn settle(&mut self, id: usize, fate: Fate) {
        if matches!(fate, Fate::NotWritten(_)) {
            self.stream.retain(|(frame, _)| *frame != Frame::Message(id));
        }
        self.messages[id].place = Place::Over;
        if self.messages[id].asked {
            self.fates.push((id, fate));
        }
    }

    fn waiting(&self) -> Vec<usize> {
        (0..self.messages.len()).filter(|id| self.messages[*id].place == Place::Waiting).collect()
    }

    fn unconfirmed(&self) -> usize {
        (0..self.messages.len()).filter(|id| self.is_handed(*id)).count()
    }

    fn pings(&self) -> impl Iterator<Item = u64> {
        self.stream.iter().filter_map(|(frame, _)| match frame {
            Frame::Ping(token) if !self.answered.contains(token) => Some(*token),
            _ => None,
        })
    }

    fn send(&mut self, limits: &OutboxLimits, told: Told) -> bool {
        let same_key = |other: &Told| told.terms.key.is_some() && other.terms.key == told.terms.key;
        let replaced: Vec<_> = self
            .live()
            .into_iter()
            .filter(|id| same_key(&self.messages[*id]) && !self.is_begun(*id))
            .collect();
        let waits: Vec<_> =
            self.waiting().into_iter().filter(|id| !replaced.contains(id)).collect();
        let bytes: usize = waits.iter().map(|id| self.messages[*id].len).sum();
        let room =
            waits.len() + self.unconfirmed() < limits.messages && bytes + told.len <= limits.bytes;
        if room {
            for id in replaced {
                self.settle(id, Fate::NotWritten(Loss::Newer));
            }
            self.messages.push(told);
        }
        room
    }

    fn expire(&mut self, now: Instant) {
        for id in self.live() {
            if self.messages[id].terms.deadline().is_some_and(|due| due <= now) {
                let fate = if self.is_begun(id) { Fate::Unknown } else { Fate::NotWritten };
                self.settle(id, fate(Loss::Deadline));
            }
        }
    }

    fn hand(&mut self, bytes: usize) {
        self.handed += bytes;
        let frames: Vec<_> = self.stream.iter().map(|(frame, _)| *frame).collect();
        for frame in frames {
            if let Frame::Message(id) = frame
                && self.is_handed(id)
                && !self.messages[id].terms.confirmed
            {
                self.settle(id, Fate::Written);
            }
        }
    }

    fn pong(&mut self, token: u64) -> bool {
        let at = self.end_of(Frame::Ping(token));
        if !self.pings().any(|ping| ping == token) || at > self.handed {
            return false;
        }
        let frames: Vec<_> = self.stream.iter().map(|(frame, _)| *frame).collect();
        for frame in frames {
            match frame {
                _ if self.end_of(frame) > at => {}
                Frame::Ping(ping) => self.answered.push(ping),
                Frame::Message(id) if self.messages[id].place == Place::InStream => {
                    self.settle(id, Fate::Confirmed);
                }
                Frame::Message(_) => {}
            }
        }
        true
    }

    fn end_session(&mut self, was_ready: bool) {
        for id in self.live() {
            let scope = self.messages[id].terms.scope;
            if self.is_begun(id) {
                self.settle(id, Fate::Unknown(Loss::Session));
            } else if scope == Scope::Durable
                || scope == Scope::UntilReady
                    && !was_ready
                    && self.messages[id].place == Place::Waiting
            {
                self.messages[id].place = Place::Waiting;
            } else {
                self.settle(id, Fate::NotWritten(Loss::Session));
            }
        }
        self.stream.clear();
        self.answered.clear();
        self.handed = 0;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_message_has_the_fate_that_the_obvious_model_gives_it(
        messages in 1usize..12,
        bytes in 0usize..200,
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let limits = OutboxLimits { messages, bytes };
        let (mut outbox, mut flight) = (Outbox::default(), Flight::default());
        // The bytes that are encoded and not handed over: each says whose it is.
        let mut backlog: Vec<Frame> = Vec::new();
        let (mut model, mut fates, mut begun) = (Model::default(), Vec::new(), Vec::new());
        let (mut now, mut is_open, mut is_ready, mut tokens) = (Instant::now(), false, false, 0);

        for step in steps {
            let settle = &mut |id: usize, fate| fates.push((id, fate));
            match step {
                Step::Send { len, terms, asked } => {
                    let mut terms = terms.map(Box::new);
                    let scope = terms.as_ref().map_or(Scope::Now, |terms| terms.scope);
                    if matches!(scope, Scope::Now | Scope::Session(_)) && !is_open {
                        continue;
                    }
                    if let Some(terms) = &mut terms {
                        terms.accept(now);
                    }
                    let id = model.messages.len();
                    let told = Told {
                        terms: terms.as_deref().cloned().unwrap_or_default(),
                        len,
                        asked,
                        place: Place::Waiting,
                    };
                    let key = told.terms.key.clone();
                    let fits = outbox.has_room(&limits, flight.unconfirmed(), len, key.as_deref());
                    prop_assert_eq!(fits, model.send(&limits, told));
                    if key.is_none() {
                        prop_assert_eq!(
                            fits,
                            outbox.room(&limits, flight.unconfirmed()).take(len)
                        );
                    }
                    if fits {
                        if let Some(cut) = key.and_then(|key| flight.replace(&key, settle)) {
                            backlog.drain(cut);
                        }
                        outbox.push(len, id, asked.then_some(id), terms, settle);
                    }
                }
                Step::Open => is_open = true,
                Step::Ready => is_ready = is_open,
                Step::Encode(count) if is_open => {
                    outbox.expire(now, settle);
                    model.expire(now);
                    for _ in 0..count {
                        let expected = model.waiting().into_iter().find(|id| {
                            let terms = &model.messages[*id].terms;
                            is_ready || !(terms.after_ready || terms.scope == Scope::UntilReady)
                        });
                        prop_assert_eq!(outbox.has_due(Side::Up, is_ready), expected.is_some());
                        let slot = outbox.pop(Side::Up, is_ready);
                        prop_assert_eq!(slot.as_ref().map(|slot| slot.payload), expected);
                        let Some(slot) = slot else { break };
                        let (id, size) = (slot.payload, slot.len + 6);
                        backlog.extend(std::iter::repeat_n(Frame::Message(id), size));
                        flight.encoded(size, slot);
                        model.messages[id].place = Place::InStream;
                        model.stream.push((Frame::Message(id), size));
                    }
                    let to_confirm = model.messages.iter().any(|told| {
                        told.place == Place::InStream && told.terms.confirmed
                    });
                    prop_assert_eq!(
                        flight.wants_barrier(),
                        to_confirm && model.pings().next().is_none()
                    );
                    if flight.wants_barrier() {
                        tokens += 1;
                        flight.encoded_ping(14, tokens);
                        backlog.extend(std::iter::repeat_n(Frame::Ping(tokens), 14));
                        model.stream.push((Frame::Ping(tokens), 14));
                    }
                }
                Step::Ping if is_open => {
                    tokens += 1;
                    flight.encoded_ping(14, tokens);
                    backlog.extend(std::iter::repeat_n(Frame::Ping(tokens), 14));
                    model.stream.push((Frame::Ping(tokens), 14));
                }
                Step::Hand(count) => {
                    let count = count.min(backlog.len());
                    for frame in backlog.drain(..count) {
                        // The bytes of one that was begun follow each other.
                        if let Frame::Message(id) = frame && begun.last() != Some(&id) {
                            let deadline = model.messages[id].terms.deadline();
                            prop_assert!(deadline.is_none_or(|due| now < due), "{id} is expired");
                            prop_assert!(!begun.contains(&id), "{id} is written twice");
                            begun.push(id);
                        }
                    }
                    flight.handed_over(count, settle);
                    model.hand(count);
                }
                Step::Pong(which) => {
                    let token = model.pings().nth(which).unwrap_or(0);
                    let answered = flight.pong(token, settle);
                    prop_assert_eq!(answered, model.pong(token));
                }
                Step::Pass(ms) => {
                    now += Duration::from_millis(ms);
                    for cut in flight.expire(now, settle) {
                        backlog.drain(cut);
                    }
                    outbox.expire(now, settle);
                    model.expire(now);
                    let dues = model.live().into_iter().filter_map(|id| {
                        model.messages[id].terms.deadline()
                    });
                    let earliest = dues.min();
                    let next = outbox.next_deadline().into_iter().chain(flight.next_deadline()).min();
                    prop_assert!(next <= earliest || earliest.is_none(), "a deadline is missed");
                    prop_assert!(next.is_none_or(|next| now < next), "a timer would spin");
                }
                Step::EndSession | Step::EndConnection => {
                    let unbegun = flight.end(settle);
                    outbox.take_back(unbegun);
                    outbox.end_session(Side::Up, is_ready, settle);
                    model.end_session(is_ready);
                    (is_open, is_ready) = (false, false);
                    backlog.clear();
                    if let Step::EndConnection = step {
                        outbox.end(settle);
                        for id in model.live() {
                            model.settle(id, Fate::NotWritten(Loss::Connection));
                        }
                        prop_assert_eq!(outbox.next_deadline(), None);
                    }
                }
                Step::Encode(_) | Step::Ping => {}
            }
            prop_assert_eq!(&fates, &model.fates);
            let waiting = model.waiting();
            prop_assert_eq!(outbox.len(), waiting.len());
            let bytes: usize = waiting.iter().map(|id| model.messages[*id].len).sum();
            prop_assert_eq!(outbox.bytes(), bytes);
            prop_assert_eq!(flight.unconfirmed(), model.unconfirmed());
            let left: Vec<_> = model.stream.iter().flat_map(|(frame, size)| {
                std::iter::repeat_n(*frame, *size)
            }).skip(model.handed).collect();
            prop_assert_eq!(&backlog, &left, "what is still to be written");
        }
    }
}
