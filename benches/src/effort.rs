//! How much is measured.

/// How many rounds, and how large each is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    rounds: usize,
    quick: bool,
}

impl Effort {
    pub(crate) const fn new(rounds: Option<usize>, quick: bool) -> Self {
        let rounds = match rounds {
            Some(rounds) => rounds,
            None if quick => 1,
            None => 5,
        };
        Self { rounds, quick }
    }

    pub(crate) const fn rounds(self) -> usize {
        self.rounds
    }

    /// A tenth of `operations` where it is to be quick.
    pub(crate) const fn of(self, operations: u64) -> u64 {
        if self.quick { operations / 10 } else { operations }
    }
}
