//! What a server writes down as it happens, so that it is known even when the server is killed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One thing that a server saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// By the wall clock, which both processes share.
    pub(crate) at: Duration,
    pub(crate) seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A TCP connection was accepted.
    Dial,
    /// Its opening handshake is done.
    Upgrade,
    /// It was refused with 503, or its handshake failed.
    Refusal,
    /// The message of this number was read.
    Message(u32),
}

/// Bytes of a record.
pub(crate) const LENGTH: usize = 13;

impl Record {
    pub(crate) fn now(seen: Seen) -> Self {
        Self { at: wall_clock(), seen }
    }

    pub(crate) fn to_bytes(self) -> [u8; LENGTH] {
        let (kind, number) = match self.seen {
            Seen::Dial => (0, 0),
            Seen::Upgrade => (1, 0),
            Seen::Refusal => (2, 0),
            Seen::Message(number) => (3, number),
        };
        let micros = u64::try_from(self.at.as_micros()).unwrap_or(u64::MAX);
        let mut bytes = [0; LENGTH];
        bytes[0] = kind;
        bytes[1..5].copy_from_slice(&u32::to_be_bytes(number));
        bytes[5..].copy_from_slice(&micros.to_be_bytes());
        bytes
    }

    /// None where no server wrote it.
    pub(crate) fn from_bytes(bytes: [u8; LENGTH]) -> Option<Self> {
        let [kind, a, b, c, d, micros @ ..] = bytes;
        let number = u32::from_be_bytes([a, b, c, d]);
        let seen = match kind {
            0 => Seen::Dial,
            1 => Seen::Upgrade,
            2 => Seen::Refusal,
            3 => Seen::Message(number),
            _ => return None,
        };
        Some(Self { at: Duration::from_micros(u64::from_be_bytes(micros)), seen })
    }
}

pub(crate) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        for seen in [Seen::Dial, Seen::Upgrade, Seen::Refusal, Seen::Message(4_000_000_000)] {
            let record = Record { at: Duration::from_micros(1_764_000_000_123_456), seen };
            assert_eq!(Record::from_bytes(record.to_bytes()), Some(record));
        }
        assert_eq!(Record::from_bytes([9; LENGTH]), None);
    }
}
