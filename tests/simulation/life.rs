//! The grammar of one connection's events. Pure: an event comes in, a verdict comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::Instant;
use wsvisor::{ExitClass, ExitReason, LifecycleEvent, StableAfter, State};

use crate::{
    send::answered_by,
    terms::{Manners, Ready},
};

/// What one life of a connection, from its start to its removal, has told its subscriber.
pub(crate) struct Life {
    supervised: bool,
    backoff_max: Duration,
    stable_after: StableAfter,
    up_since: Option<Instant>,
    /// What the count of attempts may be, as far as it was told.
    attempts: BTreeSet<u32>,
    /// Sessions may be replaced while they are up.
    rotates: bool,
    /// Whether every event has to come. A slow subscriber may lose lifecycle events, and is told.
    strict: bool,
    manners: Manners,
    ready: ToldReady,
    seq: u64,
    epoch: u64,
    phase: Phase,
    /// Messages that came from each stream of a server.
    heard: BTreeMap<u64, u64>,
    pub(crate) messages: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing is expected; the next epoch may begin.
    Rest,
    Up,
    /// An end was told; what follows from it is due next.
    Ended(ExitClass),
    /// Another session took over, which is told next.
    Rotated,
    /// A next attempt is due then.
    Waiting(Instant),
    /// It was told that the next attempt starts at once.
    Restarted,
    /// It was told that none follows.
    Stopped,
    GaveUp,
}

/// Whether this session has told that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ToldReady {
    No,
    /// A message has said it, and it is to be told next.
    Due,
    Yes,
}

/// A message as the servers of the simulation write it: the stream's number and its place in it.
#[derive(Deserialize)]
pub(crate) struct Numbered {
    pub(crate) s: u64,
    pub(crate) n: u64,
}

impl Life {
    pub(crate) fn new(
        supervised: bool,
        rotates: bool,
        strict: bool,
        backoff_max: Duration,
        stable_after: StableAfter,
        manners: Manners,
    ) -> Self {
        Self {
            supervised,
            rotates,
            strict,
            backoff_max,
            stable_after,
            manners,
            ready: ToldReady::No,
            up_since: None,
            attempts: BTreeSet::new(),
            seq: 0,
            epoch: 0,
            phase: Phase::Rest,
            heard: BTreeMap::new(),
            messages: 0,
        }
    }

    /// Whether the state at rest is what was told last.
    pub(crate) const fn agrees_with(&self, state: State) -> bool {
        match state {
            _ if !self.strict => true,
            State::Connected => matches!(self.phase, Phase::Up),
            State::Failed => matches!(self.phase, Phase::GaveUp | Phase::Rest),
            State::Disconnected | State::Idle => matches!(self.phase, Phase::Stopped | Phase::Rest),
            _ => true,
        }
    }

    pub(crate) fn message(
        &mut self,
        epoch: u64,
        seq: u64,
        overlap: bool,
        text: Option<&str>,
    ) -> Result<(), String> {
        self.take_seq(seq)?;
        self.messages += 1;
        if !self.strict {
            return Ok(());
        }
        // What comes outside of its session's time is marked, and only while another is up.
        let is_marked = overlap && self.rotates;
        if !matches!(self.phase, Phase::Up) || (epoch != self.epoch) != is_marked {
            return Err(format!(
                "a message of epoch {epoch}, overlap {overlap}, in {:?} of epoch {} (I7)",
                self.phase, self.epoch
            ));
        }
        let text = text.ok_or("a binary message, which no server sends")?;
        if answered_by(text).is_some() {
            // Its request has had another, or waits no more.
            return Ok(());
        }
        let Numbered { s, n } =
            serde_json::from_str(text).map_err(|error| format!("{text}: {error}"))?;
        let heard = self.heard.entry(s).or_default();
        if *heard != n {
            return Err(format!("message {n} of stream {s} came, and {heard} was next"));
        }
        *heard += 1;
        let says_ready = self.manners.ready == Ready::ByMessage && !self.manners.greets;
        if n == 0 && !is_marked && says_ready && self.ready == ToldReady::No {
            self.ready = ToldReady::Due;
        }
        Ok(())
    }

    pub(crate) fn lifecycle(
        &mut self,
        now: Instant,
        epoch: u64,
        seq: u64,
        event: &LifecycleEvent,
    ) -> Result<(), String> {
        use LifecycleEvent as E;
        self.take_seq(seq)?;
        if !self.strict {
            return Ok(());
        }
        if self.ready == ToldReady::Due && matches!(event, E::Disconnected { .. }) {
            return Err(format!(
                "{event} of epoch {epoch}, which was ready and did not tell (I23)"
            ));
        }
        if let Some(verdict) = self.aside(epoch, event) {
            return verdict;
        }
        let before = self.phase;
        let last = self.epoch;
        let unexpected =
            || Err(format!("{event} of epoch {epoch} after {before:?} of epoch {last}"));
        let begins_epoch = self.is_next(epoch)
            && match before {
                Phase::Rest | Phase::Stopped | Phase::GaveUp | Phase::Restarted => true,
                Phase::Rotated => matches!(event, E::Connected { .. }),
                Phase::Waiting(due) => {
                    if now < due {
                        return Err(format!("epoch {epoch} begins {:?} too early", due - now));
                    }
                    true
                }
                Phase::Up | Phase::Ended(_) => false,
            };
        self.phase = match (event, before) {
            (E::Connected { .. }, _) if begins_epoch => Phase::Up,
            (E::ConnectionError { class, .. }, _) if begins_epoch => self.ended(*class),
            (E::Disconnected { reason: ExitReason::Rotated, class, .. }, Phase::Up)
                if epoch == self.epoch && self.rotates && *class == ExitClass::Shutdown =>
            {
                Phase::Rotated
            }
            (E::Disconnected { class, .. }, Phase::Up) if epoch == self.epoch => self.ended(*class),
            (E::RotationFailed { class, retry_in, .. }, Phase::Up)
                if epoch == self.epoch && self.rotates =>
            {
                self.check_delay(*retry_in, *class)?;
                Phase::Up
            }
            (E::BackoffScheduled { attempt, delay }, Phase::Ended(class))
                if epoch == self.epoch =>
            {
                // One that was stopped for its group waits with it, and has not failed itself.
                if class == ExitClass::Shutdown {
                    self.attempts = BTreeSet::from([*attempt]);
                } else {
                    self.check_delay(*delay, class)?;
                    self.check_attempt(now, *attempt)?;
                }
                Phase::Waiting(now + *delay)
            }
            (E::Restarted, Phase::Ended(_) | Phase::Waiting(_)) if epoch == self.epoch => {
                Phase::Restarted
            }
            (E::Stopped, Phase::Ended(_) | Phase::Waiting(_)) if epoch == self.epoch => {
                Phase::Stopped
            }
            (E::GaveUp { .. }, Phase::Ended(ExitClass::Fatal | ExitClass::Crash))
                if epoch == self.epoch =>
            {
                Phase::GaveUp
            }
            _ => return unexpected(),
        };
        self.epoch = epoch;
        match (event, before) {
            // A successor that was under way is the next attempt: nobody told the count.
            (E::Restarted, Phase::Ended(class)) if class != ExitClass::Shutdown => {
                if !self.rotates {
                    return unexpected();
                }
                self.attempts = self.next_attempts(now);
            }
            (E::Restarted, Phase::Ended(_)) | (_, Phase::Rotated)
                if self.may_have_been_stable(now) =>
            {
                self.attempts.insert(0);
            }
            _ => {}
        }
        if begins_epoch {
            self.ready = ToldReady::No;
            self.up_since = matches!(event, E::Connected { .. }).then_some(now);
            if matches!(before, Phase::Stopped | Phase::GaveUp) {
                self.attempts.clear();
            }
        }
        Ok(())
    }

    /// Events that change nothing in a connection's life.
    fn aside(&mut self, epoch: u64, event: &LifecycleEvent) -> Option<Result<(), String>> {
        use LifecycleEvent as E;
        if matches!(event, E::Unsubscribed { .. } | E::Suspected { .. }) && epoch == self.epoch {
            // They tell of somebody else, or of a session that goes on.
            return Some(Ok(()));
        }
        if let E::OutboxFull { .. } = event {
            // It may be told in any phase, also while an attempt is under way.
            return Some(if epoch == self.epoch || self.is_next(epoch) {
                Ok(())
            } else {
                Err(format!("{event} of epoch {epoch} in epoch {}", self.epoch))
            });
        }
        if let E::Ready = event {
            let is_due = matches!(self.phase, Phase::Up) && epoch == self.epoch;
            let before = std::mem::replace(&mut self.ready, ToldReady::Yes);
            return Some(if is_due && self.manners.tells_ready() && before != ToldReady::Yes {
                Ok(())
            } else {
                Err(format!("{event} of epoch {epoch} in {:?} of epoch {}", self.phase, self.epoch))
            });
        }
        None
    }

    /// Attempts are counted up to a stable session, and being connected is not enough for that.
    fn check_attempt(&mut self, now: Instant, attempt: u32) -> Result<(), String> {
        let next = self.next_attempts(now);
        self.attempts = BTreeSet::from([attempt]);
        if next.contains(&attempt) {
            Ok(())
        } else {
            Err(format!("attempt {attempt} where one of {next:?} was next"))
        }
    }

    /// What the count may be after this end.
    fn next_attempts(&self, now: Instant) -> BTreeSet<u32> {
        let before = if self.attempts.is_empty() { &BTreeSet::from([0]) } else { &self.attempts };
        let after_stable = self.may_have_been_stable(now).then_some(0);
        before.iter().map(|attempt| attempt + 1).chain(after_stable).collect()
    }

    /// Whether this epoch may begin. Those between were of successors that failed.
    const fn is_next(&self, epoch: u64) -> bool {
        epoch == self.epoch + 1 || self.rotates && epoch > self.epoch
    }

    fn may_have_been_stable(&self, now: Instant) -> bool {
        self.up_since.is_some_and(|since| match self.stable_after {
            StableAfter::Uptime(uptime) => now - since >= uptime,
            StableAfter::Ready => true,
        })
    }

    const fn ended(&self, class: ExitClass) -> Phase {
        if self.supervised { Phase::Ended(class) } else { Phase::Rest }
    }

    /// Every event takes the next number: none is lost, doubled, or out of order (I9).
    fn take_seq(&mut self, seq: u64) -> Result<(), String> {
        let next = self.seq + 1;
        self.seq = seq;
        if seq == next || !self.strict && seq > next {
            Ok(())
        } else {
            Err(format!("event {seq} came, and {next} was next (I9)"))
        }
    }

    /// I4: the server's floor is kept, and nothing but a floor exceeds the maximum.
    fn check_delay(&self, delay: Duration, class: ExitClass) -> Result<(), String> {
        let (ExitClass::Retry { floor } | ExitClass::RetrySlow { floor }) = class else {
            return if delay <= self.longest_own_delay() {
                Ok(())
            } else {
                Err(format!("a delay of {delay:?} (I4)"))
            };
        };
        let (least, most) = floor.map_or((Duration::ZERO, Duration::ZERO), |floor| {
            (floor.at_least, floor.at_least + floor.jitter)
        });
        if least <= delay && delay <= most.max(self.longest_own_delay()) {
            Ok(())
        } else {
            Err(format!("a delay of {delay:?} where {floor:?} was asked for (I4)"))
        }
    }

    /// After a stable session the delay is drawn from the spread, 5 s by default.
    fn longest_own_delay(&self) -> Duration {
        self.backoff_max.max(Duration::from_secs(5))
    }
}
