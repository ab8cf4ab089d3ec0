//! How long a message may be unfinished.

use std::{pin::Pin, task::Context};

use tokio::time::Sleep;

use super::Session;
use crate::protocol::ProtocolError;

/// A message of which bytes are missing.
pub(super) struct Unfinished {
    /// Which one, by the decoder's count.
    number: u32,
    alarm: Pin<Box<Sleep>>,
}

impl Session {
    /// All that came was read: a message that is unfinished all the same may be so for a time only.
    pub(super) fn judge_unfinished(&mut self, cx: &mut Context<'_>) {
        let number = self.decoder.unfinished().filter(|_| self.closing.is_none());
        let Some(number) = number else {
            self.unfinished = None;
            return;
        };
        let known = self.unfinished.take().filter(|known| known.number == number);
        let mut unfinished = known.unwrap_or_else(|| {
            let alarm = Box::pin(tokio::time::sleep(self.settings.timeouts.message));
            Box::new(Unfinished { number, alarm })
        });
        if unfinished.alarm.as_mut().poll(cx).is_ready() {
            self.refuse(ProtocolError::Stalled { limit: self.settings.timeouts.message });
        } else {
            self.unfinished = Some(unfinished);
        }
    }
}
