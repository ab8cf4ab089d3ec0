use std::collections::VecDeque;

use super::{Haul, Moment};

/// What a connection keeps for subscribers that come later.
///
/// Off unless it is asked for ([`Settings::history`](crate::Settings::history)), and then it costs
/// nothing. What is kept is told to a subscription that asks for it
/// ([`Subscription::replay`](crate::Subscription::replay)).
///
/// ```
/// use wsvisor::{History, Settings};
///
/// let settings = Settings::default().history(History::last(100).max_bytes(256 * 1024));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    pub(crate) last: usize,
    pub(crate) max_bytes: usize,
}

impl History {
    /// The last so many lifecycle events, and the last so many messages, of 1 MiB at most.
    #[must_use]
    pub const fn last(events: usize) -> Self {
        Self { last: events, max_bytes: 1024 * 1024 }
    }

    /// Sets how many bytes of messages are kept at most. Messages of one read are forgotten together.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// The last events and messages of one connection.
#[derive(Debug)]
pub(crate) struct Ring {
    bounds: History,
    moments: VecDeque<Moment>,
    hauls: VecDeque<Haul>,
    messages: usize,
    bytes: usize,
}

impl Ring {
    pub(crate) fn new(bounds: History) -> Self {
        let (moments, hauls) = (VecDeque::new(), VecDeque::new());
        Self { bounds, moments, hauls, messages: 0, bytes: 0 }
    }

    pub(crate) fn keep_moment(&mut self, moment: Moment) {
        self.moments.push_back(moment);
        if self.moments.len() > self.bounds.last {
            self.moments.pop_front();
        }
    }

    pub(crate) fn keep_haul(&mut self, haul: Haul) {
        self.messages += haul.batch.len();
        self.bytes += haul.batch.payload_bytes();
        self.hauls.push_back(haul);
        // The oldest read is kept as long as a message of it is among the last.
        while let Some(oldest) = self.hauls.front()
            && (self.messages - oldest.batch.len() >= self.bounds.last
                || self.bytes > self.bounds.max_bytes)
        {
            self.messages -= oldest.batch.len();
            self.bytes -= oldest.batch.payload_bytes();
            self.hauls.pop_front();
        }
    }

    /// The last `count` events that are wanted, the oldest first.
    pub(crate) fn moments(&self, count: usize, wanted: impl Fn(&Moment) -> bool) -> Vec<Moment> {
        let wanted = self.moments.iter().rev().filter(|moment| wanted(moment));
        let mut last: Vec<_> = wanted.take(count.min(self.bounds.last)).cloned().collect();
        last.reverse();
        last
    }

    /// The last `count` messages that are left when each read's were picked.
    pub(crate) fn hauls(&self, count: usize, pick: impl Fn(&Haul) -> Option<Haul>) -> Vec<Haul> {
        let mut left = count.min(self.bounds.last);
        let mut last = Vec::new();
        for haul in self.hauls.iter().rev() {
            if left == 0 {
                break;
            }
            let Some(picked) = pick(haul) else { continue };
            let first = picked.batch.len().saturating_sub(left);
            left -= picked.batch.len() - first;
            last.extend(if first == 0 {
                Some(picked)
            } else {
                picked.pick(|place, _| place >= first)
            });
        }
        last.reverse();
        last
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        lifecycle::{Epoch, LifecycleEvent},
        protocol::BatchBuilder,
    };

    fn haul(first: u64, texts: &[&str]) -> Haul {
        let mut builder = BatchBuilder::default();
        for text in texts {
            builder.push_text(text);
        }
        Haul::new(Epoch::NONE, first, Arc::new(builder.freeze()))
    }

    fn told(hauls: &[Haul]) -> Vec<(u64, String)> {
        let of = |haul: &Haul| -> Vec<_> {
            let texts = haul.batch.iter().map(|text| text.as_text().unwrap().to_owned());
            haul.seqs().zip(texts).collect()
        };
        hauls.iter().flat_map(of).collect()
    }

    #[test]
    fn keeps_the_last_messages_over_the_bounds_of_reads() {
        let mut ring = Ring::new(History::last(4));
        ring.keep_haul(haul(1, &["a", "b", "c"]));
        ring.keep_haul(haul(5, &["d"]));
        ring.keep_haul(haul(9, &["e", "f"]));
        let all = |haul: &Haul| Some(haul.clone());
        let expected = [(3, "c"), (5, "d"), (9, "e"), (10, "f")].map(|(n, s)| (n, s.to_owned()));
        assert_eq!(told(&ring.hauls(10, all)), expected);
        assert_eq!(told(&ring.hauls(3, all)), expected[1..]);
        assert_eq!(told(&ring.hauls(0, all)), []);
        let vowels = |haul: &Haul| haul.pick(|_, text| "ae".contains(text.as_text().unwrap()));
        assert_eq!(told(&ring.hauls(10, vowels)), [(1, "a".to_owned()), (9, "e".to_owned())]);
        ring.keep_haul(haul(11, &["g"]));
        assert_eq!(ring.messages, 4, "the first read is forgotten");
    }

    #[test]
    fn is_bounded_in_bytes() {
        let mut ring = Ring::new(History::last(100).max_bytes(10));
        for seq in 0..50 {
            ring.keep_haul(haul(seq, &["four"]));
        }
        assert_eq!((ring.bytes, ring.messages), (8, 2));
        ring.keep_haul(haul(50, &["more than there is room for"]));
        assert_eq!((ring.bytes, ring.messages), (0, 0));
    }

    #[test]
    fn keeps_the_last_events() {
        let mut ring = Ring::new(History::last(2));
        for seq in 0..5 {
            let event = if seq == 3 { LifecycleEvent::Stopped } else { LifecycleEvent::Restarted };
            ring.keep_moment(Moment { epoch: Epoch::NONE, seq, event });
        }
        let seqs =
            |moments: Vec<Moment>| moments.iter().map(|moment| moment.seq).collect::<Vec<_>>();
        assert_eq!(seqs(ring.moments(9, |_| true)), [3, 4]);
        assert_eq!(seqs(ring.moments(1, |_| true)), [4]);
        let stopped = |moment: &Moment| matches!(moment.event, LifecycleEvent::Stopped);
        assert_eq!(seqs(ring.moments(9, stopped)), [3]);
    }
}
