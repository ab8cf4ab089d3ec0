use std::{fmt, str::FromStr, time::Duration};

/// What a run must reach, such as `p99<20ms` or `errors<0.1%`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    pub(crate) metric: Metric,
    pub(crate) comparison: Comparison,
    pub(crate) bound: Bound,
}

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Metric {
    /// Of the times of one kind.
    Time(Clock, Statistic),
    /// Messages that got no answer, and why does not matter.
    Errors,
    /// Messages that were sent later than they were due, by more than a millisecond.
    Late,
    /// Answers a second in the message phase.
    Rate,
    /// Connections that were connected when the connect phase was over.
    Connected,
    /// Sessions that ended without being told to.
    Disconnects,
}

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// From when the message was due to its answer.
    Response,
    /// From when the message was sent to its answer.
    Service,
    /// From the wish to connect to the end of the opening handshake.
    Connect,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Statistic {
    /// In percent: 50 is the median.
    Percentile(f64),
    Mean,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    Time(Duration),
    /// Of all, from 0 to 1.
    Share(f64),
    Count(f64),
}

/// Why a text is not a threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidThreshold {
    #[error("{0:?} has no comparison: write METRIC<BOUND, with <, <=, > or >=, such as p99<20ms")]
    NoComparison(String),
    #[error(
        "there is no metric {0:?}: use p50, p99, p99.9 …, mean or max (of the response time), \
         service.p99 …, connect.p99 …, errors, late, rate, connected or disconnects"
    )]
    UnknownMetric(String),
    #[error("{metric} is compared with {expected}, and {bound:?} is not one")]
    WrongBound { metric: String, expected: &'static str, bound: String },
}

impl Comparison {
    /// Longer signs first, for `<` begins `<=`.
    const SIGNS: [(&'static str, Self); 4] =
        [("<=", Self::AtMost), (">=", Self::AtLeast), ("<", Self::Below), (">", Self::Above)];

    pub(crate) fn holds(self, measured: f64, bound: f64) -> bool {
        match self {
            Self::Below => measured < bound,
            Self::AtMost => measured <= bound,
            Self::Above => measured > bound,
            Self::AtLeast => measured >= bound,
        }
    }
}

impl FromStr for Threshold {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let split = Comparison::SIGNS
            .iter()
            .find_map(|(sign, comparison)| Some((text.split_once(sign)?, *comparison)));
        let ((metric, bound), comparison) =
            split.ok_or_else(|| InvalidThreshold::NoComparison(text.to_owned()))?;
        let metric: Metric = metric.trim().parse()?;
        Ok(Self { metric, comparison, bound: metric.bound(bound.trim())? })
    }
}

impl FromStr for Metric {
    type Err = InvalidThreshold;

    fn from_str(name: &str) -> Result<Self, InvalidThreshold> {
        let unknown = || InvalidThreshold::UnknownMetric(name.to_owned());
        let (clock, statistic) = match name.split_once('.') {
            Some(("service", statistic)) => (Clock::Service, statistic),
            Some(("connect", statistic)) => (Clock::Connect, statistic),
            Some(("response", statistic)) => (Clock::Response, statistic),
            _ => (Clock::Response, name),
        };
        let statistic = match statistic {
            "mean" => Statistic::Mean,
            "max" => Statistic::Max,
            "errors" => return Ok(Self::Errors),
            "late" => return Ok(Self::Late),
            "rate" => return Ok(Self::Rate),
            "connected" => return Ok(Self::Connected),
            "disconnects" => return Ok(Self::Disconnects),
            percentile => {
                let percent = percentile.strip_prefix('p').ok_or_else(unknown)?;
                match percent.parse::<f64>() {
                    Ok(percent) if percent > 0.0 && percent <= 100.0 => {
                        Statistic::Percentile(percent)
                    }
                    _ => return Err(unknown()),
                }
            }
        };
        Ok(Self::Time(clock, statistic))
    }
}

impl Metric {
    /// What it is compared with.
    fn bound(self, text: &str) -> Result<Bound, InvalidThreshold> {
        let (bound, expected) = match self {
            Self::Time(..) => (time(text).map(Bound::Time), "a time such as 20ms or 1.5s"),
            Self::Rate => {
                (count(text.trim_end_matches("/s")).map(Bound::Count), "messages a second")
            }
            Self::Errors | Self::Late | Self::Connected | Self::Disconnects => {
                (share_or_count(text), "a count such as 10 or a share such as 0.1%")
            }
        };
        let wrong = || InvalidThreshold::WrongBound {
            metric: self.to_string(),
            expected,
            bound: text.to_owned(),
        };
        bound.ok_or_else(wrong)
    }
}

fn share_or_count(text: &str) -> Option<Bound> {
    match text.strip_suffix('%') {
        Some(percent) => count(percent).map(|percent| Bound::Share(percent / 100.0)),
        None => count(text).map(Bound::Count),
    }
}

fn count(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|count: &f64| count.is_finite() && *count >= 0.0)
}

fn time(text: &str) -> Option<Duration> {
    let digits = text.find(|it: char| it != '.' && !it.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit.trim() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(count(number)? * unit).ok()
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(clock, statistic) => {
                f.write_str(match clock {
                    Clock::Response => "",
                    Clock::Service => "service.",
                    Clock::Connect => "connect.",
                })?;
                match statistic {
                    Statistic::Percentile(percent) => write!(f, "p{percent}"),
                    Statistic::Mean => f.write_str("mean"),
                    Statistic::Max => f.write_str("max"),
                }
            }
            Self::Errors => f.write_str("errors"),
            Self::Late => f.write_str("late"),
            Self::Rate => f.write_str("rate"),
            Self::Connected => f.write_str("connected"),
            Self::Disconnects => f.write_str("disconnects"),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut signs = Comparison::SIGNS.iter();
        let sign = signs.find(|(_, it)| *it == self.comparison).map_or("", |(sign, _)| sign);
        write!(f, "{} {sign} {}", self.metric, self.bound)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => write!(f, "{time:?}"),
            // Not 0.1 % as 0.10000000000000001 %.
            Self::Share(share) => write!(f, "{}%", (share * 100.0 * 1e9).round() / 1e9),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let table = [
            ("p99<20ms", "p99 < 20ms"),
            ("p99.9 <= 1.5s", "p99.9 <= 1.5s"),
            ("response.max<1m", "max < 60s"),
            ("service.p50<500us", "service.p50 < 500µs"),
            ("connect.mean<1s", "connect.mean < 1s"),
            ("errors<0.1%", "errors < 0.1%"),
            ("errors<=0", "errors <= 0"),
            ("late<1%", "late < 1%"),
            ("rate>=950/s", "rate >= 950"),
            ("connected>=99.9%", "connected >= 99.9%"),
            ("disconnects<1", "disconnects < 1"),
        ];
        for (text, expected) in table {
            let threshold: Threshold = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(threshold.to_string(), expected, "{text}");
            assert_eq!(expected.parse::<Threshold>().unwrap(), threshold);
        }
    }

    #[test]
    fn tells_what_is_wrong() {
        let table = [
            ("p99", "has no comparison"),
            ("p99=20ms", "has no comparison"),
            ("p0<1ms", "no metric \"p0\""),
            ("p101<1ms", "no metric"),
            ("latency<1ms", "no metric"),
            ("p99<20", "a time such as 20ms"),
            ("p99<1%", "a time such as 20ms"),
            ("errors<20ms", "a count such as 10 or a share"),
            ("errors<-1", "a count such as 10 or a share"),
            ("rate>fast", "messages a second"),
        ];
        for (text, expected) in table {
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
