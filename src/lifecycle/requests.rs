use std::{collections::HashMap, time::Instant};

use super::Side;

/// The requests of a connection whose answers have not come, by their keys.
///
/// A request waits in the outbox like any message, and there its deadline and its session's end are
/// told. Once it is written, both are told here, or its answer comes.
#[derive(Debug)]
pub(crate) struct Requests<T> {
    pending: HashMap<Box<str>, Pending<T>>,
    next_number: u64,
    /// No written request expires before this.
    earliest: Option<Instant>,
}

#[derive(Debug)]
struct Pending<T> {
    number: u64,
    asker: T,
    deadline: Instant,
    /// In which session.
    written: Option<Side>,
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self { pending: HashMap::new(), next_number: 0, earliest: None }
    }
}

impl<T> Requests<T> {
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.pending.contains_key(key)
    }

    /// A request was accepted, whose key no other has.
    pub(crate) fn accept(&mut self, key: Box<str>, asker: T, deadline: Instant) {
        let number = self.next_number;
        self.next_number += 1;
        self.pending.insert(key, Pending { number, asker, deadline, written: None });
    }

    /// It was written in this session: its answer may come.
    pub(crate) fn written(&mut self, key: &str, side: Side) {
        if let Some(pending) = self.pending.get_mut(key) {
            pending.written = Some(side);
            let due = pending.deadline;
            self.earliest = Some(self.earliest.map_or(due, |earliest| earliest.min(due)));
        }
    }

    /// It will not be answered.
    pub(crate) fn withdraw(&mut self, key: &str) -> Option<T> {
        self.pending.remove(key).map(|pending| pending.asker)
    }

    /// An answer to this key came. One that nobody asked for, or a second one, finds nobody.
    pub(crate) fn answered(&mut self, key: &str) -> Option<T> {
        self.pending.get(key)?.written?;
        self.withdraw(key)
    }

    /// Those that were written and whose time is over, in the order in which they were accepted.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<T> {
        if self.earliest.is_none_or(|due| now < due) {
            return vec![];
        }
        let expired = self.take(|pending| pending.written.is_some() && pending.deadline <= now);
        self.find_earliest();
        expired
    }

    /// When [`expire`](Self::expire) is wanted next, at the earliest.
    pub(crate) const fn next_deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// This session has ended: no answer comes to those that were written in it.
    pub(crate) fn end_session(&mut self, side: Side) -> Vec<T> {
        let lost = self.take(|pending| pending.written == Some(side));
        self.find_earliest();
        lost
    }

    /// The session beside takes the place of the one that is up, which goes on beside it.
    pub(crate) fn hand_over(&mut self) {
        for pending in self.pending.values_mut() {
            pending.written = pending.written.map(Side::other);
        }
    }

    /// Whether an answer may come in this session.
    pub(crate) fn awaits(&self, side: Side) -> bool {
        self.pending.values().any(|pending| pending.written == Some(side))
    }

    fn find_earliest(&mut self) {
        let written = self.pending.values().filter(|pending| pending.written.is_some());
        self.earliest = written.map(|pending| pending.deadline).min();
    }

    fn take(&mut self, is_meant: impl Fn(&Pending<T>) -> bool) -> Vec<T> {
        let mut taken: Vec<_> =
            self.pending.extract_if(|_, pending| is_meant(pending)).map(|(_, it)| it).collect();
        taken.sort_unstable_by_key(|pending| pending.number);
        taken.into_iter().map(|pending| pending.asker).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Accept(u8, u64),
        Written(u8, bool),
        Withdraw(u8),
        Answer(u8),
        Pass(u64),
        EndSession(bool),
        HandOver,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u8..6, 1u64..50).prop_map(|(key, ms)| Step::Accept(key, ms)),
            4 => (0u8..6, any::<bool>()).prop_map(|(key, beside)| Step::Written(key, beside)),
            1 => (0u8..6).prop_map(Step::Withdraw),
            3 => (0u8..6).prop_map(Step::Answer),
            2 => (0u64..30).prop_map(Step::Pass),
            1 => any::<bool>().prop_map(Step::EndSession),
            1 => Just(Step::HandOver),
        ]
    }

    const fn side(beside: bool) -> Side {
        if beside { Side::Beside } else { Side::Up }
    }

    proptest! {
        /// Against a list of what was accepted: each asker is given out exactly once, at the first
        /// reason, and in order.
        #[test]
        fn each_asker_hears_once(steps in proptest::collection::vec(step(), 0..100)) {
            let mut now = Instant::now();
            let mut requests = Requests::default();
            // By number: key, deadline, written in which session.
            let mut model: BTreeMap<usize, (String, Instant, Option<Side>)> = BTreeMap::new();
            for (number, step) in steps.into_iter().enumerate() {
                let find = |model: &BTreeMap<usize, (String, Instant, Option<Side>)>, key: u8| {
                    model.iter().find(|(_, it)| it.0 == key.to_string()).map(|(n, it)| (*n, it.2))
                };
                match step {
                    Step::Accept(key, ms) => {
                        let taken = find(&model, key).is_some();
                        prop_assert_eq!(requests.contains(&key.to_string()), taken);
                        if !taken {
                            let due = now + Duration::from_millis(ms);
                            requests.accept(key.to_string().into(), number, due);
                            model.insert(number, (key.to_string(), due, None));
                        }
                    }
                    Step::Written(key, beside) => {
                        requests.written(&key.to_string(), side(beside));
                        if let Some((number, _)) = find(&model, key) {
                            model.entry(number).and_modify(|it| it.2 = Some(side(beside)));
                        }
                    }
                    Step::Withdraw(key) => {
                        let expected = find(&model, key).map(|(number, _)| number);
                        prop_assert_eq!(requests.withdraw(&key.to_string()), expected);
                        expected.map(|number| model.remove(&number));
                    }
                    Step::Answer(key) => {
                        let expected = find(&model, key).filter(|it| it.1.is_some()).map(|it| it.0);
                        prop_assert_eq!(requests.answered(&key.to_string()), expected);
                        expected.map(|number| model.remove(&number));
                    }
                    Step::Pass(ms) => {
                        now += Duration::from_millis(ms);
                        let over: Vec<_> = model.iter().filter(|(_, it)| it.2.is_some() && it.1 <= now)
                            .map(|(number, _)| *number).collect();
                        prop_assert_eq!(requests.expire(now), over.clone());
                        model.retain(|number, _| !over.contains(number));
                        let next = model.values().filter(|it| it.2.is_some()).map(|it| it.1).min();
                        let asked_at = requests.next_deadline();
                        prop_assert!(next.is_none_or(|next| asked_at.is_some_and(|at| at <= next)));
                        prop_assert!(asked_at.is_none_or(|due| now < due));
                    }
                    Step::EndSession(beside) => {
                        let side = side(beside);
                        let lost: Vec<_> = model.iter().filter(|(_, it)| it.2 == Some(side))
                            .map(|(number, _)| *number).collect();
                        prop_assert_eq!(requests.awaits(side), !lost.is_empty());
                        prop_assert_eq!(requests.end_session(side), lost.clone());
                        model.retain(|number, _| !lost.contains(number));
                    }
                    Step::HandOver => {
                        requests.hand_over();
                        for it in model.values_mut() {
                            it.2 = it.2.map(Side::other);
                        }
                    }
                }
                prop_assert_eq!(requests.len(), model.len());
            }
        }
    }
}
