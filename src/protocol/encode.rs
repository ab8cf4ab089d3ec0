#[cfg(feature = "deflate")]
use super::OneOrMany;
#[cfg(feature = "deflate")]
use super::deflate::{Compressor, DeflateAgreement};
use super::{CloseFrame, FrameHeader, Frames, OpCode, Payload, Taken, apply_mask};

/// Turns the messages of one connection into frames, compressed where that was agreed on.
#[derive(Debug, Default)]
pub struct MessageEncoder {
    #[cfg(feature = "deflate")]
    compressor: Option<Box<Compressor>>,
}

impl MessageEncoder {
    /// An encoder that compresses as was agreed.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(agreement: DeflateAgreement) -> Self {
        Self { compressor: Some(Box::new(Compressor::new(agreement))) }
    }

    /// Appends one message to `out`, as [`encode_frame`] does.
    pub fn encode(&mut self, out: &mut Vec<u8>, message: Payload<'_>, mask: [u8; 4]) {
        #[cfg(feature = "deflate")]
        if let Some(compressor) = &mut self.compressor {
            let message = (opcode_of(message), message.as_bytes());
            return encode_compressed(compressor, out, message, mask);
        }
        self.encode_plainly(out, message, mask);
    }

    /// Takes messages out of `frames` and appends them to `out`, as [`Frames::take`] does. Those that are
    /// compressed need a key anew.
    #[cfg_attr(
        not(feature = "deflate"),
        expect(clippy::unused_self, reason = "nothing compresses")
    )]
    pub(crate) fn encode_frames(
        &mut self,
        out: &mut Vec<u8>,
        frames: &mut Frames,
        (most, budget): (usize, usize),
        key: impl FnMut() -> [u8; 4],
    ) -> Taken {
        #[cfg(feature = "deflate")]
        if let Some(compressor) = &mut self.compressor {
            let mut key = key;
            let before = out.len();
            let (mut ends, mut payload_bytes) = (Vec::new(), 0);
            while ends.len() < most
                && (ends.is_empty() || out.len() < budget)
                && let Some(message) = frames.reopen()
            {
                payload_bytes += message.1.len();
                encode_compressed(compressor, out, message, key());
                ends.push(out.len() - before);
            }
            return Taken { ends: OneOrMany::Many(ends), payload_bytes };
        }
        let _ = key;
        frames.take(most, budget, out)
    }

    /// Appends one message that is not compressed, and that no later one refers to: it may be taken
    /// out of `out` again.
    pub fn encode_plainly(&mut self, out: &mut Vec<u8>, message: Payload<'_>, mask: [u8; 4]) {
        encode_frame(out, opcode_of(message), message.as_bytes(), mask);
    }

    /// Whether it holds a compressor, which takes some 300 KiB.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn holds_compressor(&self) -> bool {
        self.compressor.as_ref().is_some_and(|compressor| compressor.is_held())
    }

    /// Gives the compressor back if it was not used since the last call; the next message that is
    /// worth it starts another.
    #[cfg(feature = "deflate")]
    pub fn release_unused(&mut self) {
        if let Some(compressor) = &mut self.compressor {
            compressor.release_unused();
        }
    }
}

/// Appends one message, compressed where that makes it shorter.
#[cfg(feature = "deflate")]
fn encode_compressed(
    compressor: &mut Compressor,
    out: &mut Vec<u8>,
    (opcode, message): (OpCode, &[u8]),
    mask: [u8; 4],
) {
    let mut compressed = Vec::new();
    if compressor.compress(message, &mut compressed) {
        append_frame(out, super::header::RSV1, opcode, &compressed, mask);
    } else {
        append_frame(out, 0, opcode, message, mask);
    }
}

pub(super) const fn opcode_of(message: Payload<'_>) -> OpCode {
    match message {
        Payload::Text(_) => OpCode::Text,
        Payload::Binary(_) => OpCode::Binary,
    }
}

/// Appends one whole client frame to `out`: final, unfragmented and masked with `mask` (RFC 6455
/// §5.2).
///
/// The key must be fresh and unpredictable for every frame (§5.3). A control frame's payload must
/// not be longer than 125 bytes; hold it in a [`ControlPayload`](super::ControlPayload) and it is
/// not.
pub fn encode_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8], mask: [u8; 4]) {
    append_frame(out, 0, opcode, payload, mask);
}

#[inline]
pub(super) fn append_frame(
    out: &mut Vec<u8>,
    rsv: u8,
    opcode: OpCode,
    payload: &[u8],
    mask: [u8; 4],
) {
    debug_assert!(
        !opcode.is_control() || payload.len() <= 125,
        "{opcode} frame of {} bytes",
        payload.len()
    );
    out.reserve(encoded_len(payload.len()));
    let header =
        FrameHeader { fin: true, rsv, opcode, mask: Some(mask), len: payload.len() as u64 };
    header.write(out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(masked) = out.get_mut(start..) {
        apply_mask(masked, mask);
    }
}

/// Appends a Close frame to `out`, with a code and a reason or with neither (RFC 6455 §5.5.1).
pub fn encode_close(out: &mut Vec<u8>, close: Option<&CloseFrame>, mask: [u8; 4]) {
    let payload = close.map(CloseFrame::payload).unwrap_or_default();
    encode_frame(out, OpCode::Close, &payload, mask);
}

/// How many bytes [`encode_frame`] appends for a payload of `payload_len` bytes.
#[must_use]
pub const fn encoded_len(payload_len: usize) -> usize {
    let header = match payload_len {
        0..=125 => 6,
        126..=0xFFFF => 8,
        _ => FrameHeader::MAX_LEN,
    };
    payload_len.saturating_add(header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::CloseCode;

    #[test]
    fn example_of_rfc_6455_section_5_7() {
        let mut out = Vec::new();
        encode_frame(&mut out, OpCode::Text, b"Hello", [0x37, 0xFA, 0x21, 0x3D]);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    }

    #[test]
    fn close_with_and_without_a_code() {
        let mut out = Vec::new();
        encode_close(&mut out, None, [1, 2, 3, 4]);
        assert_eq!(out, [0x88, 0x80, 1, 2, 3, 4]);
        out.clear();
        encode_close(&mut out, Some(&CloseFrame::new(CloseCode::NORMAL, "ok").unwrap()), [0; 4]);
        assert_eq!(out, [0x88, 0x84, 0, 0, 0, 0, 0x03, 0xE8, b'o', b'k']);
    }

    #[test]
    fn lengths_at_the_borders_of_each_form() {
        for len in [0, 1, 125, 126, 127, 65535, 65536, 100_000] {
            let mut out = vec![0xAA; 3];
            encode_frame(&mut out, OpCode::Binary, &vec![1; len], [9, 8, 7, 6]);
            assert_eq!(out.len() - 3, encoded_len(len), "payload of {len}");
        }
        assert_eq!(encoded_len(usize::MAX), usize::MAX);
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn an_unused_compressor_is_given_back_at_the_second_call() {
        let offer = crate::protocol::PerMessageDeflate::default().threshold(0);
        let agreed = offer.judge([b"permessage-deflate".as_slice()].into_iter()).unwrap().unwrap();
        let mut encoder = MessageEncoder::with_deflate(agreed);
        let frame = |encoder: &mut MessageEncoder| {
            let mut out = Vec::new();
            encoder.encode(&mut out, Payload::Text(&"tick ".repeat(20)), [0; 4]);
            out
        };
        assert!(!encoder.holds_compressor() && !MessageEncoder::default().holds_compressor());
        let first = frame(&mut encoder);
        assert!(encoder.holds_compressor());
        encoder.release_unused();
        assert!(encoder.holds_compressor(), "it was used since the last call");
        encoder.release_unused();
        assert!(!encoder.holds_compressor());
        assert_eq!(frame(&mut encoder), first, "it begins anew");
    }

    proptest! {
        #[test]
        fn encoding_appends_a_frame_that_parses_and_unmasks_to_the_payload(
            before: Vec<u8>,
            payload in prop::collection::vec(any::<u8>(), 0..300),
            mask: [u8; 4],
        ) {
            let mut out = before.clone();
            encode_frame(&mut out, OpCode::Binary, &payload, mask);
            let (kept, frame) = out.split_at_mut(before.len());
            prop_assert_eq!(&*kept, &*before);
            let (header, used) = FrameHeader::parse(frame).unwrap().unwrap();
            prop_assert_eq!(header.mask, Some(mask));
            prop_assert_eq!(header.len, payload.len() as u64);
            apply_mask(&mut frame[used..], mask);
            prop_assert_eq!(&frame[used..], &*payload);
        }
    }
}
