use std::fmt;

/// Counts the sessions of one connection: each attempt to connect starts the next epoch.
///
/// Every event and every message carries the epoch it belongs to. Once an event of a newer epoch
/// was delivered, none of an older epoch follows, so `epoch` is all that a subscriber needs to
/// tell "this answer belongs to the socket before the reconnect". A connection that opted in to a
/// [`Rotation`](crate::Rotation) excludes exactly the messages that are marked as of its overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch before the first attempt: no session has this number.
    pub const NONE: Self = Self(0);

    /// The epoch as a number: 1 for the first attempt.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_from_one() {
        let first = Epoch::NONE.next();
        assert_eq!([Epoch::NONE, first, first.next()].map(Epoch::get), [0, 1, 2]);
        assert_eq!(first.next().to_string(), "2");
    }
}
