use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Backoff, ExitClass};

/// How many restarts within which time are too many: OTP's restart intensity.
///
/// OTP counts every automatic restart. Here the network's ends are not counted unless that is asked
/// for ([`IntensityScope::AllRestarts`]): one server that restarts would else take all connections
/// of a supervisor with it. What is counted are crashes, of which this library's own code and user
/// code in it are to blame.
///
/// The window slides and is closed at its old end, as OTP's is, with the clock's full resolution: a
/// restart counts while it is not more than `period` old. So `max_restarts` restarts within it are
/// allowed, and one more is too many.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::{Intensity, OnExceeded, Supervisor};
///
/// let intensity = Intensity::new(3, Duration::from_secs(60))
///     .per_supervisor()
///     .on_exceeded(OnExceeded::ShutdownSupervisor);
/// let builder = Supervisor::builder().intensity(intensity);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    max_restarts: u32,
    period: Duration,
    scope: IntensityScope,
    per: IntensityPer,
    on_exceeded: OnExceeded,
}

/// Which ends count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntensityScope {
    /// Panics.
    #[default]
    Crashes,
    /// Every end that is followed by another attempt: OTP to the letter.
    AllRestarts,
}

/// Whose ends are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntensityPer {
    /// Each connection has a count of its own.
    #[default]
    Connection,
    /// All connections of the supervisor have one, as in OTP.
    Supervisor,
}

/// What follows from too many restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExceeded {
    /// The connection gives up, and the others do not notice.
    #[default]
    Quarantine,
    /// The supervisor ends with all its connections, as in OTP.
    ShutdownSupervisor,
    /// The next attempt waits for this long at least.
    Delay(Duration),
}

impl Default for Intensity {
    /// Five crashes of one connection within a minute; the sixth puts it in quarantine.
    fn default() -> Self {
        Self::new(5, Duration::from_mins(1))
    }
}

impl Intensity {
    /// At most `max_restarts` within `period`.
    #[must_use]
    pub const fn new(max_restarts: u32, period: Duration) -> Self {
        Self {
            max_restarts,
            period,
            scope: IntensityScope::Crashes,
            per: IntensityPer::Connection,
            on_exceeded: OnExceeded::Quarantine,
        }
    }

    /// Counts every end that is followed by another attempt.
    #[must_use]
    pub const fn all_restarts(self) -> Self {
        Self { scope: IntensityScope::AllRestarts, ..self }
    }

    /// Counts the ends of all connections together.
    #[must_use]
    pub const fn per_supervisor(self) -> Self {
        Self { per: IntensityPer::Supervisor, ..self }
    }

    /// Sets what follows from too many restarts.
    #[must_use]
    pub const fn on_exceeded(self, on_exceeded: OnExceeded) -> Self {
        Self { on_exceeded, ..self }
    }

    /// Restarts that are allowed within the period.
    #[must_use]
    pub const fn max_restarts(&self) -> u32 {
        self.max_restarts
    }

    /// The window.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    pub(crate) const fn consequence(&self) -> OnExceeded {
        self.on_exceeded
    }

    pub(crate) const fn counts_all_restarts(&self) -> bool {
        matches!(self.scope, IntensityScope::AllRestarts)
    }

    const fn counts(&self, class: ExitClass) -> bool {
        match self.scope {
            IntensityScope::Crashes => matches!(class, ExitClass::Crash),
            IntensityScope::AllRestarts => true,
        }
    }

    /// Whether a connection with this backoff can ever restart often enough to exceed the limit. Two
    /// limits that are both sensible may cancel each other.
    pub(crate) fn is_reachable_with(&self, backoff: &Backoff) -> bool {
        if self.scope == IntensityScope::Crashes || self.per == IntensityPer::Supervisor {
            return true;
        }
        let mut shortest = Duration::ZERO;
        for attempt in 1..=self.max_restarts {
            shortest = shortest.saturating_add(backoff.shortest(attempt));
            if shortest > self.period {
                return false;
            }
        }
        true
    }
}

/// The restarts that count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(VecDeque<Instant>);

impl Ledger {
    /// Those that are within the period.
    fn count(&self, intensity: &Intensity, now: Instant) -> usize {
        let is_young = |at: &&Instant| now.saturating_duration_since(**at) <= intensity.period;
        self.0.iter().filter(is_young).count()
    }

    /// Records a restart, before it is made. Whether it is allowed.
    pub(crate) fn record(&mut self, intensity: &Intensity, now: Instant) -> bool {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) > intensity.period;
        while self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() <= intensity.max_restarts as usize
    }
}

/// What a supervisor's connections have in common: its limit, with the count of all of them together,
/// and whether they fail together. They may run on several threads.
#[derive(Debug, Default)]
pub(crate) struct Restraint {
    intensity: Intensity,
    together: Mutex<Ledger>,
    /// Which ends are failures of the group; absent where each connection is for itself.
    cascades: Option<fn(ExitClass) -> bool>,
}

impl Restraint {
    pub(crate) fn new(intensity: Intensity, cascades: Option<fn(ExitClass) -> bool>) -> Self {
        Self { intensity, together: Mutex::default(), cascades }
    }

    /// Whether an end of this class is a failure of the connection's group.
    pub(crate) fn fails_group(&self, class: ExitClass) -> bool {
        self.cascades.is_some_and(|cascades| cascades(class))
    }

    pub(crate) const fn intensity(&self) -> &Intensity {
        &self.intensity
    }

    /// Restarts that are left within the period.
    pub(crate) fn left(&self, own: Option<&Ledger>, now: Instant) -> u32 {
        let count = match self.intensity.per {
            IntensityPer::Connection => own.map_or(0, |own| own.count(&self.intensity, now)),
            IntensityPer::Supervisor => {
                let together = self.together.lock().unwrap_or_else(PoisonError::into_inner);
                together.count(&self.intensity, now)
            }
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.intensity.max_restarts.saturating_sub(count)
    }

    /// Records the restart that an end of this class is to be followed by; `own` is the
    /// connection's count, which exists since its first entry. What follows instead, where it is one
    /// restart too many.
    pub(crate) fn record(
        &self,
        own: &mut Option<Box<Ledger>>,
        class: ExitClass,
        now: Instant,
    ) -> Option<OnExceeded> {
        if !self.intensity.counts(class) {
            return None;
        }
        let allowed = match self.intensity.per {
            IntensityPer::Connection => own.get_or_insert_default().record(&self.intensity, now),
            IntensityPer::Supervisor => {
                let together = self.together.lock();
                together.unwrap_or_else(PoisonError::into_inner).record(&self.intensity, now)
            }
        };
        (!allowed).then_some(self.intensity.on_exceeded)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::lifecycle::Jitter;

    /// OTP's `add_restart`, as data: the list of all restarts, newest first, of which those that are
    /// not more than a period old are kept.
    struct Otp {
        intensity: usize,
        period: u64,
        restarts: Vec<u64>,
    }

    impl Otp {
        fn add_restart(&mut self, now: u64) -> bool {
            let period = self.period;
            let kept = self.restarts.iter().copied().take_while(|at| *at + period >= now);
            self.restarts = std::iter::once(now).chain(kept).collect();
            self.restarts.len() <= self.intensity
        }
    }

    proptest! {
        /// With the resolution of the clock that OTP truncates to whole seconds.
        #[test]
        fn the_ledger_agrees_with_otp(
            intensity in 0_u32..6,
            period in 1_u64..50,
            pauses in vec(0_u64..30, 0..60),
        ) {
            let began = Instant::now();
            let limit = Intensity::new(intensity, Duration::from_millis(period));
            let mut ledger = Ledger::default();
            let mut otp = Otp { intensity: intensity as usize, period, restarts: Vec::new() };
            let mut now = 0;
            for pause in pauses {
                now += pause;
                let allowed = ledger.record(&limit, began + Duration::from_millis(now));
                prop_assert_eq!(allowed, otp.add_restart(now), "at {}", now);
            }
        }
    }

    #[test]
    fn the_window_is_closed_at_its_old_end() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let two = Intensity::new(2, Duration::from_secs(1));
        let recorded = |times: [u64; 3]| {
            let mut ledger = Ledger::default();
            times.map(|ms| ledger.record(&two, at(ms)))
        };
        assert_eq!(recorded([0, 500, 1_000]), [true, true, false]);
        assert_eq!(recorded([0, 500, 1_001]), [true, true, true]);
    }

    #[test]
    fn a_connection_has_left_what_it_or_all_together_did_not_use() {
        let (began, minute) = (Instant::now(), Duration::from_mins(1));
        let left_after_crash = |intensity| {
            let restraint = Restraint::new(intensity, None);
            let mut own = None;
            assert_eq!(restraint.record(&mut own, ExitClass::Crash, began), None);
            let left = |own: Option<&Ledger>, at| restraint.left(own, at);
            let later = began + minute + Duration::from_millis(1);
            (left(own.as_deref(), began), left(None, began), left(own.as_deref(), later))
        };
        let three = Intensity::new(3, minute);
        assert_eq!(left_after_crash(three), (2, 3, 3));
        assert_eq!(left_after_crash(three.per_supervisor()), (2, 2, 3));
    }

    #[test]
    fn what_counts_and_what_fails_a_group_is_as_it_was_said() {
        let crashes = Intensity::default();
        assert!(!crashes.counts_all_restarts() && crashes.all_restarts().counts_all_restarts());
        let fails = |cascades| {
            let restraint = Restraint::new(crashes, cascades);
            [ExitClass::Crash, ExitClass::Normal].map(|class| restraint.fails_group(class))
        };
        assert_eq!(fails(None), [false, false], "each is for itself");
        assert_eq!(fails(Some(|class| class == ExitClass::Crash)), [true, false]);
    }

    #[test]
    fn zero_restarts_allow_none() {
        let none = Intensity::new(0, Duration::from_secs(5));
        assert!(!Ledger::default().record(&none, Instant::now()));
    }

    #[test]
    fn a_limit_that_the_backoff_outruns_is_seen() {
        let seconds = Duration::from_secs;
        let doubling = Backoff::between(seconds(1), seconds(60)).unwrap().jitter(Jitter::None);
        // 1 + 2 + 4 + 8 + 16 s.
        let five = |period| Intensity::new(5, period).all_restarts();
        assert!(!five(seconds(30)).is_reachable_with(&doubling));
        assert!(five(seconds(31)).is_reachable_with(&doubling));
        assert!(Intensity::new(5, seconds(1)).is_reachable_with(&doubling), "crashes only");
    }
}
