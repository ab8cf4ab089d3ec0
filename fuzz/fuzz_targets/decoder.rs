//! Any bytes of a server: the decoder sees in them what tungstenite sees, and sees the same however
//! they are cut into reads.
//!
//! Documented differences, where this decoder is the stricter or the earlier one:
//!
//! - tungstenite takes lengths that are not in their shortest form, a control frame's of 16 bits too;
//! - it answers a close code that must not be sent with 1002 and goes on, and does not know 1014;
//! - it judges a frame only once that is whole: cut off inside a bad frame, it has no verdict yet.

#![no_main]

use std::io::{self, Read, Write};

use bytes::BufMut as _;
use libfuzzer_sys::fuzz_target;
use tungstenite::{
    Error, Message, WebSocket,
    error::{CapacityError, ProtocolError as TheirError},
    protocol::{Role, WebSocketConfig},
};
use wsvisor::protocol::{BatchBuilder, Decoder, Limits, OwnedPayload, ProtocolError, Step};

const LIMIT: usize = 100_000;

#[derive(Debug, PartialEq)]
enum Event {
    Message(OwnedPayload),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    /// The stream ended; nothing was wrong so far.
    Open,
    Closed,
    Rejected(Option<ProtocolError>),
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let (ours, verdict) = decode([bytes]);
    let size = usize::from(cut) % 40 + 1;
    let same = (ours.clone_events(), verdict.clone());
    assert_eq!(decode(bytes.chunks(size)), same, "cut into pieces");
    assert_eq!(decode_in_place(bytes, size), same, "read in place, {size} bytes at a time");

    let (theirs, their_verdict) = theirs(bytes);
    match verdict {
        Verdict::Rejected(Some(
            ProtocolError::NonMinimalLength { .. } | ProtocolError::ControlTooLong { .. },
        )) => {
            assert!(theirs.starts_with(&ours.0), "{ours:?} {theirs:?}");
        }
        Verdict::Rejected(Some(ProtocolError::InvalidCloseCode(_))) => {
            assert_eq!(ours.0, theirs);
            assert_ne!(their_verdict, Verdict::Open);
        }
        Verdict::Rejected(error) => {
            assert_eq!(ours.0, theirs, "{error:?}");
            assert_ne!(their_verdict, Verdict::Closed, "{error:?}");
        }
        verdict => {
            assert_eq!(ours.0, theirs);
            assert_eq!(verdict, their_verdict);
        }
    }
});

#[derive(Debug, PartialEq)]
struct Events(Vec<Event>);

impl Events {
    fn clone_events(&self) -> Self {
        Self(self.0.iter().map(Event::copy).collect())
    }
}

impl Event {
    fn copy(&self) -> Self {
        match self {
            Self::Message(message) => Self::Message(message.clone()),
            Self::Ping(payload) => Self::Ping(payload.clone()),
            Self::Pong(payload) => Self::Pong(payload.clone()),
        }
    }
}

/// A decoder, and what it has said.
struct Ours {
    decoder: Decoder,
    events: Vec<Event>,
}

impl Ours {
    fn new() -> Self {
        let limits = Limits::default()
            .with_max_frame(LIMIT)
            .with_max_message(LIMIT)
            .with_max_fragments(u32::MAX);
        Self { decoder: Decoder::new(limits), events: Vec::new() }
    }

    /// The verdict, if these bytes lead to one.
    fn read(&mut self, piece: &[u8]) -> Option<Verdict> {
        let (mut at, mut out) = (0, BatchBuilder::default());
        loop {
            let step = self.decoder.decode(piece, &mut at, &mut out);
            let batch = out.freeze();
            let messages = (0..batch.len()).filter_map(|index| batch.get_owned(index));
            self.events.extend(messages.map(Event::Message));
            match step {
                Ok(Step::NeedMore) => return None,
                Ok(Step::Flush) => assert!(!batch.is_empty(), "a flush of nothing never ends"),
                Ok(Step::Ping(ping)) => self.events.push(Event::Ping(ping.as_slice().to_vec())),
                Ok(Step::Pong(pong)) => self.events.push(Event::Pong(pong.as_slice().to_vec())),
                Ok(Step::Close(_)) => return Some(Verdict::Closed),
                Err(error) => return Some(Verdict::Rejected(Some(error))),
            }
        }
    }

    fn end(self, verdict: Option<Verdict>) -> (Events, Verdict) {
        (Events(self.events), verdict.unwrap_or(Verdict::Open))
    }
}

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Events, Verdict) {
    let mut ours = Ours::new();
    let verdict = pieces.into_iter().find_map(|piece| ours.read(piece));
    ours.end(verdict)
}

/// Reads straight into messages wherever the decoder has them do so. Built for fuzzing it does from few bytes on.
fn decode_in_place(mut bytes: &[u8], size: usize) -> (Events, Verdict) {
    let mut ours = Ours::new();
    let mut verdict = None;
    while verdict.is_none() && !bytes.is_empty() {
        let mut take = |most: usize| {
            let (piece, rest) = bytes.split_at(size.min(most).min(bytes.len()));
            bytes = rest;
            piece
        };
        let filled = ours.decoder.fill(|room| room.put_slice(take(room.remaining_mut())));
        let piece = if filled.is_some() { &[] } else { take(usize::MAX) };
        verdict = ours.read(piece);
    }
    ours.end(verdict)
}

fn theirs(bytes: &[u8]) -> (Vec<Event>, Verdict) {
    let config =
        WebSocketConfig::default().max_frame_size(Some(LIMIT)).max_message_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Wire(bytes), Role::Client, Some(config));
    let mut events = Vec::new();
    loop {
        events.push(match socket.read() {
            Ok(Message::Text(text)) => Event::Message(OwnedPayload::Text(text.as_str().into())),
            Ok(Message::Binary(bytes)) => Event::Message(OwnedPayload::Binary(bytes)),
            Ok(Message::Ping(payload)) => Event::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Event::Pong(payload.to_vec()),
            Ok(Message::Close(_)) => return (events, Verdict::Closed),
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(Error::Protocol(TheirError::ResetWithoutClosingHandshake)) => {
                return (events, Verdict::Open);
            }
            Err(
                Error::Protocol(_)
                | Error::Utf8(_)
                | Error::Capacity(CapacityError::MessageTooLong { .. }),
            ) => return (events, Verdict::Rejected(None)),
            Err(error) => panic!("{error:?}"),
        });
    }
}

/// Reads from memory; what is written goes nowhere.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
