//! How long a test waits for what it expects.

use std::{cell::Cell, fmt, time::Duration};

use tokio::time::error::Elapsed;

const REAL_TIME: Duration = Duration::from_secs(30);

thread_local! {
    static PATIENCE: Cell<Duration> = const { Cell::new(REAL_TIME) };
}

/// While it lives, waits last longer: in virtual time they cost nothing, and a backoff may take
/// hours.
pub(super) struct Long;

impl Long {
    pub(super) fn begin() -> Self {
        PATIENCE.set(Duration::from_hours(365 * 24));
        Self
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        PATIENCE.set(REAL_TIME);
    }
}

/// Waits for `work`, but not for ever.
pub(super) async fn within<T>(work: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::time::timeout(PATIENCE.get(), work).await
}

/// Waits for `work`, and panics with `what` when it does not come in time.
pub(super) async fn soon<T>(what: impl fmt::Display, work: impl Future<Output = T>) -> T {
    let in_vain = |_| panic!("waited {:?} in vain for {what}", PATIENCE.get());
    within(work).await.unwrap_or_else(in_vain)
}
