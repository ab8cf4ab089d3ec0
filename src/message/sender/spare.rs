//! The memory of messages that were sent, which each thread keeps for those that it sends next.

use std::cell::RefCell;

use crate::protocol::Frames;

/// So many are kept at most, of so many bytes each.
const MOST: usize = 64;
const MOST_BYTES: usize = 1_024;

thread_local! {
    #[expect(clippy::vec_box, reason = "the box is spared too")]
    static SPARE: RefCell<Vec<Box<Frames>>> = const { RefCell::new(Vec::new()) };
}

/// For messages that are to be sent.
#[expect(clippy::unnecessary_box_returns, reason = "the box is spared too")]
pub(super) fn take() -> Box<Frames> {
    // The thread may be about to end.
    SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default()
}

/// All of these were sent.
pub(crate) fn keep(frames: Box<Frames>) {
    if frames.is_empty() && frames.capacity() <= MOST_BYTES {
        // The thread may be about to end.
        let _ = SPARE.try_with(|spare| {
            let spare = &mut *spare.borrow_mut();
            if spare.len() < MOST {
                spare.push(frames);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Payload;

    fn send(frames: &mut Frames, len: usize) {
        frames.push(Payload::Binary(&vec![1; len]), [1, 2, 3, 4]);
        frames.take(1, usize::MAX, &mut Vec::new());
    }

    #[test]
    fn memory_is_used_again_unless_it_is_much() {
        let mut used = take();
        send(&mut used, 100);
        let (place, capacity) = (&raw const *used, used.capacity());
        assert!(capacity >= 100);
        keep(used);
        let again = take();
        assert_eq!((&raw const *again, again.capacity(), again.len()), (place, capacity, 0));
        let mut large = again;
        send(&mut large, MOST_BYTES);
        keep(large);
        assert_eq!(take().capacity(), 0);
    }

    #[test]
    fn not_many_are_kept() {
        (0..2 * MOST).map(|_| Box::default()).for_each(keep);
        assert_eq!(SPARE.with_borrow(Vec::len), MOST);
    }

    #[test]
    fn what_was_not_sent_is_not_kept() {
        let mut frames = Box::<Frames>::default();
        frames.push(Payload::Text("late"), [1, 2, 3, 4]);
        keep(frames);
        assert!(take().is_empty());
    }
}
