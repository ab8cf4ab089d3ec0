//! How often something happened, from moment to moment.

use std::time::Duration;

/// The most within any stretch of time of this length. `times` rise.
pub(crate) fn most_within(times: &[Duration], length: Duration) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, time) in times.iter().enumerate() {
        while times.get(first).is_some_and(|start| *start + length <= *time) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// The largest number under way at once. Where both happen at the same moment, ends come first.
pub(crate) fn most_at_once(begins: &[Duration], ends: &[Duration]) -> usize {
    let mut ended = 0;
    let mut most = 0;
    for (begun, time) in (1..).zip(begins) {
        while ends.get(ended).is_some_and(|end| end <= time) {
            ended += 1;
        }
        most = most.max(usize::saturating_sub(begun, ended));
    }
    most
}

/// How many fall into each bin of this width, from zero on.
pub(crate) fn bins(times: &[Duration], width: Duration) -> Vec<u32> {
    let mut bins = Vec::new();
    for time in times {
        let Ok(bin) = usize::try_from(time.as_nanos() / width.as_nanos()) else { continue };
        if bins.len() <= bin {
            bins.resize(bin + 1, 0);
        }
        bins[bin] += 1;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn the_worst_second_may_begin_anywhere() {
        let times = millis(&[0, 600, 900, 1_500, 1_599, 3_000]);
        assert_eq!(most_within(&times, Duration::from_secs(1)), 4);
        assert_eq!(most_within(&[], Duration::from_secs(1)), 0);
    }

    #[test]
    fn what_ends_makes_room() {
        let begins = millis(&[0, 10, 20, 30]);
        assert_eq!(most_at_once(&begins, &millis(&[10, 20, 30])), 1);
        assert_eq!(most_at_once(&begins, &millis(&[25])), 3);
        assert_eq!(most_at_once(&begins, &[]), 4);
    }

    #[test]
    fn bins_are_half_open() {
        let times = millis(&[0, 99, 100, 350]);
        assert_eq!(bins(&times, Duration::from_millis(100)), [2, 1, 0, 1]);
    }
}
