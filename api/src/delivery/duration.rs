//! ISO 8601 durations as Knative's delivery options write them.

use std::time::Duration;

/// Why a text is not a usable duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not an ISO 8601 duration.
    #[error("expected an ISO 8601 duration such as PT0.2S, PT1M or P1DT12H")]
    Malformed,
    /// Well formed, but less than nothing.
    #[error("must not be negative")]
    Negative,
    /// Well formed, but beyond what can be counted.
    #[error("too long")]
    TooLong,
}

/// Parses an ISO 8601 duration. Years count 365.2425 days and months a twelfth of that, as Knative's parser has it.
pub fn parse_iso8601(text: &str) -> Result<Duration, DurationError> {
    const DAY: f64 = 86_400.0;
    const YEAR: f64 = 365.242_5 * DAY;
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let rest = rest.strip_prefix('P').ok_or(DurationError::Malformed)?;
    let (date, time) = match rest.split_once('T') {
        // A `T` announces at least one part.
        Some((_, "")) => return Err(DurationError::Malformed),
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return Err(DurationError::Malformed);
    }
    let seconds = parts(date, &[('Y', YEAR), ('M', YEAR / 12.0), ('W', 7.0 * DAY), ('D', DAY)])?
        + parts(time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)])?;
    if negative && seconds > 0.0 {
        return Err(DurationError::Negative);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| DurationError::TooLong)
}

/// Sums `<number><unit>` parts, whose units must come in the given order and once each.
fn parts(mut text: &str, units: &[(char, f64)]) -> Result<f64, DurationError> {
    let mut units = units.iter();
    let mut seconds = 0.0;
    while !text.is_empty() {
        let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | ',')).ok_or(DurationError::Malformed)?;
        let (number, tail) = text.split_at(end);
        let unit = tail.chars().next().ok_or(DurationError::Malformed)?;
        let (_, factor) = units.find(|(known, _)| *known == unit).ok_or(DurationError::Malformed)?;
        let number: f64 = number.replace(',', ".").parse().map_err(|_| DurationError::Malformed)?;
        seconds += number * factor;
        text = &tail[unit.len_utf8()..];
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_knative_writes_them() {
        let millis = |text| parse_iso8601(text).map(|d| d.as_millis());
        assert_eq!(millis("PT0.2S"), Ok(200));
        assert_eq!(millis("PT0,5S"), Ok(500));
        assert_eq!(millis("PT1M30S"), Ok(90_000));
        assert_eq!(millis("P1DT1H"), Ok(90_000_000));
        assert_eq!(millis("P1W"), Ok(604_800_000));
        assert_eq!(millis("PT0S"), Ok(0));
        assert_eq!(millis("P1Y"), Ok(31_556_952_000));
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        for text in ["", "P", "PT", "5s", "PT5", "1M", "PTS", "PT1S1M", "PT1X", "PT..S", "PT1S ", "pt1s", "P1H"] {
            assert_eq!(parse_iso8601(text), Err(DurationError::Malformed), "{text:?}");
        }
        assert_eq!(parse_iso8601("-PT1S"), Err(DurationError::Negative));
        assert_eq!(parse_iso8601("P99999999999999999999Y"), Err(DurationError::TooLong));
    }
}
