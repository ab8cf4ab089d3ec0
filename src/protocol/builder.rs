use std::{fmt, mem, ops::RangeInclusive};

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Batch, OneOrMany, Payload,
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
    /// The memory of an earlier batch's texts or binaries, to use again once nobody reads it any more.
    lent: Bytes,
}

/// Which memory is worth using again: from a good part of a read to a large message. Under a flood it
/// would else be asked of the system, and given back, with every batch.
const RECYCLED: RangeInclusive<usize> = 16 * 1024..=2 * 1024 * 1024;

/// Places of messages that an empty builder may keep.
const RETAINED: usize = 1_024;

impl BatchBuilder {
    /// Appends a copy of a text message.
    ///
    /// # Panics
    ///
    /// If there is no [room](Self::has_room_for) for it.
    #[inline]
    pub fn push_text(&mut self, text: &str) {
        if self.text.capacity() == 0 {
            self.begin_text();
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
        if self.binary.capacity() == 0 {
            self.begin_binary();
        }
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
        if self.text.capacity() == 0 && is_worth_recycling(bytes) {
            self.begin_text();
        }
        self.text.reserve(bytes);
    }

    /// Makes room for `bytes` more bytes of binary, to save growing step by step.
    pub fn reserve_binary(&mut self, bytes: usize) {
        if self.binary.capacity() == 0 && is_worth_recycling(bytes) {
            self.begin_binary();
        }
        self.binary.reserve(bytes);
    }

    /// Memory for a message of so many bytes that is put together elsewhere, to be
    /// [adopted](Self::adopt_text): what an earlier batch has left, or none.
    pub(super) fn memory_for(&mut self, bytes: usize) -> Vec<u8> {
        if is_worth_recycling(bytes) { self.reclaim() } else { Vec::new() }
    }

    /// The messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = Payload<'_>> {
        self.segments.iter().map(|segment| segment.payload(&self.text, &self.binary))
    }

    /// Drops all messages.
    pub fn clear(&mut self) {
        // Most often there is nothing to drop, and what is expected next stays known.
        if !self.is_empty() || self.text.capacity() + self.binary.capacity() > 0 {
            self.expected_len = self.segments.len();
            self.segments.clear();
            self.let_go_of_segments();
            (self.text, self.binary, self.payload_bytes) = (String::new(), Vec::new(), 0);
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
        let mut segments = OneOrMany::take(&mut self.segments);
        self.let_go_of_segments();
        // A batch may wait long for its reader: it must not hold much more memory than its content
        // needs.
        if text.capacity() / 2 > text.len() {
            text.shrink_to_fit();
        }
        if binary.capacity() / 2 > binary.len() {
            binary.shrink_to_fit();
        }
        if let OneOrMany::Many(segments) = &mut segments
            && segments.capacity() / 2 > segments.len()
        {
            segments.shrink_to_fit();
        }
        let payload_bytes = mem::take(&mut self.payload_bytes);
        let recyclable = [text.capacity(), binary.capacity()].map(|held| RECYCLED.contains(&held));
        let (text, binary) = (ByteString::from(text), Bytes::from(binary));
        if self.lent.is_empty() {
            match recyclable {
                [true, _] => self.lent = text.as_bytes().clone(),
                [false, true] => self.lent = binary.clone(),
                [false, false] => {}
            }
        }
        Batch { text, binary, segments, payload_bytes }
    }

    /// Of places for messages, few are kept.
    fn let_go_of_segments(&mut self) {
        if self.segments.capacity() > RETAINED {
            self.segments = Vec::new();
        }
    }

    #[inline]
    #[expect(clippy::expect_used, reason = "the decoder asks has_room_for first")]
    fn push_segment(&mut self, kind: Kind, start: usize, len: usize) {
        let segment = Segment::new(kind, start, len)
            .expect("a batch holds at most 4 GiB: ask has_room_for first");
        if self.segments.capacity() == 0 {
            self.begin_segments();
        }
        self.segments.push(segment);
        self.payload_bytes += len;
    }

    // Once a batch, and out of the way of what is done for each message.
    #[cold]
    fn begin_text(&mut self) {
        // No bytes are valid UTF-8.
        self.text = String::from_utf8(self.reclaim()).unwrap_or_default();
    }

    #[cold]
    fn begin_binary(&mut self) {
        self.binary = self.reclaim();
    }

    #[cold]
    fn begin_segments(&mut self) {
        self.segments.reserve_exact(self.expected_len);
    }

    /// The memory that was lent, emptied, where nobody else refers to it.
    fn reclaim(&mut self) -> Vec<u8> {
        let memory = mem::take(&mut self.lent).try_into_mut().map(Vec::from);
        let mut memory = memory.unwrap_or_default();
        memory.clear();
        memory
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

/// Whether memory for so many bytes had better be memory that was used before.
fn is_worth_recycling(bytes: usize) -> bool {
    bytes >= *RECYCLED.start()
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
#[path = "builder_tests.rs"]
mod tests;
