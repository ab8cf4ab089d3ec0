use std::collections::VecDeque;

/// One connection's turn to dial. They are numbered as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(super) u64);

/// Those who wait for one host, in the order in which they came. After an outage that may be a whole fleet, of
/// which each may leave at any time: none of this looks through the line.
#[derive(Debug, Default)]
pub(super) struct Line(VecDeque<Ticket>);

/// Places that an empty line may keep.
const RETAINED: usize = 64;

impl Line {
    /// Tickets are numbered as they come, so that the line is sorted.
    pub(super) fn join(&mut self, ticket: Ticket) {
        debug_assert!(self.0.back().is_none_or(|last| *last < ticket), "{ticket:?} comes late");
        self.0.push_back(ticket);
    }

    pub(super) fn first(&self) -> Option<Ticket> {
        self.0.front().copied()
    }

    pub(super) fn take_first(&mut self) -> Option<Ticket> {
        let first = self.0.pop_front();
        self.release();
        first
    }

    /// It waits no more, if it did.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        if let Some(place) = self.ahead_of(ticket) {
            self.0.remove(place);
            self.release();
        }
    }

    /// How many are before this one, if it waits.
    pub(super) fn ahead_of(&self, ticket: Ticket) -> Option<usize> {
        self.0.binary_search(&ticket).ok()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn release(&mut self) {
        if self.0.is_empty() && self.0.capacity() > RETAINED {
            self.0 = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(numbers: impl IntoIterator<Item = u64>) -> Line {
        let mut line = Line::default();
        numbers.into_iter().for_each(|number| line.join(Ticket(number)));
        line
    }

    #[test]
    fn each_leaves_from_its_place_and_the_others_keep_theirs() {
        let mut line = line(0..5);
        line.leave(Ticket(2));
        line.leave(Ticket(2));
        line.leave(Ticket(9));
        let ahead: Vec<_> = (0..5).map(|number| line.ahead_of(Ticket(number))).collect();
        assert_eq!(ahead, [Some(0), Some(1), None, Some(2), Some(3)]);
        let mut left = Vec::new();
        while let Some(first) = line.first() {
            assert_eq!(line.take_first(), Some(first));
            left.push(first);
        }
        assert_eq!(left, [0, 1, 3, 4].map(Ticket));
        assert!(line.is_empty() && line.take_first().is_none());
    }

    #[test]
    fn a_long_line_that_is_over_keeps_no_places() {
        let (mut long, mut withdrawn) = (line(0..1_000), line(0..1_000));
        let mut short = line(0..10);
        while long.take_first().is_some() {}
        (0..1_000).for_each(|number| withdrawn.leave(Ticket(number)));
        while short.take_first().is_some() {}
        assert_eq!((long.0.capacity(), withdrawn.0.capacity()), (0, 0));
        assert!(short.0.capacity() >= 10, "what is short is kept");
    }
}
