use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;

use super::within;
use crate::{
    lifecycle::{DialError, DialPhase, ProviderError, ProviderFailure},
    spec::Settings,
};

/// Why there is no answer.
pub(super) enum Unanswered {
    Failed(ProviderFailure),
    TimedOut(DialError),
}

impl Unanswered {
    /// The error of the step that asked.
    pub(super) fn of(self, step: impl FnOnce(ProviderFailure) -> DialError) -> DialError {
        match self {
            Self::Failed(failure) => step(failure),
            Self::TimedOut(error) => error,
        }
    }
}

/// Asks a provider, which is the user's code: it may take for ever, and it may panic.
pub(super) async fn ask<T>(
    phase: DialPhase,
    settings: &Settings,
    asked: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, Unanswered> {
    let caught = AssertUnwindSafe(asked).catch_unwind();
    match within(settings.timeouts.provider, phase, caught).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(refused))) => Err(Unanswered::Failed(refused.into())),
        Ok(Err(_panic)) => Err(Unanswered::Failed(ProviderFailure::Panicked)),
        Err(timeout) => Err(Unanswered::TimedOut(timeout)),
    }
}
