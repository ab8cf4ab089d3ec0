use bytes::BufMut;

use super::{BatchBuilder, ProtocolError, utf8::Utf8Text};

/// A message in progress: fragmented, or cut by the end of what was received so far.
#[derive(Debug)]
pub(super) struct Message {
    body: Body,
    frames: u32,
    /// What comes is to be decompressed.
    pub(super) is_compressed: bool,
}

#[derive(Debug)]
enum Body {
    Text(Utf8Text),
    Binary(Vec<u8>),
}

impl Message {
    pub(super) fn text() -> Self {
        Self { body: Body::Text(Utf8Text::default()), frames: 1, is_compressed: false }
    }

    pub(super) const fn binary() -> Self {
        Self { body: Body::Binary(Vec::new()), frames: 1, is_compressed: false }
    }

    /// Whether no memory was allocated for it so far.
    pub(super) const fn has_no_memory(&self) -> bool {
        self.capacity() == 0
    }

    /// Begins in this memory, which holds no bytes.
    pub(super) fn begin_in(&mut self, memory: Vec<u8>) {
        match &mut self.body {
            Body::Text(text) => *text = Utf8Text::begin_in(memory),
            Body::Binary(buffer) => *buffer = memory,
        }
    }

    /// Counts one frame more.
    pub(super) const fn count_frame(&mut self) {
        self.frames = self.frames.saturating_add(1);
    }

    /// How many frames the message has come in so far.
    pub(super) const fn frames(&self) -> u32 {
        self.frames
    }

    /// How many payload bytes are held.
    pub(super) const fn len(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len(),
            Body::Binary(bytes) => bytes.len(),
        }
    }

    /// Appends received payload. `to_come` is how many bytes the message lacks after these, where
    /// that is known.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        to_come: Option<usize>,
    ) -> Result<(), ProtocolError> {
        let needed = self.len() + bytes.len();
        if needed > self.capacity() {
            let whole = to_come.map(|to_come| needed.saturating_add(to_come));
            self.grow_to(next_capacity(self.capacity(), needed, whole));
        }
        match &mut self.body {
            Body::Text(text) => text.push(bytes).map_err(|_| ProtocolError::InvalidUtf8),
            Body::Binary(buffer) => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Lets `read` append up to `most` bytes of payload. `to_come` is how many bytes the message lacks
    /// before them, where that is known. A text is judged by the next [`push`](Self::push).
    pub(super) fn fill<R>(
        &mut self,
        most: usize,
        to_come: Option<usize>,
        read: impl FnOnce(&mut dyn BufMut) -> R,
    ) -> R {
        let len = self.len();
        if self.capacity() - len < most.min(LEAST_ROOM) {
            let whole = to_come.map(|to_come| len.saturating_add(to_come));
            self.grow_to(next_capacity(len, len, whole));
        }
        match &mut self.body {
            Body::Text(text) => read(&mut text.room(most)),
            Body::Binary(buffer) => read(&mut buffer.limit(most)),
        }
    }

    fn grow_to(&mut self, capacity: usize) {
        match &mut self.body {
            Body::Text(text) => text.grow_to(capacity),
            Body::Binary(buffer) => buffer.reserve_exact(capacity.saturating_sub(buffer.len())),
        }
    }

    const fn capacity(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.capacity(),
            Body::Binary(buffer) => buffer.capacity(),
        }
    }

    /// Puts the finished message into `out`, and says whether it was so large, `adopt_from` bytes or more,
    /// that it was handed over uncopied.
    pub(super) fn deliver(
        self,
        out: &mut BatchBuilder,
        adopt_from: usize,
    ) -> Result<Delivered, ProtocolError> {
        let large = self.len() >= adopt_from;
        match self.body {
            Body::Text(text) => {
                let text = text.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
                if large {
                    out.adopt_text(text);
                } else {
                    out.push_text(&text);
                }
            }
            Body::Binary(bytes) if large => out.adopt_binary(bytes),
            Body::Binary(bytes) => out.push_binary(&bytes),
        }
        Ok(if large { Delivered::Adopted } else { Delivered::Copied })
    }
}

/// How a finished message went into its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Its bytes were copied beside the others'.
    Copied,
    /// Its buffer became the batch's, or was large to copy: the batch should leave now.
    Adopted,
}

/// The capacity to grow to for `needed` bytes, so that a dribble costs linear time. Where the length of the
/// `whole` message is known, that is the most, and little has to move on the way to it.
///
/// An announced length alone never allocates more than [`FIRST_CAPACITY`]: a peer gets memory for
/// what it sends, four times as much at most.
fn next_capacity(present: usize, needed: usize, whole: Option<usize>) -> usize {
    match whole {
        Some(whole) => needed.saturating_mul(4).max(FIRST_CAPACITY).min(whole.max(needed)),
        None => present.saturating_mul(2).max(FIRST_CAPACITY).max(needed),
    }
}

/// The first allocation for a message in progress, in bytes, unless it is known to be smaller.
const FIRST_CAPACITY: usize = 4 * 1024;

/// A room smaller than this grows before it is read into, in bytes: each read is a call of the system.
const LEAST_ROOM: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ADOPT_FROM: usize = 8 * 1024;

    #[test]
    fn memory_follows_what_was_received_not_what_was_announced() {
        let mut message = Message::binary();
        message.push(&[1], Some(1 << 30)).unwrap();
        let Body::Binary(buffer) = &message.body else { unreachable!() };
        assert_eq!(buffer.capacity(), FIRST_CAPACITY);
    }

    #[test]
    fn a_dribble_grows_fourfold_and_ends_exact() {
        let whole = 60_000;
        for mut message in [Message::text(), Message::binary()] {
            let mut capacities = Vec::new();
            for received in 1..=whole {
                message.push(&[0], Some(whole - received)).unwrap();
                if capacities.last() != Some(&message.capacity()) {
                    capacities.push(message.capacity());
                }
            }
            assert_eq!(capacities, [4096, 4 * 4097, 60_000]);
        }
    }

    #[test]
    fn a_message_that_is_filled_has_four_times_what_came_at_most_and_ends_exact() {
        let whole: usize = 1 << 20;
        for step in [1_000, 33_000, 70_000, 1 << 19] {
            for (mut message, is_known) in [
                (Message::text(), true),
                (Message::binary(), true),
                (Message::text(), false),
                (Message::binary(), false),
            ] {
                let to_come = |left: usize| is_known.then_some(left);
                message.push(&vec![b'x'; 33_000], to_come(whole - 33_000)).unwrap();
                while message.len() < whole {
                    let (came, left) = (message.len(), whole - message.len());
                    message.fill(left, to_come(left), |room| {
                        let len = step.min(left).min(room.chunk_mut().len());
                        assert!(len > 0, "no room at {came} bytes");
                        room.put_slice(&vec![b'x'; len]);
                    });
                    assert!(message.capacity() <= 4 * came, "{} for {came}", message.capacity());
                }
                message.push(&[], to_come(0)).unwrap();
                assert!(!is_known || message.capacity() == whole, "{}", message.capacity());
            }
        }
    }

    #[test]
    fn memory_that_is_lent_grows_only_where_a_read_has_little_room() {
        let came = vec![b'x'; 70_000];
        for (room, grows) in [(LEAST_ROOM, false), (LEAST_ROOM - 1, true)] {
            for mut message in [Message::text(), Message::binary()] {
                let lent = Vec::with_capacity(came.len() + room);
                let capacity = lent.capacity();
                message.begin_in(lent);
                message.push(&came, None).unwrap();
                assert_eq!(message.capacity(), capacity, "it begins in what it is lent");
                message.fill(1 << 20, None, |_| ());
                assert_eq!(message.capacity() > capacity, grows, "with room for {room} bytes");
            }
        }
    }

    #[test]
    fn a_full_buffer_grows_with_the_next_byte() {
        for mut message in [Message::text(), Message::binary()] {
            message.push(&[b'x'; 4_000], None).unwrap();
            message.push(&[b'x'; 96], None).unwrap();
            assert_eq!(message.capacity(), 4096);
            message.push(b"x", None).unwrap();
            assert_eq!(message.capacity(), 8192);
        }
    }

    #[test]
    fn only_a_large_message_brings_its_buffer_along() {
        for (len, is_adopted) in [(ADOPT_FROM - 1, false), (ADOPT_FROM, true)] {
            let mut message = Message::binary();
            message.push(&vec![1; len], Some(0)).unwrap();
            let Body::Binary(buffer) = &message.body else { unreachable!() };
            let held = buffer.as_ptr();
            let mut out = BatchBuilder::default();
            message.deliver(&mut out, ADOPT_FROM).unwrap();
            let payloads: Vec<_> = out.iter().map(|payload| payload.as_bytes().as_ptr()).collect();
            assert_eq!(payloads == [held], is_adopted, "{len} bytes");
        }
    }

    #[test]
    fn fragments_of_unknown_number_grow_in_doublings() {
        assert_eq!(next_capacity(0, 1, None), FIRST_CAPACITY);
        assert_eq!(next_capacity(4096, 4097, None), 8192);
        assert_eq!(next_capacity(4096, 50_000, None), 50_000);
        assert_eq!(next_capacity(4096, 4097, Some(4097)), 4097);
        assert_eq!(next_capacity(usize::MAX, usize::MAX, None), usize::MAX);
    }

    #[test]
    fn large_messages_are_adopted() {
        for (len, delivered) in
            [(ADOPT_FROM - 1, Delivered::Copied), (ADOPT_FROM, Delivered::Adopted)]
        {
            for mut message in [Message::text(), Message::binary()] {
                message.push(&vec![b'x'; len], Some(0)).unwrap();
                let mut out = BatchBuilder::default();
                assert_eq!(message.deliver(&mut out, ADOPT_FROM), Ok(delivered));
                assert_eq!((out.len(), out.payload_bytes()), (1, len));
            }
        }
    }
}
