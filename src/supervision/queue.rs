use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, RngExt as _};

use super::{
    DialGate, HostBreaker, Place, WaitReason,
    breaker::{Allow, Breaker, Outcome},
    line::{Line, Ticket},
};

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
    waiting: Line,
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
            Heed::Host => self.host(host).waiting.join(ticket),
            Heed::GateOnly => self.overruling.push_back((ticket, Arc::clone(host))),
        }
        ticket
    }

    /// It does not want to any more.
    pub(crate) fn withdraw(&mut self, host: &Arc<str>, ticket: Ticket, now: Instant) {
        if let Some(known) = self.hosts.get_mut(host) {
            known.waiting.leave(ticket);
        }
        if let Some(place) = self.overrules(ticket) {
            self.overruling.remove(place);
        }
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
            (self.hosts.get_mut(&host)?.waiting.take_first()?, host)
        };
        self.host(&host).breaker.began();
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
        self.host(host).breaker.ended(outcome, now, rng);
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
        self.host(host).breaker.hold(until, now, rng);
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
        let waiting = self.hosts.values().filter_map(|host| host.waiting.first());
        self.overruling.front().map(|(ticket, _)| *ticket).or_else(|| waiting.min())
    }

    /// Whether the host counts as down, and how many wait for it.
    pub(crate) fn look(&self, host: &str) -> (bool, usize) {
        let known = self.hosts.get(host);
        known.map_or((false, 0), |host| (host.breaker.is_down(), host.waiting.len()))
    }

    /// How many are to dial before this one, and what they all wait for; nothing where it does not wait.
    pub(crate) fn place(&self, ticket: Ticket, now: Instant) -> Option<Place> {
        if let Some(ahead) = self.overrules(ticket) {
            return Some(Place { ahead, reason: self.own_limit() });
        }
        let mut hosts = self.hosts.values();
        let (host, ahead) = hosts.find_map(|host| Some((host, host.waiting.ahead_of(ticket)?)))?;
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

    /// Its place among those whom a person told to dial now, who are in the order of their tickets too.
    fn overrules(&self, ticket: Ticket) -> Option<usize> {
        self.overruling.binary_search_by_key(&ticket, |(waiting, _)| *waiting).ok()
    }

    fn host(&mut self, host: &Arc<str>) -> &mut Host {
        // A breaker that never opens, where none is wanted; it still knows of holds.
        let terms = self.breaker.unwrap_or(HostBreaker::never());
        self.hosts
            .entry(Arc::clone(host))
            .or_insert_with(|| Host { breaker: Breaker::new(terms), waiting: Line::default() })
    }

    /// Hosts of which nothing is to be remembered take no room.
    fn forget_blank(&mut self, host: &Arc<str>, now: Instant) {
        let is_blank = |host: &Host| host.waiting.is_empty() && host.breaker.is_blank(now);
        if self.hosts.get(host).is_some_and(is_blank) {
            self.hosts.remove(host);
        }
    }

    fn first_allowed(&self, now: Instant) -> Option<Arc<str>> {
        if self.machine.allow(now) != Allow::Yes {
            return None;
        }
        let allowed = self.hosts.iter().filter(|(_, host)| host.breaker.allow(now) == Allow::Yes);
        let waiting = allowed.filter_map(|(name, host)| Some((host.waiting.first()?, name)));
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
#[path = "queue_tests.rs"]
mod tests;
