//! What this process has used.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use serde::{Deserialize, Serialize};

/// Processor time and clock at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    user: Duration,
    system: Duration,
    clock: Instant,
}

/// What one operation cost, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Cost {
    /// Processor time in the client's own code.
    pub(crate) user: f64,
    /// Processor time in the kernel on its behalf.
    pub(crate) system: f64,
    /// Time on the clock.
    pub(crate) elapsed: f64,
}

impl Cost {
    pub(crate) fn cpu(self) -> f64 {
        self.user + self.system
    }
}

impl Usage {
    /// Of all threads of this process.
    #[cold]
    pub(crate) fn now() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let (user, system) = (duration(usage.user_time()), duration(usage.system_time()));
        let (user, system) = user.zip(system).context("a negative processor time")?;
        Ok(Self { user, system, clock: Instant::now() })
    }

    /// What each of `operations` cost since then.
    pub(crate) fn each_since(self, earlier: Self, operations: u64) -> Cost {
        let each = |time: Duration| time.as_secs_f64() * 1e9 / operations as f64;
        Cost {
            user: each(self.user.saturating_sub(earlier.user)),
            system: each(self.system.saturating_sub(earlier.system)),
            elapsed: each(self.clock - earlier.clock),
        }
    }
}

fn duration(time: TimeVal) -> Option<Duration> {
    let seconds = Duration::from_secs(time.tv_sec().try_into().ok()?);
    Some(seconds + Duration::from_micros(time.tv_usec().try_into().ok()?))
}
