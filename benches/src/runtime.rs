use std::future::Future;

use actix_rt::System;
use anyhow::Result;

/// Runs a measurement as a task, which is what an actor is too: the runtime's root would look at the system's events
/// each time that it waits, also for what is done without them.
pub(crate) fn in_task<T: 'static>(work: impl Future<Output = Result<T>> + 'static) -> Result<T> {
    System::new().block_on(async { actix_rt::spawn(work).await? })
}
