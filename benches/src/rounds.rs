//! Measuring contenders in turn.

use std::fmt;

use anyhow::Result;

/// What was measured of one contender, round after round.
pub(crate) struct Taken<C, T> {
    pub(crate) who: C,
    pub(crate) samples: Vec<T>,
}

/// The middle of some figures, and how far they lie apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

/// Measures all contenders once in each round, so that what disturbs the machine for a while
/// disturbs them alike.
pub(crate) fn alternate<C: Copy + fmt::Display, T>(
    what: &str,
    rounds: usize,
    contenders: impl IntoIterator<Item = C>,
    mut measure: impl FnMut(C) -> Result<T>,
) -> Result<Vec<Taken<C, T>>> {
    let mut taken: Vec<_> =
        contenders.into_iter().map(|who| Taken { who, samples: Vec::new() }).collect();
    for round in 1..=rounds {
        for Taken { who, samples } in &mut taken {
            eprintln!("{what}, round {round} of {rounds}: {who}");
            samples.push(measure(*who)?);
        }
    }
    Ok(taken)
}

impl<C, T> Taken<C, T> {
    /// Of one figure of all rounds.
    pub(crate) fn spread(&self, figure: impl Fn(&T) -> f64) -> Spread {
        let mut figures: Vec<_> = self.samples.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        // The lower of the two in the middle, where there are two.
        Spread { least: at(0), median: at(last / 2), most: at(last) }
    }

    pub(crate) fn median(&self, figure: impl Fn(&T) -> f64) -> f64 {
        self.spread(figure).median
    }
}

/// The median of one figure of one contender.
pub(crate) fn median_of<C: Copy + PartialEq, T>(
    taken: &[Taken<C, T>],
    who: C,
    figure: impl Fn(&T) -> f64,
) -> f64 {
    let found = taken.iter().find(|taken| taken.who == who);
    found.map_or(f64::NAN, |taken| taken.median(figure))
}
