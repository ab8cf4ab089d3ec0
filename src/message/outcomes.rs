use std::{collections::BTreeMap, mem, ops::Range};

use crate::error::{Delivery, SendError};

/// What became of the messages of a [`SendBatch`](crate::SendBatch), in their order.
///
/// Messages next to each other with the same outcome take the memory of one.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    runs: Vec<Run>,
    len: usize,
}

/// So many messages with this outcome.
#[derive(Clone, Debug)]
struct Run {
    count: usize,
    outcome: Outcome,
}

type Outcome = Result<Delivery, SendError>;

impl Outcomes {
    /// How many messages the batch had.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it had none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One outcome for each message, as a send of it alone would have been answered.
    pub fn iter(&self) -> impl Iterator<Item = &Result<Delivery, SendError>> {
        self.runs.iter().flat_map(|run| std::iter::repeat_n(&run.outcome, run.count))
    }

    /// How many were written, or confirmed where that was asked for.
    #[must_use]
    pub fn delivered(&self) -> usize {
        self.runs.iter().filter(|run| run.outcome.is_ok()).map(|run| run.count).sum()
    }

    /// Whether all were written, or confirmed where that was asked for.
    ///
    /// # Errors
    /// The first that was not, and why.
    pub fn into_result(self) -> Result<(), BatchError> {
        let Self { runs, len: of } = self;
        let mut index = 0;
        for Run { count, outcome } in runs {
            if let Err(source) = outcome {
                return Err(BatchError { index, of, source: Box::new(source) });
            }
            index += count;
        }
        Ok(())
    }

    fn get(&self, index: usize) -> Option<&Outcome> {
        let mut end = 0;
        let run = self.runs.iter().find(|run| {
            end += run.count;
            index < end
        });
        run.map(|run| &run.outcome)
    }

    fn push(&mut self, Run { count, outcome }: Run) {
        self.len += count;
        match self.runs.last_mut() {
            Some(run) if is_the_same(&run.outcome, &outcome) => run.count += count,
            _ => self.runs.push(Run { count, outcome }),
        }
    }
}

/// The first message of a batch that was not delivered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("message {index} of {of}, counted from 0: {source}")]
#[non_exhaustive]
pub struct BatchError {
    /// Which message, counted from 0.
    pub index: usize,
    /// Messages of the batch.
    pub of: usize,
    /// What became of it.
    pub source: Box<SendError>,
}

/// The outcomes of a batch as they come, mostly in order.
#[derive(Debug)]
pub(crate) struct Tally {
    known: Outcomes,
    /// Outcomes of messages behind one whose outcome is not known.
    early: BTreeMap<usize, Run>,
    of: usize,
}

impl Tally {
    /// Of so many messages.
    pub(crate) const fn of(messages: usize) -> Self {
        let known = Outcomes { runs: Vec::new(), len: 0 };
        Self { known, early: BTreeMap::new(), of: messages }
    }

    /// Of messages of which there is always one more.
    pub(crate) const fn endless() -> Self {
        Self::of(usize::MAX)
    }

    /// What became of the message at this place, once it is known.
    pub(crate) fn get(&self, place: usize) -> Option<&Outcome> {
        if place < self.known.len {
            return self.known.get(place);
        }
        let (start, run) = self.early.range(..=place).next_back()?;
        (place - start < run.count).then_some(&run.outcome)
    }

    /// The messages at these places, counted from 0, ended so. Each ends once.
    pub(crate) fn record(&mut self, places: Range<usize>, outcome: Outcome) {
        if places.is_empty() {
            return;
        }
        let run = Run { count: places.len(), outcome };
        if places.start != self.known.len {
            self.early.insert(places.start, run);
            return;
        }
        self.known.push(run);
        while !self.early.is_empty()
            && let Some(run) = self.early.remove(&self.known.len)
        {
            self.known.push(run);
        }
    }

    /// Whether none is missing.
    pub(crate) const fn is_complete(&self) -> bool {
        self.known.len == self.of
    }

    /// All outcomes, once none is missing.
    pub(crate) fn take(&mut self) -> Option<Outcomes> {
        self.is_complete().then(|| mem::take(&mut self.known))
    }
}

/// Whether one may stand for the other. Ends of sessions are not compared: they are rare.
fn is_the_same(one: &Outcome, other: &Outcome) -> bool {
    use SendError::{NotWritten, Refused, WrittenUnknown};

    use crate::error::{
        Unconfirmed,
        Unwritten::{ConnectionEnded, Expired, Replaced},
    };
    match (one, other) {
        (Ok(one), Ok(other)) => one == other,
        (Err(Refused(one)), Err(Refused(other))) => one == other,
        (Err(NotWritten(one)), Err(NotWritten(other))) => matches!(
            (one, other),
            (ConnectionEnded, ConnectionEnded) | (Expired, Expired) | (Replaced, Replaced)
        ),
        (Err(WrittenUnknown(one)), Err(WrittenUnknown(other))) => {
            matches!((one, other), (Unconfirmed::Expired, Unconfirmed::Expired))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        error::{Refusal, Unconfirmed, Unwritten},
        lifecycle::ExitReason,
    };

    fn some_outcomes() -> Vec<Outcome> {
        vec![
            Ok(Delivery::Written),
            Ok(Delivery::Confirmed),
            Err(SendError::Refused(Refusal::NotConnected)),
            Err(SendError::Refused(Refusal::OutboxFull { messages: 1, bytes: 2 })),
            Err(SendError::NotWritten(Unwritten::Expired)),
            Err(SendError::NotWritten(Unwritten::Replaced)),
            Err(SendError::NotWritten(Unwritten::ConnectionEnded)),
            Err(SendError::NotWritten(Unwritten::SessionEnded(ExitReason::Cancelled))),
            Err(SendError::WrittenUnknown(Unconfirmed::Expired)),
            Err(SendError::WrittenUnknown(Unconfirmed::SessionEnded(ExitReason::Cancelled))),
        ]
    }

    proptest! {
        #[test]
        fn each_message_has_its_own_outcome_in_whatever_order_they_came(
            (runs, order) in prop::collection::vec((0usize..10, 0usize..4), 0..40).prop_flat_map(|runs| {
                let order = Just((0..runs.len()).collect::<Vec<_>>()).prop_shuffle();
                (Just(runs), order)
            })
        ) {
            let outcomes = some_outcomes();
            let which: Vec<usize> =
                runs.iter().flat_map(|&(which, count)| std::iter::repeat_n(which, count)).collect();
            let outcome = |index: usize| outcomes[which[index]].clone();
            let mut tally = Tally::of(which.len());
            let mut known = std::collections::HashSet::new();
            for run in order {
                let start = runs[..run].iter().map(|(_, count)| count).sum();
                let (kind, count) = runs[run];
                prop_assert!(count == 0 || tally.take().is_none(), "one is missing");
                tally.record(start..start + count, outcomes[kind].clone());
                known.extend(start..start + count);
                for place in 0..=which.len() {
                    let expected = known.contains(&place).then(|| outcome(place));
                    prop_assert_eq!(format!("{:?}", tally.get(place)), format!("{:?}", expected.as_ref()));
                }
            }
            let told = tally.take().expect("none is missing");
            prop_assert_eq!(told.len(), which.len());
            for (index, told) in told.iter().enumerate() {
                prop_assert_eq!(format!("{told:?}"), format!("{:?}", outcome(index)));
            }
            let delivered = which.iter().filter(|which| **which < 2).count();
            prop_assert_eq!(told.delivered(), delivered);
            let first = which.iter().position(|which| *which >= 2);
            match told.into_result() {
                Ok(()) => prop_assert_eq!(first, None),
                Err(error) => {
                    prop_assert_eq!(Some(error.index), first);
                    prop_assert_eq!(format!("{:?}", error.source), format!("{:?}", outcome(error.index).unwrap_err()));
                }
            }
        }
    }

    #[test]
    fn the_same_outcome_is_kept_once() {
        let mut tally = Tally::of(1_000);
        (0..1_000).for_each(|index| tally.record(index..index + 1, Ok(Delivery::Written)));
        let told = tally.take().expect("none is missing");
        assert_eq!((told.runs.len(), told.len()), (1, 1_000));
    }

    #[test]
    fn the_error_says_which_message_and_why() {
        let mut tally = Tally::of(2);
        tally.record(0..1, Ok(Delivery::Written));
        tally.record(1..2, Err(Refusal::NotJson.into()));
        let error = tally.take().expect("none is missing").into_result().unwrap_err();
        assert_eq!(
            error.to_string(),
            "message 1 of 2, counted from 0: the message was refused: this is a JSON connection: send JSON, by SendJson or send_json"
        );
    }
}
