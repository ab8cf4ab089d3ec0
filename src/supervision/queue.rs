use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, RngExt as _};

use super::{
    DialGate, HostBreaker, Place, WaitReason,
    breaker::{Allow, Breaker, Outcome},
};

/// One connection's turn to dial. They are numbered as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// The queue before a supervisor's dials. It knows no clock and wakes nobody: whoever drives it asks
/// [`next`](Self::next) after each change, and again at [`wake_at`](Self::wake_at).
#[derive(Debug)]
pub(crate) struct Queue {
    gate: DialGate,
    breaker: Option<HostBreaker>,
    next_ticket: u64,
    dialling: usize,
    /// Dials that may begin now, in parts: a token bucket.
    tokens: f64,
    refilled: Option<Instant>,
    hosts: BTreeMap<Arc<str>, Host>,
    /// Whether this machine has sockets, which is nothing of a host's.
    machine: Breaker,
    /// Those whom a person told to dial now.
    overruling: VecDeque<(Ticket, Arc<str>)>,
}

/// Whether what is known of the host counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heed {
    Host,
    /// A person said now: only the gate's own limits count.
    GateOnly,
}

#[derive(Debug)]
struct Host {
    breaker: Breaker,
    waiting: VecDeque<Ticket>,
    dialling: usize,
}

impl Queue {
    pub(crate) fn new(gate: DialGate, breaker: Option<HostBreaker>) -> Self {
        let tokens = f64::from(gate.burst);
        Self {
            gate,
            breaker,
            next_ticket: 0,
            dialling: 0,
            tokens,
            refilled: None,
            hosts: BTreeMap::new(),
            machine: Breaker::new(HostBreaker::of_machine()),
            overruling: VecDeque::new(),
        }
    }

    /// A connection wants to dial this host.
    pub(crate) fn arrive(&mut self, host: &Arc<str>, heed: Heed) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        match heed {
            Heed::Host => self.host(host).waiting.push_back(ticket),
            Heed::GateOnly => self.overruling.push_back((ticket, Arc::clone(host))),
        }
        ticket
    }

    /// It does not want to any more.
    pub(crate) fn withdraw(&mut self, host: &Arc<str>, ticket: Ticket, now: Instant) {
        if let Some(known) = self.hosts.get_mut(host) {
            known.waiting.retain(|waiting| *waiting != ticket);
        }
        self.overruling.retain(|(waiting, _)| *waiting != ticket);
        self.forget_blank(host, now);
    }

    /// Whose turn it is: the first in the queue whose host may be dialled. The dial counts as begun.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Ticket> {
        self.refill(now);
        if self.dialling >= self.gate.concurrent || self.tokens < 1.0 {
            return None;
        }
        let (ticket, host) = if let Some(overruling) = self.overruling.pop_front() {
            overruling
        } else {
            let host = self.first_allowed(now)?;
            (self.hosts.get_mut(&host)?.waiting.pop_front()?, host)
        };
        let known = self.host(&host);
        known.breaker.began();
        known.dialling += 1;
        self.machine.began();
        self.dialling += 1;
        self.tokens -= 1.0;
        Some(ticket)
    }

    /// A dial that was let through has ended.
    pub(crate) fn ended(
        &mut self,
        host: &Arc<str>,
        outcome: Outcome,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        self.dialling = self.dialling.saturating_sub(1);
        let of_machine = match outcome {
            Outcome::Local => Outcome::Failed,
            // A socket that was made before they ran out says nothing new.
            _ if matches!(self.machine.allow(now), Allow::NotBefore(Some(_))) => Outcome::Unknown,
            // There was a socket, whatever became of it.
            Outcome::Reached | Outcome::Failed => Outcome::Reached,
            Outcome::Unknown => Outcome::Unknown,
        };
        self.machine.ended(of_machine, now, rng);
        let known = self.host(host);
        known.dialling = known.dialling.saturating_sub(1);
        known.breaker.ended(outcome, now, rng);
        self.forget_blank(host, now);
    }

    /// The host asked to be left alone for so long, by `Retry-After` or a close with 1013. Nobody who
    /// waits may dial it before; up to a fifth is added at random.
    pub(crate) fn hold(
        &mut self,
        host: &Arc<str>,
        time: Duration,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        let until = now + rng.random_range(time..=time + time / 5);
        self.host(host).breaker.hold(until);
    }

    /// When [`next`](Self::next) may answer otherwise although nothing has happened.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        if self.dialling >= self.gate.concurrent {
            return None;
        }
        if !self.overruling.is_empty() {
            return Some(self.token_at(now));
        }
        let machine = self.machine.allow(now).at(now)?;
        let waiting = self.hosts.values().filter(|host| !host.waiting.is_empty());
        let earliest = waiting.filter_map(|host| host.breaker.allow(now).at(now)).min();
        earliest.map(|at| at.max(machine).max(self.token_at(now)))
    }

    /// The one who is to ask again at [`wake_at`](Self::wake_at).
    pub(crate) fn first(&self) -> Option<Ticket> {
        let waiting = self.hosts.values().filter_map(|host| host.waiting.front().copied());
        self.overruling.front().map(|(ticket, _)| *ticket).or_else(|| waiting.min())
    }

    /// Whether the host counts as down, and how many wait for it.
    pub(crate) fn look(&self, host: &str) -> (bool, usize) {
        let known = self.hosts.get(host);
        known.map_or((false, 0), |host| (host.breaker.is_down(), host.waiting.len()))
    }

    /// How many are to dial before this one, and what they all wait for; nothing where it does not wait.
    pub(crate) fn place(&self, ticket: Ticket, now: Instant) -> Option<Place> {
        let overruling = self.overruling.iter().position(|(waiting, _)| *waiting == ticket);
        if let Some(ahead) = overruling {
            return Some(Place { ahead, reason: self.own_limit() });
        }
        let host = self.hosts.values().find(|host| host.waiting.contains(&ticket))?;
        let ahead = host.waiting.iter().take_while(|waiting| **waiting != ticket).count();
        let reason = match host.breaker.allow(now) {
            Allow::Yes => match self.machine.allow(now) {
                Allow::Yes => self.own_limit(),
                Allow::NotBefore(until) => WaitReason::Machine {
                    next_probe_in: until.map(|until| until.saturating_duration_since(now)),
                },
            },
            Allow::NotBefore(Some(until)) if host.breaker.is_down() => {
                WaitReason::HostDown { next_probe_in: until.saturating_duration_since(now) }
            }
            Allow::NotBefore(Some(until)) => {
                WaitReason::HostAsked { until_in: until.saturating_duration_since(now) }
            }
            Allow::NotBefore(None) => WaitReason::Probe,
        };
        Some(Place { ahead, reason })
    }

    const fn own_limit(&self) -> WaitReason {
        if self.dialling >= self.gate.concurrent {
            WaitReason::Concurrency { dialling: self.dialling }
        } else {
            WaitReason::Rate { per_second: self.gate.per_second }
        }
    }

    fn host(&mut self, host: &Arc<str>) -> &mut Host {
        // A breaker that never opens, where none is wanted; it still knows of holds.
        let terms = self.breaker.unwrap_or(HostBreaker::never());
        self.hosts.entry(Arc::clone(host)).or_insert_with(|| Host {
            breaker: Breaker::new(terms),
            waiting: VecDeque::new(),
            dialling: 0,
        })
    }

    /// Hosts of which nothing is to be remembered take no room.
    fn forget_blank(&mut self, host: &Arc<str>, now: Instant) {
        let is_blank = |host: &Host| {
            host.waiting.is_empty() && host.dialling == 0 && host.breaker.is_blank(now)
        };
        if self.hosts.get(host).is_some_and(is_blank) {
            self.hosts.remove(host);
        }
    }

    fn first_allowed(&self, now: Instant) -> Option<Arc<str>> {
        if self.machine.allow(now) != Allow::Yes {
            return None;
        }
        let allowed = self.hosts.iter().filter(|(_, host)| host.breaker.allow(now) == Allow::Yes);
        let waiting = allowed.filter_map(|(name, host)| Some((host.waiting.front()?, name)));
        waiting.min().map(|(_, name)| Arc::clone(name))
    }

    fn refill(&mut self, now: Instant) {
        let since = self.refilled.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.refilled = Some(now);
        let grown = self.tokens + since.as_secs_f64() * f64::from(self.gate.per_second);
        self.tokens = grown.min(f64::from(self.gate.burst));
    }

    fn token_at(&self, now: Instant) -> Instant {
        let missing = (1.0 - self.tokens).max(0.0) / f64::from(self.gate.per_second);
        // A nanosecond more, so that rounding does not ask in vain.
        self.refilled.unwrap_or(now) + Duration::from_secs_f64(missing) + Duration::from_nanos(1)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    struct Rig {
        queue: Queue,
        now: Instant,
        rng: ChaCha8Rng,
    }

    impl Rig {
        fn new(gate: DialGate) -> Self {
            let queue = Queue::new(gate, Some(HostBreaker::default()));
            Self { queue, now: Instant::now(), rng: ChaCha8Rng::seed_from_u64(1) }
        }

        /// All whose turn it is now.
        fn turns(&mut self) -> Vec<u64> {
            std::iter::from_fn(|| self.queue.next(self.now)).map(|Ticket(number)| number).collect()
        }

        fn ended(&mut self, host: &Arc<str>, outcome: Outcome) {
            self.queue.ended(host, outcome, self.now, &mut self.rng);
        }

        fn wake(&mut self) -> Duration {
            let at = self.queue.wake_at(self.now).expect("somebody waits for time to pass");
            let waited = at - self.now;
            self.now = at;
            waited
        }
    }

    fn host(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn no_more_dial_at_once_than_allowed_and_in_order() {
        let (mut rig, a) = (Rig::new(DialGate::new(3, 1_000).unwrap()), host("a"));
        for _ in 0..5 {
            rig.queue.arrive(&a, Heed::Host);
        }
        assert_eq!(rig.turns(), [0, 1, 2]);
        assert_eq!(rig.queue.wake_at(rig.now), None, "an end decides, not time");
        rig.ended(&a, Outcome::Reached);
        rig.wake();
        assert_eq!(rig.turns(), [3]);
    }

    #[test]
    fn dials_come_at_the_rate_after_the_burst() {
        let (mut rig, a) = (Rig::new(DialGate::new(100, 10).unwrap().burst(2).unwrap()), host("a"));
        for _ in 0..5 {
            rig.queue.arrive(&a, Heed::Host);
        }
        assert_eq!(rig.turns(), [0, 1]);
        for number in 2..5 {
            let waited = rig.wake();
            assert!(waited.abs_diff(Duration::from_millis(100)) < Duration::from_millis(1));
            assert_eq!(rig.turns(), [number]);
        }
    }

    #[test]
    fn a_host_that_is_down_holds_up_nobody_elses() {
        let (mut rig, a, b) = (Rig::new(DialGate::default()), host("a"), host("b"));
        for _ in 0..5 {
            rig.queue.arrive(&a, Heed::Host);
            rig.turns();
            rig.ended(&a, Outcome::Failed);
        }
        let to_a = [rig.queue.arrive(&a, Heed::Host), rig.queue.arrive(&a, Heed::Host)];
        let to_b = rig.queue.arrive(&b, Heed::Host);
        assert_eq!(rig.turns(), [to_b.0]);
        assert_eq!(rig.queue.look("a"), (true, 2));
        // One probe goes, and the rest wait for its end.
        assert!(rig.wake() >= Duration::from_millis(2_500));
        assert_eq!(rig.turns(), [to_a[0].0]);
        assert_eq!(rig.queue.wake_at(rig.now), None);
        rig.ended(&a, Outcome::Reached);
        assert_eq!(rig.turns(), [to_a[1].0]);
    }

    /// No host is down, and none is dialled but by one at a time.
    #[test]
    fn a_machine_without_sockets_dials_nobody_for_a_while() {
        let (mut rig, a, b) = (Rig::new(DialGate::default()), host("a"), host("b"));
        for _ in 0..3 {
            rig.queue.arrive(&a, Heed::Host);
        }
        assert_eq!(rig.turns().len(), 3);
        for outcome in [Outcome::Local, Outcome::Local, Outcome::Reached] {
            rig.ended(&a, outcome);
        }
        let tickets = [(); 5].map(|()| rig.queue.arrive(&b, Heed::Host));
        let last = tickets[4];
        let place = rig.queue.place(last, rig.now).unwrap();
        assert!(
            place.to_string().starts_with("this machine had no socket left, and dials again in")
        );
        assert_eq!(
            (rig.turns(), rig.queue.look("a"), rig.queue.look("b")),
            (vec![], (false, 0), (false, 5))
        );
        // Equal jitter: a half of it at least. It doubles while nothing gets better.
        for (ticket, least, most) in
            [(tickets[0], 500, 1_000), (tickets[1], 1_000, 2_000), (tickets[2], 2_000, 4_000)]
        {
            let waited = rig.wake();
            let bounds = Duration::from_millis(least)..=Duration::from_millis(most);
            assert!(bounds.contains(&waited), "{waited:?}");
            assert_eq!(rig.turns(), [ticket.0], "one at a time");
            assert_eq!(rig.queue.wake_at(rig.now), None, "its end decides");
            let reason = rig.queue.place(last, rig.now).map(|place| place.reason);
            assert_eq!(reason, Some(WaitReason::Machine { next_probe_in: None }));
            rig.ended(&b, Outcome::Local);
        }
        // Who insists is let through, and what it meets counts.
        let by_hand = rig.queue.arrive(&a, Heed::GateOnly);
        assert_eq!(rig.turns(), [by_hand.0]);
        rig.ended(&a, Outcome::Failed);
        rig.wake();
        assert_eq!(rig.turns().len(), 2, "a dial that was refused had a socket");
    }

    #[test]
    fn each_knows_its_place_and_what_it_waits_for() {
        let (mut rig, a) = (Rig::new(DialGate::new(1, 10).unwrap()), host("a"));
        let tickets = [(); 3].map(|()| rig.queue.arrive(&a, Heed::Host));
        assert_eq!(rig.turns(), [0]);
        let place = |rig: &Rig, ticket| rig.queue.place(ticket, rig.now);
        assert_eq!(place(&rig, tickets[0]), None, "it was let through");
        let reason = WaitReason::Concurrency { dialling: 1 };
        assert_eq!(place(&rig, tickets[2]), Some(Place { ahead: 1, reason }));
        rig.ended(&a, Outcome::Reached);
        let reason = WaitReason::Rate { per_second: 10 };
        assert_eq!(place(&rig, tickets[1]), Some(Place { ahead: 0, reason }));
        rig.queue.hold(&a, Duration::from_secs(10), rig.now, &mut rig.rng);
        let held = place(&rig, tickets[1]).unwrap();
        assert!(
            matches!(held.reason, WaitReason::HostAsked { until_in } if until_in.as_secs() >= 10)
        );
        let by_hand = rig.queue.arrive(&a, Heed::GateOnly);
        assert_eq!(place(&rig, by_hand), Some(Place { ahead: 0, reason }));
        assert_eq!(
            held.to_string().split_once(" for ").unwrap().0,
            "its host asked to be left alone"
        );

        let mut rig = Rig::new(DialGate::default());
        for _ in 0..5 {
            rig.queue.arrive(&a, Heed::Host);
            rig.turns();
            rig.ended(&a, Outcome::Failed);
        }
        let tickets = [(); 2].map(|()| rig.queue.arrive(&a, Heed::Host));
        let down = place(&rig, tickets[0]).unwrap();
        assert!(matches!(down.reason, WaitReason::HostDown { .. }), "{down}");
        rig.wake();
        rig.turns();
        assert_eq!(place(&rig, tickets[1]), Some(Place { ahead: 0, reason: WaitReason::Probe }));
    }

    #[test]
    fn a_person_overrules_what_is_known_of_the_host_and_not_the_gate() {
        let (mut rig, a) = (Rig::new(DialGate::new(1, 1_000).unwrap()), host("a"));
        rig.queue.hold(&a, Duration::from_secs(10), rig.now, &mut rig.rng);
        rig.queue.arrive(&a, Heed::Host);
        rig.queue.arrive(&a, Heed::GateOnly);
        rig.queue.arrive(&a, Heed::GateOnly);
        assert_eq!(rig.turns(), [1]);
        rig.ended(&a, Outcome::Reached);
        rig.wake();
        assert_eq!(rig.turns(), [2]);
        rig.ended(&a, Outcome::Reached);
        assert!(rig.wake() >= Duration::from_secs(9));
        assert_eq!(rig.turns(), [0]);
    }

    #[test]
    fn a_hint_heard_by_one_holds_all() {
        let (mut rig, a) = (Rig::new(DialGate::default()), host("a"));
        rig.queue.hold(&a, Duration::from_secs(10), rig.now, &mut rig.rng);
        rig.queue.arrive(&a, Heed::Host);
        assert!(rig.turns().is_empty());
        let waited = rig.wake();
        assert!((10.0..=12.0).contains(&waited.as_secs_f64()), "{waited:?}");
        assert_eq!(rig.turns(), [0]);
    }

    #[test]
    fn who_withdraws_is_passed_over_and_nothing_is_kept_of_healthy_hosts() {
        let (mut rig, a) = (Rig::new(DialGate::new(1, 1_000).unwrap()), host("a"));
        let tickets = [(); 3].map(|()| rig.queue.arrive(&a, Heed::Host));
        assert_eq!(rig.turns(), [0]);
        rig.queue.withdraw(&a, tickets[1], rig.now);
        rig.ended(&a, Outcome::Reached);
        rig.wake();
        assert_eq!(rig.turns(), [2]);
        rig.ended(&a, Outcome::Reached);
        assert!(rig.queue.hosts.is_empty());
    }

    #[test]
    fn without_limits_all_go_at_once() {
        let (mut rig, a) = (Rig::new(DialGate::unlimited()), host("a"));
        for _ in 0..10_000 {
            rig.queue.arrive(&a, Heed::Host);
        }
        assert_eq!(rig.turns().len(), 10_000);
    }
}
