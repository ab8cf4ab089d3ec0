/// Where in a stream of bytes the messages of a run end, counted from where the run begins.
#[derive(Debug)]
pub(super) struct Run {
    ends: Vec<usize>,
    /// Messages of which nothing is left to write.
    done: usize,
}

impl Run {
    pub(super) const fn new(ends: Vec<usize>) -> Self {
        Self { ends, done: 0 }
    }

    /// All before `position` is written. How many messages more are done.
    pub(super) fn reach(&mut self, position: u64) -> usize {
        let before = self.done;
        while self.ends.get(self.done).is_some_and(|&end| end as u64 <= position) {
            self.done += 1;
        }
        self.done - before
    }

    /// Whether a part of the message that is next to be done lies before `position`.
    pub(super) fn is_begun(&self, position: u64) -> bool {
        let start = self.done.checked_sub(1).and_then(|last| self.ends.get(last));
        start.map_or(0, |&start| start as u64) < position
    }

    /// Messages that are not done.
    pub(super) const fn left(&self) -> usize {
        self.ends.len() - self.done
    }
}
