//! The grammar of one connection's events. Pure: an event comes in, a verdict comes out.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use tokio::time::Instant;
use wsvisor::{ExitClass, LifecycleEvent, StableAfter, State};

/// What one life of a connection, from its start to its removal, has told its subscriber.
pub(crate) struct Life {
    supervised: bool,
    backoff_max: Duration,
    stable_after: StableAfter,
    up_since: Option<Instant>,
    /// The attempt of the last backoff, since the last command that starts anew.
    attempt: u32,
    /// A session that may have been stable was cycled.
    may_start_anew: bool,
    /// Whether every event has to come. A slow subscriber may lose lifecycle events, and is told.
    strict: bool,
    /// Absent where sessions do not tell that they are ready; else whether this one has.
    told_ready: Option<bool>,
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
    /// A next attempt is due then.
    Waiting(Instant),
    /// It was told that the next attempt starts at once.
    Restarted,
    /// It was told that none follows.
    Stopped,
    GaveUp,
}

/// A message as the servers of the simulation write it: the stream's number and its place in it.
#[derive(Deserialize)]
pub(crate) struct Numbered {
    pub(crate) s: u64,
    pub(crate) n: u64,
}

impl Life {
    pub(crate) const fn new(
        supervised: bool,
        strict: bool,
        backoff_max: Duration,
        stable_after: StableAfter,
        told_ready: Option<bool>,
    ) -> Self {
        Self {
            supervised,
            strict,
            backoff_max,
            stable_after,
            told_ready,
            up_since: None,
            attempt: 0,
            may_start_anew: false,
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
        text: Option<&str>,
    ) -> Result<(), String> {
        self.take_seq(seq)?;
        self.messages += 1;
        if !self.strict {
            return Ok(());
        }
        if !matches!(self.phase, Phase::Up) || epoch != self.epoch {
            return Err(format!(
                "a message of epoch {epoch} in {:?} of epoch {} (I7)",
                self.phase, self.epoch
            ));
        }
        let text = text.ok_or("a binary message, which no server sends")?;
        let Numbered { s, n } =
            serde_json::from_str(text).map_err(|error| format!("{text}: {error}"))?;
        let heard = self.heard.entry(s).or_default();
        if *heard != n {
            return Err(format!("message {n} of stream {s} came, and {heard} was next"));
        }
        *heard += 1;
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
        if matches!(event, E::Unsubscribed { .. } | E::Suspected { .. }) && epoch == self.epoch {
            // They tell of somebody else, or of a session that goes on.
            return Ok(());
        }
        if let E::OutboxFull { .. } = event {
            // It may be told in any phase, also while an attempt is under way.
            return if epoch == self.epoch || epoch == self.epoch + 1 {
                Ok(())
            } else {
                Err(format!("{event} of epoch {epoch} in epoch {}", self.epoch))
            };
        }
        if let E::Ready = event {
            let is_due = matches!(self.phase, Phase::Up) && epoch == self.epoch;
            return if is_due && self.told_ready.replace(true) == Some(false) {
                Ok(())
            } else {
                Err(format!("{event} of epoch {epoch} in {:?} of epoch {}", self.phase, self.epoch))
            };
        }
        let before = self.phase;
        let unexpected =
            || Err(format!("{event} of epoch {epoch} after {before:?} of epoch {}", self.epoch));
        let begins_epoch = epoch == self.epoch + 1
            && match before {
                Phase::Rest | Phase::Stopped | Phase::GaveUp | Phase::Restarted => true,
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
            (E::Disconnected { class, .. }, Phase::Up) if epoch == self.epoch => self.ended(*class),
            (E::BackoffScheduled { attempt, delay }, Phase::Ended(class))
                if epoch == self.epoch =>
            {
                // One that was stopped for its group waits with it, and has not failed itself.
                if class == ExitClass::Shutdown {
                    self.attempt = *attempt;
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
        if let (E::Restarted, Phase::Ended(_)) = (event, before) {
            self.may_start_anew |= self.may_have_been_stable(now);
        }
        if begins_epoch {
            self.told_ready = self.told_ready.map(|_| false);
            self.up_since = matches!(event, E::Connected { .. }).then_some(now);
            if matches!(before, Phase::Stopped | Phase::GaveUp) {
                self.attempt = 0;
                self.may_start_anew = false;
            }
        }
        Ok(())
    }

    /// Attempts are counted up to a stable session, and being connected is not enough for that.
    fn check_attempt(&mut self, now: Instant, attempt: u32) -> Result<(), String> {
        let may_be_zero = self.may_have_been_stable(now);
        let may_be_one = std::mem::take(&mut self.may_start_anew);
        let next = self.attempt + 1;
        self.attempt = attempt;
        if attempt == next || may_be_zero && attempt == 0 || may_be_one && attempt == 1 {
            Ok(())
        } else {
            Err(format!("attempt {attempt} where {next} was next"))
        }
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
