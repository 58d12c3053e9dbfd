//! Durations as Go writes them, the form of NATS settings.

use std::time::Duration;

/// Parses a duration such as `2m`, `1h30m` or `0.5s`. None if `text` is none, is negative or is longer than Go can
/// count (292 years).
pub fn parse_go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos = 0_u64;
    loop {
        let (number, tail) = rest.split_at(rest.find(|c: char| !matches!(c, '0'..='9' | '.'))?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| matches!(c, '0'..='9' | '.')).unwrap_or(tail.len()));
        nanos = nanos.checked_add(parse_part(number, unit)?)?;
        if tail.is_empty() {
            return i64::try_from(nanos).is_ok().then(|| Duration::from_nanos(nanos));
        }
        rest = tail;
    }
}

/// One `<number><unit>` in nanoseconds.
fn parse_part(number: &str, unit: &str) -> Option<u64> {
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut place = unit;
    let fraction = fraction.bytes().fold(0, |sum, digit| {
        place /= 10;
        sum + u64::from(digit - b'0') * place
    });
    whole.checked_mul(unit)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        let nanos = |text| parse_go_duration(text).map(|duration| duration.as_nanos());
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("2m", 120_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5h", 1_800_000_000_000),
            ("2.ms", 2_000_000),
            ("+7us", 7_000),
            ("3µs4ns", 3_004),
            ("2562047h47m16.854775807s", i64::MAX as u128),
        ] {
            assert_eq!(nanos(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "+",
            "5",
            "s",
            ".s",
            "1.2.3s",
            "1d",
            "1m 2s",
            "-1s",
            "PT1S",
            "1S",
            "1sx",
            "2562048h",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_go_duration(text), None, "{text:?}");
        }
    }
}
