//! Any compressed message: it inflates to what an independent loop makes of it, within its limit, and
//! the same however it is cut; as a text it is refused if and only if that is not UTF-8; and any messages
//! come through compression as they were.

#![no_main]

use flate2::{Decompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;
use wsvisor::protocol::{
    BatchBuilder, Decoder, DeflateAgreement, FrameHeader, Limits, MessageEncoder, OpCode, Payload,
    PerMessageDeflate, ProtocolError, Step, apply_mask,
};

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&[cut, choices], payload)) = data.split_first_chunk() else { return };
    let agreed = agreement(choices);
    let expected = independently(payload);
    let cut_or_not = |opcode| {
        let frame = server_frame(opcode, payload);
        let whole = decode(&agreed, [&*frame]);
        assert_eq!(decode(&agreed, frame.chunks(usize::from(cut) + 1)), whole, "cut into pieces");
        whole
    };
    match (&expected, cut_or_not(OpCode::Binary)) {
        (Some(expected), Ok(messages)) => assert_eq!(messages, [&**expected]),
        (Some(expected), Err(ProtocolError::MessageTooBig { .. })) => {
            assert!(expected.len() > LIMIT);
        }
        // It may grow too big before it goes wrong.
        (None, Err(ProtocolError::InvalidDeflate | ProtocolError::MessageTooBig { .. })) => {}
        (expected, found) => panic!("{found:?}, and not {expected:?}"),
    }
    match (&expected, cut_or_not(OpCode::Text)) {
        (Some(expected), Ok(messages)) => {
            assert_eq!(messages, [&**expected]);
            assert!(std::str::from_utf8(expected).is_ok());
        }
        (Some(expected), Err(ProtocolError::InvalidUtf8)) => {
            assert!(std::str::from_utf8(expected).is_err());
        }
        // What is neither may be refused for the one or the other, and what is not DEFLATE as well for
        // what came before.
        (Some(expected), Err(ProtocolError::MessageTooBig { .. })) => {
            assert!(expected.len() > LIMIT);
        }
        (
            None,
            Err(
                ProtocolError::InvalidDeflate
                | ProtocolError::MessageTooBig { .. }
                | ProtocolError::InvalidUtf8,
            ),
        ) => {}
        (expected, found) => panic!("{found:?}, and not {expected:?} as a text"),
    }

    let mut encoder = MessageEncoder::with_deflate(agreed);
    let messages: Vec<_> = payload.split(|&byte| byte == cut).map(<[u8]>::to_vec).collect();
    let mut stream = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let mut frame = Vec::new();
        encoder.encode(&mut frame, Payload::Binary(message), [cut, 1, 2, choices]);
        if index % 7 == 6 {
            encoder.release_unused();
            encoder.release_unused();
        }
        stream.extend(as_servers(&frame));
    }
    assert_eq!(decode(&agreed, [&*stream]), Ok(messages));
});

/// A server that agrees to a window of ours takes the same one, so that one end can read the other.
fn agreement(choices: u8) -> DeflateAgreement {
    let bits = 9 + choices % 7;
    let takeover = if choices & 64 > 0 { "" } else { "; client_no_context_takeover" };
    let answer = format!("permessage-deflate; client_max_window_bits={bits}{takeover}");
    let offer = PerMessageDeflate::default().threshold(usize::from(choices >> 7) * 20);
    offer.judge([answer.as_bytes()].into_iter()).expect("it fits").expect("it agrees")
}

fn server_frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header =
        FrameHeader { fin: true, rsv: 0b100, opcode, mask: None, len: payload.len() as u64 };
    let mut frame = Vec::new();
    header.write(&mut frame);
    frame.extend_from_slice(payload);
    frame
}

/// A client's frame as a server would send it.
fn as_servers(frame: &[u8]) -> Vec<u8> {
    let (header, used) = FrameHeader::parse(frame).expect("valid").expect("whole");
    let mut payload = frame[used..].to_vec();
    apply_mask(&mut payload, header.mask.expect("a client masks"));
    let mut bytes = Vec::new();
    FrameHeader { mask: None, ..header }.write(&mut bytes);
    bytes.extend_from_slice(&payload);
    bytes
}

fn decode<'a>(
    agreed: &DeflateAgreement,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let limits = Limits::default().with_max_message(LIMIT);
    let mut decoder = Decoder::new(limits).with_deflate(agreed);
    let mut out = BatchBuilder::default();
    let mut messages = Vec::new();
    for piece in pieces {
        let mut at = 0;
        loop {
            let step = decoder.decode(piece, &mut at, &mut out);
            let batch = out.freeze();
            messages.extend(batch.iter().map(|message| message.as_bytes().to_vec()));
            assert!(messages.last().is_none_or(|message| message.len() <= LIMIT));
            if step? == Step::NeedMore {
                break;
            }
        }
    }
    Ok(messages)
}

/// What the payload and the tail inflate to (RFC 7692 §7.2.2), where they are whole blocks. A stream
/// may end with any of them, and what follows is another one, which may refer to what was before; an
/// empty payload is an empty message.
///
/// Whether the tail ends with a block is told by an empty last block behind it: it has to end a stream
/// and to make nothing. Inside a block its bytes would be taken for data or codes.
fn independently(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.is_empty() {
        return Some(Vec::new());
    }
    let input = [payload, &TAIL].concat();
    let mut output = vec![0; 8 * LIMIT];
    let (mut read, mut made) = (0, 0);
    let mut inflate = Decompress::new(false);
    while read < input.len() {
        let status = advance(&mut inflate, &input, &mut read, &mut output, &mut made)?;
        if status == Status::StreamEnd {
            inflate.reset(false);
            let known = &output[made.saturating_sub(1 << 15)..made];
            if !known.is_empty() {
                inflate.set_dictionary(known).ok()?;
            }
        }
    }
    let len = made;
    read = 0;
    let status = advance(&mut inflate, &LAST_BLOCK, &mut read, &mut output, &mut made)?;
    output.truncate(len);
    (status == Status::StreamEnd && read == LAST_BLOCK.len() && made == len).then_some(output)
}

const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// One step, and how far it got. `None` where it fails or nothing moves.
fn advance(
    inflate: &mut Decompress,
    input: &[u8],
    read: &mut usize,
    output: &mut [u8],
    made: &mut usize,
) -> Option<Status> {
    let before = (inflate.total_in(), inflate.total_out());
    let status =
        inflate.decompress(&input[*read..], &mut output[*made..], FlushDecompress::Sync).ok()?;
    *read += usize::try_from(inflate.total_in() - before.0).ok()?;
    *made += usize::try_from(inflate.total_out() - before.1).ok()?;
    let moved = before != (inflate.total_in(), inflate.total_out());
    (moved || status == Status::StreamEnd).then_some(status)
}
