//! RFC 6455 §5, §7 and §8.1 by table; numbers of Autobahn cases where one asks the same.

use super::{
    Event::{Close, Failed, Ping, Pong},
    OpCode::{Binary, Continuation, Text},
    binary, decode, decode_pieces, frame, text,
};
use crate::protocol::{
    BatchBuilder, CloseFrame, Decoder, FrameHeader, Limits, OpCode, Payload, ProtocolError, Step,
};

#[test]
fn messages_of_every_length_form() {
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
        let content = "x".repeat(len);
        assert_eq!(
            decode(&frame(true, Text, content.as_bytes())),
            [text(&content)],
            "text of {len}"
        );
        assert_eq!(
            decode(&frame(true, Binary, content.as_bytes())),
            [binary(content.as_bytes())],
            "binary of {len}"
        );
    }
}

#[test]
fn control_frames_come_between_messages_and_fragments() {
    let stream = [
        frame(true, Text, b"one"),
        frame(true, OpCode::Ping, b"a"),
        frame(false, Text, b"tw"),
        frame(true, OpCode::Ping, b"b"),
        frame(false, Continuation, b""),
        frame(true, OpCode::Pong, &[0xFF; 125]),
        frame(true, Continuation, b"o"),
        frame(true, Binary, b"three"),
    ];
    let events = [
        text("one"),
        Ping(b"a".to_vec()),
        Ping(b"b".to_vec()),
        Pong(vec![0xFF; 125]),
        text("two"),
        binary(b"three"),
    ];
    assert_eq!(decode(&stream.concat()), events);
}

#[test]
fn what_a_client_must_refuse() {
    let cases: [(&[u8], ProtocolError); 17] = [
        (&[0xC1], ProtocolError::ReservedBits(0b100)), // 3.1 to 3.7
        (&[0xA2], ProtocolError::ReservedBits(0b010)),
        (&[0x99], ProtocolError::ReservedBits(0b001)),
        (&[0xF8], ProtocolError::ReservedBits(0b111)),
        (&[0x83], ProtocolError::UnknownOpcode(3)), // 4.1, 4.2
        (&[0x0B], ProtocolError::UnknownOpcode(11)),
        (&[0x09], ProtocolError::FragmentedControl { opcode: OpCode::Ping }), // 5.1, 5.2
        (&[0x0A], ProtocolError::FragmentedControl { opcode: OpCode::Pong }),
        (&[0x89, 0x7E], ProtocolError::ControlTooLong { opcode: OpCode::Ping }), // 2.5
        (&[0x88, 0x7E], ProtocolError::ControlTooLong { opcode: OpCode::Close }), // 7.3.6
        (&[0x81, 0x80], ProtocolError::MaskedFrame),
        (&[0x89, 0xFF], ProtocolError::MaskedFrame),
        (&[0x80], ProtocolError::StrayContinuation), // 5.9 to 5.17
        (&[0x00], ProtocolError::StrayContinuation),
        (&[0x82, 0x7E, 0x00, 0x7D], ProtocolError::NonMinimalLength { len: 125 }),
        (&[0x82, 0x7F, 0x80], ProtocolError::LengthTopBit),
        (&[0x81, 0x01, 0xFF], ProtocolError::InvalidUtf8),
    ];
    for (bytes, error) in cases {
        let stream = [&frame(true, Text, b"before"), bytes].concat();
        assert_eq!(decode(&stream), [text("before"), Failed(error)], "{bytes:x?}");
        let undecided = &stream[..stream.len() - 1];
        assert_eq!(decode(undecided), [text("before")], "{bytes:x?} fails with its last byte");
    }
}

#[test]
fn a_message_is_finished_before_the_next() {
    // 5.18
    for opcode in [Text, Binary] {
        let stream = [frame(false, Text, b"first"), frame(true, opcode, b"second")].concat();
        assert_eq!(decode(&stream), [Failed(ProtocolError::InterruptedMessage { opcode })]);
    }
}

#[test]
fn bad_text_fails_as_early_as_the_bytes_decide() {
    // 6.4.1 in fragments, 6.4.3 in one frame that is not whole yet.
    let (valid, deciding) = (b"\xCE\xBA\xE1\xBD\xB9", b"\xF4\x90");
    let failed = [Failed(ProtocolError::InvalidUtf8)];
    let fragments = [frame(false, Text, valid), frame(false, Continuation, deciding)].concat();
    assert_eq!(decode(&fragments), failed);
    let whole = frame(true, Text, &[&valid[..], deciding, b"\x80\x80 and more"].concat());
    let decided_at = 2 + valid.len() + deciding.len();
    assert_eq!(decode(&whole[..decided_at]), failed);
    assert_eq!(decode(&whole[..decided_at - 1]), []);
}

#[test]
fn text_must_not_end_inside_a_character() {
    let cut = "€".as_bytes().split_at(1);
    let good = [frame(false, Text, cut.0), frame(true, Continuation, cut.1)].concat();
    assert_eq!(decode(&good), [text("€")]);
    let bad = [frame(false, Text, cut.0), frame(true, Continuation, b"")].concat();
    assert_eq!(decode(&bad), [Failed(ProtocolError::InvalidUtf8)]);
}

#[test]
fn binary_may_be_anything() {
    let stream = [frame(false, Binary, b"\xFF"), frame(true, Continuation, b"\xC0")].concat();
    assert_eq!(decode(&stream), [binary(b"\xFF\xC0")]);
}

#[test]
fn close_is_parsed_and_ends_the_stream() {
    let bye = CloseFrame::new(1000, "bye").unwrap();
    let cases = [
        (frame(true, OpCode::Close, b""), Close(None)),
        (frame(true, OpCode::Close, &bye.payload()), Close(Some(bye))),
        (frame(true, OpCode::Close, b"\x03"), Failed(ProtocolError::TruncatedCloseCode)),
        (frame(true, OpCode::Close, b"\x03\xED"), Failed(ProtocolError::InvalidCloseCode(1005))),
        (frame(true, OpCode::Close, b"\x03\xE8\xFF"), Failed(ProtocolError::InvalidCloseReason)),
    ];
    for (close, event) in cases {
        // 7.1.2 to 7.1.5: another Close, a ping, a message, the rest of a fragmented one.
        for after in [
            close.clone(),
            frame(true, OpCode::Ping, b""),
            frame(true, Text, b"x"),
            vec![0xFF; 100],
        ] {
            let stream = [frame(false, Text, b"unfinished"), close.clone(), after].concat();
            assert_eq!(decode(&stream), std::slice::from_ref(&event));
        }
    }
}

#[test]
fn after_a_close_all_is_ignored_and_after_an_error_it_is_repeated() {
    let mut out = BatchBuilder::default();
    let mut closed = Decoder::new(Limits::default());
    assert_eq!(closed.decode(&[0x88, 0], &mut 0, &mut out), Ok(Step::Close(None)));
    let mut failed = Decoder::new(Limits::default());
    assert_eq!(failed.decode(&[0xFF], &mut 0, &mut out), Err(ProtocolError::UnknownOpcode(15)));
    for _ in 0..2 {
        let mut at = 0;
        assert_eq!(closed.decode(b"\x81\x01x", &mut at, &mut out), Ok(Step::NeedMore));
        assert_eq!(at, 3);
        let mut at = 0;
        assert_eq!(
            failed.decode(b"\x81\x01x", &mut at, &mut out),
            Err(ProtocolError::UnknownOpcode(15))
        );
        assert_eq!(at, 3);
    }
    assert!(out.is_empty() && !closed.is_mid_message() && !failed.is_mid_message());
}

#[test]
fn limits_are_decided_at_the_header() {
    let limits =
        Limits::default().with_max_frame(1000).with_max_message(1500).with_max_fragments(3);
    for len in [1001, 65_536, 8 << 30, 1 << 40, 1 << 62, (1 << 63) - 1] {
        let mut bytes = Vec::new();
        FrameHeader { fin: true, rsv: 0, opcode: Binary, mask: None, len }.write(&mut bytes);
        let mut decoder = Decoder::new(limits);
        let result = decoder.decode(&bytes, &mut 0, &mut BatchBuilder::default());
        assert_eq!(result, Err(ProtocolError::FrameTooBig { announced: len, limit: 1000 }));
        assert_eq!(decoder.buffered_bytes(), 0);
    }
    let at_the_limit =
        [frame(false, Text, &[b'x'; 1000]), frame(true, Continuation, &[b'x'; 500])].concat();
    assert_eq!(decode_pieces(limits, [&*at_the_limit]), [text(&"x".repeat(1500))]);
    let past_it = [&frame(false, Text, &[b'x'; 1000])[..], &[0x80, 0x7E, 0x01, 0xF5]].concat();
    let error = ProtocolError::MessageTooBig { announced: 1501, limit: 1500 };
    assert_eq!(decode_pieces(limits, [&*past_it]), [Failed(error)]);
}

#[test]
fn empty_fragments_are_counted() {
    let limits = Limits::default().with_max_fragments(3);
    let start = [frame(false, Binary, b""), frame(false, Continuation, b"")].concat();
    let good = [&start[..], &frame(true, Continuation, b"")].concat();
    assert_eq!(decode_pieces(limits, [&*good, &*good]), [binary(b""), binary(b"")]);
    let bad = [&start[..], &frame(false, Continuation, b""), &[0x80]].concat();
    assert_eq!(
        decode_pieces(limits, [&*bad]),
        [Failed(ProtocolError::TooManyFragments { limit: 3 })]
    );
}

#[test]
fn a_dribbled_frame_arrives_and_nothing_is_kept_after_it() {
    let content = "é".repeat(30_000);
    let bytes = frame(true, Text, content.as_bytes());
    let mut decoder = Decoder::new(Limits::default());
    let mut out = BatchBuilder::default();
    for (i, piece) in bytes.chunks(1).enumerate() {
        assert_eq!(decoder.is_mid_message(), i > 0);
        let step = if i + 1 < bytes.len() { Step::NeedMore } else { Step::Flush };
        assert_eq!(decoder.decode(piece, &mut 0, &mut out), Ok(step), "byte {i}");
    }
    assert_eq!(out.freeze().get(0), Some(Payload::Text(&content)));
    assert_eq!((decoder.is_mid_message(), decoder.buffered_bytes()), (false, 0));
}

#[test]
fn buffered_bytes_are_those_of_the_unfinished() {
    let mut decoder = Decoder::new(Limits::default());
    let mut out = BatchBuilder::default();
    let stream = [
        &frame(true, Text, b"done")[..],
        &[0x01],
        &[3],
        b"a\xE2",
        b"\x82",
        &[0x89, 2],
        b"p",
        b"!",
        &[0x80],
    ];
    let held = [0, 1, 0, 2, 3, 3, 4, 3, 4];
    for (piece, held) in stream.into_iter().zip(held) {
        decoder.decode(piece, &mut 0, &mut out).unwrap();
        assert_eq!(decoder.buffered_bytes(), held, "after {piece:x?}");
    }
}

#[test]
fn a_large_message_leaves_at_once() {
    let mut stream = frame(true, Text, b"small");
    stream.extend(frame(true, Binary, &vec![7; 100_000]));
    stream.extend(frame(true, Text, b"next"));
    let mut decoder = Decoder::new(Limits::default());
    let mut out = BatchBuilder::default();
    let mut at = 0;
    assert_eq!(decoder.decode(&stream, &mut at, &mut out), Ok(Step::Flush));
    assert_eq!(out.freeze().len(), 2);
    assert_eq!(decoder.decode(&stream, &mut at, &mut out), Ok(Step::NeedMore));
    assert_eq!(out.freeze().get(0), Some(Payload::Text("next")));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_full_batch_is_flushed_before_the_next_message() {
    // Zeroed memory that nobody touches is only address space.
    let full = vec![0; u32::MAX as usize];
    let mut out = BatchBuilder::default();
    out.adopt_binary(full);
    let mut decoder = Decoder::new(Limits::default());
    let stream = [frame(true, Text, b"one"), frame(true, Text, b"two")].concat();
    let mut at = 0;
    assert_eq!(decoder.decode(&stream, &mut at, &mut out), Ok(Step::Flush));
    assert_eq!(out.freeze().len(), 1);
    assert_eq!(decoder.decode(&stream, &mut at, &mut out), Ok(Step::NeedMore));
    assert!(out.freeze().iter().eq([Payload::Text("one"), Payload::Text("two")]));
}

#[test]
fn an_idle_decoder_is_small() {
    let size = size_of::<Decoder>();
    assert!(size < 120, "{size} bytes");
}

/// What is unfinished has a number, by which it is told from what is unfinished later.
#[test]
fn what_the_peer_owes_is_told_apart() {
    let mut decoder = Decoder::new(Limits::default());
    let mut out = BatchBuilder::default();
    let mut unfinished = |bytes: &[u8]| {
        let mut at = 0;
        while at < bytes.len() {
            decoder.decode(bytes, &mut at, &mut out).unwrap();
        }
        decoder.unfinished()
    };
    assert_eq!(unfinished(&frame(true, Text, b"one")), None);
    let first = unfinished(&[0x81]);
    assert!(first.is_some());
    assert_eq!(unfinished(&[0x03, b't']), first, "the same message");
    assert_eq!(unfinished(b"wo"), None);
    let second = unfinished(&frame(false, Text, b"th"));
    assert!(second.is_some() && second != first);
    assert_eq!(unfinished(&frame(true, OpCode::Ping, b"")), second, "between its fragments");
    assert_eq!(unfinished(&frame(true, Continuation, b"ree")), None);
}
