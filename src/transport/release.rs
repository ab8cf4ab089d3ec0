use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use crate::protocol::MessageEncoder;

/// When a connection gives its compressor back, because it sends nothing that is worth compressing.
pub(super) struct Release {
    after: Duration,
    /// Runs only while there is something to give back.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Release {
    pub(super) const fn new(after: Duration) -> Self {
        Self { after, timer: None }
    }

    /// Looks at each expiry of the timer whether the compressor was used since the one before, so that
    /// no message has to set the timer anew.
    pub(super) fn poll(&mut self, messages: &mut MessageEncoder, cx: &mut Context<'_>) {
        while messages.holds_compressor() {
            let after = self.after;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
            if timer.as_mut().poll(cx) == Poll::Pending {
                return;
            }
            messages.release_unused();
            timer.as_mut().reset(Instant::now() + after);
        }
        self.timer = None;
    }
}
