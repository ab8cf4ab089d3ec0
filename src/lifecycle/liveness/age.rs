use std::time::Duration;

use super::Remedy;

/// How old a session may become, for a server that ends each of them after a time of its own: better we
/// choose the moment.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::{Liveness, MaxAge};
///
/// // The server ends every session after 24 hours.
/// let age = MaxAge::of(Duration::from_secs(23 * 3_600)).jitter(Duration::from_secs(3_600));
/// let liveness = Liveness::default().max_age(age);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge {
    pub(super) age: Duration,
    pub(super) jitter: Duration,
    pub(super) remedy: Remedy,
}

impl MaxAge {
    /// At this age at the latest, and up to a tenth of it earlier. Its remedy is
    /// [`Remedy::Close`]; where the settings have a [`Rotation`](crate::Rotation), a session that is
    /// ready is not closed by that before another has taken over.
    #[must_use]
    pub fn of(age: Duration) -> Self {
        Self { age, jitter: age / 10, remedy: Remedy::Close }
    }

    /// Sets by how much earlier it may be, at random, so that sessions that began together do not end
    /// together.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets what follows.
    #[must_use]
    pub const fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }

    /// The age of one session. `chance` is a random number from 0 to below 1.
    pub(super) fn drawn(&self, chance: f64) -> Duration {
        self.age.saturating_sub(self.jitter.mul_f64(chance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_spread_over_the_jitter() {
        let age = MaxAge::of(Duration::from_secs(100));
        assert_eq!(age.drawn(0.0), Duration::from_secs(100));
        assert_eq!(age.drawn(0.5), Duration::from_secs(95));
        assert_eq!(age.jitter(Duration::from_mins(15)).drawn(0.9), Duration::ZERO);
    }
}
