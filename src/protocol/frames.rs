use bytes::Bytes;
use bytestring::ByteString;

use super::{
    FrameHeader, OneOrMany, OpCode, OwnedPayload, Payload, apply_mask,
    encode::{append_frame, opcode_of},
};

/// Messages that are frames already, one behind the other, each masked with a key of its own.
///
/// A message that is encoded as it is handed in is not copied again on its way: the memory that it lies
/// in is what the socket is given. All are final and unfragmented (RFC 6455 §5.2).
#[derive(Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// How many were taken out.
    taken: usize,
    /// Of those that were not.
    payload_bytes: usize,
}

/// What was taken out.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Where each ends, from where the first begins.
    pub(crate) ends: OneOrMany<usize>,
    pub(crate) payload_bytes: usize,
}

impl Frames {
    /// Encodes a message, behind the others. The key must be fresh and unpredictable (RFC 6455 §5.3).
    #[inline]
    pub(crate) fn push(&mut self, message: Payload<'_>, key: [u8; 4]) {
        append_frame(&mut self.bytes, 0, opcode_of(message), message.as_bytes(), key);
        self.ends.push(self.bytes.len());
        self.payload_bytes += message.len();
    }

    /// Messages that were not taken out.
    pub(crate) const fn len(&self) -> usize {
        self.ends.len() - self.taken
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their bytes of payload.
    pub(crate) const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// How many bytes of payload each of them has.
    pub(crate) fn lens(&self) -> impl Iterator<Item = usize> {
        let ends = self.ends.get(self.taken..).unwrap_or_default();
        ends.iter().scan(self.start(), |start, &end| {
            Some(payload_len(end - std::mem::replace(start, end)))
        })
    }

    /// Keeps the first so many.
    pub(crate) fn truncate(&mut self, count: usize) {
        if count < self.len() {
            self.payload_bytes = self.lens().take(count).sum();
            self.ends.truncate(self.taken + count);
            self.bytes.truncate(self.end_of(self.ends.len()));
        }
    }

    /// Takes out `most` messages, and appends them to `out`: none more once that holds `budget` bytes, but
    /// one at least.
    ///
    /// An empty `out` is given the memory of all, where nothing was taken yet and they are not too many for
    /// one write: then nothing is copied. A few bytes are, and leave their memory to be used again.
    pub(crate) fn take(&mut self, most: usize, budget: usize, out: &mut Vec<u8>) -> Taken {
        let is_worth_it = (COPIED..=WHOLE).contains(&self.bytes.len());
        if out.is_empty() && self.taken == 0 && most >= self.ends.len() && is_worth_it {
            let Self { bytes, ends, payload_bytes, .. } = std::mem::take(self);
            *out = bytes;
            return Taken { ends: OneOrMany::Many(ends), payload_bytes };
        }
        let (start, before) = (self.start(), out.len());
        let left = self.ends.get(self.taken..).unwrap_or_default();
        let fit = left.partition_point(|end| before + end - start < budget) + 1;
        let count = fit.min(most.max(1)).min(left.len());
        let ends = match left {
            [end, ..] if count == 1 => OneOrMany::One(end - start),
            _ => OneOrMany::Many(left.iter().take(count).map(|end| end - start).collect()),
        };
        let is_all = count == left.len();
        let payload_bytes = if is_all { self.payload_bytes } else { self.lens().take(count).sum() };
        self.taken += count;
        self.payload_bytes -= payload_bytes;
        out.extend_from_slice(self.bytes.get(start..self.start()).unwrap_or_default());
        if is_all {
            self.clear();
        }
        Taken { ends, payload_bytes }
    }

    /// Takes out the next message as it was handed in.
    #[cfg(any(feature = "deflate", test))]
    pub(crate) fn reopen(&mut self) -> Option<(OpCode, &[u8])> {
        let (start, end) = (self.start(), *self.ends.get(self.taken)?);
        let (opcode, payload) = unmask(self.bytes.get_mut(start..end)?)?;
        self.taken += 1;
        self.payload_bytes -= payload.len();
        Some((opcode, payload))
    }

    /// The messages as they were handed in, over the memory of all.
    pub(crate) fn into_payloads(mut self) -> impl ExactSizeIterator<Item = OwnedPayload> {
        let mut start = self.start();
        let mut places = Vec::with_capacity(self.len());
        for &end in self.ends.get(self.taken..).unwrap_or_default() {
            let frame = self.bytes.get_mut(start..end).and_then(unmask);
            let (opcode, len) =
                frame.map_or((OpCode::Binary, 0), |(opcode, it)| (opcode, it.len()));
            places.push((opcode, end - len..end));
            start = end;
        }
        let bytes = Bytes::from(self.bytes);
        places.into_iter().map(move |(opcode, place)| match opcode {
            // It was text when it was handed in.
            OpCode::Text => {
                OwnedPayload::Text(ByteString::try_from(bytes.slice(place)).unwrap_or_default())
            }
            _ => OwnedPayload::Binary(bytes.slice(place)),
        })
    }

    /// The same messages, masked with other keys: none may be used for two frames (RFC 6455 §5.3).
    pub(crate) fn masked_anew(&self, mut key: impl FnMut() -> [u8; 4]) -> Self {
        let mut copy = Self {
            bytes: self.bytes.clone(),
            ends: self.ends.clone(),
            taken: self.taken,
            payload_bytes: self.payload_bytes,
        };
        let mut start = copy.start();
        for &end in copy.ends.get(copy.taken..).unwrap_or_default() {
            if let Some(frame) = copy.bytes.get_mut(start..end) {
                remask(frame, key());
            }
            start = end;
        }
        copy
    }

    /// Drops them all, and keeps the memory.
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.taken = 0;
        self.payload_bytes = 0;
    }

    /// Bytes of memory that it has, beside its own.
    pub(crate) const fn capacity(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Where the next message begins.
    fn start(&self) -> usize {
        self.end_of(self.taken)
    }

    /// Where the first so many end.
    fn end_of(&self, count: usize) -> usize {
        count.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or_default()
    }
}

/// The payload of a frame of ours, masked no more.
fn unmask(frame: &mut [u8]) -> Option<(OpCode, &[u8])> {
    let (FrameHeader { opcode, mask, .. }, len) = FrameHeader::parse(frame).ok()??;
    let payload = frame.get_mut(len..)?;
    apply_mask(payload, mask?);
    Some((opcode, payload))
}

/// Masks a frame of ours with another key.
fn remask(frame: &mut [u8], key: [u8; 4]) {
    if let Ok(Some((FrameHeader { mask: Some(old), .. }, len))) = FrameHeader::parse(frame)
        && let Some((header, payload)) = frame.split_at_mut_checked(len)
        && let Some(place) = header.last_chunk_mut()
    {
        *place = key;
        apply_mask(payload, old);
        apply_mask(payload, key);
    }
}

/// How long the payload of a frame of so many bytes is: the inverse of [`encoded_len`](super::encoded_len).
const fn payload_len(frame: usize) -> usize {
    let header = match frame {
        ..=131 => 6,
        132..=0x1_0007 => 8,
        _ => FrameHeader::MAX_LEN,
    };
    frame.saturating_sub(header)
}

/// Bytes that are handed to the socket in one piece at most, so that one connection does not hold up its
/// thread.
const WHOLE: usize = 512 * 1024;
/// Bytes from which on it is cheaper to give memory away than to copy what it holds.
const COPIED: usize = 1_024;

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
