use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::faults::{End, Fault, Point};

/// One direction of a stream through a bad network: what becomes of its next bytes. It knows no
/// stream and no clock.
#[derive(Debug)]
pub(super) struct Passage {
    faults: Vec<Fault>,
    rng: ChaCha8Rng,
    opened: Instant,
    /// Bytes that were let through.
    passed: u64,
    /// When the throttle lets the next byte go.
    free_at: Instant,
    /// When the latest byte arrives: none overtakes another.
    latest: Instant,
}

/// What becomes of the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The first `len` of them arrive at `due`.
    Passes { len: usize, due: Instant },
    /// They wait until then, or for ever.
    Waits(Option<Instant>),
    /// They never arrive: the stream ends here.
    Ends(End),
}

impl Passage {
    pub(super) fn new(faults: Vec<Fault>, seed: u64, opened: Instant) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { faults, rng, opened, passed: 0, free_at: opened, latest: opened }
    }

    /// What becomes of `bytes`, of which there is at least one. Those that pass are as they arrive.
    pub(super) fn next(&mut self, bytes: &mut [u8], now: Instant) -> Fate {
        if let Some(fate) = self.stopped(now) {
            return fate;
        }
        let mut len = bytes.len();
        for fault in &self.faults {
            match *fault {
                Fault::Chop(most) => len = len.min(most.max(1)),
                Fault::Stall(Point::Byte(at), _) | Fault::End(_, Point::Byte(at))
                    if at > self.passed =>
                {
                    len = len.min(usize::try_from(at - self.passed).unwrap_or(usize::MAX));
                }
                _ => {}
            }
        }
        let due = self.due(len, now);
        for fault in &self.faults {
            if let Fault::Corrupt(at) = *fault
                && let Some(at) = at.checked_sub(self.passed)
                && let Some(byte) = bytes
                    .get_mut(..len)
                    .and_then(|passing| usize::try_from(at).ok().and_then(|at| passing.get_mut(at)))
            {
                *byte = !*byte;
            }
        }
        self.passed += len as u64;
        Fate::Passes { len, due }
    }

    /// What stops the direction at this moment, whether bytes come or not.
    pub(super) fn stopped(&mut self, now: Instant) -> Option<Fate> {
        let mut stalled = None;
        for fault in &mut self.faults {
            match *fault {
                Fault::End(end, point) if is_reached(point, self.passed, self.opened, now) => {
                    return Some(Fate::Ends(end));
                }
                Fault::Stall(point, time) if is_reached(point, self.passed, self.opened, now) => {
                    let until = time.map(|time| match point {
                        // It began when the byte before it passed: from then on it is one in time.
                        Point::Byte(_) => {
                            let begun = now.saturating_duration_since(self.opened);
                            *fault = Fault::Stall(Point::Time(begun), Some(time));
                            now + time
                        }
                        Point::Time(begun) => self.opened + begun + time,
                    });
                    if until.is_none_or(|until| until > now) {
                        stalled = Some(Fate::Waits(until));
                    }
                }
                _ => {}
            }
        }
        stalled
    }

    /// When something stops the direction by time alone.
    pub(super) fn next_stop(&self, now: Instant) -> Option<Instant> {
        let points = self.faults.iter().filter_map(|fault| match *fault {
            Fault::End(_, Point::Time(at)) | Fault::Stall(Point::Time(at), _) => {
                Some(self.opened + at)
            }
            _ => None,
        });
        points.filter(|at| *at > now).min()
    }

    fn due(&mut self, len: usize, now: Instant) -> Instant {
        let mut leaves = now;
        let mut delay = Duration::ZERO;
        for fault in &self.faults {
            match *fault {
                Fault::Throttle { bytes_per_second } => {
                    let takes = Duration::from_secs(len as u64) / bytes_per_second.max(1);
                    leaves = leaves.max(self.free_at) + takes;
                    self.free_at = leaves;
                }
                Fault::Delay { least, jitter } => {
                    delay += least + jitter.mul_f64(self.rng.random());
                }
                _ => {}
            }
        }
        self.latest = self.latest.max(leaves + delay);
        self.latest
    }
}

fn is_reached(point: Point, passed: u64, opened: Instant, now: Instant) -> bool {
    match point {
        Point::Byte(at) => passed >= at,
        Point::Time(at) => now >= opened + at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn passes(passage: &mut Passage, bytes: &[u8], now: Instant) -> (Vec<u8>, Instant) {
        let mut bytes = bytes.to_vec();
        match passage.next(&mut bytes, now) {
            Fate::Passes { len, due } => {
                bytes.truncate(len);
                (bytes, due)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_faults_all_passes_at_once() {
        let now = Instant::now();
        let mut passage = Passage::new(Vec::new(), 0, now);
        assert_eq!(passes(&mut passage, b"hello", now), (b"hello".to_vec(), now));
        assert_eq!((passage.stopped(now), passage.next_stop(now)), (None, None));
    }

    #[test]
    fn chopped_bytes_pass_in_pieces_and_one_is_corrupt() {
        let now = Instant::now();
        let mut passage = Passage::new(vec![Fault::Chop(2), Fault::Corrupt(3)], 0, now);
        assert_eq!(passes(&mut passage, b"abcd", now).0, b"ab");
        assert_eq!(passes(&mut passage, b"cd", now).0, [b'c', !b'd']);
        assert_eq!(passes(&mut passage, b"ef", now).0, b"ef");
    }

    #[test]
    fn a_throttle_spaces_bytes_and_saves_nothing_up() {
        let now = Instant::now();
        let mut passage = Passage::new(vec![Fault::Throttle { bytes_per_second: 1_000 }], 0, now);
        assert_eq!(passes(&mut passage, &[0; 10], now).1, now + 10 * MS);
        assert_eq!(passes(&mut passage, &[0; 5], now).1, now + 15 * MS);
        let later = now + 100 * MS;
        assert_eq!(passes(&mut passage, &[0; 5], later).1, later + 5 * MS);
    }

    #[test]
    fn jitter_stays_in_its_bounds_and_lets_none_overtake() {
        let now = Instant::now();
        let delay = Fault::Delay { least: 10 * MS, jitter: 20 * MS };
        let mut passage = Passage::new(vec![delay], 7, now);
        let dues: Vec<_> = (0..100).map(|_| passes(&mut passage, b"x", now).1).collect();
        assert!(dues.is_sorted());
        assert!(dues.iter().all(|due| (10 * MS..=30 * MS).contains(&(*due - now))));
        let mut again = Passage::new(vec![delay], 7, now);
        assert!(dues.iter().all(|due| passes(&mut again, b"x", now).1 == *due));
    }

    #[test]
    fn a_stream_ends_at_its_byte_whatever_the_pieces() {
        for pieces in 1..7 {
            let now = Instant::now();
            let mut passage = Passage::new(vec![Fault::End(End::Reset, Point::Byte(5))], 0, now);
            let mut passed = 0;
            let end = loop {
                match passage.next(&mut vec![0; pieces], now) {
                    Fate::Passes { len, .. } => passed += len,
                    other => break other,
                }
            };
            assert_eq!((passed, end), (5, Fate::Ends(End::Reset)), "pieces of {pieces}");
        }
    }

    #[test]
    fn a_stall_ends_when_its_time_is_over() {
        let now = Instant::now();
        let for_a_while = Fault::Stall(Point::Byte(1), Some(50 * MS));
        let mut passage = Passage::new(vec![for_a_while], 0, now);
        assert_eq!(passes(&mut passage, b"xy", now).0, b"x");
        assert_eq!(passage.next(&mut [0], now), Fate::Waits(Some(now + 50 * MS)));
        assert_eq!(passage.next(&mut [0], now + 49 * MS), Fate::Waits(Some(now + 50 * MS)));
        assert_eq!(passes(&mut passage, b"y", now + 50 * MS).0, b"y");

        let mut passage = Passage::new(vec![Fault::Stall(Point::Time(MS), None)], 0, now);
        assert_eq!(passage.next_stop(now), Some(now + MS));
        assert_eq!(passage.stopped(now + MS), Some(Fate::Waits(None)));
        assert_eq!(passage.next_stop(now + MS), None);
    }
}
