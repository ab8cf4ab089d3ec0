use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::task::{JoinError, JoinHandle};

use super::hosted::panic_text;
use crate::lifecycle::ExitReason;

/// A task that ends with its owner.
pub(super) struct Owned<T>(JoinHandle<T>);

impl<T: 'static> Owned<T> {
    pub(super) fn spawn(future: impl Future<Output = T> + 'static) -> Self {
        Self(actix_rt::spawn(future))
    }

    pub(super) fn abort(&self) {
        self.0.abort();
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn crash_or_cancel(error: JoinError) -> ExitReason {
    match error.try_into_panic() {
        Ok(panic) => ExitReason::Crashed(panic_text(&*panic).into()),
        Err(_) => ExitReason::Cancelled,
    }
}
