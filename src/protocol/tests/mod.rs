//! Tests of the decoder as a whole: rules by table, then properties over streams of frames.

mod agreement;
mod cuts;
#[cfg(feature = "deflate")]
mod deflate;
mod filling;
mod round_trip;
mod rules;
mod streams;

use std::ops::ControlFlow;

use super::{BatchBuilder, CloseFrame, Decoder, Limits, OpCode, OwnedPayload, ProtocolError, Step};

/// What came out of a stream, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Message(OwnedPayload),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseFrame>),
    Failed(ProtocolError),
}

fn text(text: &str) -> Event {
    Event::Message(OwnedPayload::Text(text.into()))
}

fn binary(bytes: &[u8]) -> Event {
    Event::Message(OwnedPayload::Binary(bytes.to_vec().into()))
}

/// Decodes pieces as a session does: batches leave before steps are acted on, and an error ends it.
fn decode_pieces<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    decode_pieces_with(Decoder::new(limits), pieces)
}

fn decode_pieces_with<'a>(
    decoder: Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Event> {
    let mut session = Session::new(decoder);
    for piece in pieces {
        if session.read(piece).is_break() {
            break;
        }
    }
    session.events
}

/// A decoder, and what came out of it.
struct Session {
    decoder: Decoder,
    out: BatchBuilder,
    events: Vec<Event>,
}

impl Session {
    fn new(decoder: Decoder) -> Self {
        Self { decoder, out: BatchBuilder::default(), events: Vec::new() }
    }

    /// Decodes this, and breaks off after an error.
    fn read(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let Self { decoder, out, events } = self;
        let mut at = 0;
        loop {
            let step = decoder.decode(piece, &mut at, out);
            let batch = out.freeze();
            events.extend((0..batch.len()).filter_map(|i| batch.get_owned(i)).map(Event::Message));
            match step {
                Ok(Step::NeedMore) => break,
                Ok(Step::Flush) => {
                    assert!(!batch.is_empty(), "a flush without content would never end");
                }
                Ok(Step::Ping(payload)) => events.push(Event::Ping(payload.as_slice().to_vec())),
                Ok(Step::Pong(payload)) => events.push(Event::Pong(payload.as_slice().to_vec())),
                Ok(Step::Close(close)) => events.push(Event::Close(close)),
                Err(error) => {
                    assert!(!decoder.is_mid_message() && decoder.buffered_bytes() == 0);
                    events.push(Event::Failed(error));
                    return ControlFlow::Break(());
                }
            }
        }
        assert_eq!(at, piece.len());
        ControlFlow::Continue(())
    }
}

fn decode(bytes: &[u8]) -> Vec<Event> {
    decode_pieces(Limits::default(), [bytes])
}

/// A server's frame.
fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = super::FrameHeader { fin, rsv: 0, opcode, mask: None, len: payload.len() as u64 };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}
