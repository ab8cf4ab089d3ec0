use std::fmt;

/// The payload of a ping or a pong: at most 125 bytes, held inline (RFC 6455 §5.5).
#[derive(Clone, Copy)]
pub struct ControlPayload {
    len: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl ControlPayload {
    /// The most bytes a control frame carries.
    pub const MAX_LEN: usize = 125;

    /// A payload of no bytes.
    pub const EMPTY: Self = Self { len: 0, bytes: [0; Self::MAX_LEN] };

    /// The payload of these bytes, or `None` if they are more than [`MAX_LEN`](Self::MAX_LEN).
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut payload = Self::EMPTY;
        (payload.append(bytes) == bytes.len()).then_some(payload)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Appends as many of `bytes` as there is room for and says how many.
    pub(super) fn append(&mut self, bytes: &[u8]) -> usize {
        let room = self.bytes.iter_mut().skip(usize::from(self.len));
        let mut taken = 0;
        for (slot, byte) in room.zip(bytes) {
            *slot = *byte;
            taken += 1;
        }
        self.len += taken;
        usize::from(taken)
    }
}

impl AsRef<[u8]> for ControlPayload {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for ControlPayload {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for ControlPayload {}

impl fmt::Debug for ControlPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_up_to_125_bytes() {
        assert_eq!(ControlPayload::new(&[7; 125]).unwrap().as_slice(), [7; 125]);
        assert_eq!(ControlPayload::new(&[7; 126]), None);
        assert_eq!(ControlPayload::new(b"").unwrap(), ControlPayload::EMPTY);
    }

    #[test]
    fn appends_what_fits() {
        let mut payload = ControlPayload::new(b"ab").unwrap();
        assert_eq!(payload.append(b"cd"), 2);
        assert_eq!(payload.as_slice(), b"abcd");
        assert_eq!(payload.as_ref(), b"abcd");
        assert_eq!(payload, ControlPayload::new(b"abcd").unwrap());
        for other in [&b"abc"[..], b"abcx", b""] {
            assert_ne!(payload, ControlPayload::new(other).unwrap());
        }
        assert_eq!(payload.append(&[b'x'; 200]), 121);
        assert_eq!(payload.append(b"y"), 0);
        assert_eq!(format!("{:?}", ControlPayload::new(b"a\n\xFF").unwrap()), r#"b"a\n\xff""#);
    }
}
