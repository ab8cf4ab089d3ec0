//! Any compressed message: it inflates to what an independent loop makes of it, within its limit, and
//! the same however it is cut; and any messages come through compression as they were.

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
    let frame = server_frame(payload);
    let whole = decode(&agreed, [&*frame]);
    assert_eq!(decode(&agreed, frame.chunks(usize::from(cut) + 1)), whole, "cut into pieces");
    if let Some(expected) = independently(payload) {
        match &whole {
            Ok(messages) => assert_eq!(messages, &[expected]),
            Err(ProtocolError::MessageTooBig { .. }) => assert!(expected.len() > LIMIT),
            Err(error) => panic!("{error:?}"),
        }
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

fn server_frame(payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        fin: true,
        rsv: 0b100,
        opcode: OpCode::Binary,
        mask: None,
        len: payload.len() as u64,
    };
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

/// What the payload and the tail inflate to, where they do without an end of stream between; an empty
/// payload is an empty message.
fn independently(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.is_empty() {
        return Some(Vec::new());
    }
    let input = [payload, &[0, 0, 0xFF, 0xFF], &[0x03, 0x00]].concat();
    let mut inflate = Decompress::new(false);
    let mut output = vec![0; 4 * LIMIT];
    let status = inflate.decompress(&input, &mut output, FlushDecompress::Finish).ok()?;
    let all_in = inflate.total_in() == input.len() as u64;
    output.truncate(usize::try_from(inflate.total_out()).ok()?);
    (status == Status::StreamEnd && all_in).then_some(output)
}
