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
/// Who is through reads on, [`MOST`] bytes, or until its socket has little left. After each read it
/// yields, so that its subscribers have their turn, and what was read is mostly gone before the next
/// read. Without it a thread reads a hundred floods one after the other, what is then on its way is more
/// than a near cache holds, and a hundred large messages are unfinished at once.
///
/// Who is through is woken anyway, and nothing it waits for is in another's hands: it hands on
/// whatever its subscribers do. One that stops reading has to leave, by being dropped.
#[derive(Default)]
pub(super) struct Turnstile {
    through: Option<OwnedSemaphorePermit>,
    queued: Option<Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>>>>>,
    /// Bytes that it has read since it was let through.
    read: usize,
    /// It has read since its last turn.
    reads_on: bool,
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

    /// The session has read so many bytes.
    pub(super) fn has_read(&mut self, bytes: usize) {
        self.read += bytes;
        self.reads_on = true;
    }

    /// The session has its next turn: if it has read enough, the next one is let through.
    pub(super) fn next_turn(&mut self) {
        if !self.reads_on || self.read >= MOST {
            self.through = None;
            self.read = 0;
        }
        self.reads_on = false;
    }
}

/// Bytes that one session reads before another is let through: about what a socket holds. It is a
/// millisecond or two.
const MOST: usize = 4 * 1024 * 1024;

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
    fn who_reads_on_is_through_until_it_has_read_enough() {
        let [mut first, mut second] = [(); 2].map(|()| Turnstile::default());
        for _ in 0..2 {
            assert!(is_through(&mut first));
            assert!(!is_through(&mut second));
            for read in [MOST / 2, MOST / 2 - 1] {
                first.has_read(read);
                first.next_turn();
                assert!(!is_through(&mut second), "{read} bytes more");
            }
            first.has_read(1);
            first.next_turn();
            assert!(is_through(&mut second), "it has read enough");
            assert!(!is_through(&mut first));
            second.has_read(1);
            second.next_turn();
            second.next_turn();
        }
        assert!(is_through(&mut first), "who has not read hands on");
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
