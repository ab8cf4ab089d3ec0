use std::time::Duration;

/// What the system says a thread or process has used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// On a processor.
    pub(crate) cpu: Duration,
    /// Ready to run, and waiting for a processor that others had.
    pub(crate) waited: Duration,
}

impl Usage {
    /// Of the thread that asks; none where the system does not tell (it does on Linux).
    pub(crate) fn of_this_thread() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Self::from_schedstat(&text)
    }

    /// Time on a processor and time in its queue, in nanoseconds, and a count.
    fn from_schedstat(text: &str) -> Option<Self> {
        let mut fields = text.split_whitespace().map(str::parse);
        let mut next = || fields.next()?.ok().map(Duration::from_nanos);
        Some(Self { cpu: next()?, waited: next()? })
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }
}

/// Processor time of this process and its largest resident size in bytes, so far; none where the
/// system does not tell.
pub(crate) fn of_this_process() -> Option<(Duration, u64)> {
    #[cfg(unix)]
    {
        use nix::sys::{
            resource::{UsageWho, getrusage},
            time::{TimeVal, TimeValLike as _},
        };
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let micros = |time: TimeVal| u64::try_from(time.num_microseconds()).unwrap_or(0);
        let cpu = Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()));
        // In kilobytes, except on macOS.
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        Some((cpu, u64::try_from(usage.max_rss()).unwrap_or(0) * unit))
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_writes() {
        let nanos = Duration::from_nanos;
        let expected = Usage { cpu: nanos(123), waited: nanos(45) };
        assert_eq!(Usage::from_schedstat("123 45 6\n"), Some(expected));
        assert_eq!(Usage::from_schedstat("123"), None);
        assert_eq!(Usage::from_schedstat("a b c"), None);
    }
}
