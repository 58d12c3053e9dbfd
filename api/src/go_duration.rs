//! Durations as Go writes them (`1m30s`, `250ms`), which Knative's annotations, schedules and the settings of NATS use.
//!
//! `kube` can read them too, but panics on numbers out of range; these come from anybody's manifest.

use std::time::Duration;

/// Reads what Go's `time.ParseDuration` reads, but for negative durations, which none of our settings has. None if
/// `text` is no duration, or longer than Go can count (292 years).
pub fn parse(text: &str) -> Option<Duration> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut nanoseconds = 0_u64;
    let mut rest = unsigned;
    if unsigned.is_empty() {
        return None;
    }
    while !rest.is_empty() && unsigned != "0" {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        nanoseconds = nanoseconds.checked_add(scaled(number, unit_nanoseconds(unit)?)?)?;
        rest = tail;
    }
    let negative = text.starts_with('-') && nanoseconds > 0;
    // Go's durations are signed: what does not fit one is not one.
    (!negative && i64::try_from(nanoseconds).is_ok()).then(|| Duration::from_nanos(nanoseconds))
}

fn unit_nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return None,
    })
}

/// `number`, digits with or without a fraction, times `unit`.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    // Nothing is finer than a nanosecond of an hour: 13 digits.
    let fraction = fraction.get(..fraction.len().min(13)).filter(|_| !fraction.contains('.'))?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    // To the nearest, so that a third of an hour is 20 minutes, as in Go.
    let part = u64::try_from((u128::from(digits(fraction)?) * u128::from(unit) + scale / 2) / scale).ok()?;
    digits(whole)?.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0s", 0),
            ("-0s", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("+7us", 7_000),
            ("2m", 120_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("2.ms", 2_000_000),
            ("1h15m30.918273645s", 4_530_918_273_645),
            ("10ms3us1ns", 10_003_001),
            ("12\u{b5}s12\u{3bc}s", 24_000),
            ("0.3333333333333333333h", 1_200_000_000_000),
            ("2562047h47m16.854775807s", i64::MAX as u64),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_none() {
        let long = ["9999999999h", "2562048h", "2562047h47m16.854775808s", "99999999999999999999s"];
        let malformed =
            ["", "-", "+", "3", "s", ".s", "1.2.3s", "5 s", "1m 2s", "5S", "1sx", "1d", "1e3s", "PT1S", "x"];
        for text in long.into_iter().chain(malformed).chain(["-1s", "-5s", "1s-5s"]) {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
