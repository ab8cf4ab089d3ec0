//! What is encoded reads back as it was, by this decoder and by a foreign server.

use proptest::{collection::vec, prelude::*};
use tungstenite::{Message, WebSocket, protocol::Role};

use super::{Event, agreement::Wire, binary, decode, text};
use crate::protocol::{
    CloseFrame, FrameHeader, OpCode, OwnedPayload, apply_mask, encode_close, encode_frame,
};

proptest! {
    #[test]
    fn our_decoder_reads_what_is_encoded_once_it_is_unmasked(
        (events, mut bytes) in conversation()
    ) {
        prop_assert_eq!(decode(&unmask(&mut bytes)), events);
    }

    #[test]
    fn a_foreign_server_reads_what_is_encoded((events, bytes) in conversation()) {
        let mut server = WebSocket::from_raw_socket(Wire(&bytes), Role::Server, None);
        for event in events {
            let message = server.read().unwrap();
            let expected = match event {
                Event::Message(OwnedPayload::Text(content)) => Message::text(&*content),
                Event::Message(OwnedPayload::Binary(content)) => Message::binary(content),
                Event::Ping(payload) => Message::Ping(payload.into()),
                Event::Pong(payload) => Message::Pong(payload.into()),
                Event::Close(Some(close)) => Message::Close(Some(tungstenite::protocol::CloseFrame {
                    code: close.code().get().into(),
                    reason: close.reason().into(),
                })),
                Event::Close(None) => Message::Close(None),
                Event::Failed(error) => return Err(TestCaseError::fail(error.to_string())),
            };
            prop_assert_eq!(message, expected);
        }
    }
}

/// Messages and control frames with a Close at the end, and their client frames.
fn conversation() -> impl Strategy<Value = (Vec<Event>, Vec<u8>)> {
    let payload = vec(any::<u8>(), 0..126);
    let large = (65_530..65_540_usize).prop_map(|len| binary(&vec![7; len]));
    let event = prop_oneof![
        8 => "[ -~éπ€😀]{0,200}".prop_map(|content| text(&content)),
        8 => vec(any::<u8>(), 0..300).prop_map(|content| binary(&content)),
        1 => large,
        2 => payload.clone().prop_map(Event::Ping),
        2 => payload.prop_map(Event::Pong),
    ];
    let close = prop::option::of((3000..5000_u16, "[ -~é]{0,60}"))
        .prop_map(|close| close.map(|(code, reason)| CloseFrame::new(code, reason).unwrap()));
    (vec((event, any::<[u8; 4]>()), 0..12), close, any::<[u8; 4]>()).prop_map(
        |(events, close, key)| {
            let mut bytes = Vec::new();
            for (event, key) in &events {
                encode(&mut bytes, event, *key);
            }
            encode_close(&mut bytes, close.as_ref(), key);
            let events = events.into_iter().map(|(event, _)| event);
            (events.chain([Event::Close(close)]).collect(), bytes)
        },
    )
}

fn encode(out: &mut Vec<u8>, event: &Event, key: [u8; 4]) {
    match event {
        Event::Message(OwnedPayload::Text(text)) => {
            encode_frame(out, OpCode::Text, text.as_bytes(), key);
        }
        Event::Message(OwnedPayload::Binary(bytes)) => {
            encode_frame(out, OpCode::Binary, bytes, key);
        }
        Event::Ping(payload) => encode_frame(out, OpCode::Ping, payload, key),
        Event::Pong(payload) => encode_frame(out, OpCode::Pong, payload, key),
        Event::Close(_) | Event::Failed(_) => unreachable!("not generated"),
    }
}

/// The same frames as a server would send them.
fn unmask(mut bytes: &mut [u8]) -> Vec<u8> {
    let mut unmasked = Vec::new();
    while let Some((header, used)) = FrameHeader::parse(bytes).unwrap() {
        let len = usize::try_from(header.len).unwrap();
        let (payload, rest) = bytes.split_at_mut(used).1.split_at_mut(len);
        apply_mask(payload, header.mask.expect("a client masks"));
        FrameHeader { mask: None, ..header }.write(&mut unmasked);
        unmasked.extend_from_slice(payload);
        bytes = rest;
    }
    unmasked
}
