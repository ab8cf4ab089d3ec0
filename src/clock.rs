//! What time it is: tokio's clock, so that a test in virtual time decides it.

use std::time::Instant;
#[cfg(not(feature = "testing"))]
use std::time::SystemTime;

/// The time that waits are measured in.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The calendar's time, in which a server may say when to come again.
#[cfg(not(feature = "testing"))]
pub(crate) fn calendar() -> SystemTime {
    SystemTime::now()
}

#[cfg(feature = "testing")]
pub(crate) use testing::calendar;
#[cfg(feature = "testing")]
pub(crate) use testing::{Virtual, suspend};

#[cfg(feature = "testing")]
mod testing {
    use std::{
        cell::Cell,
        time::{Duration, Instant, SystemTime},
    };

    use super::now;

    thread_local! {
        /// When virtual time began, and for how long the machine slept since then.
        static BEGAN: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }

    /// 1 January 2025, in seconds after the Unix epoch.
    const VIRTUAL_NEW_YEAR: u64 = 1_735_689_600;

    /// While it lives, this thread's calendar goes with tokio's clock.
    pub(crate) struct Virtual;

    impl Virtual {
        pub(crate) fn begin() -> Self {
            BEGAN.set(Some((now(), Duration::ZERO)));
            Self
        }
    }

    /// The calendar goes on for so long, and the clock does not.
    pub(crate) fn suspend(time: Duration) {
        BEGAN.set(BEGAN.get().map(|(began, slept)| (began, slept + time)));
    }

    impl Drop for Virtual {
        fn drop(&mut self) {
            BEGAN.set(None);
        }
    }

    pub(crate) fn calendar() -> SystemTime {
        match BEGAN.get() {
            Some((began, slept)) => {
                let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(VIRTUAL_NEW_YEAR);
                new_year + now().saturating_duration_since(began) + slept
            }
            None => SystemTime::now(),
        }
    }
}
