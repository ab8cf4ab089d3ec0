use std::{
    num::NonZero,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{FAR, LATE, Liveness, Order, Remedy, Verdict};

/// What is known of one session's liveness.
///
/// It is told what was heard and written, and asked at [`due`](Self::due) what follows from the time
/// that passed.
#[derive(Debug)]
pub(crate) struct Pulse {
    began: Instant,
    next_ping: Option<Mark>,
    /// When the first ping was sent after which nothing was heard.
    asked: Option<Mark>,
    /// When the latest ping was sent, and its number.
    pinged: Mark,
    latest: u32,
    heard: Mark,
    /// Since when the socket takes nothing.
    stalled: Option<Mark>,
    /// When the session is too old.
    old_at: Option<Mark>,
    /// By how many nanoseconds the calendar was ahead of the session's time when it was looked at.
    calendar_ahead: u64,
    /// A subscriber holds the socket back: nothing can be heard.
    held: bool,
    silence_told: bool,
    /// A late judgement was put off already.
    excused: bool,
}

/// A time of a session, in nanoseconds after its beginning, from 1: sessions are many, and this is half
/// of an `Instant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark(NonZero<u64>);

impl Mark {
    const BEGINNING: Self = Self(NonZero::<u64>::MIN);

    /// This time after another.
    fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait.min(FAR))))
    }

    fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Pulse {
    /// `chance` is a random number from 0 to below 1.
    pub(crate) fn begin(plan: &Liveness, now: Instant, calendar: SystemTime, chance: f64) -> Self {
        Self {
            began: now,
            next_ping: plan.ping.map(|interval| Mark::BEGINNING.after(interval)),
            asked: None,
            pinged: Mark::BEGINNING,
            latest: 0,
            heard: Mark::BEGINNING,
            stalled: None,
            old_at: plan.max_age.map(|max_age| Mark::BEGINNING.after(max_age.drawn(chance))),
            calendar_ahead: since_1970(calendar),
            held: false,
            silence_told: false,
            excused: false,
        }
    }

    fn mark(&self, time: Instant) -> Mark {
        Mark::BEGINNING.after(time.saturating_duration_since(self.began))
    }

    /// Whether it matters when something is heard.
    pub(crate) const fn listens(&self, plan: &Liveness) -> bool {
        self.asked.is_some() || plan.silence.is_some()
    }

    pub(crate) const fn is_held(&self) -> bool {
        self.held
    }

    pub(crate) const fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// The peer sent something, whatever it is. Whether that may bring forward when
    /// [`next`](Self::next) is to be asked: it was told that the peer is silent, and is watched again.
    pub(crate) fn heard(&mut self, now: Instant) -> bool {
        self.asked = None;
        self.heard = self.mark(now);
        self.excused = false;
        std::mem::take(&mut self.silence_told)
    }

    /// The peer answered a ping: how long the latest one took.
    pub(crate) fn answered(&self, number: u32, now: Instant) -> Option<Duration> {
        (number == self.latest).then(|| self.mark(now).since(self.pinged))
    }

    /// A subscriber holds the socket back, or no more. What could not be heard meanwhile has its whole
    /// time again.
    pub(crate) fn hold(&mut self, held: bool, now: Instant) {
        if self.held && !held {
            let now = self.mark(now);
            self.heard = now;
            self.asked = self.asked.map(|_| now);
        }
        self.held = held;
    }

    /// Bytes are left that the socket does not take, and whether it took others before them.
    pub(crate) fn wrote(&mut self, left: bool, some: bool, now: Instant) {
        let (now, was_stalled) = (self.mark(now), self.stalled.is_some());
        self.stalled = match self.stalled {
            _ if !left => None,
            Some(since) if !some => Some(since),
            _ => Some(now),
        };
        // A ping among them goes out only now.
        if was_stalled && self.stalled.is_none() && self.asked.is_some() {
            self.asked = Some(now);
            self.pinged = now;
        }
    }

    /// When [`next`](Self::next) is to be asked.
    pub(crate) fn due(&self, plan: &Liveness) -> Option<Instant> {
        self.due_at(plan).map(|due| self.began + due.since(Mark::BEGINNING))
    }

    fn due_at(&self, plan: &Liveness) -> Option<Mark> {
        [self.next_ping, self.judges_at(plan), self.old_at].into_iter().flatten().min()
    }

    fn judges_at(&self, plan: &Liveness) -> Option<Mark> {
        let all = [self.missed_at(plan), self.silent_at(plan), self.stalled_at(plan)];
        all.into_iter().flatten().min()
    }

    fn missed_at(&self, plan: &Liveness) -> Option<Mark> {
        // A ping that waits for the socket was not sent.
        let asked = self.asked.filter(|_| !self.held && self.stalled.is_none())?;
        let more = plan.ping.unwrap_or_default().saturating_mul(plan.misses.saturating_sub(1));
        Some(asked.after(more.saturating_add(plan.pong_within)))
    }

    fn silent_at(&self, plan: &Liveness) -> Option<Mark> {
        let (limit, _) = plan.silence?;
        (!self.held && !self.silence_told).then(|| self.heard.after(limit))
    }

    fn stalled_at(&self, plan: &Liveness) -> Option<Mark> {
        Some(self.stalled?.after(plan.send_stall?))
    }

    /// What to do at this time. To be asked until there is nothing more to do.
    pub(crate) fn next(
        &mut self,
        plan: &Liveness,
        now: Instant,
        calendar: SystemTime,
    ) -> Option<Order> {
        let now = self.mark(now);
        if let Some(order) = self.look_at_the_calendar(plan, now, calendar) {
            return Some(order);
        }
        self.due_at(plan).filter(|due| *due <= now)?;
        let is_late = |at: Mark| now.since(at) > LATE;
        if self.judges_at(plan).is_some_and(is_late) && !self.excused {
            return Some(self.ask_anew(plan, now));
        }
        let is_due = |at: Option<Mark>| at.is_some_and(|at| at <= now);
        if is_due(self.stalled_at(plan)) {
            let limit = plan.send_stall.unwrap_or_default();
            return Some(Order::Close(Verdict::SendStalled { limit }));
        }
        if is_due(self.missed_at(plan)) {
            let (misses, within) = (plan.misses, plan.pong_within);
            return Some(Order::Close(Verdict::PingUnanswered { misses, within }));
        }
        if let Some((limit, remedy)) = plan.silence
            && is_due(self.silent_at(plan))
        {
            self.silence_told = true;
            return Some(self.follow(remedy, Verdict::Silent { limit }, plan, now));
        }
        if let Some(max_age) = plan.max_age
            && is_due(self.old_at)
        {
            self.old_at = None;
            let age = now.since(Mark::BEGINNING);
            return Some(self.follow(max_age.remedy, Verdict::TooOld { age }, plan, now));
        }
        is_due(self.next_ping).then(|| self.ping(plan, now))
    }

    fn follow(&mut self, remedy: Remedy, verdict: Verdict, plan: &Liveness, now: Mark) -> Order {
        match remedy {
            Remedy::Close => Order::Close(verdict),
            Remedy::Report => Order::Report(verdict),
            Remedy::Ping => self.ping(plan, now),
        }
    }

    /// Asks the peer now: the number of the ping.
    pub(crate) fn probe(&mut self, plan: &Liveness, now: Instant) -> u32 {
        self.ping(plan, self.mark(now));
        self.latest
    }

    fn ping(&mut self, plan: &Liveness, now: Mark) -> Order {
        self.latest = self.latest.wrapping_add(1);
        self.pinged = now;
        self.asked.get_or_insert(now);
        self.next_ping = plan.ping.map(|interval| match self.next_ping {
            Some(planned) if planned > now => planned,
            // In step with those before, and without those that were missed.
            Some(planned) if planned.after(interval) > now => planned.after(interval),
            _ => now.after(interval),
        });
        Order::Ping(self.latest)
    }

    /// Everything has its whole time again, beginning with a ping.
    fn ask_anew(&mut self, plan: &Liveness, now: Mark) -> Order {
        self.excused = true;
        self.asked = None;
        self.heard = now;
        self.stalled = self.stalled.map(|_| now);
        self.next_ping = plan.ping.map(|interval| now.after(interval));
        self.ping(plan, now)
    }

    fn look_at_the_calendar(
        &mut self,
        plan: &Liveness,
        now: Mark,
        calendar: SystemTime,
    ) -> Option<Order> {
        let ahead = since_1970(calendar).saturating_sub(nanos(now.since(Mark::BEGINNING)));
        let before = std::mem::replace(&mut self.calendar_ahead, ahead);
        let (least, remedy) = plan.clock_jump?;
        let by = Duration::from_nanos(ahead.saturating_sub(before));
        if by < least {
            return None;
        }
        let probe = self.ask_anew(plan, now);
        match remedy {
            Remedy::Ping => Some(probe),
            remedy => {
                // The ping goes out next.
                self.asked = None;
                self.next_ping = Some(now);
                Some(self.follow(remedy, Verdict::ClockJumped { by }, plan, now))
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// In nanoseconds, which last until 2554.
fn since_1970(calendar: SystemTime) -> u64 {
    nanos(calendar.duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
#[path = "pulse_tests.rs"]
mod tests;
