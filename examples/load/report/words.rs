//! Figures as people read them.

use std::time::Duration;

/// With three significant digits, and a unit.
pub(crate) fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..999.5 => format!("{micros:.0} µs"),
        ..999_500.0 => format!("{} ms", three_digits(micros / 1e3)),
        _ => format!("{} s", three_digits(micros / 1e6)),
    }
}

/// A second.
pub(crate) fn rate(a_second: f64) -> String {
    if a_second < 1_000.0 {
        format!("{}/s", three_digits(a_second))
    } else {
        format!("{}/s", grouped(a_second))
    }
}

pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        ..0.001 => "below 0.001 %".to_owned(),
        ..0.1 => format!("{percent:.3} %"),
        ..10.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes are shown with three digits")]
pub(crate) fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1_000.0 {
            return format!("{} {unit}", three_digits(size));
        }
        size /= 1_024.0;
    }
    format!("{} TiB", three_digits(size))
}

/// As many digits behind the point as make three.
pub(crate) fn three_digits(number: f64) -> String {
    let text = match number {
        ..9.995 => format!("{number:.2}"),
        ..99.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    };
    match text.split_once('.') {
        Some((whole, behind)) if behind.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        _ => text,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a rate")]
fn grouped(number: f64) -> String {
    count(number.round().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        let times = [
            (Duration::ZERO, "0 µs"),
            (Duration::from_micros(87), "87 µs"),
            (Duration::from_micros(1_234), "1.23 ms"),
            (Duration::from_millis(12), "12 ms"),
            (Duration::from_millis(999), "999 ms"),
            (Duration::from_millis(12_340), "12.3 s"),
        ];
        for (given, expected) in times {
            assert_eq!(time(given), expected);
        }
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.000_001, 0.000_5, 0.012_3, 0.5].map(percent),
            ["0 %", "below 0.001 %", "0.050 %", "1.23 %", "50.0 %"]
        );
        assert_eq!([0, 64, 2_048, 5_000_000].map(bytes), ["0 B", "64 B", "2 KiB", "4.77 MiB"]);
        assert_eq!([0.5, 999.0, 12_345.6].map(rate), ["0.50/s", "999/s", "12,346/s"]);
    }
}
