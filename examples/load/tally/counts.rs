use super::Times;

/// What became of the messages that were due in one phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Messages whose time had come.
    pub(crate) due: u64,
    /// Handed to their connection.
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// Those of `answered` whose answer came while the phase lasted.
    pub(crate) answered_in_time: u64,
    pub(crate) errors: Errors,
    /// Sent more than a millisecond after they were due.
    pub(crate) late: u64,
    pub(crate) bytes_sent: u64,
    /// Of the answers.
    pub(crate) bytes_received: u64,
    /// From when a message was due to its answer.
    pub(crate) response: Times,
    /// From when it was sent to its answer.
    pub(crate) service: Times,
    /// From when it was due to when it was sent.
    pub(crate) lateness: Times,
}

/// Why messages have no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Errors {
    /// There was no session to send it in, or its outbox was full.
    pub(crate) refused: u64,
    /// The session ended before the answer.
    pub(crate) lost: u64,
    /// The answer did not come in time.
    pub(crate) timed_out: u64,
    /// It had not come when the run was over.
    pub(crate) unanswered: u64,
}

impl Errors {
    pub(crate) const fn total(&self) -> u64 {
        self.refused + self.lost + self.timed_out + self.unanswered
    }

    const fn add(&mut self, more: &Self) {
        self.refused += more.refused;
        self.lost += more.lost;
        self.timed_out += more.timed_out;
        self.unanswered += more.unanswered;
    }
}

impl Counts {
    pub(crate) fn add(&mut self, more: &Self) {
        self.due += more.due;
        self.sent += more.sent;
        self.answered += more.answered;
        self.answered_in_time += more.answered_in_time;
        self.errors.add(&more.errors);
        self.late += more.late;
        self.bytes_sent += more.bytes_sent;
        self.bytes_received += more.bytes_received;
        self.response.add(&more.response);
        self.service.add(&more.service);
        self.lateness.add(&more.lateness);
    }

    /// Of all messages that were due, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share is shown with three digits")]
    pub(crate) fn share(&self, part: u64) -> f64 {
        if self.due == 0 { 0.0 } else { part as f64 / self.due as f64 }
    }

    /// Messages of which nothing is known. Once a run is over there may be none.
    pub(crate) const fn unaccounted(&self) -> i64 {
        self.due.cast_signed() - (self.answered + self.errors.total()).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_answered_or_an_error() {
        let mut counts = Counts { due: 10, answered: 6, ..Counts::default() };
        assert_eq!(counts.unaccounted(), 4);
        let errors = Errors { refused: 1, lost: 1, timed_out: 1, unanswered: 1 };
        counts.add(&Counts { errors, ..Counts::default() });
        assert_eq!(counts.unaccounted(), 0);
        assert!((counts.share(counts.errors.total()) - 0.4).abs() < 1e-9);
        assert!(Counts::default().share(0).abs() < 1e-9, "of nothing, nothing");
    }
}
