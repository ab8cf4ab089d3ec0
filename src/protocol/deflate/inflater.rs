use std::{cell::Cell, fmt};

use flate2::{Decompress, FlushDecompress, Status};

use super::{DeflateAgreement, TAIL};
use crate::protocol::ProtocolError;

/// Decompresses the messages of one connection.
///
/// Between messages it keeps the end of what it has seen, and nothing of that where the server said
/// that it refers to no earlier message. The machinery itself, some 50 KiB, is the thread's: a
/// connection has it only while a message of its is under way.
pub(in crate::protocol) struct Inflater {
    history: History,
    takeover: bool,
    /// Present while a message is under way.
    engine: Option<Box<Engine>>,
}

/// What is decompressed in one step, in bytes.
const CHUNK: usize = 16 * 1024;

/// An empty last block: the end of a stream, where a stream can end.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

thread_local! {
    /// Memory to use again, and no more than that: it is reset before each use.
    static SPARE: Cell<Option<Box<Engine>>> = const { Cell::new(None) };
}

impl Inflater {
    pub(in crate::protocol) fn new(agreement: &DeflateAgreement) -> Self {
        let window = 1 << agreement.server_window_bits;
        Self {
            history: History { bytes: Vec::new(), window },
            takeover: agreement.server_context_takeover,
            engine: None,
        }
    }

    /// Decompresses the next piece of a message into `sink`, chunk by chunk.
    pub(in crate::protocol) fn push(
        &mut self,
        mut piece: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None if piece.is_empty() => return Ok(()),
            None => Engine::starting_after(&self.history)?,
        };
        loop {
            let step = engine.step(piece);
            piece = piece.get(step.taken..).unwrap_or_default();
            let made = engine.chunk.get(..step.made).unwrap_or_default();
            self.history.remember(made);
            sink(made)?;
            if step.failed {
                return Err(ProtocolError::InvalidDeflate);
            }
            if step.ended {
                // A server may end its stream with each block (§7.2.3.5), and start another one.
                engine.restart(&self.history)?;
            } else if step.made < CHUNK && (piece.is_empty() || step.taken == 0) {
                break;
            }
        }
        if !piece.is_empty() {
            return Err(ProtocolError::InvalidDeflate);
        }
        self.engine = Some(engine);
        Ok(())
    }

    /// Ends the message: what was cut off its end is added, and it must end there.
    ///
    /// A message of no bytes at all is an empty message.
    pub(in crate::protocol) fn finish(
        &mut self,
        sink: impl FnMut(&[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        if self.engine.is_none() {
            return Ok(());
        }
        self.push(&TAIL, sink)?;
        let Some(mut engine) = self.engine.take() else { return Ok(()) };
        let end = engine.step(&LAST_BLOCK);
        if !end.ended || end.made > 0 || end.taken < LAST_BLOCK.len() {
            return Err(ProtocolError::InvalidDeflate);
        }
        SPARE.set(Some(engine));
        if !self.takeover {
            self.history.bytes = Vec::new();
        }
        Ok(())
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("history", &self.history.bytes.len())
            .finish_non_exhaustive()
    }
}

struct Engine {
    inflate: Decompress,
    chunk: Box<[u8]>,
}

struct Progress {
    taken: usize,
    made: usize,
    ended: bool,
    /// What follows is no DEFLATE. What was made before is judged first, so that cuts change nothing.
    failed: bool,
}

impl Engine {
    fn starting_after(history: &History) -> Result<Box<Self>, ProtocolError> {
        let mut engine = SPARE.take().unwrap_or_else(|| {
            let chunk = vec![0; CHUNK].into_boxed_slice();
            Box::new(Self { inflate: Decompress::new(false), chunk })
        });
        engine.restart(history)?;
        Ok(engine)
    }

    fn restart(&mut self, history: &History) -> Result<(), ProtocolError> {
        self.inflate.reset(false);
        let known = history.last_window();
        if !known.is_empty() {
            self.inflate.set_dictionary(known).map_err(|_| ProtocolError::InvalidDeflate)?;
        }
        Ok(())
    }

    fn step(&mut self, input: &[u8]) -> Progress {
        let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, &mut self.chunk, FlushDecompress::None);
        // Both are at most the lengths of what was given.
        let difference = |after: u64, before| usize::try_from(after - before).unwrap_or_default();
        Progress {
            taken: difference(self.inflate.total_in(), in_before),
            made: difference(self.inflate.total_out(), out_before),
            ended: matches!(status, Ok(Status::StreamEnd)),
            failed: status.is_err(),
        }
    }
}

/// The end of what was decompressed: what the next block may refer to.
struct History {
    bytes: Vec<u8>,
    window: usize,
}

impl History {
    fn remember(&mut self, made: &[u8]) {
        let start = made.len().saturating_sub(self.window);
        let made = made.get(start..).unwrap_or_default();
        // A quarter more than is needed is kept, so that not each message moves it all.
        if self.bytes.len() + made.len() > self.window + self.window / 4 {
            let excess = (self.bytes.len() + made.len()).saturating_sub(self.window);
            self.bytes.drain(..excess.min(self.bytes.len()));
        }
        self.bytes.extend_from_slice(made);
    }

    fn last_window(&self) -> &[u8] {
        let start = self.bytes.len().saturating_sub(self.window);
        self.bytes.get(start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflater(server_window_bits: u8, server_context_takeover: bool) -> Inflater {
        let offer = super::super::PerMessageDeflate::default();
        let plain = offer.judge([b"permessage-deflate".as_slice()].into_iter()).unwrap().unwrap();
        Inflater::new(&DeflateAgreement { server_context_takeover, server_window_bits, ..plain })
    }

    fn inflate(inflater: &mut Inflater, payload: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        let mut message = Vec::new();
        let mut sink = |made: &[u8]| {
            message.extend_from_slice(made);
            Ok(())
        };
        for piece in payload.chunks(3) {
            inflater.push(piece, &mut sink)?;
        }
        inflater.finish(sink)?;
        Ok(message)
    }

    /// The examples of RFC 7692 §7.2.3.
    #[test]
    fn examples_of_rfc_7692() {
        let mut inflater = inflater(15, true);
        for (what, payload, message) in [
            ("one block", &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00][..], b"Hello".as_slice()),
            ("the sliding window", &[0xF2, 0x00, 0x11, 0x00, 0x00], b"Hello"),
            (
                "no compression",
                &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
                b"Hello",
            ),
            ("a block with BFINAL", &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], b"Hello"),
            (
                "two blocks",
                &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
                b"Hello",
            ),
            ("an empty message", &[0x00], b""),
            ("no bytes at all", &[], b""),
        ] {
            assert_eq!(inflate(&mut inflater, payload).as_deref(), Ok(message), "{what}");
        }
    }

    #[test]
    fn a_fragment_without_bytes_is_nothing() {
        let mut inflater = inflater(15, true);
        for _ in 0..2 {
            inflater.push(&[], |_| Ok(())).unwrap();
        }
        let mut made = 0;
        inflater
            .finish(|bytes| {
                made += bytes.len();
                Ok(())
            })
            .unwrap();
        assert_eq!(made, 0);
        assert_eq!(
            inflate(&mut inflater, &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]).unwrap(),
            b"Hello"
        );
        assert_eq!(format!("{inflater:?}"), "Inflater { history: 5, .. }", "its length alone");
    }

    #[test]
    fn without_takeover_nothing_is_referred_to_or_kept() {
        let mut inflater = inflater(15, false);
        let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
        assert_eq!(inflate(&mut inflater, &hello).unwrap(), b"Hello");
        assert_eq!(inflater.history.bytes.capacity(), 0);
        let refers_back = [0xF2, 0x00, 0x11, 0x00, 0x00];
        assert_eq!(inflate(&mut inflater, &refers_back), Err(ProtocolError::InvalidDeflate));
    }

    #[test]
    fn a_message_that_stops_inside_a_block_is_refused() {
        let whole = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
        for end in 1..whole.len() {
            let cut = inflate(&mut inflater(15, true), &whole[..end]);
            assert_eq!(cut, Err(ProtocolError::InvalidDeflate), "{end} bytes");
        }
        // The tail is to be cut off, not sent.
        let with_tail = [&whole[..], &TAIL].concat();
        let verdict = inflate(&mut inflater(15, true), &with_tail);
        assert_eq!(verdict, Err(ProtocolError::InvalidDeflate));
        // A block that is not over takes the tail for codes. Who does not ask whether it ended
        // delivers what comes of them.
        let cut = inflate(&mut inflater(15, true), &[0x5B, 0xF3, 0x68]);
        assert_eq!(cut, Err(ProtocolError::InvalidDeflate));
        // Behind a final block comes the first byte of an empty one (RFC 7692 §7.2.3.4).
        let bare = inflate(&mut inflater(15, true), &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]);
        assert_eq!(bare, Err(ProtocolError::InvalidDeflate));
        for nonsense in [&[0xFF][..], &[0x07], &[0x01, 0x02, 0x03, 0x04], b"plain text"] {
            let verdict = inflate(&mut inflater(15, true), nonsense);
            assert_eq!(verdict, Err(ProtocolError::InvalidDeflate), "{nonsense:?}");
        }
    }

    #[test]
    fn the_history_is_the_window_and_a_quarter() {
        let mut history = History { bytes: Vec::new(), window: 512 };
        let mut all = Vec::new();
        for round in 0..200_u8 {
            let made = vec![round; usize::from(round) * 5];
            history.remember(&made);
            all.extend_from_slice(&made);
            assert_eq!(history.last_window(), &all[all.len().saturating_sub(512)..]);
            assert!(history.bytes.len() <= 640, "{}", history.bytes.len());
        }
        assert!(history.bytes.capacity() <= 2 * 640);
        history.bytes.truncate(512);
        (0..128).for_each(|_| history.remember(b"x"));
        assert_eq!(history.bytes.len(), 640, "nothing is moved before the quarter is full");
        history.remember(b"x");
        assert_eq!(history.bytes.len(), 512);
    }

    /// Among them those that inflate to more than a chunk.
    #[test]
    fn what_the_bytes_say_comes_at_once_however_they_are_cut() {
        let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
        let mut payload = Vec::with_capacity(1_000);
        let message = vec![0; 4 * CHUNK];
        compress.compress_vec(&message, &mut payload, flate2::FlushCompress::Sync).unwrap();
        for end in 1..=payload.len() {
            let made_in_pieces_of = |len| {
                let (mut inflater, mut made) = (inflater(15, true), 0);
                for piece in payload[..end].chunks(len) {
                    let count = |bytes: &[u8]| {
                        made += bytes.len();
                        Ok(())
                    };
                    inflater.push(piece, count).unwrap();
                }
                made
            };
            assert_eq!(made_in_pieces_of(end), made_in_pieces_of(1), "{end} bytes");
        }
    }

    #[test]
    fn errors_of_the_sink_are_passed_on() {
        let mut inflater = inflater(15, true);
        let refused = ProtocolError::MessageTooBig { announced: 5, limit: 4 };
        let verdict = inflater
            .push(&[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], |made| {
                if made.is_empty() { Ok(()) } else { Err(refused.clone()) }
            })
            .and_then(|()| {
                inflater.finish(|made| if made.is_empty() { Ok(()) } else { Err(refused.clone()) })
            });
        assert_eq!(verdict, Err(refused));
    }
}
