use std::{fmt, str::FromStr};

/// Messages a second over all connections, at the beginning and at the end of the message phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// Why a text is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRate {
    #[error(
        "{0:?} is not a rate: give messages a second, such as 500, or a ramp, such as 100..5000"
    )]
    Unreadable(String),
    #[error("the rate is zero: nothing would be sent; give at least one end that is above zero")]
    Zero,
    #[error("the rate {0} is above 10,000,000 a second")]
    TooHigh(String),
}

const MAX: f64 = 10_000_000.0;

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let parse = |number: &str| -> Result<f64, InvalidRate> {
            let plain = number.trim().trim_end_matches("/s").replace('_', "");
            match plain.parse::<f64>() {
                Ok(rate) if rate > MAX => Err(InvalidRate::TooHigh(number.to_owned())),
                Ok(rate) if rate >= 0.0 => Ok(rate),
                _ => Err(InvalidRate::Unreadable(text.to_owned())),
            }
        };
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let rate = Self { from: parse(from)?, to: parse(to)? };
        if rate.from == 0.0 && rate.to == 0.0 { Err(InvalidRate::Zero) } else { Ok(rate) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = *self;
        if from.to_bits() == to.to_bits() {
            write!(f, "{from}/s")
        } else {
            write!(f, "{from}/s rising evenly to {to}/s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_constant_and_ramped_rates() {
        let table = [
            ("500", Ok((500.0, 500.0))),
            ("0.5", Ok((0.5, 0.5))),
            ("5_000/s", Ok((5_000.0, 5_000.0))),
            ("100..5000", Ok((100.0, 5_000.0))),
            ("0..10/s", Ok((0.0, 10.0))),
            ("0", Err(InvalidRate::Zero)),
            ("fast", Err(InvalidRate::Unreadable("fast".into()))),
            ("-1", Err(InvalidRate::Unreadable("-1".into()))),
            ("NaN", Err(InvalidRate::Unreadable("NaN".into()))),
            ("1..2..3", Err(InvalidRate::Unreadable("1..2..3".into()))),
            ("1e9", Err(InvalidRate::TooHigh("1e9".into()))),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Rate>().map(|rate| (rate.from, rate.to)), expected, "{text}");
        }
    }
}
