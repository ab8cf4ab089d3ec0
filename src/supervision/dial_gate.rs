use std::time::Duration;

/// How many connections of a supervisor may dial at once, and how fast one after the other. So a
/// server that comes back is not stormed by all whom it had lost.
///
/// ```
/// use wsvisor::{DialGate, Supervisor};
///
/// let builder = Supervisor::builder().dial_gate(DialGate::new(20, 100)?);
/// # Ok::<(), wsvisor::InvalidGate>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialGate {
    pub(super) concurrent: usize,
    pub(super) per_second: u32,
    pub(super) burst: u32,
}

/// Why a [`DialGate`] or a [`HostBreaker`](crate::HostBreaker) cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGate {
    /// Nothing would ever be dialled.
    #[error("{0} is zero: nothing would ever be dialled; choose at least 1")]
    Zero(&'static str),
    /// The first dead time of a host is longer than the longest.
    #[error(
        "host_breaker: the first dead time {min:?} is longer than the longest {max:?}; swap them"
    )]
    Reversed {
        /// The first dead time.
        min: Duration,
        /// The longest.
        max: Duration,
    },
}

impl Default for DialGate {
    /// 100 dials at once, 500 a second, 100 of them without a pause.
    fn default() -> Self {
        Self { concurrent: 100, per_second: 500, burst: 100 }
    }
}

impl DialGate {
    /// At most `concurrent` dials at once, and `per_second` a second. Up to `concurrent` may begin
    /// without a pause.
    ///
    /// # Errors
    /// When either is zero.
    pub fn new(concurrent: usize, per_second: u32) -> Result<Self, InvalidGate> {
        if concurrent == 0 {
            return Err(InvalidGate::Zero("dial_gate.concurrent"));
        }
        if per_second == 0 {
            return Err(InvalidGate::Zero("dial_gate.per_second"));
        }
        let burst = u32::try_from(concurrent).unwrap_or(u32::MAX);
        Ok(Self { concurrent, per_second, burst })
    }

    /// As many at once and as fast as they come: for load tests.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { concurrent: usize::MAX, per_second: u32::MAX, burst: u32::MAX }
    }

    /// So many dials may begin without a pause, after a time without any.
    ///
    /// # Errors
    /// When it is zero.
    pub const fn burst(self, burst: u32) -> Result<Self, InvalidGate> {
        if burst == 0 {
            return Err(InvalidGate::Zero("dial_gate.burst"));
        }
        Ok(Self { burst, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_lets_nobody_through_is_refused() {
        assert_eq!(DialGate::new(0, 1), Err(InvalidGate::Zero("dial_gate.concurrent")));
        assert_eq!(DialGate::new(1, 0), Err(InvalidGate::Zero("dial_gate.per_second")));
        assert_eq!(DialGate::default().burst(0), Err(InvalidGate::Zero("dial_gate.burst")));
    }
}
