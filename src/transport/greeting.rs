use std::{collections::VecDeque, time::Instant};

use tokio::sync::oneshot;

use super::{load::Load, reply::Reply, shared_outbox::SharedOutbox};
use crate::{
    entropy::masking_key,
    lifecycle::Flight,
    protocol::{MessageEncoder, OwnedPayload},
};

/// The messages that come first in a session.
#[derive(Default)]
pub(super) struct Greeting {
    /// Absent until they are known.
    messages: Option<VecDeque<OwnedPayload>>,
    written: Option<oneshot::Sender<()>>,
}

impl Greeting {
    /// What is returned comes when all of it is encoded, and fails with the session.
    pub(super) fn of(messages: VecDeque<OwnedPayload>) -> (Self, oneshot::Receiver<()>) {
        let (written, told) = oneshot::channel();
        (Self { messages: Some(messages), written: Some(written) }, told)
    }

    pub(super) const fn is_known(&self) -> bool {
        self.messages.is_some()
    }

    /// Messages that are still to be encoded.
    pub(super) fn left(&self) -> usize {
        self.messages.as_ref().map_or(0, VecDeque::len)
    }

    /// Encodes what is known, until `out` holds `budget` bytes. Whether nothing is left, or until when the send
    /// limit holds the next message back.
    pub(super) fn encode(
        &mut self,
        (out, budget): (&mut Vec<u8>, usize),
        encoder: &mut MessageEncoder,
        outbox: &SharedOutbox,
        flight: &mut Flight<Load, Reply>,
    ) -> Result<bool, Instant> {
        let Some(messages) = &mut self.messages else { return Ok(false) };
        while out.len() < budget
            && let Some(message) = messages.front()
        {
            outbox.pass()?;
            let before = out.len();
            encoder.encode(out, message.as_payload(), masking_key());
            flight.encoded_other(out.len() - before);
            messages.pop_front();
        }
        let is_over = messages.is_empty();
        if is_over && let Some(written) = self.written.take() {
            // The actor may have ended.
            let _ = written.send(());
        }
        Ok(is_over)
    }
}
