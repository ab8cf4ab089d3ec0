use std::{fmt, iter::FusedIterator, slice};

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    OneOrMany,
    payload::{OwnedPayload, Payload, Segment},
};

/// Received messages, in order, in two areas of memory: all texts in one string, all binaries in
/// one buffer.
///
/// Reading a message allocates nothing and checks no UTF-8 again; an owned message is a slice of
/// the area. [`BatchBuilder::freeze`](super::BatchBuilder::freeze) makes it, and nothing changes it
/// afterwards.
pub struct Batch {
    pub(super) text: ByteString,
    pub(super) binary: Bytes,
    pub(super) segments: OneOrMany<Segment>,
    pub(super) payload_bytes: usize,
}

impl Batch {
    /// How many messages there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.segments.as_slice().len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.segments.as_slice().is_empty()
    }

    /// The sum of the messages' lengths in bytes.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// The message at `index`, counted from 0.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Payload<'_>> {
        self.segments.get(index).map(|segment| segment.payload(&self.text, &self.binary))
    }

    /// The message at `index` as one that outlives the batch, without copying it.
    ///
    /// It keeps the memory of the whole batch alive: copy what is to be kept for long
    /// (`OwnedPayload::from`).
    #[must_use]
    pub fn get_owned(&self, index: usize) -> Option<OwnedPayload> {
        Some(match self.get(index)? {
            Payload::Text(text) => OwnedPayload::Text(self.text.slice_ref(text)),
            Payload::Binary(bytes) => OwnedPayload::Binary(self.binary.slice_ref(bytes)),
        })
    }

    /// The messages at the places for which `keep` says yes, over the same memory.
    pub(crate) fn subset(&self, mut keep: impl FnMut(usize) -> bool) -> Self {
        let places = (0..).zip(self.segments.as_slice());
        let segments: Vec<_> =
            places.filter(|(place, _)| keep(*place)).map(|(_, segment)| *segment).collect();
        let mut subset = Self {
            text: self.text.clone(),
            binary: self.binary.clone(),
            segments: OneOrMany::Many(segments),
            payload_bytes: 0,
        };
        subset.payload_bytes = subset.iter().map(Payload::len).sum();
        subset
    }

    /// The messages in the order in which they came.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { text: &self.text, binary: &self.binary, segments: self.segments.iter() }
    }
}

/// Shows how much there is, not what it says.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("messages", &self.len())
            .field("payload_bytes", &self.payload_bytes)
            .finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Payload<'a>;
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over a [`Batch`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    text: &'a str,
    binary: &'a [u8],
    segments: slice::Iter<'a, Segment>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Payload<'a>;

    #[inline]
    fn next(&mut self) -> Option<Payload<'a>> {
        self.segments.next().map(|segment| segment.payload(self.text, self.binary))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.segments.size_hint()
    }

    fn nth(&mut self, n: usize) -> Option<Payload<'a>> {
        self.segments.nth(n).map(|segment| segment.payload(self.text, self.binary))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.segments.next_back().map(|segment| segment.payload(self.text, self.binary))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::BatchBuilder;

    fn three() -> Batch {
        let mut builder = BatchBuilder::default();
        builder.push_text("héllo");
        builder.push_binary(&[1, 2, 3]);
        builder.push_text("");
        builder.freeze()
    }

    const CONTENT: [Payload<'_>; 3] =
        [Payload::Text("héllo"), Payload::Binary(&[1, 2, 3]), Payload::Text("")];

    #[test]
    fn messages_come_in_order_from_both_ends() {
        let batch = three();
        assert_eq!((batch.len(), batch.is_empty(), batch.payload_bytes()), (3, false, 9));
        assert!((&batch).into_iter().eq(CONTENT));
        assert!(batch.iter().rev().eq(CONTENT.into_iter().rev()));
        assert_eq!(batch.iter().len(), 3);
        assert_eq!(batch.iter().nth(1), Some(CONTENT[1]));
        assert_eq!(batch.get(2), Some(CONTENT[2]));
        assert_eq!(batch.get(3), None);
    }

    #[test]
    fn owned_messages_share_memory_and_outlive_the_batch() {
        let batch = three();
        let Some(Payload::Text(borrowed)) = batch.get(0) else { panic!("text") };
        let address = borrowed.as_ptr();
        let owned: Vec<_> = (0..3).filter_map(|i| batch.get_owned(i)).collect();
        assert_eq!(batch.get_owned(3), None);
        drop(batch);
        assert_eq!(owned.iter().map(OwnedPayload::as_payload).collect::<Vec<_>>(), CONTENT);
        assert_eq!(owned[0].as_text().unwrap().as_ptr(), address);
    }

    #[test]
    fn a_subset_shares_memory() {
        let batch = three();
        let subset = batch.subset(|place| place != 1);
        assert!(subset.iter().eq([CONTENT[0], CONTENT[2]]));
        assert_eq!(subset.payload_bytes(), 6);
        assert_eq!(
            subset.get(0).and_then(Payload::as_text).map(str::as_ptr),
            batch.get(0).and_then(Payload::as_text).map(str::as_ptr),
        );
        assert!(batch.subset(|_| false).is_empty());
    }

    #[test]
    fn debug_does_not_show_content() {
        assert_eq!(format!("{:?}", three()), "Batch { messages: 3, payload_bytes: 9, .. }");
    }

    #[test]
    fn a_batch_may_cross_threads() {
        fn crosses_threads<T: Send + Sync>() {}
        crosses_threads::<Batch>();
    }
}
