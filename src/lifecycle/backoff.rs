use std::time::Duration;

use rand::{Rng, RngExt as _};

use super::Floor;

/// How long to wait before the next attempt.
///
/// The n-th attempt in a row waits at most `cap(n) = min(max, min · factor^(n-1))`, and jitter
/// draws the delay from below that cap. Jitter is never added on top of the cap and never clamped
/// after the draw, so `min ≤ delay ≤ max` always holds and delays do not bunch at the maximum.
/// Only a server's own request to wait longer (`Retry-After`, close 1012) exceeds `max`.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::Backoff;
///
/// let backoff = Backoff::between(Duration::from_millis(200), Duration::from_secs(30))?;
/// assert_eq!(backoff.max(), Duration::from_secs(30));
/// # Ok::<(), wsvisor::InvalidBackoff>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    factor: f64,
    jitter: Jitter,
    spread: Duration,
}

/// How a delay is drawn below its cap. The names are those of the AWS architecture article
/// "Exponential Backoff And Jitter".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// The cap itself. A fleet that uses it returns in step: choose it for tests.
    None,
    /// Uniform in `[min, cap]`.
    #[default]
    Full,
    /// Uniform in `[max(min, cap / 2), cap]`.
    Equal,
}

/// Why a [`Backoff`] cannot be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBackoff {
    /// `min` is zero: a failing server would be dialled in a hot loop.
    #[error(
        "backoff: min is zero; choose at least 1 ms, so that a failing server is not dialled in a loop"
    )]
    ZeroMin,
    /// `min` is greater than `max`.
    #[error("backoff: min {min:?} is greater than max {max:?}; swap them")]
    Reversed {
        /// The given minimum.
        min: Duration,
        /// The given maximum.
        max: Duration,
    },
    /// `max` is longer than a day.
    #[error("backoff: max {0:?} is longer than 24 hours; stop the connection instead")]
    TooLong(Duration),
    /// The factor is below 1 or not a number.
    #[error("backoff: factor {0} is not a finite number of at least 1.0")]
    Factor(f64),
    /// The spread is longer than a day.
    #[error("backoff: spread {0:?} is longer than 24 hours")]
    Spread(Duration),
}

const DAY: Duration = Duration::from_hours(24);

impl Default for Backoff {
    /// 500 ms doubling to 60 s with full jitter; 5 s spread after a stable session.
    fn default() -> Self {
        Self {
            min: Duration::from_millis(500),
            max: Duration::from_mins(1),
            factor: 2.0,
            jitter: Jitter::Full,
            spread: Duration::from_secs(5),
        }
    }
}

impl Backoff {
    /// Delays between `min` and `max`, doubling, with full jitter. The spread after a stable
    /// session is 5 s, or `max` where that is shorter.
    ///
    /// # Errors
    /// When `min` is zero or greater than `max`, or `max` is longer than a day.
    pub fn between(min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        if min.is_zero() {
            return Err(InvalidBackoff::ZeroMin);
        }
        if min > max {
            return Err(InvalidBackoff::Reversed { min, max });
        }
        if max > DAY {
            return Err(InvalidBackoff::TooLong(max));
        }
        let default = Self::default();
        Ok(Self { min, max, spread: default.spread.min(max), ..default })
    }

    /// Multiplies the cap by `factor` with each attempt that fails.
    ///
    /// # Errors
    /// When `factor` is not a finite number of at least 1.
    pub fn factor(self, factor: f64) -> Result<Self, InvalidBackoff> {
        if factor.is_finite() && factor >= 1.0 {
            Ok(Self { factor, ..self })
        } else {
            Err(InvalidBackoff::Factor(factor))
        }
    }

    /// Draws delays as `jitter` says.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The first attempt after a *stable* session waits a random time up to `spread` (RFC 6455
    /// §7.2.3), so that a fleet does not return in one instant when its server restarts.
    ///
    /// # Errors
    /// When `spread` is longer than a day.
    pub fn spread(self, spread: Duration) -> Result<Self, InvalidBackoff> {
        if spread > DAY {
            return Err(InvalidBackoff::Spread(spread));
        }
        Ok(Self { spread, ..self })
    }

    /// No delay at all, as OTP has none. A supervisor takes it only where its
    /// [`Intensity`](crate::Intensity) counts all restarts: else a failing server would be dialled
    /// in a hot loop.
    #[must_use]
    pub const fn none() -> Self {
        const NONE: Duration = Duration::ZERO;
        Self { min: NONE, max: NONE, factor: 1.0, jitter: Jitter::None, spread: NONE }
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.max.is_zero()
    }

    /// The shortest delay between two attempts of an unstable connection.
    #[must_use]
    pub const fn min(&self) -> Duration {
        self.min
    }

    /// The longest delay that this backoff chooses by itself.
    #[must_use]
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The upper bound of the delay before attempt `attempt` (1 is the first in a row).
    #[must_use]
    pub fn cap(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = self.factor.powi(exponent);
        // An infinite or huge product means "past the maximum".
        Duration::try_from_secs_f64(self.min.as_secs_f64() * factor)
            .unwrap_or(self.max)
            .clamp(self.min, self.max)
    }

    /// The lower bound of the delay before attempt `attempt`.
    pub(crate) fn shortest(&self, attempt: u32) -> Duration {
        let cap = self.cap(attempt);
        match self.jitter {
            Jitter::None => cap,
            Jitter::Full => self.min,
            Jitter::Equal => self.min.max(cap / 2),
        }
    }

    /// The delay after `attempt` failures in a row; 0 means that the last session was stable.
    pub(crate) fn delay(&self, attempt: u32, floor: Option<Floor>, rng: &mut dyn Rng) -> Duration {
        let own = if attempt == 0 {
            rng.random_range(Duration::ZERO..=self.spread)
        } else {
            self.draw(self.cap(attempt), rng)
        };
        own.max(draw_floor(floor, rng))
    }

    /// The delay when there is no hope of an early success: drawn near the maximum at once.
    pub(crate) fn slow_delay(&self, floor: Option<Floor>, rng: &mut dyn Rng) -> Duration {
        let near_max = rng.random_range(self.min.max(self.max / 2)..=self.max);
        near_max.max(draw_floor(floor, rng))
    }

    fn draw(&self, cap: Duration, rng: &mut dyn Rng) -> Duration {
        match self.jitter {
            Jitter::None => cap,
            Jitter::Full => rng.random_range(self.min..=cap),
            Jitter::Equal => rng.random_range(self.min.max(cap / 2)..=cap),
        }
    }
}

fn draw_floor(floor: Option<Floor>, rng: &mut dyn Rng) -> Duration {
    floor.map_or(Duration::ZERO, |floor| {
        rng.random_range(floor.at_least..=floor.at_least.saturating_add(floor.jitter))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn caps_double_up_to_the_maximum() {
        let backoff = Backoff::between(ms(500), ms(60_000)).unwrap().jitter(Jitter::None);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let delays: Vec<_> =
            (1..=9).map(|n| backoff.delay(n, None, &mut rng).as_millis()).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    }

    #[test]
    fn each_setting_leaves_the_others() {
        let backoff = Backoff::between(ms(100), ms(100_000)).unwrap().jitter(Jitter::None);
        let tripling = backoff.clone().factor(3.0).unwrap();
        assert_eq!([1, 2, 3].map(|n| tripling.cap(n)), [ms(100), ms(300), ms(900)]);
        let spread = tripling.spread(ms(7_000)).unwrap();
        assert_eq!((spread.cap(3), spread.max()), (ms(900), ms(100_000)));
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let delays: Vec<_> = (0..500).map(|_| spread.delay(0, None, &mut rng)).collect();
        let longest = delays.iter().max().unwrap();
        assert!((ms(6_500)..=ms(7_000)).contains(longest), "{longest:?}");
        let short = Backoff::between(ms(10), ms(80)).unwrap();
        assert!((0..500).all(|_| short.delay(0, None, &mut rng) <= ms(80)), "its own maximum");
        assert!(backoff.clone().spread(DAY).is_ok() && Backoff::between(ms(1), DAY).is_ok());
        assert!(Backoff::none().is_none() && !backoff.is_none());
    }

    #[test]
    fn equal_jitter_halves_and_no_range_is_too_narrow() {
        let backoff = Backoff::between(ms(100), ms(1_000)).unwrap().jitter(Jitter::Equal);
        assert_eq!(
            [1, 2, 3, 9].map(|attempt| backoff.shortest(attempt)),
            [100, 100, 200, 500].map(ms)
        );
        let fixed = Backoff::between(ms(100), ms(100)).unwrap();
        assert_eq!([1, 2, 9].map(|attempt| fixed.cap(attempt)), [ms(100); 3]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(Backoff::between(ms(0), ms(5)), Err(InvalidBackoff::ZeroMin));
        let reversed = Backoff::between(ms(9), ms(5)).unwrap_err();
        assert_eq!(reversed, InvalidBackoff::Reversed { min: ms(9), max: ms(5) });
        assert!(matches!(
            Backoff::between(ms(9), Duration::from_hours(25)),
            Err(InvalidBackoff::TooLong(_))
        ));
        let long = Duration::from_hours(25);
        assert_eq!(Backoff::default().spread(long), Err(InvalidBackoff::Spread(long)));
        for factor in [0.5, f64::NAN, f64::INFINITY, -1.0] {
            assert!(Backoff::default().factor(factor).is_err(), "{factor}");
        }
    }

    #[test]
    fn full_jitter_uses_the_whole_range() {
        let backoff = Backoff::between(ms(100), ms(100_000)).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let delays: Vec<_> = (0..2000).map(|_| backoff.delay(10, None, &mut rng)).collect();
        let (low, high) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        let cap = backoff.cap(10);
        assert!(*low < cap / 20 && *high > cap / 20 * 19, "{low:?}..{high:?} of {cap:?}");
    }

    proptest! {
        /// I4: floor ≤ delay ≤ max(cap, what the server asked for).
        #[test]
        fn delays_stay_within_their_bounds(
            min in 1u64..5_000, extra in 0u64..500_000, factor in 1.0f64..10.0,
            attempt in 0u32..5_000, jitter in 0usize..3, seed: u64,
            floor in proptest::option::of((0u64..600_000, 0u64..30_000)),
        ) {
            let jitter = [Jitter::None, Jitter::Full, Jitter::Equal][jitter];
            let backoff = Backoff::between(ms(min), ms(min + extra)).unwrap()
                .factor(factor).unwrap().jitter(jitter);
            let floor = floor.map(|(at_least, jitter)| Floor { at_least: ms(at_least), jitter: ms(jitter) });
            let lowest = floor.map_or(Duration::ZERO, |f| f.at_least);
            let highest = floor.map_or(Duration::ZERO, |f| f.at_least + f.jitter);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for delay in [backoff.delay(attempt, floor, &mut rng), backoff.slow_delay(floor, &mut rng)] {
                prop_assert!(delay >= lowest);
                prop_assert!(delay <= backoff.max().max(highest));
                prop_assert!(attempt == 0 || delay >= backoff.min());
            }
            if attempt > 0 {
                prop_assert!(backoff.delay(attempt, None, &mut rng) <= backoff.cap(attempt));
            }
        }
    }
}
