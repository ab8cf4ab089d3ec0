/// How much may wait in a connection's outbox to be written.
///
/// Beside that a session holds what it has encoded and the socket did not take yet: some 64 KiB, up to
/// 512 KiB where it is of a batch or was sent by a [`Sender`](crate::Sender), or one message of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Messages, those included that were written and wait to be confirmed; at least 1.
    pub messages: usize,
    /// Bytes of payload.
    pub bytes: usize,
}

impl Default for OutboxLimits {
    /// 1,000 messages and 8 MiB.
    fn default() -> Self {
        Self { messages: 1_000, bytes: 8 * 1024 * 1024 }
    }
}

/// What an outbox still takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    messages: usize,
    bytes: usize,
}

impl Room {
    pub(crate) const fn beside(limits: &OutboxLimits, messages: usize, bytes: usize) -> Self {
        match limits.bytes.checked_sub(bytes) {
            Some(bytes) => Self { messages: limits.messages.saturating_sub(messages), bytes },
            // What a session gave back may be more than fits: then not even an empty message does.
            None => Self { messages: 0, bytes: 0 },
        }
    }

    /// Takes a message of so many bytes, if it fits.
    pub(crate) const fn take(&mut self, len: usize) -> bool {
        let fits = self.messages > 0 && len <= self.bytes;
        if fits {
            self.messages -= 1;
            self.bytes -= len;
        }
        fits
    }
}
