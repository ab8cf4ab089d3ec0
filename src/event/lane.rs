use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

use crate::lifecycle::ConnectionId;

/// What is on its way from one connection to one subscriber.
///
/// actix's mailbox capacity bounds neither `do_send` nor a fresh clone of a recipient, so the bound
/// is kept here: what is sent takes a [`Lease`], and the lease comes back when the subscriber drops
/// the last of it. The subscriber may run on another thread.
#[derive(Debug)]
pub(crate) struct Lane {
    connection: ConnectionId,
    /// Events in the upper 24 bits, bytes in the lower 40: one atomic operation an event.
    load: AtomicU64,
    /// The load from which on it is full, in the same form.
    bound: u64,
    reader: AtomicWaker,
}

/// The share of a lane that one event takes, or all that were sent together.
#[derive(Debug)]
pub(crate) struct Lease {
    lane: Arc<Lane>,
    weight: u64,
}

/// Events that a subscriber may have in flight from one connection, unless it says otherwise.
pub(crate) const MAX_EVENTS: usize = 1_024;
/// Bytes that a subscriber may have in flight from one connection, unless it says otherwise.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;

const ONE_EVENT: u64 = 1 << 40;
const BYTES: u64 = ONE_EVENT - 1;
/// Bounds leave room for what one read exceeds them by.
const MOST_EVENTS: u64 = 1 << 22;

impl Lane {
    /// For so many events and bytes in flight, one at least of each.
    pub(crate) fn new(connection: ConnectionId, events: usize, bytes: usize) -> Arc<Self> {
        let events = (events as u64).clamp(1, MOST_EVENTS);
        let bound = events * ONE_EVENT + (bytes as u64).clamp(1, BYTES);
        Arc::new(Self { connection, load: AtomicU64::new(0), bound, reader: AtomicWaker::new() })
    }

    /// Whether `load` is below the bounds divided by `part`.
    const fn is_below(&self, load: u64, part: u64) -> bool {
        load / ONE_EVENT < (self.bound / ONE_EVENT).div_ceil(part)
            && load & BYTES < (self.bound & BYTES).div_ceil(part)
    }

    /// Takes a share for `events` events of `bytes` bytes together. It is not refused: whoever delivers looks at
    /// [`has_room`](Self::has_room) first, and may exceed the bound by what one read held.
    pub(crate) fn lease(self: &Arc<Self>, events: usize, bytes: usize) -> Lease {
        // One read holds far fewer events, and bytes, than would overflow their part of the load.
        let weight = events as u64 * ONE_EVENT + (bytes as u64).min(BYTES);
        self.load.fetch_add(weight, Ordering::Relaxed);
        Lease { lane: Arc::clone(self), weight }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.is_below(self.load.load(Ordering::Acquire), 1)
    }

    /// Ready when there is room; else wakes the task when half of the load has come back.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        self.reader.register(cx.waker());
        // The load may have come back between the look and the registration.
        if self.has_room() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Lease {
    pub(crate) fn connection(&self) -> &ConnectionId {
        &self.lane.connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let before = self.lane.load.fetch_sub(self.weight, Ordering::AcqRel);
        // Whoever waits saw a full lane, so the load passes the half on its way down.
        let lane = &self.lane;
        if !lane.is_below(before, 2) && lane.is_below(before - self.weight, 2) {
            self.lane.reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;

    use super::*;

    fn lane() -> Arc<Lane> {
        Lane::new("a".into(), MAX_EVENTS, MAX_BYTES)
    }

    #[test]
    fn a_lane_for_one_event_wakes_when_it_is_empty() {
        let lane = Lane::new("a".into(), 1, 1);
        let lease = lane.lease(1, 0);
        assert_eq!(poll(&lane), Poll::Pending);
        drop(lease);
        assert_eq!(poll(&lane), Poll::Ready(()));
    }

    fn poll(lane: &Lane) -> Poll<()> {
        lane.poll_room(&mut Context::from_waker(noop_waker_ref()))
    }

    #[test]
    fn is_full_by_events_or_by_bytes() {
        for (events, bytes) in [(1_024, 0), (4, 1024 * 1024), (1, 5 * 1024 * 1024)] {
            let lane = lane();
            let mut leases: Vec<_> = (1..events).map(|_| lane.lease(1, bytes)).collect();
            assert_eq!(poll(&lane), Poll::Ready(()), "{events} x {bytes}");
            leases.push(lane.lease(1, bytes));
            assert_eq!(poll(&lane), Poll::Pending, "{events} x {bytes}");
            drop(leases);
            assert_eq!(lane.load.load(Ordering::Relaxed), 0);
            assert_eq!(poll(&lane), Poll::Ready(()));
        }
    }

    #[test]
    fn wakes_the_reader_when_half_came_back() {
        use std::sync::atomic::AtomicUsize;

        struct Count(AtomicUsize);
        impl futures_util::task::ArcWake for Count {
            fn wake_by_ref(count: &Arc<Self>) {
                count.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = futures_util::task::waker(Arc::clone(&count));

        let lane = lane();
        let mut leases: Vec<_> = (0..MAX_EVENTS).map(|_| lane.lease(1, 1)).collect();
        assert!(lane.poll_room(&mut Context::from_waker(&waker)).is_pending());
        leases.truncate(leases.len() / 2);
        assert_eq!(count.0.load(Ordering::Relaxed), 0, "not before half is back");
        leases.pop();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        drop(leases);
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "once");
    }
}
