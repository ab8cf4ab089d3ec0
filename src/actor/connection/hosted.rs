use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use crate::{
    actor::{
        fanout::Fanout,
        in_flight::InFlight,
        inbound::{EpochInbound, Finding, Way},
    },
    lifecycle::ExitReason,
    transport::Session,
};

/// The session in its connection's task, which a panic in it does not harm; or none.
#[derive(Default)]
pub(super) struct Hosted(Option<Box<Running>>);

struct Running {
    session: Session,
    way: Way,
}

impl Hosted {
    /// Its messages go this way.
    pub(super) fn new(session: Session, way: Way) -> Self {
        Self(Some(Box::new(Running { session, way })))
    }

    pub(super) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Drops the socket. Whether there was one.
    pub(super) fn cut(&mut self) -> bool {
        let session = self.0.take();
        let was_there = session.is_some();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(session))) {
            tracing::error!("a session panicked as it was dropped: {}", panic_text(&*panic));
        }
        was_there
    }

    pub(super) fn poll(
        &mut self,
        fanout: &mut Fanout,
        requests: &mut InFlight,
        cx: &mut Context<'_>,
    ) -> Option<Poll<ExitReason>> {
        let Running { session, way } = &mut **self.0.as_mut()?;
        let inbound = &mut EpochInbound { way, fanout, requests };
        // What a panic leaves half done is dropped. The actor has what is to be told of its messages.
        let polled = catch_unwind(AssertUnwindSafe(|| session.poll(inbound, cx)));
        let crashed = |panic: Box<dyn Any + Send>| ExitReason::Crashed(panic_text(&*panic).into());
        Some(polled.unwrap_or_else(|panic| Poll::Ready(crashed(panic))))
    }

    /// What the session has found in its turn.
    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        self.0.as_mut().map_or_else(Vec::new, |running| running.way.take_findings())
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
