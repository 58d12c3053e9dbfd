//! The syntax of schedules: what a PingSource may say about when it sends.
//!
//! It is the one of Knative's parser (robfig/cron, version 3), fields and descriptors alike, with these differences:
//! an empty element of a list (`1,,2`) and a range that begins with `*` (`*-5`) are refused, which that parser reads
//! as something else; white space around the whole is ignored; and `@every <duration>` is allowed (Weir's addition,
//! Knative refuses it).
//!
//! This only checks, and says where a mistake is; when a schedule fires is the source's business.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::go_duration;

/// Why a text is no schedule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleError {
    /// The character at which the mistake begins, counted from 1.
    pub at: usize,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.problem)
    }
}

impl std::error::Error for ScheduleError {}

/// Whether `text` is a schedule:
///
/// * 5 fields, or 6 with the second first. A field is a list of values, ranges and steps (`1,5-9,*/15`); months and
///   days of the week have names as well, and Sunday is 0 only; `?` is `*`;
/// * `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight` or `@hourly`;
/// * `@every 1h30m`: a Go duration of a second or more;
/// * any of them after `CRON_TZ=<time zone>` or `TZ=<time zone>` and a space.
pub fn check(text: &str) -> Result<(), ScheduleError> {
    let whole = Part { text, at: 0 }.trim();
    let mut schedule = whole;
    if let Some(zone) = whole.after_zone_key() {
        let end = zone.text.find(char::is_whitespace).unwrap_or(zone.text.len());
        let name = zone.slice(0, end);
        if time_zone(name.text).is_err() {
            return Err(name.error(text, UNKNOWN_TIME_ZONE));
        }
        schedule = zone.slice(end, zone.text.len()).trim();
    }
    let checked = match schedule.text.strip_prefix('@') {
        None => check_fields(schedule),
        Some(_) => check_descriptor(schedule),
    };
    checked.map_err(|(part, problem)| part.error(text, &problem))
}

/// Whether `schedule` says its time zone itself.
pub fn names_zone(schedule: &str) -> bool {
    Part { text: schedule, at: 0 }.trim().after_zone_key().is_some()
}

/// The time zone called `name`: an IANA name, or `Local` for the machine's own.
pub fn time_zone(name: &str) -> Result<TimeZone, jiff::Error> {
    if name == "Local" { Ok(TimeZone::system()) } else { TimeZone::get(name) }
}

/// What is wrong with a time zone that [`time_zone`] does not know.
pub const UNKNOWN_TIME_ZONE: &str = "expected an IANA time zone name such as Europe/Berlin";

/// A part of a schedule, and the byte at which it begins.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    at: usize,
}

type Checked<'a> = Result<(), (Part<'a>, String)>;

impl<'a> Part<'a> {
    fn slice(self, from: usize, to: usize) -> Self {
        Self { text: &self.text[from..to], at: self.at + from }
    }

    fn trim(self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        Self { text: self.text.trim(), at: self.at + start }
    }

    fn after_zone_key(self) -> Option<Self> {
        let key = ["CRON_TZ=", "TZ="].into_iter().find(|key| self.text.starts_with(key))?;
        Some(self.slice(key.len(), self.text.len()))
    }

    /// The parts between separators, empty ones included.
    fn split(self, is_separator: impl Fn(char) -> bool) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut start = 0;
        for (index, separator) in self.text.char_indices().filter(|&(_, c)| is_separator(c)) {
            parts.push(self.slice(start, index));
            start = index + separator.len_utf8();
        }
        parts.push(self.slice(start, self.text.len()));
        parts
    }

    /// What stands before and after the first separator.
    fn split_once(self, separator: char) -> (Self, Option<Self>) {
        match self.text.find(separator) {
            None => (self, None),
            Some(index) => (self.slice(0, index), Some(self.slice(index + separator.len_utf8(), self.text.len()))),
        }
    }

    fn error(self, whole: &str, problem: &str) -> ScheduleError {
        ScheduleError { at: whole[..self.at].chars().count() + 1, problem: problem.to_owned() }
    }
}

/// One of the fields of a schedule.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the values, from `min` on.
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 6] = [
    Field { name: "second", min: 0, max: 59, names: &[] },
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of the month", min: 1, max: 31, names: &[] },
    Field { name: "month", min: 1, max: 12, names: &MONTHS },
    Field { name: "day of the week", min: 0, max: 6, names: &DAYS },
];

fn check_fields(schedule: Part<'_>) -> Checked<'_> {
    let mut parts = schedule.split(char::is_whitespace);
    parts.retain(|part| !part.text.is_empty());
    let fields = match parts.len() {
        5 => &FIELDS[1..],
        6 => &FIELDS[..],
        found => {
            let problem = format!(
                "expected 5 fields (minute, hour, day of the month, month, day of the week), or 6 with the second \
                 first, found {found}"
            );
            // The first one too many, or where more are missing.
            let end = schedule.slice(schedule.text.len(), schedule.text.len());
            return Err((parts.get(6).copied().unwrap_or(end), problem));
        }
    };
    for (field, part) in fields.iter().zip(parts) {
        for element in part.split(|c| c == ',') {
            field.check(element)?;
        }
    }
    Ok(())
}

impl Field {
    /// `*`, `?`, a value or a range, and perhaps a step.
    fn check<'a>(&self, element: Part<'a>) -> Checked<'a> {
        let (range, step) = element.split_once('/');
        let (low, high) = range.split_once('-');
        if high.is_some() || !matches!(low.text, "*" | "?") {
            let first = self.value(low)?;
            let last = high.map_or(Ok(first), |high| self.value(high))?;
            if first > last {
                return Err((range, format!("{}: the range goes backwards", self.name)));
            }
        }
        match step {
            Some(step) if number(step.text).is_none_or(|step| step == 0) => {
                Err((step, format!("{}: expected a step of 1 or more, got {:?}", self.name, step.text)))
            }
            _ => Ok(()),
        }
    }

    fn value<'a>(&self, part: Part<'a>) -> Result<u32, (Part<'a>, String)> {
        let named = self.names.iter().zip(self.min..).find(|(name, _)| part.text.eq_ignore_ascii_case(name));
        let value = named.map(|(_, value)| value).or_else(|| number(part.text));
        value.filter(|value| (self.min..=self.max).contains(value)).ok_or_else(|| {
            let names = match self.names {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            let (name, min, max) = (self.name, self.min, self.max);
            (part, format!("{name}: expected {min} to {max}{names}, got {:?}", part.text))
        })
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn check_descriptor(schedule: Part<'_>) -> Checked<'_> {
    const EVERY: &str = "@every ";
    match schedule.text {
        "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly" => Ok(()),
        text if text.starts_with(EVERY) => {
            let duration = schedule.slice(EVERY.len(), text.len());
            let usable = go_duration::parse(duration.text).is_some_and(|every| every >= Duration::from_secs(1));
            let problem = "expected a duration of 1s or more such as 10s or 1h30m";
            if usable { Ok(()) } else { Err((duration, problem.to_owned())) }
        }
        _ => {
            let problem = "expected @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly or @every with a \
                           duration after it";
            Err((schedule, problem.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
