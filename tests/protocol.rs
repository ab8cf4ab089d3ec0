//! The codec from outside, against others: compressed text as flate2 makes it, judged by the standard
//! library.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use flate2::{Compress, Compression, FlushCompress};
use proptest::{collection::vec, prelude::*, sample::Index};
use wsvisor::{
    Limits, PerMessageDeflate, ProtocolError,
    protocol::{BatchBuilder, Decoder, FrameHeader, OpCode, Step},
};

/// One message as a server compresses it (RFC 7692 §7.2.1), in frames that end at these places.
fn frames(deflate: &mut Compress, message: &[u8], cuts: &[Index]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(message.len() * 2 + 1_000);
    if message.is_empty() {
        // There is nothing to flush: an empty block (§7.2.3.6).
        payload.push(0);
    } else {
        deflate.compress_vec(message, &mut payload, FlushCompress::Sync).unwrap();
        assert!(payload.ends_with(&[0, 0, 0xFF, 0xFF]) && payload.len() < payload.capacity());
        payload.truncate(payload.len() - 4);
    }
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
    ends.push(payload.len());
    ends.sort_unstable();
    let (mut stream, mut start) = (Vec::new(), 0);
    for (number, end) in ends.iter().enumerate() {
        let header = FrameHeader {
            fin: number + 1 == ends.len(),
            rsv: if number == 0 { 0b100 } else { 0 },
            opcode: if number == 0 { OpCode::Text } else { OpCode::Continuation },
            mask: None,
            len: (end - start) as u64,
        };
        header.write(&mut stream);
        stream.extend_from_slice(&payload[start..*end]);
        start = *end;
    }
    stream
}

/// The messages that the decoder makes of this, read in pieces of such a size, and how it ended.
fn decode(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<ProtocolError>) {
    let agreed = PerMessageDeflate::default()
        .judge([b"permessage-deflate".as_slice()].into_iter())
        .unwrap()
        .unwrap();
    let mut decoder = Decoder::new(Limits::default()).with_deflate(&agreed);
    let (mut out, mut messages) = (BatchBuilder::default(), Vec::new());
    for piece in stream.chunks(piece) {
        let mut at = 0;
        loop {
            let step = decoder.decode(piece, &mut at, &mut out);
            let batch = out.freeze();
            messages.extend(batch.iter().map(|it| it.as_text().unwrap().as_bytes().to_vec()));
            match step {
                Ok(Step::NeedMore) => break,
                Ok(_) => {}
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => ".{0,40}".prop_map(String::into_bytes),
        // Long enough for several chunks of output, with characters across their borders.
        1 => (1usize..9_000).prop_map(|count| "aé€😀".repeat(count).into_bytes()),
        1 => vec(any::<u8>(), 0..6),
        1 => (0usize..4).prop_map(|len| "😀".as_bytes()[..len].to_vec()),
    ];
    vec(part, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn compressed_text_is_what_was_compressed_if_that_is_utf8_and_else_refused(
        messages in vec((bytes(), vec(any::<Index>(), 0..4)), 1..4),
        level in 0u32..10,
        piece in prop_oneof![1usize..20, 20usize..5_000, Just(usize::MAX)],
    ) {
        // One compressor for all: later messages refer to the earlier ones.
        let mut deflate = Compress::new(Compression::new(level), false);
        let stream: Vec<u8> =
            messages.iter().flat_map(|(message, cuts)| frames(&mut deflate, message, cuts)).collect();
        let is_text = |message: &&Vec<u8>| std::str::from_utf8(message).is_ok();
        let contents: Vec<_> = messages.iter().map(|(message, _)| message).collect();
        let texts: Vec<_> = contents.iter().copied().take_while(is_text).cloned().collect();
        let refused = texts.len() < contents.len();
        let (decoded, error) = decode(&stream, piece);
        prop_assert_eq!(error, refused.then_some(ProtocolError::InvalidUtf8));
        prop_assert!(decoded == texts, "{} messages, and not {}", decoded.len(), texts.len());
    }
}
