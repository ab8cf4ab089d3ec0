use std::time::{Duration, Instant};

/// What a full outbox refused and nobody was told of yet: subscribers hear of the first refusal at
/// once, and then once a second at most.
#[derive(Debug, Default)]
pub(crate) struct Overflow {
    told: Option<Instant>,
    untold: u64,
}

/// The least time from one event to the next.
const PAUSE: Duration = Duration::from_secs(1);

impl Overflow {
    pub(crate) const fn refused(&mut self, messages: u64) {
        self.untold += messages;
    }

    /// How many refusals are to be told now.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u64> {
        self.due(now).filter(|due| *due <= now)?;
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// When [`take`](Self::take) is wanted next.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        (self.untold > 0).then(|| self.told.map_or(now, |told| told + PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut overflow = Overflow::default();
        assert_eq!((overflow.take(at(0)), overflow.due(at(0))), (None, None));
        overflow.refused(1);
        assert_eq!(overflow.take(at(0)), Some(1));
        for ms in [1, 2, 999] {
            overflow.refused(1);
            assert_eq!(overflow.take(at(ms)), None);
            assert_eq!(overflow.due(at(ms)), Some(at(1_000)));
        }
        assert_eq!(overflow.take(at(1_000)), Some(3));
        assert_eq!((overflow.take(at(5_000)), overflow.due(at(5_000))), (None, None));
        overflow.refused(1);
        assert_eq!(overflow.take(at(5_000)), Some(1));
    }
}
