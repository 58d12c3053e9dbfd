//! The duration of `@every`, as Go writes durations.

use std::time::Duration;

const EXPECTED: &str = "expected a duration of 1s or more such as 10s or 1h30m";

/// Reads numbers with the units `h`, `m`, `s`, `ms`, `us` (`µs`) and `ns`, which add up.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number = prefix(rest, |c| c.is_ascii_digit() || c == '.');
        let unit = prefix(&rest[number.len()..], |c| !c.is_ascii_digit() && c != '.');
        let factor = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(EXPECTED),
        };
        seconds += number.parse::<f64>().map_err(|_| EXPECTED)? * factor;
        rest = &rest[number.len() + unit.len()..];
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| EXPECTED)?;
    // Go counts nanoseconds in 63 bits.
    let countable = i64::try_from(duration.as_nanos()).is_ok();
    if duration >= Duration::from_secs(1) && countable { Ok(duration) } else { Err(EXPECTED) }
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !belongs(c)).unwrap_or(text.len())]
}
