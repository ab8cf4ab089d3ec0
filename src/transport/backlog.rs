use std::ops::Range;

/// Encoded bytes that the socket did not take all of.
pub(super) struct Backlog {
    bytes: Vec<u8>,
    /// So many it took.
    taken: usize,
}

impl Backlog {
    pub(super) const fn of(bytes: Vec<u8>, taken: usize) -> Self {
        Self { bytes, taken }
    }

    pub(super) fn left(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// The socket took so many more.
    pub(super) const fn took(&mut self, written: usize) {
        self.taken += written;
    }

    /// Takes out what is not to be written any more, counted from what is left.
    pub(super) fn cut(&mut self, Range { start, end }: Range<usize>) {
        let (start, end) = (self.taken + start, self.taken + end);
        if end <= self.bytes.len() {
            self.bytes.drain(start..end);
        }
    }
}
