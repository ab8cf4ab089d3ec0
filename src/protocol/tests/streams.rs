//! Streams of frames to test with: mostly valid and long, some broken in a place.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::frame;
use crate::protocol::OpCode;

/// A stream and nothing wrong with it, but that it may end anywhere after a frame.
pub(super) fn valid() -> impl Strategy<Value = Vec<u8>> {
    (vec(message(), 0..12), prop::option::weighted(0.3, close()))
        .prop_map(|(messages, close)| messages.into_iter().chain(close).flatten().collect())
}

/// A valid stream with some bytes changed, put in or taken out.
pub(super) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    (valid(), vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..3)).prop_map(
        |(mut bytes, mutations)| {
            for (index, byte, how) in mutations {
                let at = index.index(bytes.len() + 1);
                match (how, bytes.get_mut(at)) {
                    (0, Some(slot)) => *slot = byte,
                    (1, Some(slot)) => *slot ^= 1 << (byte % 8),
                    (2, Some(_)) => drop(bytes.remove(at)),
                    _ => bytes.insert(at, byte),
                }
            }
            bytes
        },
    )
}

/// Valid frames and one that is broken by intent, then more frames.
pub(super) fn broken() -> impl Strategy<Value = Vec<u8>> {
    (vec(message(), 0..6), bad_frame(), vec(message(), 0..3))
        .prop_map(|(before, bad, after)| [before.concat(), bad, after.concat()].concat())
}

pub(super) fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => valid(), 3 => mutated(), 2 => broken(), 1 => vec(any::<u8>(), 0..60)]
}

/// A message in any number of frames, with control frames before and between them.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        6 => "[ -~éπ€😀]{0,40}".prop_map(|text| (OpCode::Text, text.into_bytes())),
        1 => "[a-z]{120,130}".prop_map(|text| (OpCode::Text, text.into_bytes())),
        4 => vec(any::<u8>(), 0..80).prop_map(|bytes| (OpCode::Binary, bytes)),
        1 => (65_530..65_540_usize).prop_map(|len| (OpCode::Binary, vec![7; len])),
    ];
    let cuts = prop_oneof![3 => Just(Vec::new()), 1 => vec(any::<Index>(), 1..5)];
    (content, cuts, vec(control(), 0..3)).prop_map(|((opcode, payload), cuts, controls)| {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([payload.len()]);
        let mut controls = controls.into_iter();
        let mut stream = Vec::new();
        for (i, (start, end)) in starts.zip(ends).enumerate() {
            stream.extend(controls.next().unwrap_or_default());
            let opcode = if i == 0 { opcode } else { OpCode::Continuation };
            stream.extend(frame(i == cuts.len(), opcode, &payload[start..end]));
        }
        stream
    })
}

fn control() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop::sample::select(vec![OpCode::Ping, OpCode::Pong]);
    (opcode, vec(any::<u8>(), 0..126)).prop_map(|(opcode, payload)| frame(true, opcode, &payload))
}

fn close() -> impl Strategy<Value = Vec<u8>> {
    let code = prop::sample::select(vec![1000_u16, 1001, 1011, 3000, 4999]);
    let payload = (code, "[ -~é]{0,40}")
        .prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat());
    prop_oneof![Just(Vec::new()), payload].prop_map(|payload| frame(true, OpCode::Close, &payload))
}

fn bad_frame() -> impl Strategy<Value = Vec<u8>> {
    let bad_utf8 = (any::<bool>(), "[a-zé]{0,20}", vec(0x80..=0xFF_u8, 1..5), "[a-z]{0,9}")
        .prop_map(|(fin, before, bad, after)| {
            frame(fin, OpCode::Text, &[before.as_bytes(), &bad, after.as_bytes()].concat())
        });
    let bad_first_byte = (any::<u8>(), vec(any::<u8>(), 0..20)).prop_map(|(first, payload)| {
        let mut bytes = frame(true, OpCode::Text, &payload);
        bytes[0] = first;
        bytes
    });
    let masked = vec(any::<u8>(), 0..20).prop_map(|payload| {
        let mut bytes = frame(true, OpCode::Text, &payload);
        bytes[1] |= 0x80;
        bytes
    });
    let stray = any::<bool>().prop_map(|fin| frame(fin, OpCode::Continuation, b"stray"));
    let interrupted = any::<bool>().prop_map(|fin| {
        [frame(false, OpCode::Text, b"first"), frame(fin, OpCode::Binary, b"second")].concat()
    });
    let bad_close =
        vec(any::<u8>(), 1..10).prop_map(|payload| frame(true, OpCode::Close, &payload));
    let long_control =
        vec(any::<u8>(), 126..300).prop_map(|payload| frame(true, OpCode::Ping, &payload));
    let long_message = Just(
        [
            frame(false, OpCode::Binary, &vec![7; 65_590]),
            frame(true, OpCode::Continuation, &vec![7; 65_590]),
        ]
        .concat(),
    );
    let oversized = prop_oneof![8_u32..64, Just(64)].prop_map(|bits| {
        let len = u64::MAX >> (64 - bits);
        [&[0x82, 0x7F][..], &len.to_be_bytes()].concat()
    });
    prop_oneof![
        bad_utf8,
        bad_first_byte,
        masked,
        stray,
        interrupted,
        bad_close,
        long_control,
        long_message,
        oversized
    ]
}
