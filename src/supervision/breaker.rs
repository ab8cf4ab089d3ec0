use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};

use super::InvalidGate;

/// When a host counts as down, and how long it is left alone then.
///
/// While it is down one connection dials it at a time, as a probe, and the others wait. It delays a
/// connection and never fails one. A host that answers a probe with `Retry-After` is there, and knows better
/// than any doubling: the next goes when it said, or after the first dead time where that is longer.
///
/// After Finagle's failure accrual: so many failures in a row, a dead time that doubles, equal jitter.
/// Finagle's is 5 to 300 s, for hosts that have others beside them. Here a whole fleet waits for the host, which
/// one dial in some seconds does not burden: so the fleet begins to come back five seconds after its server at
/// the latest, and where a probe hangs then, after that has timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostBreaker {
    failures: u32,
    min: Duration,
    max: Duration,
}

impl Default for HostBreaker {
    /// Five failures in a row; 1 s doubling to 5 s.
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl HostBreaker {
    const DEFAULT: Self =
        Self { failures: 5, min: Duration::from_secs(1), max: Duration::from_secs(5) };

    /// Down after so many failures in a row.
    ///
    /// # Errors
    /// When that is none.
    pub const fn after(failures: u32) -> Result<Self, InvalidGate> {
        if failures == 0 {
            return Err(InvalidGate::Zero("host_breaker.failures"));
        }
        Ok(Self { failures, ..Self::DEFAULT })
    }

    /// How long a host is left alone: first, and at most.
    ///
    /// # Errors
    /// When the first is zero, or longer than the longest.
    pub fn dead_time(self, min: Duration, max: Duration) -> Result<Self, InvalidGate> {
        if min.is_zero() {
            return Err(InvalidGate::Zero("host_breaker.dead_time"));
        }
        if min > max {
            return Err(InvalidGate::Reversed { min, max });
        }
        Ok(Self { min, max, ..self })
    }

    /// That of this machine, whose first failure says that there is no socket to be had.
    pub(super) const fn of_machine() -> Self {
        Self { failures: 1, min: Duration::from_secs(1), max: Duration::from_mins(1) }
    }

    /// One that never finds a host down.
    pub(super) const fn never() -> Self {
        Self { failures: u32::MAX, ..Self::DEFAULT }
    }
}

/// What is known of one host.
#[derive(Debug)]
pub(crate) struct Breaker {
    terms: HostBreaker,
    state: State,
    /// Until then the host asked to be left alone.
    held_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up { failures: u32 },
    Down { until: Instant, dead_time: Duration },
    Probing { dead_time: Duration },
}

/// Whether the host may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allow {
    Yes,
    /// Not before this; `None` where a probe's end decides.
    NotBefore(Option<Instant>),
}

/// How a dial ended, as far as the host is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answered, be it with a refusal.
    Reached,
    /// It could not be reached, or said that it is not there.
    Failed,
    /// It was not asked: this machine has no socket left.
    Local,
    /// The dial was given up from our side: nothing is known.
    Unknown,
}

impl Allow {
    /// From when on it is allowed, where that is known.
    pub(crate) const fn at(self, now: Instant) -> Option<Instant> {
        match self {
            Self::Yes => Some(now),
            Self::NotBefore(until) => until,
        }
    }
}

impl Breaker {
    pub(crate) const fn new(terms: HostBreaker) -> Self {
        Self { terms, state: State::Up { failures: 0 }, held_until: None }
    }

    pub(crate) fn allow(&self, now: Instant) -> Allow {
        if let Some(until) = self.held_until
            && now < until
        {
            return Allow::NotBefore(Some(until));
        }
        match self.state {
            State::Up { .. } => Allow::Yes,
            State::Down { until, .. } if until <= now => Allow::Yes,
            State::Down { until, .. } => Allow::NotBefore(Some(until)),
            State::Probing { .. } => Allow::NotBefore(None),
        }
    }

    /// A dial begins, which was allowed.
    pub(crate) const fn began(&mut self) {
        if let State::Down { dead_time, .. } = self.state {
            self.state = State::Probing { dead_time };
        }
    }

    pub(crate) fn ended(&mut self, outcome: Outcome, now: Instant, rng: &mut dyn Rng) {
        self.state = match (outcome, self.state) {
            (Outcome::Reached, _) => State::Up { failures: 0 },
            (Outcome::Failed, State::Up { failures }) if failures + 1 < self.terms.failures => {
                State::Up { failures: failures + 1 }
            }
            (Outcome::Failed, State::Up { .. }) => down(self.terms.min, now, rng),
            (Outcome::Failed, State::Probing { dead_time }) => {
                down(dead_time.saturating_mul(2).min(self.terms.max), now, rng)
            }
            // Dials that began before it was found down say nothing new.
            (Outcome::Failed, down @ State::Down { .. }) => down,
            // The probe is gone; the next one may go at once.
            (Outcome::Unknown | Outcome::Local, State::Probing { dead_time }) => {
                State::Down { until: now, dead_time }
            }
            (Outcome::Unknown | Outcome::Local, state) => state,
        };
    }

    /// The host asked to be left alone until then. Where it counts as down its dead time is the first again.
    pub(crate) fn hold(&mut self, until: Instant, now: Instant, rng: &mut dyn Rng) {
        self.held_until = self.held_until.max(Some(until));
        if let State::Down { until: planned, .. } = self.state {
            let dead_time = self.terms.min;
            let until = planned.min(over_at(dead_time, now, rng));
            self.state = State::Down { until, dead_time };
        }
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_blank(&self, now: Instant) -> bool {
        self.state == (State::Up { failures: 0 })
            && self.held_until.is_none_or(|until| until <= now)
    }

    /// Whether it counts as down.
    pub(crate) const fn is_down(&self) -> bool {
        !matches!(self.state, State::Up { .. })
    }
}

fn down(dead_time: Duration, now: Instant, rng: &mut dyn Rng) -> State {
    State::Down { until: over_at(dead_time, now, rng), dead_time }
}

/// Equal jitter: hosts that fail together are not probed together.
fn over_at(dead_time: Duration, now: Instant, rng: &mut dyn Rng) -> Instant {
    now + rng.random_range(dead_time / 2..=dead_time)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    struct Rig {
        breaker: Breaker,
        now: Instant,
        rng: ChaCha8Rng,
    }

    impl Rig {
        fn new() -> Self {
            let breaker = Breaker::new(HostBreaker::default());
            Self { breaker, now: Instant::now(), rng: ChaCha8Rng::seed_from_u64(1) }
        }

        fn dial(&mut self, outcome: Outcome) {
            assert_eq!(self.breaker.allow(self.now), Allow::Yes);
            self.breaker.began();
            self.breaker.ended(outcome, self.now, &mut self.rng);
        }

        fn hold(&mut self, seconds: u64) {
            let until = self.now + Duration::from_secs(seconds);
            self.breaker.hold(until, self.now, &mut self.rng);
        }

        /// How long until a dial is allowed.
        fn wait(&mut self) -> Duration {
            match self.breaker.allow(self.now) {
                Allow::Yes => Duration::ZERO,
                Allow::NotBefore(Some(until)) => {
                    let wait = until - self.now;
                    self.now = until;
                    wait
                }
                Allow::NotBefore(None) => panic!("a probe is under way"),
            }
        }
    }

    #[test]
    fn five_failures_in_a_row_are_down() {
        let mut rig = Rig::new();
        for _ in 0..4 {
            rig.dial(Outcome::Failed);
        }
        rig.dial(Outcome::Reached);
        for _ in 0..5 {
            assert!(!rig.breaker.is_down());
            rig.dial(Outcome::Failed);
        }
        assert!(rig.breaker.is_down());
    }

    #[test]
    fn the_dead_time_doubles_with_each_vain_probe_and_one_success_ends_it() {
        let mut rig = Rig::new();
        for _ in 0..5 {
            rig.dial(Outcome::Failed);
        }
        for seconds in [1, 2, 4, 5, 5] {
            let (wait, dead_time) = (rig.wait(), Duration::from_secs(seconds));
            assert!(dead_time / 2 <= wait && wait <= dead_time, "{wait:?} of {dead_time:?}");
            rig.dial(Outcome::Failed);
        }
        rig.wait();
        rig.dial(Outcome::Reached);
        assert!(rig.breaker.is_blank(rig.now));
        assert_eq!(rig.breaker.allow(rig.now), Allow::Yes);
    }

    #[test]
    fn its_terms_are_those_that_were_set() {
        let ms = Duration::from_millis;
        let terms = HostBreaker::after(2).unwrap().dead_time(ms(100), ms(300)).unwrap();
        let mut rig = Rig { breaker: Breaker::new(terms), ..Rig::new() };
        rig.dial(Outcome::Failed);
        assert!(!rig.breaker.is_down());
        rig.dial(Outcome::Failed);
        for dead_time in [ms(100), ms(200), ms(300), ms(300)] {
            let wait = rig.wait();
            assert!(dead_time / 2 <= wait && wait <= dead_time, "{wait:?} of {dead_time:?}");
            rig.dial(Outcome::Failed);
        }
    }

    #[test]
    fn one_that_never_finds_a_host_down_knows_of_what_it_asks() {
        let mut rig = Rig { breaker: Breaker::new(HostBreaker::never()), ..Rig::new() };
        (0..100).for_each(|_| rig.dial(Outcome::Failed));
        assert!(!rig.breaker.is_down());
        rig.hold(3);
        assert_eq!(rig.wait(), Duration::from_secs(3));
    }

    #[test]
    fn terms_that_cannot_be_are_refused() {
        let seconds = Duration::from_secs;
        let (zero, one, two) = (Duration::ZERO, seconds(1), seconds(2));
        let none = InvalidGate::Zero("host_breaker.failures");
        assert_eq!(HostBreaker::after(0), Err(none));
        assert_eq!(HostBreaker::after(5), Ok(HostBreaker::default()));
        let dead_time = |min, max| HostBreaker::default().dead_time(min, max);
        assert_eq!(dead_time(zero, one), Err(InvalidGate::Zero("host_breaker.dead_time")));
        assert_eq!(dead_time(two, one), Err(InvalidGate::Reversed { min: two, max: one }));
        assert!(dead_time(two, two).is_ok());
    }

    #[test]
    fn one_probe_at_a_time() {
        let mut rig = Rig::new();
        for _ in 0..5 {
            rig.dial(Outcome::Failed);
        }
        rig.wait();
        rig.breaker.began();
        assert_eq!(rig.breaker.allow(rig.now), Allow::NotBefore(None));
        rig.breaker.ended(Outcome::Unknown, rig.now, &mut rig.rng);
        assert_eq!(rig.breaker.allow(rig.now), Allow::Yes, "a cancelled probe is no verdict");
    }

    /// It answers, and so it is worth asking again when it said.
    #[test]
    fn a_host_that_is_down_and_asks_to_be_left_alone_is_probed_then() {
        let seconds = Duration::from_secs;
        for (asked, least, most) in [
            (0, Duration::from_millis(500), seconds(1)),
            (3, seconds(3), seconds(3)),
            (30, seconds(30), seconds(30)),
        ] {
            let mut rig = Rig::new();
            (0..5).for_each(|_| rig.dial(Outcome::Failed));
            for _ in 0..3 {
                rig.wait();
                rig.dial(Outcome::Failed);
            }
            rig.hold(asked);
            let wait = rig.wait();
            assert!(least <= wait && wait <= most, "{wait:?} where {asked} s were asked for");
            rig.dial(Outcome::Failed);
            let wait = rig.wait();
            assert!(seconds(1) <= wait && wait <= seconds(2), "the second dead time: {wait:?}");
        }
    }

    #[test]
    fn a_host_may_ask_to_be_left_alone() {
        let mut rig = Rig::new();
        let asked = rig.now + Duration::from_secs(30);
        rig.hold(30);
        rig.hold(3);
        assert_eq!(rig.breaker.allow(rig.now), Allow::NotBefore(Some(asked)), "the longest counts");
        assert_eq!(rig.breaker.allow(asked), Allow::Yes);
        assert!(rig.breaker.is_blank(asked));
    }
}
