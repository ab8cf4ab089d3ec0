use std::{fmt, mem, ops::RangeInclusive};

use bytestring::ByteString;

use super::{
    Batch, Payload,
    payload::{Kind, Segment},
};

/// Gathers messages for a [`Batch`]. One is meant to be kept per thread and used again after each
/// [`freeze`](Self::freeze).
#[derive(Default)]
pub struct BatchBuilder {
    text: String,
    binary: Vec<u8>,
    segments: Vec<Segment>,
    payload_bytes: usize,
    /// How many messages the last batch had: the next one is likely to be of its size.
    expected_len: usize,
    /// The memory of an earlier batch's texts, to use again once nobody reads it any more.
    lent: ByteString,
}

/// Which memory of texts is worth using again: around a read's worth. Under a flood it would else
/// be asked of the system, and given back, with every batch.
const RECYCLED: RangeInclusive<usize> = 16 * 1024..=128 * 1024;

impl BatchBuilder {
    /// Appends a copy of a text message.
    ///
    /// # Panics
    ///
    /// If there is no [room](Self::has_room_for) for it.
    #[inline]
    pub fn push_text(&mut self, text: &str) {
        if self.text.capacity() == 0 {
            self.text = reclaim(mem::take(&mut self.lent));
        }
        let start = self.text.len();
        self.push_segment(Kind::Text, start, text.len());
        self.text.push_str(text);
    }

    /// Appends a copy of a binary message.
    ///
    /// # Panics
    ///
    /// If there is no [room](Self::has_room_for) for it.
    #[inline]
    pub fn push_binary(&mut self, bytes: &[u8]) {
        let start = self.binary.len();
        self.push_segment(Kind::Binary, start, bytes.len());
        self.binary.extend_from_slice(bytes);
    }

    /// Appends a text message, without copying it if it is the first text.
    ///
    /// # Panics
    ///
    /// If there is no [room](Self::has_room_for) for it.
    pub fn adopt_text(&mut self, text: String) {
        if self.text.is_empty() {
            self.push_segment(Kind::Text, 0, text.len());
            self.text = text;
        } else {
            self.push_text(&text);
        }
    }

    /// Appends a binary message, without copying it if it is the first binary.
    ///
    /// # Panics
    ///
    /// If there is no [room](Self::has_room_for) for it.
    pub fn adopt_binary(&mut self, bytes: Vec<u8>) {
        if self.binary.is_empty() {
            self.push_segment(Kind::Binary, 0, bytes.len());
            self.binary = bytes;
        } else {
            self.push_binary(&bytes);
        }
    }

    /// How many messages there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The sum of the messages' lengths in bytes.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Whether `bytes` more bytes of either kind fit. A batch holds 4 GiB of each; an empty one has
    /// room for any message within [`Limits`](super::Limits).
    #[must_use]
    pub fn has_room_for(&self, bytes: usize) -> bool {
        let used = self.text.len().max(self.binary.len());
        u32::try_from(used.saturating_add(bytes)).is_ok()
    }

    /// Makes room for `bytes` more bytes of text, to save growing step by step.
    pub fn reserve_text(&mut self, bytes: usize) {
        self.text.reserve(bytes);
    }

    /// Makes room for `bytes` more bytes of binary, to save growing step by step.
    pub fn reserve_binary(&mut self, bytes: usize) {
        self.binary.reserve(bytes);
    }

    /// The messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = Payload<'_>> {
        self.segments.iter().map(|segment| segment.payload(&self.text, &self.binary))
    }

    /// Drops all messages.
    pub fn clear(&mut self) {
        // Most often there is nothing to drop, and what is expected next stays known.
        if self.text.capacity() + self.binary.capacity() + self.segments.capacity() > 0 {
            self.freeze();
        }
    }

    /// Drops the messages for which `keep` says no. Costs no copy while most of the bytes stay.
    pub fn retain(&mut self, mut keep: impl FnMut(Payload<'_>) -> bool) {
        let (text, binary) = (&*self.text, &*self.binary);
        let payload_bytes = &mut self.payload_bytes;
        self.segments.retain(|segment| {
            let kept = keep(segment.payload(text, binary));
            if !kept {
                *payload_bytes -= segment.len();
            }
            kept
        });
        let held = self.text.len() + self.binary.len();
        let dropped = held - self.payload_bytes;
        if dropped > held / 2 {
            self.compact();
        }
    }

    /// Makes the batch of what was gathered, and leaves the builder empty.
    pub fn freeze(&mut self) -> Batch {
        self.expected_len = self.segments.len();
        let mut text = mem::take(&mut self.text);
        let mut binary = mem::take(&mut self.binary);
        let mut segments = mem::take(&mut self.segments);
        // A batch may wait long for its reader: it must not hold much more memory than its content
        // needs.
        if text.capacity() / 2 > text.len() {
            text.shrink_to_fit();
        }
        if binary.capacity() / 2 > binary.len() {
            binary.shrink_to_fit();
        }
        if segments.capacity() / 2 > segments.len() {
            segments.shrink_to_fit();
        }
        let payload_bytes = mem::take(&mut self.payload_bytes);
        let recyclable = RECYCLED.contains(&text.capacity());
        let text = ByteString::from(text);
        if recyclable && self.lent.is_empty() {
            self.lent = text.clone();
        }
        Batch { text, binary: binary.into(), segments, payload_bytes }
    }

    #[inline]
    #[expect(clippy::expect_used, reason = "the decoder asks has_room_for first")]
    fn push_segment(&mut self, kind: Kind, start: usize, len: usize) {
        let segment = Segment::new(kind, start, len)
            .expect("a batch holds at most 4 GiB: ask has_room_for first");
        if self.segments.capacity() == 0 {
            self.segments.reserve(self.expected_len);
        }
        self.segments.push(segment);
        self.payload_bytes += len;
    }

    /// Moves the messages together, over the bytes of those that were dropped.
    fn compact(&mut self) {
        let text = mem::take(&mut self.text);
        let binary = mem::take(&mut self.binary);
        let segments = mem::take(&mut self.segments);
        self.segments.reserve(segments.len());
        self.payload_bytes = 0;
        for segment in segments {
            match segment.payload(&text, &binary) {
                Payload::Text(text) => self.push_text(text),
                Payload::Binary(bytes) => self.push_binary(bytes),
            }
        }
    }
}

/// The memory of `text`, emptied, where nothing else refers to it.
fn reclaim(text: ByteString) -> String {
    let memory = text.into_bytes().try_into_mut().map(Vec::from);
    let mut memory = memory.unwrap_or_default();
    memory.clear();
    // No bytes are valid UTF-8.
    String::from_utf8(memory).unwrap_or_default()
}

/// Shows how much there is, not what it says.
impl fmt::Debug for BatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchBuilder")
            .field("messages", &self.len())
            .field("payload_bytes", &self.payload_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::protocol::OwnedPayload;

    #[test]
    fn adopts_without_a_copy_when_the_area_is_empty() {
        let (text, bytes) = ("t".repeat(100), vec![7; 100]);
        let addresses = [text.as_ptr(), bytes.as_ptr()];
        let mut builder = BatchBuilder::default();
        builder.adopt_text(text);
        builder.adopt_binary(bytes);
        let batch = builder.freeze();
        assert!(batch.iter().map(|payload| payload.as_bytes().as_ptr()).eq(addresses));
    }

    #[test]
    fn adopts_with_a_copy_when_the_area_is_not() {
        let mut builder = BatchBuilder::default();
        for text in ["one", "two"] {
            builder.adopt_text(text.into());
            builder.adopt_binary(text.into());
        }
        let (one, two) = ("one", "two");
        let expected = [
            Payload::Text(one),
            Payload::Binary(one.as_bytes()),
            Payload::Text(two),
            Payload::Binary(two.as_bytes()),
        ];
        assert!(builder.freeze().iter().eq(expected));
    }

    #[test]
    fn an_emptied_builder_starts_again() {
        let mut builder = BatchBuilder::default();
        builder.push_text("one");
        assert_eq!(builder.freeze().len(), 1);
        assert_eq!((builder.len(), builder.is_empty(), builder.payload_bytes()), (0, true, 0));
        builder.push_binary(b"two");
        let batch = builder.freeze();
        assert_eq!(batch.iter().collect::<Vec<_>>(), [Payload::Binary(b"two")]);
    }

    #[test]
    fn a_batch_does_not_pin_what_was_reserved_in_vain() {
        let mut builder = BatchBuilder::default();
        builder.reserve_text(1 << 20);
        builder.reserve_binary(1 << 20);
        builder.segments.reserve(1 << 10);
        builder.push_text("small");
        builder.push_binary(b"small");
        let batch = builder.freeze();
        let (text, binary) = (Vec::from(batch.text.into_bytes()), Vec::from(batch.binary));
        assert!(text.capacity() < 1024, "{}", text.capacity());
        assert!(binary.capacity() < 1024, "{}", binary.capacity());
        assert!(batch.segments.capacity() < 1024, "{}", batch.segments.capacity());
    }

    #[test]
    fn what_is_empty_is_cleared_without_forgetting_what_to_expect() {
        let mut builder = BatchBuilder::default();
        (0..100).for_each(|_| builder.push_text("x"));
        assert_eq!(builder.freeze().len(), 100);
        builder.clear();
        builder.push_text("x");
        assert!(builder.segments.capacity() >= 100, "{}", builder.segments.capacity());
    }

    #[test]
    fn dropping_large_messages_frees_their_memory() {
        let mut builder = BatchBuilder::default();
        builder.push_text(&"x".repeat(100_000));
        builder.push_text("kept");
        builder.retain(|payload| payload.len() < 10);
        assert_eq!(builder.payload_bytes(), 4);
        assert!(builder.text.capacity() < 1000);
        assert_eq!(builder.freeze().get(0), Some(Payload::Text("kept")));
    }

    #[test]
    fn what_was_reserved_is_filled_without_moving() {
        let mut builder = BatchBuilder::default();
        builder.reserve_text(10_000);
        builder.reserve_binary(10_000);
        builder.push_text("x");
        builder.push_binary(b"x");
        let held = [builder.text.as_ptr(), builder.binary.as_ptr()];
        assert!(builder.text.capacity() >= 10_000 && builder.binary.capacity() >= 10_000);
        for _ in 1..10_000 {
            builder.push_text("x");
            builder.push_binary(b"x");
        }
        assert_eq!([builder.text.as_ptr(), builder.binary.as_ptr()], held);
    }

    #[test]
    fn what_is_half_full_is_not_copied() {
        let mut builder = BatchBuilder {
            text: String::with_capacity(200),
            binary: Vec::with_capacity(200),
            segments: Vec::with_capacity(4),
            ..BatchBuilder::default()
        };
        builder.push_text(&"x".repeat(100));
        builder.push_binary(&[1; 100]);
        let held = [builder.text.as_ptr(), builder.binary.as_ptr()];
        let batch = builder.freeze();
        assert!(batch.iter().map(|payload| payload.as_bytes().as_ptr()).eq(held));
        assert_eq!(batch.segments.capacity(), 4);
        let (text, binary) = (Vec::from(batch.text.into_bytes()), Vec::from(batch.binary));
        assert_eq!((text.capacity(), binary.capacity()), (200, 200));
        builder.push_text("equally");
        builder.push_text("long: 7");
        let held = builder.text.as_ptr();
        builder.retain(|payload| payload.as_bytes() == b"equally");
        assert_eq!((builder.text.as_ptr(), builder.text.len()), (held, 14));
    }

    #[test]
    fn nothing_is_left_of_what_is_cleared() {
        let mut builder = BatchBuilder::default();
        builder.push_text("one");
        builder.push_binary(b"two");
        assert!(!builder.is_empty());
        assert_eq!(
            format!("{builder:?}"),
            "BatchBuilder { messages: 2, payload_bytes: 6, .. }",
            "how much there is, not what it says"
        );
        builder.clear();
        assert_eq!((builder.len(), builder.is_empty(), builder.payload_bytes()), (0, true, 0));
    }

    #[test]
    fn a_batch_is_expected_to_be_of_the_size_of_the_last() {
        let mut builder = BatchBuilder::default();
        for _ in 0..100 {
            builder.push_binary(b"x");
        }
        builder.freeze();
        builder.push_binary(b"x");
        assert!(builder.segments.capacity() >= 100, "{}", builder.segments.capacity());
    }

    /// One batch's memory is lent at a time, and used again once nobody reads it.
    #[test]
    fn the_memory_of_a_read_of_texts_is_used_again() {
        let text = "x".repeat(*RECYCLED.start());
        let mut builder = BatchBuilder::default();
        builder.push_text("too small to be worth it");
        drop(builder.freeze());
        assert!(builder.lent.is_empty());
        builder.push_text(&text);
        let first = builder.freeze();
        let held = first.get(0).unwrap().as_bytes().as_ptr();
        assert_eq!(builder.lent.as_bytes().as_ptr(), held);
        builder.text = text.clone();
        builder.push_segment(Kind::Text, 0, text.len());
        let second = builder.freeze();
        assert_eq!(builder.lent.as_bytes().as_ptr(), held, "the first is still lent");
        drop((first, second));
        builder.push_text("again");
        assert_eq!(builder.text.as_ptr(), held);
        let batch = builder.freeze();
        builder.push_text("and while that is read, elsewhere");
        assert_eq!(batch.get(0), Some(Payload::Text("again")));
    }

    #[test]
    fn dropping_small_messages_copies_nothing() {
        let mut builder = BatchBuilder::default();
        builder.push_text("small");
        builder.push_text(&"x".repeat(100));
        let held = builder.text.as_ptr();
        builder.retain(|payload| payload.len() > 10);
        assert_eq!((builder.text.as_ptr(), builder.text.len()), (held, 105));
        let kept: Vec<_> = builder.iter().map(Payload::len).collect();
        assert_eq!(kept, [100]);
    }

    #[test]
    fn room_ends_at_32_bits() {
        let mut builder = BatchBuilder::default();
        assert!(builder.has_room_for(u32::MAX as usize));
        builder.push_binary(b"x");
        assert!(!builder.has_room_for(u32::MAX as usize));
        assert!(!builder.has_room_for(usize::MAX));
    }

    proptest! {
        #[test]
        fn retain_keeps_the_chosen_in_order(
            messages in vec((any::<bool>(), any::<bool>(), "[a-zé]{0,9}"), 0..40),
        ) {
            let mut builder = BatchBuilder::default();
            let mut expected = Vec::new();
            for (is_text, kept, content) in &messages {
                let payload = if *is_text {
                    builder.push_text(content);
                    Payload::Text(content)
                } else {
                    builder.push_binary(content.as_bytes());
                    Payload::Binary(content.as_bytes())
                };
                if *kept {
                    expected.push(OwnedPayload::from(payload));
                }
            }
            let mut decisions = messages.iter().map(|(_, kept, _)| *kept);
            builder.retain(|_| decisions.next().unwrap());
            builder.push_text("after");
            expected.push(OwnedPayload::Text("after".into()));
            let payload_bytes: usize = expected.iter().map(OwnedPayload::len).sum();
            prop_assert_eq!(builder.payload_bytes(), payload_bytes);
            let batch = builder.freeze();
            prop_assert_eq!(batch.len(), expected.len());
            prop_assert_eq!(batch.payload_bytes(), payload_bytes);
            for (i, payload) in expected.iter().enumerate() {
                let owned = batch.get_owned(i);
                prop_assert_eq!(owned.as_ref(), Some(payload));
            }
        }
    }
}
