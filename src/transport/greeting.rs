use std::{collections::VecDeque, time::Instant};

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
}

impl Greeting {
    pub(super) const fn of(messages: VecDeque<OwnedPayload>) -> Self {
        Self { messages: Some(messages) }
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
        Ok(messages.is_empty())
    }
}
