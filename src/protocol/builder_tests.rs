use proptest::{collection::vec, prelude::*};

use super::*;
use crate::protocol::OwnedPayload;

#[test]
fn adopts_without_a_copy_when_the_area_is_empty() {
    let (text, bytes) = ("t".repeat(100), vec![7; 100]);
    let addresses = [text.as_ptr(), bytes.as_ptr()];
    let mut builder = BatchBuilder::default();
    builder.adopt_text(text);
    builder.adopt_binary(bytes);
    let batch = builder.freeze();
    assert!(batch.iter().map(|payload| payload.as_bytes().as_ptr()).eq(addresses));
}

#[test]
fn adopts_with_a_copy_when_the_area_is_not() {
    let mut builder = BatchBuilder::default();
    for text in ["one", "two"] {
        builder.adopt_text(text.into());
        builder.adopt_binary(text.into());
    }
    let (one, two) = ("one", "two");
    let expected = [
        Payload::Text(one),
        Payload::Binary(one.as_bytes()),
        Payload::Text(two),
        Payload::Binary(two.as_bytes()),
    ];
    assert!(builder.freeze().iter().eq(expected));
}

#[test]
fn an_emptied_builder_starts_again() {
    let mut builder = BatchBuilder::default();
    builder.push_text("one");
    assert_eq!(builder.freeze().len(), 1);
    assert_eq!((builder.len(), builder.is_empty(), builder.payload_bytes()), (0, true, 0));
    builder.push_binary(b"two");
    let batch = builder.freeze();
    assert_eq!(batch.iter().collect::<Vec<_>>(), [Payload::Binary(b"two")]);
}

#[test]
fn a_batch_does_not_pin_what_was_reserved_in_vain() {
    let mut builder = BatchBuilder::default();
    builder.reserve_text(1 << 20);
    builder.reserve_binary(1 << 20);
    builder.segments.reserve(1 << 11);
    builder.push_text("small");
    builder.push_binary(b"small");
    let batch = builder.freeze();
    let (text, binary) = (Vec::from(batch.text.into_bytes()), Vec::from(batch.binary));
    assert!(text.capacity() < 1024, "{}", text.capacity());
    assert!(binary.capacity() < 1024, "{}", binary.capacity());
    let OneOrMany::Many(segments) = batch.segments else { panic!("two") };
    assert!(segments.capacity() < 1024, "{}", segments.capacity());
}

#[test]
fn what_is_empty_is_cleared_without_forgetting_what_to_expect() {
    let mut builder = BatchBuilder::default();
    (0..100).for_each(|_| builder.push_text("x"));
    assert_eq!(builder.freeze().len(), 100);
    builder.clear();
    builder.push_text("x");
    assert!(builder.segments.capacity() >= 100, "{}", builder.segments.capacity());
}

#[test]
fn dropping_large_messages_frees_their_memory() {
    let mut builder = BatchBuilder::default();
    builder.push_text(&"x".repeat(100_000));
    builder.push_text("kept");
    builder.retain(|payload| payload.len() < 10);
    assert_eq!(builder.payload_bytes(), 4);
    assert!(builder.text.capacity() < 1000);
    assert_eq!(builder.freeze().get(0), Some(Payload::Text("kept")));
}

#[test]
fn what_was_reserved_is_filled_without_moving() {
    let mut builder = BatchBuilder::default();
    builder.reserve_text(10_000);
    builder.reserve_binary(10_000);
    builder.push_text("x");
    builder.push_binary(b"x");
    let held = [builder.text.as_ptr(), builder.binary.as_ptr()];
    assert!(builder.text.capacity() >= 10_000 && builder.binary.capacity() >= 10_000);
    for _ in 1..10_000 {
        builder.push_text("x");
        builder.push_binary(b"x");
    }
    assert_eq!([builder.text.as_ptr(), builder.binary.as_ptr()], held);
}

#[test]
fn what_is_half_full_is_not_copied() {
    let mut builder = BatchBuilder {
        text: String::with_capacity(200),
        binary: Vec::with_capacity(200),
        segments: Vec::with_capacity(4),
        ..BatchBuilder::default()
    };
    builder.push_text(&"x".repeat(100));
    builder.push_binary(&[1; 100]);
    let held = [builder.text.as_ptr(), builder.binary.as_ptr()];
    let batch = builder.freeze();
    assert!(batch.iter().map(|payload| payload.as_bytes().as_ptr()).eq(held));
    assert!(matches!(&batch.segments, OneOrMany::Many(segments) if segments.capacity() == 4));
    let (text, binary) = (Vec::from(batch.text.into_bytes()), Vec::from(batch.binary));
    assert_eq!((text.capacity(), binary.capacity()), (200, 200));
    builder.push_text("equally");
    builder.push_text("long: 7");
    let held = builder.text.as_ptr();
    builder.retain(|payload| payload.as_bytes() == b"equally");
    assert_eq!((builder.text.as_ptr(), builder.text.len()), (held, 14));
}

#[test]
fn nothing_is_left_of_what_is_cleared() {
    let mut builder = BatchBuilder::default();
    builder.push_text("one");
    builder.push_binary(b"two");
    assert!(!builder.is_empty());
    assert_eq!(
        format!("{builder:?}"),
        "BatchBuilder { messages: 2, payload_bytes: 6, .. }",
        "how much there is, not what it says"
    );
    builder.clear();
    assert_eq!((builder.len(), builder.is_empty(), builder.payload_bytes()), (0, true, 0));
}

#[test]
fn nothing_is_left_of_what_was_reserved_in_vain() {
    let reserve: [fn(&mut BatchBuilder); 2] =
        [|builder| builder.reserve_text(100), |builder| builder.reserve_binary(100)];
    for reserve in reserve {
        let mut builder = BatchBuilder::default();
        reserve(&mut builder);
        builder.clear();
        assert_eq!((builder.text.capacity(), builder.binary.capacity()), (0, 0));
    }
}

#[test]
fn an_empty_builder_keeps_few_places() {
    for (places, kept) in [(RETAINED, RETAINED), (RETAINED + 1, 0)] {
        let segments = Vec::with_capacity(places);
        let mut builder = BatchBuilder { segments, ..BatchBuilder::default() };
        builder.push_text("one leaves the places to the next");
        builder.freeze();
        assert_eq!(builder.segments.capacity(), kept);
    }
}

#[test]
fn a_batch_is_expected_to_be_of_the_size_of_the_last() {
    let mut builder = BatchBuilder::default();
    for _ in 0..100 {
        builder.push_binary(b"x");
    }
    builder.freeze();
    builder.push_binary(b"x");
    assert!(builder.segments.capacity() >= 100, "{}", builder.segments.capacity());
}

/// One batch's memory is lent at a time, and used again once nobody reads it.
#[test]
fn the_memory_of_a_read_of_texts_is_used_again() {
    let text = "x".repeat(*RECYCLED.start());
    let mut builder = BatchBuilder::default();
    builder.push_text(&"too small to be worth it".repeat(300));
    drop(builder.freeze());
    assert!(builder.lent.is_empty());
    builder.push_text(&text);
    let first = builder.freeze();
    let held = first.get(0).unwrap().as_bytes().as_ptr();
    assert_eq!(builder.lent.as_ptr(), held);
    builder.text = text.clone();
    builder.push_segment(Kind::Text, 0, text.len());
    let second = builder.freeze();
    assert_eq!(builder.lent.as_ptr(), held, "the first is still lent");
    drop((first, second));
    builder.push_text("again");
    assert_eq!(builder.text.as_ptr(), held);
    let batch = builder.freeze();
    builder.push_text("and while that is read, elsewhere");
    assert_eq!(batch.get(0), Some(Payload::Text("again")));
}

#[test]
fn the_memory_of_a_read_is_used_again_by_the_other_kind() {
    let bytes = vec![7; *RECYCLED.start()];
    let mut builder = BatchBuilder::default();
    builder.push_binary(&bytes);
    let first = builder.freeze();
    let held = first.get(0).unwrap().as_bytes().as_ptr();
    drop(first);
    builder.reserve_binary(bytes.len());
    assert_eq!(builder.binary.as_ptr(), held);
    builder.push_binary(&bytes);
    drop(builder.freeze());
    builder.push_text("texts");
    assert_eq!(builder.text.as_ptr(), held);
    assert_eq!(
        builder.freeze().get(0),
        Some(Payload::Text("texts")),
        "and nothing of what was there"
    );
}

#[test]
fn memory_that_is_lent_is_for_those_who_need_much() {
    let mut builder = BatchBuilder::default();
    for (is_text, bytes, takes_it) in
        [(true, 100, false), (true, 30_000, true), (false, 100, false), (false, 30_000, true)]
    {
        builder.push_text(&"x".repeat(30_000));
        drop(builder.freeze());
        let held = builder.lent.as_ptr();
        assert!(!builder.lent.is_empty());
        let begun = if is_text {
            builder.reserve_text(bytes);
            builder.text.as_ptr()
        } else {
            builder.reserve_binary(bytes);
            builder.binary.as_ptr()
        };
        assert_eq!(begun == held, takes_it, "text: {is_text}, {bytes} bytes");
        // What is begun already stays where it is.
        builder.push_text("x");
        builder.push_binary(b"x");
        let begun = [builder.text.as_ptr(), builder.binary.as_ptr()];
        builder.lent = Bytes::from(vec![7; 30_000]);
        builder.reserve_text(1);
        builder.reserve_binary(1);
        assert_eq!([builder.text.as_ptr(), builder.binary.as_ptr()], begun);
        assert!(!builder.lent.is_empty());
        builder.clear();
        builder.lent = Bytes::new();
    }
}

#[test]
fn dropping_small_messages_copies_nothing() {
    let mut builder = BatchBuilder::default();
    builder.push_text("small");
    builder.push_text(&"x".repeat(100));
    let held = builder.text.as_ptr();
    builder.retain(|payload| payload.len() > 10);
    assert_eq!((builder.text.as_ptr(), builder.text.len()), (held, 105));
    let kept: Vec<_> = builder.iter().map(Payload::len).collect();
    assert_eq!(kept, [100]);
}

#[test]
fn room_ends_at_32_bits() {
    let mut builder = BatchBuilder::default();
    assert!(builder.has_room_for(u32::MAX as usize));
    builder.push_binary(b"x");
    assert!(!builder.has_room_for(u32::MAX as usize));
    assert!(!builder.has_room_for(usize::MAX));
}

proptest! {
    #[test]
    fn retain_keeps_the_chosen_in_order(
        messages in vec((any::<bool>(), any::<bool>(), "[a-zé]{0,9}"), 0..40),
    ) {
        let mut builder = BatchBuilder::default();
        let mut expected = Vec::new();
        for (is_text, kept, content) in &messages {
            let payload = if *is_text {
                builder.push_text(content);
                Payload::Text(content)
            } else {
                builder.push_binary(content.as_bytes());
                Payload::Binary(content.as_bytes())
            };
            if *kept {
                expected.push(OwnedPayload::from(payload));
            }
        }
        let mut decisions = messages.iter().map(|(_, kept, _)| *kept);
        builder.retain(|_| decisions.next().unwrap());
        builder.push_text("after");
        expected.push(OwnedPayload::Text("after".into()));
        let payload_bytes: usize = expected.iter().map(OwnedPayload::len).sum();
        prop_assert_eq!(builder.payload_bytes(), payload_bytes);
        let batch = builder.freeze();
        prop_assert_eq!(batch.len(), expected.len());
        prop_assert_eq!(batch.payload_bytes(), payload_bytes);
        for (i, payload) in expected.iter().enumerate() {
            let owned = batch.get_owned(i);
            prop_assert_eq!(owned.as_ref(), Some(payload));
        }
    }
}
