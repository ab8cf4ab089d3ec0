/// From figures to places on a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Even,
    /// Each step is ten times the last.
    Logarithmic,
}

impl Axis {
    /// From zero to the next round figure.
    pub(super) fn from_zero(highest: f64) -> Self {
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let step = round_step(highest, 4.0);
        Self { low: 0.0, high: (highest / step).ceil() * step, scale: Scale::Even }
    }

    /// From zero to exactly this.
    pub(super) fn up_to(highest: f64) -> Self {
        let high = if highest > 0.0 { highest } else { 1.0 };
        Self { low: 0.0, high, scale: Scale::Even }
    }

    /// From one positive figure to another, in equal ratios.
    pub(super) fn in_ratios(lowest: f64, highest: f64) -> Self {
        let low = lowest.max(f64::MIN_POSITIVE);
        Self { low, high: highest.max(low * 10.0), scale: Scale::Logarithmic }
    }

    /// Where it is, from 0 to 1.
    pub(super) fn place(&self, figure: f64) -> f64 {
        let place = match self.scale {
            Scale::Even => (figure - self.low) / (self.high - self.low),
            Scale::Logarithmic => {
                (figure.max(self.low) / self.low).ln() / (self.high / self.low).ln()
            }
        };
        place.clamp(0.0, 1.0)
    }

    /// What is there, from 0 to 1.
    pub(super) fn figure(&self, place: f64) -> f64 {
        match self.scale {
            Scale::Even => self.low + place * (self.high - self.low),
            Scale::Logarithmic => self.low * (self.high / self.low).powf(place),
        }
    }

    /// Figures to write beside it.
    pub(super) fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Even => {
                let step = round_step(self.high - self.low, 5.0);
                (0_u32..=20)
                    .map(|tick| self.low + f64::from(tick) * step)
                    .take_while(|tick| *tick <= self.high + step * 1e-9)
                    .collect()
            }
            Scale::Logarithmic => {
                // 1, 2, 5, 10 … where there are few decades, else the decades.
                let decades = (self.high / self.low).log10();
                let parts: &[f64] = if decades <= 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                #[expect(clippy::cast_possible_truncation, reason = "an exponent of ten")]
                let (first, last) =
                    (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
                let all = (first..=last)
                    .flat_map(|decade| parts.iter().map(move |part| part * 10_f64.powi(decade)));
                let margin = 1.0 + 1e-9;
                all.filter(|tick| *tick * margin >= self.low && *tick <= self.high * margin)
                    .collect()
            }
        }
    }
}

/// The round figure of which about so many make the whole: 1, 2 or 5, times a power of ten.
fn round_step(whole: f64, parts: f64) -> f64 {
    let rough = whole / parts;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * 0.999_999);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(Axis::from_zero(937.0).ticks(), [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0]);
        assert_eq!(Axis::from_zero(10.0).ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(Axis::from_zero(0.0).ticks().first(), Some(&0.0));
        assert_eq!(Axis::in_ratios(80.0, 900.0).ticks(), [100.0, 200.0, 500.0]);
        assert_eq!(Axis::in_ratios(1.0, 1e5).ticks().len(), 6);
    }

    proptest! {
        #[test]
        fn places_are_within_and_figures_come_back(high in 0.001..1e9_f64, part in 0.0..1.0_f64) {
            for axis in [Axis::from_zero(high), Axis::up_to(high), Axis::in_ratios(high / 1e3, high)] {
                let figure = axis.figure(part);
                prop_assert!((axis.place(figure) - part).abs() < 1e-6, "{axis:?} {figure}");
                let ticks = axis.ticks();
                prop_assert!((2..=16).contains(&ticks.len()), "{axis:?} {ticks:?}");
                prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
