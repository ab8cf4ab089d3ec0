//! What the end of a read leaves for the next one to finish.

use bytes::BufMut;

#[cfg(feature = "deflate")]
use super::deflate::Inflater;
use super::{
    CloseFrame, ControlPayload, FrameHeader, OpCode, ProtocolError, Step, assemble::Message,
};

/// A data frame whose payload is being received.
#[derive(Debug)]
pub(super) struct DataFrame {
    pub(super) message: Box<Message>,
    pub(super) missing: usize,
    pub(super) fin: bool,
}

impl DataFrame {
    /// Moves as much of `rest` as belongs to this frame into the message.
    pub(super) fn take_payload(&mut self, rest: &mut &[u8]) -> Result<(), ProtocolError> {
        let (bytes, next) = rest.split_at(self.missing.min(rest.len()));
        *rest = next;
        self.missing -= bytes.len();
        self.message.push(bytes, self.fin.then_some(self.missing))
    }

    /// Whether so much came, and so much is missing, that the message is worth reads of its own.
    const fn is_filling(&self) -> bool {
        !self.message.is_compressed
            && self.message.len() >= WORTH_A_READ
            && self.missing >= WORTH_A_READ
    }

    /// Lets `read` put bytes straight into a message that is worth it.
    pub(super) fn fill<R>(&mut self, read: impl FnOnce(&mut dyn BufMut) -> R) -> Option<R> {
        if !self.is_filling() {
            return None;
        }
        let Self { message, missing, fin } = self;
        let held = message.len();
        let result = message.fill((*missing).min(ONE_READ), fin.then_some(*missing), read);
        *missing -= message.len() - held;
        Some(result)
    }

    /// Takes the payload of a compressed message: what it inflates to goes into the message, as long as
    /// that is no longer than `limit`.
    #[cfg(feature = "deflate")]
    pub(super) fn take_compressed(
        &mut self,
        rest: &mut &[u8],
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), ProtocolError> {
        let (bytes, next) = rest.split_at(self.missing.min(rest.len()));
        *rest = next;
        self.missing -= bytes.len();
        let message = &mut self.message;
        let mut sink = |inflated: &[u8]| {
            let len = message.len() + inflated.len();
            if len > limit {
                return Err(ProtocolError::MessageTooBig { announced: len as u64, limit });
            }
            message.push(inflated, None)
        };
        inflater.push(bytes, &mut sink)?;
        if self.fin && self.missing == 0 {
            inflater.finish(sink)?;
            self.message.is_compressed = false;
        }
        Ok(())
    }
}

/// A control frame whose payload is being received.
#[derive(Debug)]
pub(super) struct ControlFrame {
    pub(super) opcode: OpCode,
    pub(super) payload: ControlPayload,
    pub(super) missing: usize,
}

impl ControlFrame {
    /// Moves as much of `rest` as belongs to this frame into its payload.
    pub(super) fn take_payload(&mut self, rest: &mut &[u8]) {
        let (bytes, next) = rest.split_at(self.missing.min(rest.len()));
        *rest = next;
        self.missing -= self.payload.append(bytes);
    }

    /// What the whole frame asks of the decoder's caller.
    pub(super) fn into_step(self) -> Result<Step, ProtocolError> {
        match self.opcode {
            OpCode::Ping => Ok(Step::Ping(self.payload)),
            OpCode::Pong => Ok(Step::Pong(self.payload)),
            _ => CloseFrame::parse(self.payload.as_slice()).map(Step::Close),
        }
    }
}

/// The bytes of a header that is being received.
#[derive(Debug)]
pub(super) struct PartialHeader {
    bytes: [u8; FrameHeader::MAX_LEN],
    len: u8,
}

impl PartialHeader {
    pub(super) const EMPTY: Self = Self { bytes: [0; FrameHeader::MAX_LEN], len: 0 };

    pub(super) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(usize::from(self.len)) {
            *slot = byte;
            self.len += 1;
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }
}

/// Bytes from which on copying them costs more than what a read of their own does. Fuzzed inputs are short.
const WORTH_A_READ: usize = if cfg!(fuzzing) { 16 } else { 32 * 1024 };

/// Bytes that one read puts into a message at most, so that one connection does not hold up its thread.
const ONE_READ: usize = 1024 * 1024;
