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
    let pieces = bytes.chunks(usize::from(cut) % 40 + 1);
    assert_eq!(decode(pieces), (ours.clone_events(), verdict.clone()), "cut into pieces");

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

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Events, Verdict) {
    let limits = Limits::default()
        .with_max_frame(LIMIT)
        .with_max_message(LIMIT)
        .with_max_fragments(u32::MAX);
    let mut decoder = Decoder::new(limits);
    let mut out = BatchBuilder::default();
    let mut events = Vec::new();
    for piece in pieces {
        let mut at = 0;
        loop {
            let step = decoder.decode(piece, &mut at, &mut out);
            let batch = out.freeze();
            events.extend((0..batch.len()).filter_map(|i| batch.get_owned(i)).map(Event::Message));
            match step {
                Ok(Step::NeedMore) => break,
                Ok(Step::Flush) => assert!(!batch.is_empty(), "a flush of nothing never ends"),
                Ok(Step::Ping(payload)) => events.push(Event::Ping(payload.as_slice().to_vec())),
                Ok(Step::Pong(payload)) => events.push(Event::Pong(payload.as_slice().to_vec())),
                Ok(Step::Close(_)) => return (Events(events), Verdict::Closed),
                Err(error) => return (Events(events), Verdict::Rejected(Some(error))),
            }
        }
    }
    (Events(events), Verdict::Open)
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
