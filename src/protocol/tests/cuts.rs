//! Where a stream is cut into reads changes nothing.

use proptest::{
    collection::vec, prelude::*, sample::Index, strategy::ValueTree, test_runner::TestRunner,
};

use super::{Event, decode_pieces, streams};
use crate::protocol::Limits;

/// Small enough for the streams to reach them.
fn tight() -> Limits {
    Limits::default().with_max_frame(65_600).with_max_message(65_700).with_max_fragments(4)
}

fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([bytes.len()]);
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

proptest! {
    #[test]
    fn any_cut_decodes_to_the_same(
        bytes in streams::any_stream(),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        for limits in [tight(), Limits::default()] {
            let whole = decode_pieces(limits, [&*bytes]);
            prop_assert_eq!(&decode_pieces(limits, cut(&bytes, &cuts)), &whole);
            if bytes.len() < 2000 {
                prop_assert_eq!(&decode_pieces(limits, bytes.chunks(1)), &whole);
            }
        }
    }

    #[test]
    fn a_valid_stream_has_no_error(bytes in streams::valid()) {
        let events = decode_pieces(Limits::default(), [&*bytes]);
        prop_assert!(!events.iter().any(|event| matches!(event, Event::Failed(_))), "{events:?}");
    }
}

#[test]
fn the_streams_reach_every_error_and_long_conversations() {
    let mut runner = TestRunner::deterministic();
    let strategy = streams::any_stream();
    let mut errors = std::collections::BTreeMap::<String, usize>::new();
    let (mut long, mut closed) = (0, 0);
    for _ in 0..4000 {
        let bytes = strategy.new_tree(&mut runner).unwrap().current();
        let events = decode_pieces(tight(), [&*bytes]);
        long += usize::from(events.len() > 10);
        closed += usize::from(matches!(events.last(), Some(Event::Close(_))));
        if let Some(Event::Failed(error)) = events.last() {
            let name = format!("{error:?}");
            let name = name.split([' ', '(']).next().unwrap_or_default();
            *errors.entry(name.to_owned()).or_default() += 1;
        }
    }
    assert!(long > 500, "{long} long streams");
    assert!(closed > 300, "{closed} closed streams");
    assert_eq!(errors.len(), 16, "every variant of ProtocolError: {errors:?}");
    assert!(errors.values().all(|&count| count > 1), "{errors:?}");
}
