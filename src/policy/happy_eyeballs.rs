use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// In which order, and when, the addresses of a host are connected to (RFC 8305, "Happy
/// Eyeballs"): the first one to answer wins.
///
/// Families alternate, beginning with that of the first address, which is the one the resolver
/// prefers (§4). The next address is tried 250 ms after the one before, or at once when one has
/// failed (§5). Attempts that were begun go on meanwhile.
#[derive(Debug)]
pub(crate) struct Race {
    waiting: VecDeque<SocketAddr>,
    /// Not before this; none, and at once.
    next_at: Option<Instant>,
}

/// The Connection Attempt Delay of §8.
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses that one attempt tries at most.
const MAX_TRIED: usize = 16;

impl Race {
    /// Addresses in the resolver's order; a second mention of one is ignored. Those that are too
    /// many come back.
    pub(crate) fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> (Self, Vec<SocketAddr>) {
        let mut waiting = interleaved(addresses);
        let too_many = waiting.drain(MAX_TRIED.min(waiting.len())..).collect();
        (Self { waiting, next_at: None }, too_many)
    }

    /// The address to connect to now, if it is time for one.
    pub(crate) fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.next_at.is_some_and(|at| now < at) {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.next_at = Some(now + STAGGER);
        Some(address)
    }

    /// An attempt has failed: the next one need not wait.
    pub(crate) const fn failed(&mut self) {
        self.next_at = None;
    }

    /// When to ask for the next one.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.next_at.filter(|_| !self.waiting.is_empty())
    }

    /// Those that were not tried.
    pub(crate) fn left(self) -> impl Iterator<Item = SocketAddr> {
        self.waiting.into_iter()
    }
}

fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut given: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !given.contains(&address) {
            given.push(address);
        }
    }
    let prefers_v6 = given.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        given.into_iter().partition(|address| address.is_ipv6() == prefers_v6);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    let mut ordered = VecDeque::new();
    loop {
        let pair = [preferred.next(), other.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `4a` is an IPv4 address, `6a` an IPv6 one.
    fn address(name: &str) -> SocketAddr {
        let (family, last) = name.split_at(1);
        let last = last.as_bytes()[0];
        match family {
            "4" => ([8, 8, 8, last], 443).into(),
            _ => ([0x2606, 0, 0, 0, 0, 0, 0, u16::from(last)], 443).into(),
        }
    }

    fn race(names: &str) -> Race {
        Race::new(names.split_whitespace().map(address)).0
    }

    #[test]
    fn families_alternate_from_the_first_ones() {
        for (given, order) in [
            ("", ""),
            ("4a", "4a"),
            ("6a 6b 4a 4b", "6a 4a 6b 4b"),
            ("4a 4b 6a 6b", "4a 6a 4b 6b"),
            ("6a 4a 4b 4c", "6a 4a 4b 4c"),
            ("4a 6a 6b 6c", "4a 6a 6b 6c"),
            ("6a 6a 4a 6a 4a", "6a 4a"),
        ] {
            let order: Vec<_> = order.split_whitespace().map(address).collect();
            assert_eq!(race(given).left().collect::<Vec<_>>(), order, "{given}");
        }
    }

    #[test]
    fn the_next_comes_after_the_stagger_or_a_failure() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut race = race("6a 4a 6b 4b");
        assert_eq!(race.wake_at(), None);
        assert_eq!(race.next(start), Some(address("6a")));
        assert_eq!(race.next(start), None);
        assert_eq!(race.wake_at(), Some(start + ms(250)));
        assert_eq!(race.next(start + ms(249)), None);
        assert_eq!(race.next(start + ms(250)), Some(address("4a")));
        assert_eq!(race.wake_at(), Some(start + ms(500)));
        race.failed();
        assert_eq!(race.next(start + ms(260)), Some(address("6b")));
        // The stagger counts from the latest.
        assert_eq!(race.next(start + ms(500)), None);
        assert_eq!(race.next(start + ms(510)), Some(address("4b")));
        assert_eq!(race.wake_at(), None);
        assert_eq!(race.next(start + ms(5_000)), None);
    }

    #[test]
    fn an_attempt_has_a_bound() {
        let many = (0..100).map(|last| SocketAddr::from(([8, 8, 8, last], 443)));
        let (race, too_many) = Race::new(many);
        assert_eq!((race.left().count(), too_many.len()), (16, 84));
    }

    proptest! {
        #[test]
        fn every_address_has_its_turn_once(given: Vec<SocketAddr>) {
            let (mut race, too_many) = Race::new(given.iter().copied());
            let now = Instant::now();
            let mut seen = too_many;
            while let Some(address) = race.next(now) {
                race.failed();
                seen.push(address);
            }
            prop_assert!(given.first().is_none_or(|first| seen.contains(first)));
            for address in &given {
                prop_assert_eq!(seen.iter().filter(|other| *other == address).count(), 1);
            }
        }
    }
}
