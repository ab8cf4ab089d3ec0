use std::collections::VecDeque;

/// How much may wait in a connection's outbox to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Messages; at least 1.
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

/// The messages of one session that wait to be written, in order.
///
/// Bounded in messages and bytes; a message that does not fit is handed back, never dropped. One
/// message larger than the byte limit is refused even by an empty outbox.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    waiting: VecDeque<(usize, T)>,
    bytes: usize,
}

/// The outbox has no room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutboxFull;

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Outbox<T> {
    /// Queues `message`, whose payload has `len` bytes, or hands it back.
    pub(crate) fn push(
        &mut self,
        limits: &OutboxLimits,
        len: usize,
        message: T,
    ) -> Result<(), (OutboxFull, T)> {
        let room = self.waiting.len() < limits.messages
            && self.bytes.checked_add(len).is_some_and(|bytes| bytes <= limits.bytes);
        if !room {
            return Err((OutboxFull, message));
        }
        self.bytes += len;
        self.waiting.push_back((len, message));
        Ok(())
    }

    /// The oldest message.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let (len, message) = self.waiting.pop_front()?;
        self.bytes -= len;
        if self.waiting.is_empty() && self.waiting.capacity() > RETAINED {
            // An idle connection keeps no buffer from its busiest moment.
            self.waiting = VecDeque::new();
        }
        Some(message)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Slots that an empty outbox may keep.
const RETAINED: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the obvious model: a list, and the sum of its lengths.
        #[test]
        fn behaves_like_a_bounded_list(
            messages in 1usize..20, bytes in 0usize..200,
            steps in proptest::collection::vec(proptest::option::of(0usize..60), 0..200),
        ) {
            let limits = OutboxLimits { messages, bytes };
            let mut outbox = Outbox::default();
            let mut model: VecDeque<(usize, usize)> = VecDeque::new();
            for (id, step) in steps.into_iter().enumerate() {
                if let Some(len) = step {
                    let total: usize = model.iter().map(|(_, len)| len).sum();
                    let fits = model.len() < messages && total + len <= bytes;
                    let pushed = outbox.push(&limits, len, id);
                    prop_assert_eq!(pushed, if fits { Ok(()) } else { Err((OutboxFull, id)) });
                    if fits {
                        model.push_back((id, len));
                    }
                } else {
                    prop_assert_eq!(outbox.pop(), model.pop_front().map(|(id, _)| id));
                }
                prop_assert_eq!(outbox.len(), model.len());
                prop_assert_eq!(outbox.bytes(), model.iter().map(|(_, len)| len).sum::<usize>());
            }
        }
    }
}
