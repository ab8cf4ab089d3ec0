use proptest::prelude::*;

use super::*;
use crate::protocol::{encode_frame, encoded_len};

fn message() -> impl Strategy<Value = OwnedPayload> {
    let long = prop_oneof![Just(124), Just(125), Just(126), Just(300)];
    prop_oneof![
        4 => ".{0,9}".prop_map(|text| OwnedPayload::Text(text.into())),
        4 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|it| OwnedPayload::Binary(it.into())),
        1 => long.prop_map(|len| OwnedPayload::Binary(vec![7; len].into())),
    ]
}

/// Keys that are all different.
fn keys() -> impl FnMut() -> [u8; 4] {
    let mut number = 0_u32;
    move || {
        number = number.wrapping_add(0x0101_0307);
        number.to_be_bytes()
    }
}

fn frames(messages: &[OwnedPayload]) -> Frames {
    let (mut frames, mut key) = (Frames::default(), keys());
    for message in messages {
        frames.push(message.as_payload(), key());
    }
    frames
}

/// What a writer that encodes each as it goes would write.
fn encoded(messages: &[OwnedPayload]) -> Vec<u8> {
    let (mut out, mut key) = (Vec::new(), keys());
    for message in messages {
        encode_frame(
            &mut out,
            opcode_of(message.as_payload()),
            message.as_payload().as_bytes(),
            key(),
        );
    }
    out
}

proptest! {
    #[test]
    fn what_is_taken_bit_by_bit_is_what_would_be_encoded_at_once(
        messages in prop::collection::vec(message(), 0..30),
        before in 0usize..40,
        steps in prop::collection::vec((0usize..9, 0usize..200), 1..40),
        kept in 0usize..40,
    ) {
        let mut frames = frames(&messages);
        frames.truncate(kept);
        let messages = &messages[..kept.min(messages.len())];
        let lens: Vec<_> = messages.iter().map(OwnedPayload::len).collect();
        prop_assert_eq!(frames.lens().collect::<Vec<_>>(), &*lens);
        let mut written = vec![0; before];
        let mut done = 0;
        for (most, budget) in steps {
            prop_assert_eq!(frames.len(), messages.len() - done);
            prop_assert_eq!(frames.payload_bytes(), lens[done..].iter().sum::<usize>());
            if frames.is_empty() {
                break;
            }
            let mut out = written.clone();
            let taken = frames.take(most, before + budget, &mut out);
            let (count, at) = (taken.ends.len(), written.len());
            prop_assert!((1..=most.max(1)).contains(&count), "{count} of {most}");
            // Without the last there was room.
            let without_last = taken.ends.iter().rev().nth(1).map_or(0, |end| at + end);
            prop_assert!(count == 1 || before == 0 || without_last < before + budget);
            prop_assert_eq!(taken.payload_bytes, lens[done..done + count].iter().sum::<usize>());
            let mut end = 0;
            for (len, told) in lens[done..].iter().zip(&*taken.ends) {
                end += encoded_len(*len);
                prop_assert_eq!(*told, end);
            }
            prop_assert_eq!(out.len(), at + end);
            written = out;
            done += count;
        }
        let whole = encoded(messages);
        prop_assert_eq!(&written[before..], &whole[..written.len() - before]);
    }

    #[test]
    fn messages_come_out_again_as_they_were_handed_in(
        messages in prop::collection::vec(message(), 0..30),
        taken in 0usize..30,
    ) {
        let mut opened = frames(&messages);
        for message in messages.iter().take(taken) {
            let left = opened.payload_bytes();
            let (opcode, payload) = opened.reopen().expect("there is one more");
            prop_assert_eq!(opcode, opcode_of(message.as_payload()));
            prop_assert_eq!(payload, message.as_payload().as_bytes());
            prop_assert_eq!(opened.payload_bytes(), left - message.len());
        }
        let rest = messages.get(taken..).unwrap_or_default();
        prop_assert_eq!(opened.masked_anew(keys()).into_payloads().collect::<Vec<_>>(), rest);
        prop_assert_eq!(opened.into_payloads().collect::<Vec<_>>(), rest);
        let mut none = Frames::default();
        prop_assert!(none.reopen().is_none());
    }

    #[test]
    fn what_is_masked_anew_says_the_same_with_other_keys(
        messages in prop::collection::vec(message(), 0..30),
    ) {
        let mut first = frames(&messages);
        let mut key = keys();
        // None of the keys that were used.
        let mut second = first.masked_anew(|| key().map(|byte| !byte));
        let mut of_key = [Vec::new(), Vec::new()];
        let _ = first.take(usize::MAX, usize::MAX, &mut of_key[0]);
        let _ = second.take(usize::MAX, usize::MAX, &mut of_key[1]);
        let [mut one, mut other] = of_key;
        let (mut one, mut other) = (&mut *one, &mut *other);
        prop_assert_eq!(one.len(), other.len());
        for message in &messages {
            let (a, left) = one.split_at_mut(encoded_len(message.len()));
            let (b, right) = other.split_at_mut(a.len());
            let key_of = |frame: &[u8]| FrameHeader::parse(frame).unwrap().unwrap().0.mask;
            prop_assert_ne!(key_of(a), key_of(b));
            prop_assert_eq!(unmask(a), unmask(b));
            (one, other) = (left, right);
        }
    }
}

#[test]
fn an_empty_buffer_is_given_the_memory_of_all() {
    let messages = vec![OwnedPayload::Text("hello".into()); 100];
    let mut frames = frames(&messages);
    let memory = frames.bytes.as_ptr();
    let mut out = Vec::new();
    let taken = frames.take(usize::MAX, 1, &mut out);
    assert_eq!((taken.ends.len(), taken.payload_bytes, frames.len()), (100, 500, 0));
    assert_eq!((out.as_ptr(), &*out), (memory, &*encoded(&messages)));
}

#[test]
fn more_than_one_write_is_worth_goes_in_parts() {
    let messages = vec![OwnedPayload::Binary(vec![1; 1_000].into()); WHOLE / 1_000];
    let mut frames = frames(&messages);
    let mut out = Vec::new();
    let taken = frames.take(usize::MAX, 10_000, &mut out);
    assert_eq!((taken.ends.len(), out.len()), (10, 10_080));
    let memory = frames.bytes.as_ptr();
    let mut rest = Vec::new();
    frames.take(usize::MAX, usize::MAX, &mut rest);
    assert_ne!(rest.as_ptr(), memory, "what was begun is copied");
    assert_eq!([out, rest].concat(), encoded(&messages));
}

#[test]
fn the_payload_of_a_frame_is_as_long_as_its_header_says() {
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
        assert_eq!(payload_len(encoded_len(len)), len);
    }
}
