use std::{collections::BTreeMap, time::Instant};

use crate::plan::Phase;

/// The messages of one connection that have no answer yet, by their ids, which rise.
#[derive(Debug, Default)]
pub(crate) struct Flights(BTreeMap<u64, Flight>);

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) phase: Phase,
    pub(crate) due: Instant,
    pub(crate) sent: Instant,
    /// Its time was over before its answer came; what comes for it does not count.
    pub(crate) timed_out: bool,
}

impl Flights {
    pub(crate) fn begin(&mut self, id: u64, flight: Flight) {
        self.0.insert(id, flight);
    }

    /// The oldest has its answer.
    pub(crate) fn end_oldest(&mut self) -> Option<Flight> {
        self.0.pop_first().map(|(_, flight)| flight)
    }

    /// The one of this id has its answer, or never left.
    pub(crate) fn end(&mut self, id: u64) -> Option<Flight> {
        self.0.remove(&id)
    }

    /// Marks those that were sent before this, and returns them.
    pub(crate) fn time_out(&mut self, sent_before: Instant) -> Vec<Flight> {
        let old = self.0.values_mut().take_while(|flight| flight.sent < sent_before);
        let fresh = old.filter(|flight| !flight.timed_out);
        let mark = |flight: &mut Flight| {
            flight.timed_out = true;
            *flight
        };
        fresh.map(mark).collect()
    }

    /// Ends all: the session is over. Those that had timed out are counted already.
    pub(crate) fn end_all(&mut self) -> impl Iterator<Item = Flight> + use<> {
        std::mem::take(&mut self.0).into_values().filter(|flight| !flight.timed_out)
    }

    /// Those that an answer would still count for.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Flight> {
        self.0.values().filter(|flight| !flight.timed_out)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn flights(at: Instant, ids: &[u64]) -> Flights {
        let mut flights = Flights::default();
        for id in ids {
            let sent = at + Duration::from_secs(*id);
            let flight = Flight { phase: Phase::Message, due: sent, sent, timed_out: false };
            flights.begin(*id, flight);
        }
        flights
    }

    #[test]
    fn answers_end_the_oldest_or_the_one_they_name() {
        let now = Instant::now();
        let second = |id| now + Duration::from_secs(id);
        let mut flights = flights(now, &[3, 5, 8]);
        assert_eq!(flights.end(5).map(|flight| flight.sent), Some(second(5)));
        assert_eq!(flights.end(5), None, "once");
        assert_eq!(flights.end_oldest().map(|flight| flight.sent), Some(second(3)));
        assert_eq!(flights.end_oldest().map(|flight| flight.sent), Some(second(8)));
        assert_eq!(flights.end_oldest(), None);
    }

    #[test]
    fn who_timed_out_keeps_its_place_and_counts_once() {
        let now = Instant::now();
        let mut flights = flights(now, &[1, 2, 3]);
        let deadline = now + Duration::from_secs(3);
        assert_eq!(flights.time_out(deadline).len(), 2);
        assert_eq!(flights.time_out(deadline).len(), 0, "once");
        assert_eq!(flights.waiting().count(), 1);
        // Its answer comes after all, and is not taken for that of the next one.
        assert!(flights.end_oldest().unwrap().timed_out);
        assert_eq!(flights.end_all().count(), 1);
    }
}
