use std::time::Duration;

use actix_rt::System;
use tokio::runtime::Builder;

use super::patience;
use crate::{
    clock::{self, Virtual},
    entropy::Seeded,
};

/// Runs `work` in an actix system of its own whose time is virtual and whose chance is seeded: the
/// same seed gives the same run.
///
/// Whenever nothing is left to do but wait, time jumps to the end of the next wait, so that an hour
/// of backoff takes no time. The calendar begins on 1 January 2025. Jitter, masking keys and
/// handshake keys come from the seed.
///
/// Everything has to run on this one thread and in memory ([`Network`](super::Network)): time would
/// run away from a real socket, and from another thread.
///
/// # Panics
/// When the system has no resources for an event loop, and when `work` does.
pub fn virtual_time<T>(seed: u64, work: impl Future<Output = T>) -> T {
    let runtime = || {
        let paused = Builder::new_current_thread().enable_all().start_paused(true).build();
        paused.unwrap_or_else(|error| panic!("no event loop for virtual time: {error}"))
    };
    let system = System::with_tokio_rt(runtime);
    let _entropy = Seeded::begin(seed);
    let _patience = patience::Long::begin();
    system.block_on(async {
        let _calendar = Virtual::begin();
        work.await
    })
}

/// The machine sleeps for so long: the calendar goes on, and the clock that waits are measured with
/// stands still, as Linux, macOS and Windows have it. Does nothing outside of [`virtual_time`].
///
/// ```
/// use std::time::Duration;
/// use wsvisor::testing::{suspend, virtual_time};
///
/// virtual_time(1, async {
///     let before = tokio::time::Instant::now();
///     suspend(Duration::from_secs(3_600));
///     assert_eq!(before.elapsed(), Duration::ZERO);
/// });
/// ```
pub fn suspend(time: Duration) {
    clock::suspend(time);
}
