use std::time::Duration;

/// The parts of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Phase {
    /// Connections are opened.
    Connect,
    /// They are left in silence.
    Idle,
    /// Messages flow and are not counted.
    WarmUp,
    /// Messages flow: what is measured.
    Message,
    /// Messages flow while connections are closed and opened again; counted apart.
    Churn,
    /// No message is sent, and answers that are under way are waited for.
    Drain,
}

impl Phase {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Idle => "idle",
            Self::WarmUp => "warm-up",
            Self::Message => "message",
            Self::Churn => "churn",
            Self::Drain => "drain",
        }
    }
}

/// How long each phase lasts in which messages flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timetable {
    pub(crate) warm_up: Duration,
    pub(crate) message: Duration,
    pub(crate) churn: Duration,
}

impl Timetable {
    /// The phase at this time after the first message was due; none when all are over.
    pub(crate) fn phase_at(&self, elapsed: Duration) -> Option<Phase> {
        let mut end = Duration::ZERO;
        for (phase, length) in self.phases() {
            end += length;
            if elapsed < end {
                return Some(phase);
            }
        }
        None
    }

    /// When the phase begins, after the first message was due.
    pub(crate) fn start_of(&self, phase: Phase) -> Duration {
        self.phases()
            .iter()
            .take_while(|(other, _)| *other < phase)
            .map(|(_, length)| *length)
            .sum()
    }

    pub(crate) const fn length_of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::WarmUp => self.warm_up,
            Phase::Message => self.message,
            Phase::Churn => self.churn,
            Phase::Connect | Phase::Idle | Phase::Drain => Duration::ZERO,
        }
    }

    pub(crate) const fn phases(&self) -> [(Phase, Duration); 3] {
        [(Phase::WarmUp, self.warm_up), (Phase::Message, self.message), (Phase::Churn, self.churn)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_and_empty_ones_are_skipped() {
        let seconds = Duration::from_secs;
        let timetable = Timetable { warm_up: seconds(2), message: seconds(3), churn: seconds(0) };
        let table = [
            (0, Some(Phase::WarmUp)),
            (1_999, Some(Phase::WarmUp)),
            (2_000, Some(Phase::Message)),
            (4_999, Some(Phase::Message)),
            (5_000, None),
        ];
        for (millis, phase) in table {
            assert_eq!(timetable.phase_at(Duration::from_millis(millis)), phase, "{millis} ms");
        }
        assert_eq!(timetable.start_of(Phase::WarmUp), seconds(0));
        assert_eq!(timetable.start_of(Phase::Message), seconds(2));
        assert_eq!(timetable.start_of(Phase::Churn), seconds(5));
    }
}
