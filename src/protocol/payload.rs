use bytes::Bytes;
use bytestring::ByteString;

/// One received message, borrowed from its [`Batch`](super::Batch).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload<'a> {
    /// A text message; its UTF-8 was checked as it came.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// The text, if it is one.
    #[must_use]
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The bytes of a binary message, if it is one.
    #[must_use]
    pub const fn as_binary(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(_) => None,
            Self::Binary(bytes) => Some(bytes),
        }
    }

    /// The bytes of a message of either kind.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.as_bytes().is_empty()
    }
}

/// One received message that owns its bytes, cheap to clone and to send to other threads.
///
/// It may share its memory with the [`Batch`](super::Batch) it came from, and keeps all of that
/// alive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnedPayload {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl OwnedPayload {
    /// The message, borrowed.
    #[must_use]
    pub fn as_payload(&self) -> Payload<'_> {
        match self {
            Self::Text(text) => Payload::Text(text),
            Self::Binary(bytes) => Payload::Binary(bytes),
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_payload().as_text()
    }

    /// The bytes of a binary message, if it is one.
    #[must_use]
    pub fn as_binary(&self) -> Option<&[u8]> {
        self.as_payload().as_binary()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_payload().len()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_payload().is_empty()
    }
}

impl From<Payload<'_>> for OwnedPayload {
    /// Copies the message.
    fn from(payload: Payload<'_>) -> Self {
        match payload {
            Payload::Text(text) => Self::Text(text.into()),
            Payload::Binary(bytes) => Self::Binary(Bytes::copy_from_slice(bytes)),
        }
    }
}

/// Where one message of a batch lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    kind: Kind,
    start: u32,
    len: u32,
}

/// The area of a batch that a message lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
}

impl Segment {
    /// The segment of `len` bytes at `start`, or `None` if it ends past what 32 bits can name.
    pub(super) fn new(kind: Kind, start: usize, len: usize) -> Option<Self> {
        u32::try_from(start.checked_add(len)?).ok()?;
        Some(Self { kind, start: u32::try_from(start).ok()?, len: u32::try_from(len).ok()? })
    }

    pub(super) const fn len(self) -> usize {
        self.len as usize
    }

    /// The message in the areas that this segment was made for.
    #[inline]
    pub(super) fn payload<'a>(self, text: &'a str, binary: &'a [u8]) -> Payload<'a> {
        let start = self.start as usize;
        let range = start..start + self.len();
        match self.kind {
            Kind::Text => Payload::Text(text.get(range).unwrap_or_default()),
            Kind::Binary => Payload::Binary(binary.get(range).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_text_or_binary() {
        let (text, binary) = (Payload::Text("é"), Payload::Binary(&[0xFF]));
        assert_eq!((text.as_text(), text.as_binary(), text.len()), (Some("é"), None, 2));
        assert_eq!(
            (binary.as_text(), binary.as_binary(), binary.len()),
            (None, Some(&[0xFF][..]), 1)
        );
        assert!(Payload::Text("").is_empty() && !binary.is_empty());
        assert!(OwnedPayload::from(Payload::Text("")).is_empty());
        for payload in [text, binary] {
            let owned = OwnedPayload::from(payload);
            assert!(!owned.is_empty());
            assert_eq!(owned.as_payload(), payload);
            assert_eq!(
                (owned.as_text(), owned.as_binary()),
                (payload.as_text(), payload.as_binary())
            );
        }
    }

    #[test]
    fn a_segment_ends_within_32_bits() {
        let max = u32::MAX as usize;
        assert!(Segment::new(Kind::Text, 0, max).is_some());
        assert!(Segment::new(Kind::Text, max, 0).is_some());
        assert!(Segment::new(Kind::Text, 1, max).is_none());
        assert!(Segment::new(Kind::Binary, usize::MAX, usize::MAX).is_none());
    }
}
