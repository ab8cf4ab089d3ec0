use std::time::{Duration, Instant, SystemTime};

use super::{LATE, Liveness, Order, Remedy, Verdict, after};

/// What is known of one session's liveness.
///
/// It is told what was heard and written, and asked at [`due`](Self::due) what follows from the time
/// that passed.
#[derive(Debug)]
pub(crate) struct Pulse {
    next_ping: Option<Instant>,
    /// When the first ping was sent after which nothing was heard.
    asked: Option<Instant>,
    /// The number of the latest ping, and when it was sent.
    latest: u32,
    pinged: Instant,
    heard: Instant,
    /// Since when the socket takes nothing.
    stalled: Option<Instant>,
    /// A subscriber holds the socket back: nothing can be heard.
    held: bool,
    silence_told: bool,
    /// A late judgement was put off already.
    excused: bool,
    looked: (Instant, SystemTime),
    /// When the session is too old, and when it began.
    old_at: Option<Instant>,
    began: Instant,
}

impl Pulse {
    /// `chance` is a random number from 0 to below 1.
    pub(crate) fn begin(plan: &Liveness, now: Instant, calendar: SystemTime, chance: f64) -> Self {
        Self {
            next_ping: plan.ping.map(|interval| after(now, interval)),
            asked: None,
            latest: 0,
            pinged: now,
            heard: now,
            stalled: None,
            held: false,
            silence_told: false,
            excused: false,
            looked: (now, calendar),
            old_at: plan.max_age.map(|max_age| after(now, max_age.drawn(chance))),
            began: now,
        }
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

    /// The peer sent something, whatever it is.
    pub(crate) const fn heard(&mut self, now: Instant) {
        self.asked = None;
        self.heard = now;
        self.silence_told = false;
        self.excused = false;
    }

    /// The peer answered a ping: how long the latest one took.
    pub(crate) fn answered(&self, number: u32, now: Instant) -> Option<Duration> {
        (number == self.latest).then(|| now.saturating_duration_since(self.pinged))
    }

    /// A subscriber holds the socket back, or no more. What could not be heard meanwhile has its whole
    /// time again.
    pub(crate) fn hold(&mut self, held: bool, now: Instant) {
        if self.held && !held {
            self.heard = now;
            self.asked = self.asked.map(|_| now);
        }
        self.held = held;
    }

    /// Bytes are left that the socket does not take, and whether it took others before them.
    pub(crate) fn wrote(&mut self, left: bool, some: bool, now: Instant) {
        let was_stalled = self.stalled.is_some();
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
        [self.next_ping, self.judges_at(plan), self.old_at].into_iter().flatten().min()
    }

    fn judges_at(&self, plan: &Liveness) -> Option<Instant> {
        let all = [self.missed_at(plan), self.silent_at(plan), self.stalled_at(plan)];
        all.into_iter().flatten().min()
    }

    fn missed_at(&self, plan: &Liveness) -> Option<Instant> {
        // A ping that waits for the socket was not sent.
        let asked = self.asked.filter(|_| !self.held && self.stalled.is_none())?;
        let more = plan.ping.unwrap_or_default().saturating_mul(plan.misses.saturating_sub(1));
        Some(after(asked, more.saturating_add(plan.pong_within)))
    }

    fn silent_at(&self, plan: &Liveness) -> Option<Instant> {
        let (limit, _) = plan.silence?;
        (!self.held && !self.silence_told).then(|| after(self.heard, limit))
    }

    fn stalled_at(&self, plan: &Liveness) -> Option<Instant> {
        Some(after(self.stalled?, plan.send_stall?))
    }

    /// What to do at this time. To be asked until there is nothing more to do.
    pub(crate) fn next(
        &mut self,
        plan: &Liveness,
        now: Instant,
        calendar: SystemTime,
    ) -> Option<Order> {
        if let Some(order) = self.look_at_the_calendar(plan, now, calendar) {
            return Some(order);
        }
        self.due(plan).filter(|due| *due <= now)?;
        let is_late = |at: Instant| now.saturating_duration_since(at) > LATE;
        if self.judges_at(plan).is_some_and(is_late) && !self.excused {
            return Some(self.ask_anew(plan, now));
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
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
            let age = now.saturating_duration_since(self.began);
            return Some(self.follow(max_age.remedy, Verdict::TooOld { age }, plan, now));
        }
        is_due(self.next_ping).then(|| self.ping(plan, now))
    }

    fn follow(&mut self, remedy: Remedy, verdict: Verdict, plan: &Liveness, now: Instant) -> Order {
        match remedy {
            Remedy::Close => Order::Close(verdict),
            Remedy::Report => Order::Report(verdict),
            Remedy::Ping => self.ping(plan, now),
        }
    }

    /// Asks the peer now: the number of the ping.
    pub(crate) fn probe(&mut self, plan: &Liveness, now: Instant) -> u32 {
        self.ping(plan, now);
        self.latest
    }

    fn ping(&mut self, plan: &Liveness, now: Instant) -> Order {
        self.latest = self.latest.wrapping_add(1);
        self.pinged = now;
        self.asked.get_or_insert(now);
        self.next_ping = plan.ping.map(|interval| match self.next_ping {
            Some(planned) if planned > now => planned,
            // In step with those before, and without those that were missed.
            Some(planned) if after(planned, interval) > now => after(planned, interval),
            _ => after(now, interval),
        });
        Order::Ping(self.latest)
    }

    /// Everything has its whole time again, beginning with a ping.
    fn ask_anew(&mut self, plan: &Liveness, now: Instant) -> Order {
        self.excused = true;
        self.asked = None;
        self.heard = now;
        self.stalled = self.stalled.map(|_| now);
        self.next_ping = plan.ping.map(|interval| after(now, interval));
        self.ping(plan, now)
    }

    fn look_at_the_calendar(
        &mut self,
        plan: &Liveness,
        now: Instant,
        calendar: SystemTime,
    ) -> Option<Order> {
        let (clock_then, calendar_then) = std::mem::replace(&mut self.looked, (now, calendar));
        let (least, remedy) = plan.clock_jump?;
        let by_calendar = calendar.duration_since(calendar_then).unwrap_or_default();
        let by = by_calendar.saturating_sub(now.saturating_duration_since(clock_then));
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

#[cfg(test)]
#[path = "pulse_tests.rs"]
mod tests;
