use std::time::{Duration, Instant};

use super::{Beat, FAR, Heartbeat, LATE, Liveness, Order, Remedy, Verdict, Watchdog, after};
use crate::{lifecycle::Filter, protocol::Payload};

/// What is expected of the messages of a connection's sessions: by watchdogs, and by the heartbeat.
///
/// It outlives the sessions: what was turned on or off stays so, and what is remembered is not lost.
#[derive(Clone, Debug)]
pub(crate) struct Vigil {
    watchdogs: Vec<Dog>,
    heart: Option<Heart>,
    /// A subscriber holds the socket back: nothing can be heard.
    held: bool,
    /// A late judgement was put off already.
    excused: bool,
}

#[derive(Clone, Debug)]
struct Dog {
    watchdog: Watchdog,
    is_on: bool,
    fed: Instant,
    /// It has barked since it was fed.
    barked: bool,
}

#[derive(Clone, Debug)]
struct Heart {
    heartbeat: Heartbeat,
    /// As it is in this session.
    every: Option<Duration>,
    next: Option<Instant>,
    /// When the first beat was sent that no answer followed.
    asked: Option<Instant>,
    beat: Beat,
}

impl Vigil {
    /// Absent where nothing is expected.
    pub(crate) fn over(plan: &Liveness, now: Instant) -> Option<Self> {
        if plan.watchdogs.is_empty() && plan.heartbeat.is_none() {
            return None;
        }
        let dog = |watchdog: &Watchdog| Dog {
            is_on: watchdog.starts_on,
            watchdog: watchdog.clone(),
            fed: now,
            barked: false,
        };
        let heart = |heartbeat: &Heartbeat| Heart {
            heartbeat: heartbeat.clone(),
            every: None,
            next: None,
            asked: None,
            beat: Beat { number: 0, remembered: None },
        };
        Some(Self {
            watchdogs: plan.watchdogs.iter().map(dog).collect(),
            heart: plan.heartbeat.as_deref().map(heart),
            held: false,
            excused: false,
        })
    }

    /// A session begins. `chance` is a random number from 0 to below 1.
    pub(crate) fn begin(&mut self, now: Instant, chance: f64) {
        self.held = false;
        self.excused = false;
        for dog in &mut self.watchdogs {
            dog.feed(now);
        }
        if let Some(heart) = &mut self.heart {
            heart.beat.number = 0;
            heart.set(heart.heartbeat.every, now, chance);
        }
    }

    /// Turns a watchdog on or off; whether there is one of this name.
    pub(crate) fn turn(&mut self, name: &str, on: bool, now: Instant) -> bool {
        let mut is_known = false;
        for dog in self.watchdogs.iter_mut().filter(|dog| *dog.watchdog.name == *name) {
            is_known = true;
            dog.is_on = on;
            dog.feed(now);
        }
        is_known
    }

    /// From now on a beat at each interval, or none; whether there is a heartbeat.
    pub(crate) fn set_heartbeat(
        &mut self,
        every: Option<Duration>,
        now: Instant,
        chance: f64,
    ) -> bool {
        self.heart.as_mut().map(|heart| heart.set(every, now, chance)).is_some()
    }

    /// A beat is wanted now, and then at its interval; whether there is a heartbeat.
    pub(crate) fn beat_now(&mut self, now: Instant) -> bool {
        self.heart.as_mut().map(|heart| heart.next = Some(now)).is_some()
    }

    /// A message came.
    pub(crate) fn feed(&mut self, message: Payload<'_>, now: Instant) {
        for dog in self.watchdogs.iter_mut().filter(|dog| dog.is_on) {
            if dog.watchdog.food.matches(message) {
                dog.feed(now);
                self.excused = false;
            }
        }
        let Some(heart) = &mut self.heart else { return };
        if let Some(field) = &heart.heartbeat.remembers
            && let Some(number) = Filter::integer(message, field)
        {
            heart.beat.remembered = Some(number);
        }
        if heart.asked.is_some()
            && heart.heartbeat.answer.as_ref().is_some_and(|answer| answer.matches(message))
        {
            heart.asked = None;
            self.excused = false;
        }
    }

    /// A subscriber holds the socket back, or no more. What could not be heard meanwhile has its whole
    /// time again.
    pub(crate) fn hold(&mut self, held: bool, now: Instant) {
        if self.held && !held {
            self.wait_anew(now);
        }
        self.held = held;
    }

    fn wait_anew(&mut self, now: Instant) {
        for dog in &mut self.watchdogs {
            dog.fed = dog.fed.max(now);
        }
        if let Some(heart) = &mut self.heart {
            heart.asked = heart.asked.map(|_| now);
        }
    }

    /// When [`next`](Self::next) is to be asked.
    pub(crate) fn due(&self) -> Option<Instant> {
        let beat = self.heart.as_ref().and_then(|heart| heart.next);
        [beat, self.judges_at()].into_iter().flatten().min()
    }

    fn judges_at(&self) -> Option<Instant> {
        let missed = self.heart.as_ref().and_then(Heart::missed_at);
        let dogs = self.watchdogs.iter().filter_map(Dog::barks_at);
        dogs.chain(missed).min().filter(|_| !self.held)
    }

    /// What to do at this time. To be asked until there is nothing more to do.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Order> {
        if let Some(judged_at) = self.judges_at()
            && judged_at <= now
        {
            if now.saturating_duration_since(judged_at) > LATE && !self.excused {
                self.excused = true;
                self.wait_anew(now);
            } else if let Some(order) = self.judge(now) {
                return Some(order);
            }
        }
        self.heart.as_mut().and_then(|heart| heart.next_beat(now))
    }

    fn judge(&mut self, now: Instant) -> Option<Order> {
        if let Some(heart) = &self.heart
            && heart.missed_at().is_some_and(|at| at <= now)
        {
            let (misses, within) = (heart.heartbeat.misses, heart.within());
            return Some(Order::Close(Verdict::HeartbeatUnanswered { misses, within }));
        }
        let is_due = |dog: &&mut Dog| dog.barks_at().is_some_and(|at| at <= now);
        let dog = self.watchdogs.iter_mut().find(is_due)?;
        dog.barked = true;
        let Watchdog { name, limit, remedy, .. } = &dog.watchdog;
        let verdict = Verdict::DataStale { watchdog: name.clone(), limit: *limit };
        Some(match remedy {
            Remedy::Close => Order::Close(verdict),
            Remedy::Report => Order::Report(verdict),
            Remedy::Ping => Order::Probe,
        })
    }
}

impl Dog {
    const fn feed(&mut self, now: Instant) {
        self.fed = now;
        self.barked = false;
    }

    fn barks_at(&self) -> Option<Instant> {
        (self.is_on && !self.barked).then(|| after(self.fed, self.watchdog.limit))
    }
}

impl Heart {
    fn set(&mut self, every: Option<Duration>, now: Instant, chance: f64) {
        let chance = if self.heartbeat.first_at_random { chance } else { 1.0 };
        self.every = every.map(|every| every.clamp(SHORTEST, FAR));
        self.next = self.every.map(|every| after(now, every.mul_f64(chance)));
        self.asked = None;
    }

    fn within(&self) -> Duration {
        self.heartbeat.within.or(self.every).unwrap_or(FAR)
    }

    fn missed_at(&self) -> Option<Instant> {
        let more =
            self.every.unwrap_or_default().saturating_mul(self.heartbeat.misses.saturating_sub(1));
        Some(after(self.asked?, more.saturating_add(self.within())))
    }

    fn next_beat(&mut self, now: Instant) -> Option<Order> {
        let planned = self.next.filter(|next| *next <= now)?;
        // In step with those before, and without those that were missed.
        self.next = self.every.map(|every| match after(planned, every) {
            next if next > now => next,
            _ => after(now, every),
        });
        self.beat.number += 1;
        if self.heartbeat.answer.is_some() {
            self.asked.get_or_insert(now);
        }
        Some(Order::Send((self.heartbeat.message)(&self.beat)))
    }
}

/// No server wants beats more often.
const SHORTEST: Duration = Duration::from_millis(10);

#[cfg(test)]
#[path = "vigil_tests.rs"]
mod tests;
