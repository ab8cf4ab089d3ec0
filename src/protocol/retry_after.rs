use std::time::{Duration, SystemTime};

/// When a server that refused wants to be asked again (RFC 9110 §10.2.3).
///
/// It is a wish of the peer's and may be absurd: clamp it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// After this delay.
    Delay(Duration),
    /// Not before this time.
    At(SystemTime),
}

impl RetryAfter {
    /// Parses a `Retry-After` value: a number of seconds or an HTTP date. `None` if it is neither.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim_ascii();
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            // Digits fail to parse only when they are too many.
            let seconds = value.parse().unwrap_or(u64::MAX);
            return Some(Self::Delay(Duration::from_secs(seconds)));
        }
        httpdate::parse_http_date(value).ok().map(Self::At)
    }

    /// How long to wait from `now` on; zero if the time has passed.
    #[must_use]
    pub fn delay_from(&self, now: SystemTime) -> Duration {
        match *self {
            Self::Delay(delay) => delay,
            Self::At(time) => time.duration_since(now).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn seconds() {
        for (value, seconds) in
            [("0", 0), ("120", 120), (" 7 ", 7), ("99999999999999999999999", u64::MAX)]
        {
            let parsed = RetryAfter::parse(value);
            assert_eq!(parsed, Some(RetryAfter::Delay(Duration::from_secs(seconds))), "{value:?}");
        }
    }

    #[test]
    fn dates_in_all_three_forms() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(RetryAfter::parse(value), Some(RetryAfter::At(time)), "{value:?}");
        }
        let at = RetryAfter::At(time);
        assert_eq!(at.delay_from(time - 90 * SECOND), 90 * SECOND);
        assert_eq!(at.delay_from(time + SECOND), Duration::ZERO);
    }

    #[test]
    fn nonsense() {
        for value in ["", "-1", "+1", "1.5", "soon", "1 2", "Sun, 99 Nov 1994 08:49:37 GMT", "é"] {
            assert_eq!(RetryAfter::parse(value), None, "{value:?}");
        }
    }
}
