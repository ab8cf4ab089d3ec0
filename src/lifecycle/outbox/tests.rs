//! The outbox and the flight of a session, against the obvious model.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use proptest::{prelude::*, sample::select};

use super::{
    model::{Frame, Model, Place, Told},
    *,
};
use crate::{lifecycle::Epoch, protocol::OneOrMany};

#[derive(Clone, Debug)]
enum Step {
    Send {
        len: usize,
        terms: Option<Terms>,
        asked: bool,
    },
    /// Several at once, of these lengths.
    SendRun {
        lens: Vec<usize>,
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

/// Such as messages of a run may have.
fn terms_of_run() -> impl Strategy<Value = Terms> {
    let scope = select(vec![Scope::Now, Scope::Session(Epoch::NONE), Scope::UntilReady]);
    (scope, any::<bool>()).prop_map(|(scope, after_ready)| Terms {
        scope,
        after_ready,
        ..Terms::default()
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..30, proptest::option::weighted(0.7, terms()), any::<bool>())
            .prop_map(|(len, terms, asked)| Step::Send { len, terms, asked }),
        4 => (
            proptest::collection::vec(0usize..30, 0..6),
            proptest::option::weighted(0.5, terms_of_run()),
            any::<bool>(),
        )
            .prop_map(|(lens, terms, asked)| Step::SendRun { lens, terms, asked }),
        3 => Just(Step::Open),
        2 => Just(Step::Ready),
        5 => (0usize..5).prop_map(Step::Encode),
        1 => Just(Step::Ping),
        5 => (0usize..80).prop_map(Step::Hand),
        3 => (0usize..3).prop_map(Step::Pong),
        4 => (0u64..20).prop_map(Step::Pass),
        1 => Just(Step::EndSession),
        1 => prop_oneof![9 => Just(Step::EndSession), 1 => Just(Step::EndConnection)],
    ]
}

/// Messages that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ids(pub(super) Range<usize>);

impl Ids {
    pub(super) const fn one(id: usize) -> Self {
        Self(id..id + 1)
    }
}

impl Divide for Ids {
    fn front(&mut self, count: usize) -> Option<Self> {
        assert!(count > 0 && count < self.0.len(), "{count} of {self:?}");
        let start = self.0.start;
        self.0.start += count;
        Some(Self(start..self.0.start))
    }
}

#[derive(Debug)]
enum Load {
    One(usize),
    Run(Range<usize>),
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
            let settle =
                &mut |ids: Ids, fate| fates.extend(ids.0.map(|id| (id, fate)));
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
                        outbox.push(len, Load::One(id), asked.then(|| Ids::one(id)), terms, settle);
                    }
                }
                Step::SendRun { lens, terms, asked } => {
                    let scope = terms.as_ref().map_or(Scope::Now, |terms| terms.scope);
                    if matches!(scope, Scope::Now | Scope::Session(_)) && !is_open {
                        continue;
                    }
                    let first = model.messages.len();
                    let mut room = outbox.room(&limits, flight.unconfirmed());
                    let count = lens.iter().take_while(|len| room.take(**len)).count();
                    for (at, &len) in lens.iter().enumerate().take(count + 1) {
                        let terms = terms.clone().unwrap_or_default();
                        let told = Told { terms, len, asked, place: Place::Waiting };
                        prop_assert_eq!(at < count, model.send(&limits, told));
                    }
                    if count > 0 {
                        let ids = first..first + count;
                        let len = lens.iter().take(count).sum();
                        let reply = asked.then(|| Ids(ids.clone()));
                        outbox.push_run(count, len, Load::Run(ids), reply, terms.map(Box::new));
                    }
                }
                Step::Open => is_open = true,
                Step::Ready => is_ready = is_open,
                Step::Encode(count) if is_open => {
                    outbox.expire(now, settle);
                    model.expire(now);
                    let mut left = count;
                    while left > 0 {
                        let due = |model: &Model| {
                            model.waiting().into_iter().find(|id| {
                                let terms = &model.messages[*id].terms;
                                is_ready || !(terms.after_ready || terms.scope == Scope::UntilReady)
                            })
                        };
                        let expected = due(&model);
                        prop_assert_eq!(outbox.has_due(Side::Up, is_ready), expected.is_some());
                        let Some(mut slot) = outbox.pop(Side::Up, is_ready) else {
                            prop_assert_eq!(expected, None);
                            break;
                        };
                        let mut encode = |id: usize| {
                            prop_assert_eq!(Some(id), due(&model));
                            let size = model.messages[id].len + 6;
                            backlog.extend(std::iter::repeat_n(Frame::Message(id), size));
                            model.messages[id].place = Place::InStream;
                            model.stream.push((Frame::Message(id), size));
                            Ok(size)
                        };
                        match &mut slot.payload {
                            &mut Load::One(id) => {
                                let size = encode(id)?;
                                flight.encoded(size, slot);
                                left -= 1;
                            }
                            Load::Run(ids) => {
                                let (mut ends, mut end) = (Vec::new(), 0);
                                for id in ids.by_ref().take(left) {
                                    end += encode(id)?;
                                    ends.push(end);
                                }
                                left -= ends.len();
                                let reply = slot.take_front(ends.len(), end - 6 * ends.len());
                                flight.encoded_run(OneOrMany::take(&mut ends), reply);
                                if slot.count > 0 {
                                    outbox.put_back(slot);
                                }
                            }
                        }
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
                    let is_seen = earliest.is_none_or(|due| next.is_some_and(|next| next <= due));
                    prop_assert!(is_seen, "a deadline is missed");
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

#[test]
fn the_memory_of_a_burst_is_given_back_when_nothing_waits() {
    let mut outbox = Outbox::<(), ()>::default();
    outbox.reserve(1_000);
    for _ in 0..2 {
        outbox.push(1, (), None, None, &mut |(), _| {});
    }
    assert!(outbox.pop(Side::Up, true).is_some());
    assert!(outbox.at_once.capacity() >= 1_000, "it is in use");
    assert!(outbox.pop(Side::Up, true).is_some());
    assert!(outbox.at_once.capacity() <= RETAINED, "{}", outbox.at_once.capacity());
}

#[test]
fn each_message_takes_its_part_of_the_room() {
    let limits = OutboxLimits { messages: 4, bytes: 100 };
    let mut room = Outbox::<(), ()>::default().room(&limits, 1);
    assert!(!room.take(101));
    assert!(room.take(60) && room.take(30));
    assert!(!room.take(11), "of the bytes");
    assert!(room.take(10));
    assert!(!room.take(0), "of the messages");
}

#[test]
fn an_outbox_that_holds_more_than_its_limit_takes_not_even_an_empty_message() {
    let limits = OutboxLimits { messages: 3, bytes: 16 };
    let mut outbox = Outbox::<(), ()>::default();
    outbox.push(2, (), None, None, &mut |(), _| {});
    let in_a_session = outbox.pop(Side::Up, true).unwrap();
    assert!(outbox.has_room(&limits, 0, 15, None));
    outbox.push(15, (), None, None, &mut |(), _| {});
    assert!(outbox.has_room(&limits, 0, 0, None));
    outbox.take_back(vec![in_a_session]);
    assert!(!outbox.has_room(&limits, 0, 0, None));
    assert!(!outbox.room(&limits, 0).take(0));
}
