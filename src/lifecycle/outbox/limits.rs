/// How much may wait in a connection's outbox to be written.
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
