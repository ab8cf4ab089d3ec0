use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    actor::inbound::{EpochInbound, Finding},
    lifecycle::ExitReason,
    transport::Session,
};

/// A session in its connection's task, which a panic in it does not harm. Absent once it is cut.
pub(super) struct Hosted(Option<Box<Session<EpochInbound>>>);

impl Hosted {
    pub(super) fn new(session: Session<EpochInbound>) -> Self {
        Self(Some(Box::new(session)))
    }

    /// Drops the socket. That it has ended follows in the next turn.
    pub(super) fn cut(&mut self) {
        let session = self.0.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(session))) {
            tracing::error!("a session panicked as it was dropped: {}", panic_text(&*panic));
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let Some(session) = &mut self.0 else { return Poll::Ready(ExitReason::CloseUnanswered) };
        // What a panic leaves half done is dropped. The actor has what is to be told of its messages.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(session).poll(cx)));
        polled.unwrap_or_else(|panic| Poll::Ready(ExitReason::Crashed(panic_text(&*panic).into())))
    }

    /// What the session has found in its turn.
    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        self.0.as_mut().map_or_else(Vec::new, |session| session.inbound().take_findings())
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.cut();
    }
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
