//! An independent implementation, tungstenite, reads the same streams as a client: it must see the
//! same.
//!
//! Documented differences, where this decoder is the stricter or the earlier one:
//!
//! - tungstenite takes lengths that are not in their shortest form, a control frame's of 16 bits too;
//! - it replaces a close code that must not be sent with 1002 and goes on, and it does not know 1014;
//! - it judges a frame only once that is whole: cut off inside a bad frame, it has no verdict yet.

use std::io::{self, Read, Write};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tungstenite::{
    Error, Message, WebSocket,
    error::{CapacityError, ProtocolError as TheirError},
    protocol::{Role, WebSocketConfig},
};

use super::{Event, binary, decode_pieces, streams, text};
use crate::protocol::{Limits, ProtocolError};

const LIMIT: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The stream ended; nothing was wrong so far.
    Open,
    Closed,
    Rejected,
}

/// Reads from memory; what is written goes nowhere.
pub(super) struct Wire<'a>(pub(super) &'a [u8]);

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

fn theirs(bytes: &[u8]) -> (Vec<Event>, Verdict) {
    let config =
        WebSocketConfig::default().max_frame_size(Some(LIMIT)).max_message_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Wire(bytes), Role::Client, Some(config));
    let mut events = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(content)) => events.push(text(&content)),
            Ok(Message::Binary(content)) => events.push(binary(&content)),
            Ok(Message::Ping(payload)) => events.push(Event::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => events.push(Event::Pong(payload.to_vec())),
            Ok(Message::Close(_)) => return (events, Verdict::Closed),
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(Error::Protocol(TheirError::ResetWithoutClosingHandshake)) => {
                return (events, Verdict::Open);
            }
            Err(
                Error::Protocol(_)
                | Error::Utf8(_)
                | Error::Capacity(CapacityError::MessageTooLong { .. }),
            ) => {
                return (events, Verdict::Rejected);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn ours(bytes: &[u8]) -> (Vec<Event>, Verdict, Option<ProtocolError>) {
    let limits = Limits::default()
        .with_max_frame(LIMIT)
        .with_max_message(LIMIT)
        .with_max_fragments(u32::MAX);
    let mut events = decode_pieces(limits, [bytes]);
    match events.pop() {
        Some(Event::Failed(error)) => (events, Verdict::Rejected, Some(error)),
        Some(Event::Close(_)) => (events, Verdict::Closed, None),
        last => {
            events.extend(last);
            (events, Verdict::Open, None)
        }
    }
}

/// Compares the two; says what both saw, and the verdict of each.
fn compare(bytes: &[u8]) -> Result<(Vec<Event>, Verdict, Verdict), TestCaseError> {
    let (ours, our_verdict, error) = ours(bytes);
    let (theirs, their_verdict) = theirs(bytes);
    match error {
        Some(ProtocolError::NonMinimalLength { .. } | ProtocolError::ControlTooLong { .. }) => {
            prop_assert!(theirs.starts_with(&ours), "ours {ours:?}, theirs {theirs:?}");
        }
        Some(ProtocolError::InvalidCloseCode(_)) => {
            prop_assert_eq!(&ours, &theirs);
            prop_assert_ne!(their_verdict, Verdict::Open);
        }
        Some(error) => {
            prop_assert_eq!(&ours, &theirs);
            let cut_off = their_verdict == Verdict::Open;
            prop_assert!(
                cut_off || their_verdict == Verdict::Rejected,
                "{error:?}, theirs {their_verdict:?}"
            );
        }
        None => {
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(our_verdict, their_verdict);
        }
    }
    Ok((ours, our_verdict, their_verdict))
}

proptest! {
    #[test]
    fn both_see_the_same_messages_and_verdict(bytes in streams::any_stream()) {
        compare(&bytes)?;
    }
}

#[test]
fn the_comparison_covers_every_verdict() {
    let mut runner = TestRunner::deterministic();
    let strategy = streams::any_stream();
    let (mut open, mut closed, mut rejected, mut cut_off, mut messages) = (0, 0, 0, 0, 0);
    for _ in 0..2000 {
        let bytes = strategy.new_tree(&mut runner).unwrap().current();
        let (events, ours, theirs) = compare(&bytes).unwrap();
        messages += events.len();
        *match (ours, theirs) {
            (Verdict::Open, _) => &mut open,
            (Verdict::Closed, _) => &mut closed,
            (Verdict::Rejected, Verdict::Open) => &mut cut_off,
            (Verdict::Rejected, _) => &mut rejected,
        } += 1;
    }
    let counts = format!(
        "open {open}, closed {closed}, rejected by both {rejected}, only by us {cut_off}, events {messages}"
    );
    assert!(open > 300 && closed > 150 && rejected > 500 && messages > 8000, "{counts}");
    assert!(cut_off < rejected / 2, "{counts}");
}
