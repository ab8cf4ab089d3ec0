use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use serde::{Deserialize, Serialize};

use crate::server::TEXT;

/// Counts a flood, and takes the time from its first message to its last.
pub(crate) struct Tally {
    expected: u64,
    messages: u64,
    bytes: u64,
    first: Option<Usage>,
    last: Option<Usage>,
}

/// What this process had used at one moment.
#[derive(Clone, Copy)]
struct Usage {
    user: Duration,
    system: Duration,
    clock: Instant,
}

/// What one flood cost its client, in nanoseconds for each message.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// Processor time in the client's own code.
    pub(crate) user: f64,
    /// Processor time in the kernel on its behalf.
    pub(crate) system: f64,
    /// Time on the clock.
    pub(crate) elapsed: f64,
}

impl Sample {
    pub(crate) fn cpu_ns(self) -> f64 {
        self.user + self.system
    }
}

impl Tally {
    pub(crate) const fn expecting(messages: u64) -> Self {
        Self { expected: messages, messages: 0, bytes: 0, first: None, last: None }
    }

    /// Counts a message, and touches its text as a reader would.
    #[inline]
    pub(crate) fn count(&mut self, text: &[u8]) {
        self.messages += 1;
        self.bytes += text.len() as u64;
        black_box(text.first().copied());
        if self.messages == 1 {
            self.first = Usage::now();
        } else if self.messages == self.expected {
            self.last = Usage::now();
        }
    }

    /// The sample, if every message came and nothing else.
    pub(crate) fn finish(&self) -> Result<Sample> {
        let Self { expected, messages, bytes, .. } = *self;
        ensure!(messages == expected, "{messages} messages came of {expected}");
        let expected_bytes = expected * TEXT.len() as u64;
        ensure!(bytes == expected_bytes, "{bytes} bytes of text came of {expected_bytes}");
        let first = self.first.context("no usage at the first message")?;
        let last = self.last.context("no usage at the last message")?;
        // The first message was there when the time began.
        let per_message = |time: Duration| time.as_secs_f64() * 1e9 / (expected - 1) as f64;
        Ok(Sample {
            user: per_message(last.user.saturating_sub(first.user)),
            system: per_message(last.system.saturating_sub(first.system)),
            elapsed: per_message(last.clock - first.clock),
        })
    }
}

impl Usage {
    #[cold]
    fn now() -> Option<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let (user, system) = (duration(usage.user_time())?, duration(usage.system_time())?);
        Some(Self { user, system, clock: Instant::now() })
    }
}

fn duration(time: TimeVal) -> Option<Duration> {
    let seconds = Duration::from_secs(time.tv_sec().try_into().ok()?);
    Some(seconds + Duration::from_micros(time.tv_usec().try_into().ok()?))
}
