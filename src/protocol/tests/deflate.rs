//! RFC 7692 as the decoder sees it: compressed messages in frames.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    Event::{self, Close, Failed, Ping},
    OpCode::{Binary, Continuation, Text},
    binary, decode_pieces_with, text,
};
use crate::protocol::{
    Decoder, DeflateAgreement, FrameHeader, Limits, MessageEncoder, OpCode, Payload,
    PerMessageDeflate, ProtocolError, apply_mask,
};

/// "Hello", and "Hello" again by reference to the first (RFC 7692 §7.2.3).
const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
const AGAIN: [u8; 5] = [0xF2, 0x00, 0x11, 0x00, 0x00];

fn agreement(answer: &str) -> DeflateAgreement {
    let offer = PerMessageDeflate::default().threshold(0);
    offer.judge([answer.as_bytes()].into_iter()).unwrap().unwrap()
}

fn plain() -> DeflateAgreement {
    agreement("permessage-deflate")
}

fn decode_with<'a>(
    limits: Limits,
    agreement: &DeflateAgreement,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Event> {
    decode_pieces_with(Decoder::new(limits).with_deflate(agreement), pieces)
}

fn decode(bytes: &[u8]) -> Vec<Event> {
    decode_with(Limits::default(), &plain(), [bytes])
}

/// A server's frame with RSV1.
fn compressed(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u64;
    let mut bytes = Vec::new();
    FrameHeader { fin, rsv: 0b100, opcode, mask: None, len }.write(&mut bytes);
    [&bytes, payload].concat()
}

fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    super::frame(fin, opcode, payload)
}

/// A message's compressed payload, as a server makes it.
fn deflated(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    MessageEncoder::with_deflate(plain()).encode(&mut out, Payload::Binary(message), [0; 4]);
    let (header, used) = FrameHeader::parse(&out).unwrap().unwrap();
    assert_eq!(header.rsv, 0b100);
    out.split_off(used)
}

#[test]
fn whole_messages_share_a_window() {
    let stream = [
        compressed(true, Text, &HELLO),
        frame(true, Text, b"plain"),
        compressed(true, Text, &AGAIN),
        compressed(true, Binary, &AGAIN),
        compressed(true, Text, &[0x00]),
    ]
    .concat();
    let expected = [text("Hello"), text("plain"), text("Hello"), binary(b"Hello"), text("")];
    assert_eq!(decode(&stream), expected);
}

/// RFC 7692 §7.2.3.1: only the first fragment has the bit.
#[test]
fn fragments_and_control_frames_between_them() {
    let stream = [
        compressed(false, Text, &HELLO[..3]),
        frame(true, OpCode::Ping, b"?"),
        frame(false, Continuation, b""),
        frame(true, Continuation, &HELLO[3..]),
        frame(true, OpCode::Close, b""),
    ]
    .concat();
    let expected = [Ping(b"?".to_vec()), text("Hello"), Close(None)];
    for pieces in [stream.len(), 1] {
        let events = decode_with(Limits::default(), &plain(), stream.chunks(pieces));
        assert_eq!(events, expected, "{pieces}");
    }
}

#[test]
fn reserved_bits_that_are_refused_all_the_same() {
    for (what, stream, bits) in [
        (
            "a continuation",
            [compressed(false, Text, &HELLO[..3]), compressed(true, Continuation, &HELLO[3..])]
                .concat(),
            0b100,
        ),
        ("a ping", compressed(true, OpCode::Ping, b""), 0b100),
        ("a close", compressed(true, OpCode::Close, b""), 0b100),
        ("RSV2", vec![0xA1, 0], 0b010),
        ("RSV3", vec![0x91, 0], 0b001),
        ("RSV1 and RSV2", vec![0xE1, 0], 0b110),
    ] {
        assert_eq!(decode(&stream), [Failed(ProtocolError::ReservedBits(bits))], "{what}");
    }
    let not_agreed = super::decode(&compressed(true, Text, &HELLO));
    assert_eq!(not_agreed, [Failed(ProtocolError::ReservedBits(0b100))]);
    // A compressed message is continued by frames without the bit only, and finished first.
    let nested = [compressed(false, Text, &HELLO[..3]), compressed(true, Text, &HELLO)].concat();
    assert_eq!(decode(&nested), [Failed(ProtocolError::InterruptedMessage { opcode: Text })]);
}

#[test]
fn what_is_not_deflate_is_refused() {
    for payload in [&b"no deflate"[..], &HELLO[..4], &[0xFF]] {
        let events = decode(&compressed(true, Binary, payload));
        assert_eq!(events, [Failed(ProtocolError::InvalidDeflate)], "{payload:?}");
    }
    // Without takeover the window begins empty.
    let stream = [compressed(true, Text, &HELLO), compressed(true, Text, &AGAIN)].concat();
    let agreed = agreement("permessage-deflate; server_no_context_takeover");
    let events = decode_with(Limits::default(), &agreed, [&*stream]);
    assert_eq!(events, [text("Hello"), Failed(ProtocolError::InvalidDeflate)]);
}

/// What inflates is judged as it does: the rest of the frame is not waited for.
#[test]
fn text_fails_with_the_byte_that_decides() {
    for content in [&b"abc\xFFdef"[..], b"\xCE\xBA\xED\xA0\x80", b"cut \xE2\x82"] {
        let payload = deflated(content);
        let expected = [Failed(ProtocolError::InvalidUtf8)];
        assert_eq!(decode(&compressed(true, Text, &payload)), expected);
        assert_eq!(decode(&compressed(true, Binary, &payload)), [binary(content)]);
    }
    let noise = (0..60_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]);
    let bad_then_noise: Vec<u8> = [0xFF].into_iter().chain(noise).collect();
    let stream = compressed(true, Text, &deflated(&bad_then_noise));
    let events = decode_with(Limits::default(), &plain(), [&stream[..stream.len() / 2]]);
    assert_eq!(events, [Failed(ProtocolError::InvalidUtf8)]);
}

#[test]
fn limits_are_those_of_the_inflated_message() {
    let limits = Limits::default().with_max_message(1_000).with_max_frame(100);
    let fits = deflated(&[b'a'; 1_000]);
    let bomb = deflated(&[b'a'; 1_001]);
    let events = decode_with(limits, &plain(), [&*compressed(true, Text, &fits)]);
    assert_eq!(events, [text(&"a".repeat(1_000))]);
    let too_big = ProtocolError::MessageTooBig { announced: 1_001, limit: 1_000 };
    let events = decode_with(limits, &plain(), [&*compressed(true, Text, &bomb)]);
    assert_eq!(events, [Failed(too_big.clone())]);
    let (start, end) = bomb.split_at(3);
    let fragments = [compressed(false, Text, start), frame(true, Continuation, end)].concat();
    assert_eq!(decode_with(limits, &plain(), [&*fragments]), [Failed(too_big)]);
    // Of a frame it is what comes over the wire.
    let long = compressed(true, Binary, &[0; 101]);
    let events = decode_with(limits, &plain(), [&*long]);
    assert_eq!(events, [Failed(ProtocolError::FrameTooBig { announced: 101, limit: 100 })]);
}

/// A message that is not compressed is judged by what its frame announces, a compressed one by what it
/// inflates to.
#[test]
fn announced_lengths_are_those_of_plain_messages() {
    let limits = Limits::default().with_max_message(10);
    let too_big = ProtocolError::MessageTooBig { announced: 50, limit: 10 };
    let events = decode_with(limits, &plain(), [&[0x82, 50][..]]);
    assert_eq!(events, [Failed(too_big)], "by the header alone");
    // Empty stored blocks make nothing.
    let empty = [[0, 0, 0, 0xFF, 0xFF].repeat(4), vec![0]].concat();
    let events = decode_with(limits, &plain(), [&*compressed(true, Binary, &empty)]);
    assert_eq!(events, [binary(b"")]);
}

/// A read of compressed messages is delivered in portions.
#[test]
fn a_read_that_inflates_a_thousandfold_is_flushed_in_between() {
    use crate::protocol::{BatchBuilder, Step};
    let stream = compressed(true, Binary, &deflated(&vec![0; 20_000])).repeat(100);
    let agreed = agreement("permessage-deflate; server_no_context_takeover");
    let mut decoder = Decoder::new(Limits::default()).with_deflate(&agreed);
    let mut out = BatchBuilder::default();
    let (mut at, mut flushes, mut messages) = (0, 0, 0);
    while decoder.decode(&stream, &mut at, &mut out).unwrap() == Step::Flush {
        assert!(out.payload_bytes() < 64 * 1024 + 20_000, "{}", out.payload_bytes());
        messages += out.freeze().len();
        flushes += 1;
    }
    assert_eq!(messages + out.freeze().len(), 100);
    assert_eq!(flushes, 25, "four messages are more than 64 KiB");
}

fn conversation() -> impl Strategy<Value = (Vec<Event>, Vec<u8>)> {
    let content = prop_oneof![
        4 => "[a-c ]{0,200}".prop_map(|content| (text(&content), content.into_bytes())),
        2 => "[ -~éπ€😀]{0,60}".prop_map(|content| (text(&content), content.into_bytes())),
        2 => vec(any::<u8>(), 0..200).prop_map(|content| (binary(&content), content)),
        1 => (60_000..70_000_usize).prop_map(|len| (binary(&vec![7; len]), vec![7; len])),
    ];
    let cuts = prop_oneof![2 => Just(Vec::new()), 1 => vec(any::<Index>(), 1..4)];
    vec((content, cuts, prop::bool::weighted(0.8)), 0..8).prop_map(|messages| {
        let mut encoder = MessageEncoder::with_deflate(plain());
        let mut stream = Vec::new();
        let mut events = Vec::new();
        for ((event, content), cuts, is_compressed) in messages {
            let opcode = if matches!(&event, Event::Message(m) if m.as_text().is_some()) {
                Text
            } else {
                Binary
            };
            let mut payload = content.clone();
            let mut rsv = 0;
            if is_compressed {
                let mut out = Vec::new();
                encoder.encode(&mut out, Payload::Binary(&content), [1, 2, 3, 4]);
                let (header, used) = FrameHeader::parse(&out).unwrap().unwrap();
                rsv = header.rsv;
                payload = out.split_off(used);
                apply_mask(&mut payload, header.mask.unwrap());
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([payload.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            for (index, (start, end)) in starts.zip(ends).enumerate() {
                let fin = index == cuts.len();
                let (rsv, opcode) = if index == 0 { (rsv, opcode) } else { (0, Continuation) };
                let len = (end - start) as u64;
                FrameHeader { fin, rsv, opcode, mask: None, len }.write(&mut stream);
                stream.extend_from_slice(&payload[start..end]);
            }
            events.push(event);
        }
        (events, stream)
    })
}

proptest! {
    #[test]
    fn any_cut_of_a_conversation_decodes_to_the_same(
        (events, stream) in conversation(),
        cuts in vec(any::<Index>(), 0..10),
        flip in prop::option::of((any::<Index>(), 0..8_u8)),
    ) {
        let mut stream = stream;
        if let Some((index, bit)) = flip.filter(|_| !stream.is_empty()) {
            let at = index.index(stream.len());
            stream[at] ^= 1 << bit;
        }
        let whole = decode_with(Limits::default(), &plain(), [&*stream]);
        if flip.is_none() {
            prop_assert_eq!(&whole, &events);
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([stream.len()]);
        let pieces = starts.zip(ends).map(|(start, end)| &stream[start..end]);
        prop_assert_eq!(decode_with(Limits::default(), &plain(), pieces), whole);
    }
}
