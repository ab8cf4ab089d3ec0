//! Large messages, whose bytes are read straight into them.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{Event, Session, decode, frame};
use crate::protocol::{BatchBuilder, Decoder, Limits, OpCode, OwnedPayload, Step};

/// What a read took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// Into a buffer, to be decoded from there.
    Aside(usize),
    /// Straight into the message.
    InPlace(usize),
}

/// Reads a stream in pieces of these sizes, again and again, into its messages where that may be. The
/// last is what each read took.
fn decode_filling(stream: &[u8], sizes: &[usize]) -> (Vec<Event>, Vec<Read>) {
    let mut session = Session::new(Decoder::new(Limits::default()));
    let mut reads = Vec::new();
    let mut rest = stream;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let mut take = |most: usize| {
            let size = sizes.next().map_or(0, |size| *size.min(&most).min(&rest.len()));
            let (piece, left) = rest.split_at(size);
            rest = left;
            piece
        };
        // A reader takes what there is memory for, and no memory for the end of the stream.
        let filled = session.decoder.fill(|room| {
            let memory = room.chunk_mut().len();
            assert!(memory > 0);
            let piece = take(memory);
            room.put_slice(piece);
            piece.len()
        });
        let (piece, read) = if let Some(len) = filled {
            (&[][..], Read::InPlace(len))
        } else {
            let piece = take(usize::MAX);
            (piece, Read::Aside(piece.len()))
        };
        reads.push(read);
        if session.read(piece).is_break() {
            break;
        }
    }
    (session.events, reads)
}

/// A large message, in any number of frames, and a ping behind each.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        2 => (0..40_000_usize).prop_map(|count| (OpCode::Text, "aé€😀".repeat(count).into_bytes())),
        2 => (0..400_000_usize).prop_map(|len| (OpCode::Text, vec![b'x'; len])),
        2 => (0..400_000_usize).prop_map(|len| (OpCode::Binary, vec![7; len])),
        1 => "[ -~éπ€😀]{0,40}".prop_map(|text| (OpCode::Text, text.into_bytes())),
    ];
    let cuts = prop_oneof![3 => Just(Vec::new()), 1 => vec(any::<Index>(), 1..3)];
    (content, cuts).prop_map(|((opcode, payload), cuts)| {
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        ends.push(payload.len());
        ends.sort_unstable();
        let (mut stream, mut start) = (Vec::new(), 0);
        for (number, &end) in ends.iter().enumerate() {
            let opcode = if number == 0 { opcode } else { OpCode::Continuation };
            stream.extend(frame(number + 1 == ends.len(), opcode, &payload[start..end]));
            stream.extend(frame(true, OpCode::Ping, b"!"));
            start = end;
        }
        stream
    })
}

/// Large messages, some with a byte changed.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::option::weighted(0.5, (any::<Index>(), any::<u8>()));
    (vec(message(), 1..4), damage).prop_map(|(messages, damage)| {
        let mut stream = messages.concat();
        if let Some((at, byte)) = damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        stream
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_in_place_is_what_would_have_been_copied(
        stream in stream(),
        sizes in vec(1..200_000_usize, 1..6),
    ) {
        let (events, _) = decode_filling(&stream, &sizes);
        prop_assert!(events == decode(&stream), "differs when read by {sizes:?}");
    }
}

const READ: usize = 128 * 1024;

#[test]
fn of_a_large_message_only_the_first_read_is_copied() {
    for (opcode, payload) in
        [(OpCode::Text, "x".repeat(1 << 20).into_bytes()), (OpCode::Binary, vec![7; 1 << 20])]
    {
        let stream = frame(true, opcode, &payload).repeat(3);
        let (events, reads) = decode_filling(&stream, &[READ]);
        assert_eq!(events.len(), 3);
        let copied: usize =
            reads.iter().map(|read| if let Read::Aside(len) = read { *len } else { 0 }).sum();
        assert!(copied <= 3 * READ + 1_000, "{copied} bytes: {reads:?}");
    }
}

#[test]
fn one_read_takes_a_mebibyte_at_most() {
    let large = frame(true, OpCode::Binary, &vec![7; 8 << 20]);
    let (_, reads) = decode_filling(&large, &[READ, usize::MAX]);
    let in_place = reads.iter().filter_map(|read| match read {
        Read::InPlace(len) => Some(*len),
        Read::Aside(_) => None,
    });
    assert_eq!(in_place.max(), Some(1 << 20), "{reads:?}");
}

#[test]
fn bad_text_fails_with_the_read_that_brought_it() {
    let mut text = frame(true, OpCode::Text, &vec![b'x'; 1 << 20]);
    text[READ + 5] = 0xFF;
    let (events, reads) = decode_filling(&text, &[READ]);
    assert_eq!((events, reads.len()), (decode(&text), 2));
}

/// Memory of a message that nobody reads any more is that of the next, also where the end of a read cuts it.
#[test]
fn large_messages_use_memory_again() {
    let message = frame(true, OpCode::Text, &vec![b'x'; 100_000]);
    let mut decoder = Decoder::new(Limits::default());
    let mut out = BatchBuilder::default();
    let mut receive = || {
        let (first, rest) = message.split_at(50_000);
        let mut at = 0;
        assert_eq!(decoder.decode(first, &mut at, &mut out), Ok(Step::NeedMore));
        decoder.fill(|room| room.put_slice(&rest[..40_000])).expect("room");
        assert_eq!(decoder.decode(&[], &mut 0, &mut out), Ok(Step::NeedMore));
        assert_eq!(decoder.decode(rest, &mut 40_000, &mut out), Ok(Step::Flush));
        out.freeze().get_owned(0).expect("a message")
    };
    let place = |message: &OwnedPayload| message.as_payload().as_bytes().as_ptr();
    let first = receive();
    let held = place(&first);
    drop(first);
    let second = receive();
    assert_eq!(place(&second), held);
    let third = receive();
    assert_ne!(place(&third), held, "the second is still read");
}
