/// The first byte of an unfragmented text message.
pub(super) const WHOLE_TEXT: u8 = 0x81;

/// The first byte of an unfragmented binary message.
pub(super) const WHOLE_BINARY: u8 = 0x82;

/// Splits the first byte and the payload of an unmasked frame of at most `longest` bytes off the
/// front of `bytes`. `None` if it is not whole, or if anything about its length needs a closer
/// look.
#[inline]
pub(super) fn split_whole_frame(bytes: &[u8], longest: usize) -> Option<(u8, &[u8], &[u8])> {
    let [first, second, rest @ ..] = bytes else {
        return None;
    };
    let (len, rest) = match second {
        0..=125 => (usize::from(*second), rest),
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        // Masked, or so large that it is better handed over than copied.
        _ => return None,
    };
    let is_shortest_form = *second < 126 || len >= 126;
    if len > longest || !is_shortest_form {
        return None;
    }
    let (payload, next) = rest.split_at_checked(len)?;
    Some((*first, payload, next))
}

/// The most bytes of payload that these frames have, of which the first is one of the above: exact where it is the
/// only one.
#[inline]
pub(super) fn payload_len(frames: &[u8]) -> usize {
    let header = if frames.get(1).is_some_and(|&second| second < 126) { 2 } else { 4 };
    frames.len().saturating_sub(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FrameHeader, OpCode};

    #[test]
    fn memory_for_one_message_is_exact() {
        for len in [0, 1, 125, 126, 0xFFFF] {
            let mut frame = Vec::new();
            let header = FrameHeader {
                fin: true,
                rsv: 0,
                opcode: OpCode::Text,
                mask: None,
                len: len as u64,
            };
            header.write(&mut frame);
            frame.resize(frame.len() + len, b'x');
            assert_eq!(payload_len(&frame), len);
            let two = frame.repeat(2);
            assert!(payload_len(&two) >= 2 * len, "{len}");
        }
    }

    #[test]
    fn the_fast_path_takes_what_is_whole_and_plain() {
        let medium = [&[0x82, 126, 0, 126][..], &[7; 126]].concat();
        for (bytes, longest, expected) in [
            (&b"\x81\x02hi\x82"[..], 2, Some((0x81, &b"hi"[..], &b"\x82"[..]))),
            (&medium, 126, Some((0x82, &medium[4..], b""))),
            (&medium, 125, None),
            (b"\x81\x02h", 2, None),
            (b"\x81\x82hi", 2, None),
            (b"\x82\x7E\x00\x01x", 126, None),
            (b"\x81", 2, None),
        ] {
            assert_eq!(split_whole_frame(bytes, longest), expected, "{bytes:x?}");
        }
    }
}
