//! What happens to the server, and how it takes its clients back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::servers::Manner;

/// The server is killed, is away for a while, and comes back in one of three manners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Scenario {
    /// As it was.
    Restart,
    /// It has to warm up.
    Slow,
    /// It refuses everybody at first, and asks to be left alone for a while.
    Busy,
}

impl Scenario {
    pub(crate) const ALL: [Self; 3] = [Self::Restart, Self::Slow, Self::Busy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Slow => "slow",
            Self::Busy => "busy",
        }
    }

    /// In words.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Restart => "killed, back after 7 s",
            Self::Slow => "killed, back after 7 s: 64 handshakes at once, 200 ms each",
            Self::Busy => "killed, back after 7 s: 503 with Retry-After: 3 for the next 6 s",
        }
    }

    pub(crate) const fn manner(self) -> Manner {
        match self {
            Self::Restart => Manner::Prompt,
            Self::Slow => Manner::Slow { at_once: 64, each: Duration::from_millis(200) },
            Self::Busy => Manner::Busy { until: Duration::from_secs(6), retry_after: 3 },
        }
    }
}
