//! The messages of two sessions that are up at the same time.

use std::collections::VecDeque;

use super::{Outbox, Slot};
use crate::lifecycle::Epoch;

/// The messages that are for the session beside the one that is up, and for no other.
#[derive(Debug)]
pub(super) struct Aside<P, R> {
    pub(super) epoch: Epoch,
    pub(super) queue: VecDeque<Slot<P, R>>,
}

impl<P, R> Aside<P, R> {
    const fn of(epoch: Epoch) -> Self {
        Self { epoch, queue: VecDeque::new() }
    }

    pub(super) fn pop(&mut self, is_ready: bool) -> Option<Slot<P, R>> {
        self.queue.remove(self.due(is_ready)?)
    }

    pub(super) fn has_due(&self, is_ready: bool) -> bool {
        self.due(is_ready).is_some()
    }

    fn due(&self, is_ready: bool) -> Option<usize> {
        self.queue.iter().position(|slot| is_ready || !slot.waits_for_ready())
    }
}

impl<P, R> Outbox<P, R> {
    /// From now on, messages for the session of this epoch are for the one beside.
    pub(crate) fn set_aside(&mut self, epoch: Epoch) {
        self.aside = Some(Box::new(Aside::of(epoch)));
    }

    /// The session beside takes the place of the one that is up, which goes on beside it under this epoch
    /// where there is one.
    pub(crate) fn hand_over(&mut self, old: Option<Epoch>) {
        let mut beside = old.map(|epoch| Box::new(Aside::of(epoch)));
        let up = self.aside.take().map(|aside| aside.queue).unwrap_or_default();
        let after_ready = self.rare.as_mut().map(|rare| std::mem::take(&mut rare.after_ready));
        let all = [std::mem::take(&mut self.at_once), after_ready.unwrap_or_default(), up];
        let mut all: Vec<_> = all.into_iter().flatten().collect();
        all.sort_unstable_by_key(|slot| slot.seq);
        for slot in all {
            match &mut beside {
                Some(aside) if slot.is_for(aside.epoch) => aside.queue.push_back(slot),
                _ => self.queue_of(&slot).push_back(slot),
            }
        }
        self.aside = beside;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::lifecycle::{Fate, Loss, OutboxLimits, Scope, Side, Terms, outbox::tests::Ids};

    #[derive(Clone, Copy, Debug)]
    enum For {
        Now,
        /// The session that is up.
        Up,
        /// The one beside, where there is one.
        Beside,
        UntilReady,
        Durable,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Send {
            whom: For,
            after_ready: bool,
            key: Option<&'static str>,
        },
        /// Several at once.
        SendRun {
            whom: For,
            after_ready: bool,
            count: usize,
        },
        /// Of a run, so many at most.
        Write {
            side: Side,
            is_ready: bool,
            most: usize,
        },
        /// A successor is made.
        Begin,
        HandOver,
        /// The session that is up ends, and what is beside takes over or another is made.
        End {
            was_ready: bool,
        },
        EndBeside,
    }

    fn step() -> impl Strategy<Value = Step> {
        let side = || select(vec![Side::Up, Side::Beside]);
        let whom = vec![For::Now, For::Up, For::Beside, For::UntilReady, For::Durable];
        // What is durable is in no run.
        let of_runs = vec![For::Now, For::Up, For::Beside, For::UntilReady];
        let key = proptest::option::weighted(0.3, select(vec!["a", "b"]));
        prop_oneof![
            8 => (select(whom), any::<bool>(), key)
                .prop_map(|(whom, after_ready, key)| Step::Send { whom, after_ready, key }),
            4 => (select(of_runs), any::<bool>(), 1usize..5)
                .prop_map(|(whom, after_ready, count)| Step::SendRun { whom, after_ready, count }),
            10 => (side(), any::<bool>(), 1usize..5)
                .prop_map(|(side, is_ready, most)| Step::Write { side, is_ready, most }),
            2 => Just(Step::Begin),
            2 => Just(Step::HandOver),
            1 => any::<bool>().prop_map(|was_ready| Step::End { was_ready }),
            1 => Just(Step::EndBeside),
        ]
    }

    /// What waits, in the order in which it was accepted.
    #[derive(Clone, Debug)]
    struct Waits {
        id: usize,
        scope: Scope,
        after_ready: bool,
        key: Option<&'static str>,
    }

    #[derive(Default)]
    struct Model {
        waits: Vec<Waits>,
        latest: Epoch,
        up: Epoch,
        beside: Option<Epoch>,
    }

    impl Model {
        fn is_beside(&self, it: &Waits) -> bool {
            self.beside.is_some_and(|epoch| it.scope == Scope::Session(epoch))
        }

        fn scope(&self, whom: For) -> Option<Scope> {
            Some(match (whom, self.beside) {
                (For::Now, _) => Scope::Now,
                (For::Up, _) => Scope::Session(self.up),
                (For::Beside, beside) => Scope::Session(beside?),
                (For::UntilReady, _) => Scope::UntilReady,
                (For::Durable, _) => Scope::Durable,
            })
        }

        fn next(&self, side: Side, is_ready: bool) -> Option<usize> {
            let is_due = |it: &&Waits| {
                (side == Side::Beside) == self.is_beside(it)
                    && (is_ready || !(it.after_ready || it.scope == Scope::UntilReady))
            };
            self.waits.iter().find(is_due).map(|it| it.id)
        }

        /// Removes what is meant; who it is.
        fn take(&mut self, is_meant: impl Fn(&Self, &Waits) -> bool) -> Vec<usize> {
            let gone: Vec<_> =
                self.waits.iter().filter(|it| is_meant(self, it)).map(|it| it.id).collect();
            self.waits.retain(|it| !gone.contains(&it.id));
            gone
        }

        fn new_epoch(&mut self) -> Epoch {
            self.latest = self.latest.next();
            self.latest
        }
    }

    proptest! {
        /// Against one list of all that waits: whatever sessions come, take over and end, a message
        /// is written by a session that it is for, in order, or is told that it was not.
        #[test]
        fn two_sessions_share_an_outbox_as_one_list_says(
            steps in proptest::collection::vec(step(), 0..150),
        ) {
            let limits = OutboxLimits { messages: 1_000, bytes: 10_000 };
            let (mut outbox, mut model) = (Outbox::<usize, Ids>::default(), Model::default());
            model.up = model.new_epoch();
            let mut told = Vec::new();
            let mut next_id = 0;
            for step in steps {
                let settle =
                    &mut |ids: Ids, fate| told.extend(ids.0.map(|id| (id, fate)));
                let expected: Vec<_> = match step {
                    Step::Send { whom, after_ready, key } => {
                        let Some(scope) = model.scope(whom) else { continue };
                        let terms =
                            Terms { scope, after_ready, key: key.map(Arc::from), ..Terms::default() };
                        prop_assert!(outbox.has_room(&limits, 0, 5, key));
                        let id = next_id;
                        next_id += 1;
                        outbox.push(5, id, Some(Ids::one(id)), Some(Box::new(terms)), settle);
                        let replaced = model.take(|_, it| key.is_some() && it.key == key);
                        model.waits.push(Waits { id, scope, after_ready, key });
                        replaced.into_iter().map(|id| (id, Fate::NotWritten(Loss::Newer))).collect()
                    }
                    Step::SendRun { whom, after_ready, count } => {
                        let Some(scope) = model.scope(whom) else { continue };
                        let terms = Terms { scope, after_ready, ..Terms::default() };
                        let ids = next_id..next_id + count;
                        next_id += count;
                        let reply = Some(Ids(ids.clone()));
                        outbox.push_run(count, 5 * count, ids.start, reply, Some(Box::new(terms)));
                        let waits = |id| Waits { id, scope, after_ready, key: None };
                        model.waits.extend(ids.map(waits));
                        vec![]
                    }
                    Step::Write { side, is_ready, most } => {
                        let expected = model.next(side, is_ready);
                        prop_assert_eq!(outbox.has_due(side, is_ready), expected.is_some());
                        let slot = outbox.pop(side, is_ready);
                        prop_assert_eq!(slot.as_ref().map(|slot| slot.payload), expected);
                        if let Some(mut slot) = slot {
                            let count = most.min(slot.count);
                            let written = slot.payload..slot.payload + count;
                            let reply = slot.take_front(count, 5 * count);
                            prop_assert_eq!(reply, Some(Ids(written.clone())));
                            slot.payload += count;
                            if slot.count > 0 {
                                outbox.put_back(slot);
                            }
                            for id in written {
                                prop_assert_eq!(model.next(side, is_ready), Some(id));
                                model.take(|_, it| it.id == id);
                            }
                        }
                        vec![]
                    }
                    Step::Begin => {
                        if model.beside.is_none() {
                            let epoch = model.new_epoch();
                            model.beside = Some(epoch);
                            outbox.set_aside(epoch);
                        }
                        vec![]
                    }
                    Step::HandOver => {
                        if let Some(next) = model.beside {
                            outbox.hand_over(Some(model.up));
                            model.beside = Some(std::mem::replace(&mut model.up, next));
                        }
                        vec![]
                    }
                    Step::End { was_ready } => {
                        outbox.end_session(Side::Up, was_ready, settle);
                        let lost = model.take(|model, it| !model.is_beside(it) && match it.scope {
                            Scope::Now | Scope::Session(_) => true,
                            Scope::UntilReady => was_ready,
                            Scope::Durable => false,
                        });
                        model.up = match model.beside.take() {
                            Some(next) => {
                                outbox.hand_over(None);
                                next
                            }
                            None => model.new_epoch(),
                        };
                        lost.into_iter().map(|id| (id, Fate::NotWritten(Loss::Session))).collect()
                    }
                    Step::EndBeside => {
                        let lost = model.take(Model::is_beside);
                        if model.beside.take().is_some() {
                            outbox.end_session(Side::Beside, true, settle);
                        }
                        lost.into_iter().map(|id| (id, Fate::NotWritten(Loss::Session))).collect()
                    }
                };
                prop_assert_eq!(std::mem::take(&mut told), expected);
                prop_assert_eq!(outbox.len(), model.waits.len());
                prop_assert_eq!(outbox.bytes(), 5 * model.waits.len());
            }
            outbox.end(&mut |ids, fate| told.extend(ids.0.map(|id| (id, fate))));
            let left = model.waits.iter().map(|it| (it.id, Fate::NotWritten(Loss::Connection)));
            prop_assert_eq!(told, left.collect::<Vec<_>>());
        }
    }
}
