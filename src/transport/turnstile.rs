//! Which of the flooded sessions of a thread reads next.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

thread_local! {
    static TURNSTILE: Arc<Semaphore> = Arc::new(Semaphore::new(1));
}

/// A flooded session's place at the turnstile of its thread, which lets one of them through at a time.
///
/// Its time there lasts from a read to the session's next turn, so that its subscribers have theirs in
/// between, and what was read is mostly gone before the next session reads. Without it a thread reads
/// a hundred floods one after the other, and what is then on its way is more than a near cache holds.
/// For the same reason a large message is read to its end, or [`MOST`] bytes of it, where a hundred
/// would else be unfinished at once.
///
/// Who is through is woken anyway, and nothing it waits for is in another's hands: it hands on the turn
/// whatever its subscribers do. One that stops reading has to leave, by being dropped.
#[derive(Default)]
pub(super) struct Turnstile {
    through: Option<OwnedSemaphorePermit>,
    queued: Option<Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>>>>>,
    /// Bytes that were read since it was let through.
    read: usize,
    /// It goes on reading in its next turn.
    stays: bool,
}

impl Turnstile {
    /// Ready when the session may read. Sessions pass in the order in which they came.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.through.is_none() {
            if self.queued.is_none() {
                let turnstile = TURNSTILE.with(Arc::clone);
                if let Ok(through) = Arc::clone(&turnstile).try_acquire_owned() {
                    self.through = Some(through);
                    return Poll::Ready(());
                }
                // Nobody closes it.
                self.queued = Some(Box::pin(async { turnstile.acquire_owned().await.ok() }));
            }
            if let Some(queued) = &mut self.queued {
                self.through = ready!(queued.as_mut().poll(cx));
                self.queued = None;
            }
        }
        Poll::Ready(())
    }

    /// The session has read so many bytes. Where they left a large message `unfinished` it may stay.
    pub(super) fn has_read(&mut self, bytes: usize, unfinished: bool) {
        self.read += bytes;
        self.stays = unfinished && self.read < MOST;
    }

    /// The session has its next turn: the next one is let through.
    pub(super) fn next_turn(&mut self) {
        if !self.stays {
            self.through = None;
            self.read = 0;
        }
        self.stays = false;
    }
}

/// Bytes of one message that are read before another session has its time.
const MOST: usize = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn is_through(at: &mut Turnstile) -> bool {
        at.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn one_is_let_through_at_a_time_in_order() {
        let [mut first, mut second, mut third] = [(); 3].map(|()| Turnstile::default());
        assert!(is_through(&mut first));
        assert!(!is_through(&mut second));
        assert!(!is_through(&mut third));
        assert!(is_through(&mut first), "it is through until it hands on");

        first.next_turn();
        assert!(!is_through(&mut first), "others came before");
        assert!(!is_through(&mut third), "so did the second");
        assert!(is_through(&mut second));
        second.next_turn();
        assert!(is_through(&mut third));
        third.next_turn();
        assert!(is_through(&mut first));
    }

    #[test]
    fn who_has_a_large_message_unfinished_stays() {
        let [mut first, mut second] = [(); 2].map(|()| Turnstile::default());
        assert!(is_through(&mut first));
        assert!(!is_through(&mut second));
        for read in [MOST / 2, MOST / 2 - 1] {
            first.has_read(read, true);
            first.next_turn();
            assert!(!is_through(&mut second), "{read} bytes of it came");
        }
        first.has_read(1, true);
        first.next_turn();
        assert!(is_through(&mut second), "enough of it came");

        assert!(!is_through(&mut first));
        second.has_read(1, true);
        second.next_turn();
        second.has_read(1, false);
        second.next_turn();
        assert!(is_through(&mut first), "the message came");

        assert!(!is_through(&mut second));
        first.has_read(1, true);
        first.next_turn();
        first.next_turn();
        assert!(is_through(&mut second), "no more of it was read");
    }

    #[test]
    fn who_leaves_holds_up_nobody() {
        let [mut first, mut second, mut third] = [(); 3].map(|()| Turnstile::default());
        assert!(is_through(&mut first));
        assert!(!is_through(&mut second));
        assert!(!is_through(&mut third));
        drop(first);
        // It is let through, and leaves without having seen it.
        drop(second);
        assert!(is_through(&mut third));
        drop(third);
        assert!(is_through(&mut Turnstile::default()));
    }
}
