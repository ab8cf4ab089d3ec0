use super::{OpCode, ProtocolError};

/// A frame's header (RFC 6455 §5.2), as either side of a connection may write it.
///
/// Parsing enforces what holds for both roles: known opcodes, the shape of control frames and the
/// minimal form of the length. What only a client may object to (masking, reserved bits, the order
/// of fragments, limits) is [`Decoder`](super::Decoder)'s business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3 as the bits 4, 2 and 1. All zero unless an extension gave them a
    /// meaning.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: OpCode,
    /// The masking key: always there from a client, never from a server (§5.1).
    pub mask: Option<[u8; 4]>,
    /// Payload length in bytes, below 2^63.
    pub len: u64,
}

impl FrameHeader {
    /// The longest header there is: two bytes, a 64-bit length and a masking key.
    pub const MAX_LEN: usize = 14;

    /// Parses the header at the front of `bytes` and says how many bytes it took, or `None` if more
    /// are needed.
    ///
    /// # Errors
    ///
    /// Fails as soon as the bytes at hand decide it: an unknown opcode or a fragmented control
    /// frame with the first byte, a control frame above 125 bytes with the second, a length above
    /// 2^63 with the third, a length that is not in its shortest form with the length's last.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let FirstByte { fin, rsv, opcode } = FirstByte::parse(first)?;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let len7 = second & LEN_BITS;
        if opcode.is_control() && len7 > MAX_CONTROL_LEN {
            return Err(ProtocolError::ControlTooLong { opcode });
        }
        let Some((len, rest)) = parse_len(len7, rest)? else {
            return Ok(None);
        };
        let (mask, rest) = if is_masked(second) {
            let Some((key, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        let header = Self { fin, rsv, opcode, mask, len };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Appends the header to `out`, with the length in its shortest form.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let fin = if self.fin { FIN_BIT } else { 0 };
        let masked = if self.mask.is_some() { MASK_BIT } else { 0 };
        let first = fin | (self.rsv & 0b111) << 4 | self.opcode.bits();
        // Most frames are small, and one append costs less than two.
        if let (Some([a, b, c, d]), Ok(len @ 0..=MAX_CONTROL_LEN)) =
            (self.mask, u8::try_from(self.len))
        {
            return out.extend_from_slice(&[first, masked | len, a, b, c, d]);
        }
        match (u8::try_from(self.len), u16::try_from(self.len)) {
            (Ok(len @ 0..=MAX_CONTROL_LEN), _) => out.extend_from_slice(&[first, masked | len]),
            (_, Ok(len)) => {
                let [high, low] = len.to_be_bytes();
                out.extend_from_slice(&[first, masked | LEN_IS_16_BIT, high, low]);
            }
            _ => {
                out.extend_from_slice(&[first, masked | LEN_IS_64_BIT]);
                out.extend_from_slice(&self.len.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }
}

/// What the first byte of a frame says. It is judged alone, because a peer may send nothing else
/// for a long time.
#[derive(Clone, Copy)]
pub(super) struct FirstByte {
    pub(super) fin: bool,
    pub(super) rsv: u8,
    pub(super) opcode: OpCode,
}

impl FirstByte {
    pub(super) fn parse(byte: u8) -> Result<Self, ProtocolError> {
        let fin = byte & FIN_BIT != 0;
        let bits = byte & 0x0F;
        let opcode = OpCode::from_bits(bits).ok_or(ProtocolError::UnknownOpcode(bits))?;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl { opcode });
        }
        Ok(Self { fin, rsv: byte >> 4 & 0b111, opcode })
    }
}

/// Whether a frame's second byte announces a masking key.
pub(super) const fn is_masked(second: u8) -> bool {
    second & MASK_BIT != 0
}

/// Reads the extended length that `len7` calls for from the front of `rest`.
fn parse_len(len7: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    let (len, shortest, rest) = match len7 {
        LEN_IS_16_BIT => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), 126, rest),
            None => return Ok(None),
        },
        LEN_IS_64_BIT => {
            if rest.first().is_some_and(|&byte| byte & 0x80 != 0) {
                return Err(ProtocolError::LengthTopBit);
            }
            match rest.split_first_chunk() {
                Some((bytes, rest)) => (u64::from_be_bytes(*bytes), 1 << 16, rest),
                None => return Ok(None),
            }
        }
        len => (u64::from(len), 0, rest),
    };
    if len < shortest {
        return Err(ProtocolError::NonMinimalLength { len });
    }
    Ok(Some((len, rest)))
}

/// The first reserved bit: of permessage-deflate, once it is agreed on.
pub(super) const RSV1: u8 = 0b100;

const FIN_BIT: u8 = 0x80;
const MASK_BIT: u8 = 0x80;
const LEN_BITS: u8 = 0x7F;
const LEN_IS_16_BIT: u8 = 126;
const LEN_IS_64_BIT: u8 = 127;
const MAX_CONTROL_LEN: u8 = 125;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_rfc_6455_section_5_7() {
        let hello = FrameHeader { fin: true, rsv: 0, opcode: OpCode::Text, mask: None, len: 5 };
        let masked = FrameHeader { mask: Some([0x37, 0xFA, 0x21, 0x3D]), ..hello };
        let first = FrameHeader { fin: false, len: 3, ..hello };
        let last = FrameHeader { opcode: OpCode::Continuation, len: 2, ..hello };
        let medium = FrameHeader { opcode: OpCode::Binary, len: 256, ..hello };
        let large = FrameHeader { opcode: OpCode::Binary, len: 65536, ..hello };
        let cases: [(&[u8], FrameHeader); 6] = [
            (&[0x81, 0x05], hello),
            (&[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D], masked),
            (&[0x01, 0x03], first),
            (&[0x80, 0x02], last),
            (&[0x82, 0x7E, 0x01, 0x00], medium),
            (&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0], large),
        ];
        for (bytes, header) in cases {
            assert_eq!(FrameHeader::parse(bytes), Ok(Some((header, bytes.len()))));
            let mut written = Vec::new();
            header.write(&mut written);
            assert_eq!(written, bytes);
        }
    }

    #[test]
    fn faults_are_found_with_the_byte_that_decides_them() {
        let cases: [(&[u8], usize, ProtocolError); 12] = [
            (&[0x83, 0x00], 1, ProtocolError::UnknownOpcode(3)),
            (&[0x8B, 0x00], 1, ProtocolError::UnknownOpcode(11)),
            (&[0x7F, 0xFF], 1, ProtocolError::UnknownOpcode(15)),
            (&[0x08, 0x00], 1, ProtocolError::FragmentedControl { opcode: OpCode::Close }),
            (&[0x09, 0x00], 1, ProtocolError::FragmentedControl { opcode: OpCode::Ping }),
            (&[0x89, 0x7E], 2, ProtocolError::ControlTooLong { opcode: OpCode::Ping }),
            (&[0x88, 0xFF], 2, ProtocolError::ControlTooLong { opcode: OpCode::Close }),
            (&[0x81, 0x7E, 0, 0], 4, ProtocolError::NonMinimalLength { len: 0 }),
            (&[0x81, 0x7E, 0, 125], 4, ProtocolError::NonMinimalLength { len: 125 }),
            (
                &[0x81, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
                10,
                ProtocolError::NonMinimalLength { len: 65535 },
            ),
            (&[0x82, 0x7F, 0x80], 3, ProtocolError::LengthTopBit),
            (&[0x82, 0x7F, 0xFF, 0xFF], 3, ProtocolError::LengthTopBit),
        ];
        for (bytes, decided_at, error) in cases {
            for len in 0..bytes.len() {
                let expected = if len < decided_at { Ok(None) } else { Err(error.clone()) };
                assert_eq!(FrameHeader::parse(&bytes[..len]), expected, "{bytes:x?} cut at {len}");
            }
            assert_eq!(FrameHeader::parse(bytes), Err(error), "{bytes:x?}");
        }
    }

    fn headers() -> impl Strategy<Value = FrameHeader> {
        let data = prop::sample::select(vec![OpCode::Continuation, OpCode::Text, OpCode::Binary]);
        let len = prop_oneof![0..126_u64, 120..70_000_u64, 0..1_u64 << 63];
        (any::<bool>(), 0..8_u8, data, any::<Option<[u8; 4]>>(), len)
            .prop_map(|(fin, rsv, opcode, mask, len)| FrameHeader { fin, rsv, opcode, mask, len })
    }

    proptest! {
        #[test]
        fn what_is_written_parses_back_and_every_prefix_asks_for_more(
            header in headers(),
            tail: Vec<u8>,
        ) {
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            let len = bytes.len();
            prop_assert!(len <= FrameHeader::MAX_LEN);
            for cut in 0..len {
                prop_assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None));
            }
            bytes.extend(tail);
            prop_assert_eq!(FrameHeader::parse(&bytes), Ok(Some((header, len))));
        }
    }
}
