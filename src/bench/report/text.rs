//! The report for people: a table and a list of figures for each scenario.

use std::fmt::{self, Display, Formatter, Write};

use super::{Figure, Finding, Limit, Report, Row};
use crate::bench::stats::{Percentiles, Spread};

const MIB: f64 = 1024.0 * 1024.0;

/// Displays the head of a report, before any scenario.
pub(in crate::bench) struct Head<'a>(pub(in crate::bench) &'a Report);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report { version, machine, settings, .. } = self.0;
        writeln!(f, "weir bench {version}, {} cores, {}", machine.cores, self.0.started)?;
        writeln!(
            f,
            "disk: append of 4 KiB and fdatasync {:.2} ms (median of 100; {:.2} to {:.2}) in {}",
            machine.sync_ms.median, machine.sync_ms.min, machine.sync_ms.max, machine.dir
        )?;
        writeln!(
            f,
            "load: {} connections on {} thread(s), {} bytes, {} s after {} s of warm-up, {} time(s)",
            settings.connections,
            settings.threads,
            settings.size_bytes,
            settings.duration_seconds,
            settings.warmup_seconds,
            settings.repeat
        )
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}", self.name, self.about)?;
        if !self.rows.is_empty() {
            table(f, &self.rows)?;
        }
        for figure in &self.figures {
            writeln!(f, "  {figure}")?;
        }
        match &self.error {
            Some(error) => writeln!(f, "  failed: {error}"),
            None => Ok(()),
        }
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mark = match self.met {
            Some(true) => "met   ",
            Some(false) => "MISSED",
            None => "      ",
        };
        write!(f, "{mark} {}: {} {}", self.name, number(self.value), self.unit)?;
        match self.limit {
            Some(Limit::AtLeast(least)) => write!(f, " (at least {})", number(least)),
            Some(Limit::AtMost(most)) => write!(f, " (at most {})", number(most)),
            None => Ok(()),
        }
    }
}

/// Columns that no row fills are left out.
fn table(f: &mut Formatter<'_>, rows: &[Row]) -> fmt::Result {
    let columns: Vec<(&str, Vec<String>)> = [
        ("", cells(rows, |row| row.name.clone())),
        ("accepted/s", cells(rows, |row| spread(row.accepted_per_second))),
        ("delivered/s", cells(rows, |row| spread(row.delivered_per_second))),
        ("ratio", cells(rows, ratio)),
        ("accept p50/p90/p99/p99.9 ms", cells(rows, |row| percentiles(row.accept_latency))),
        ("delivery p50/p90/p99/p99.9 ms", cells(rows, |row| percentiles(row.delivery_latency))),
        ("acknowledged", cells(rows, |row| row.events.acknowledged.to_string())),
        ("lost", cells(rows, |row| row.events.lost.to_string())),
        ("duplicate", cells(rows, |row| row.events.duplicates.to_string())),
        ("unexpected", cells(rows, |row| nonzero(row.events.unexpected))),
        ("errors", cells(rows, errors)),
        ("RSS before/peak/after MiB", cells(rows, memory)),
        ("CPU s", cells(rows, |row| row.cpu_seconds.map(|cpu| format!("{cpu:.2}")).unwrap_or_default())),
    ]
    .into_iter()
    .filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty()))
    .collect();
    let widths: Vec<usize> = columns
        .iter()
        .map(|(head, cells)| cells.iter().map(|cell| cell.chars().count()).chain([head.len()]).max().unwrap_or(0))
        .collect();
    for line in 0..=rows.len() {
        let mut text = String::from(" ");
        for ((head, cells), &width) in columns.iter().zip(&widths) {
            let cell = if line == 0 { head } else { cells[line - 1].as_str() };
            write!(text, " {cell:<width$} ")?;
        }
        writeln!(f, "{}", text.trim_end())?;
    }
    Ok(())
}

fn cells(rows: &[Row], cell: impl Fn(&Row) -> String) -> Vec<String> {
    rows.iter().map(cell).collect()
}

fn spread(value: Option<Spread>) -> String {
    match value {
        Some(Spread { median, min, max }) if min < max => format!("{median:.0} ({min:.0} to {max:.0})"),
        Some(Spread { median, .. }) => format!("{median:.0}"),
        None => String::new(),
    }
}

fn ratio(row: &Row) -> String {
    row.ratio.as_ref().map(|ratio| format!("{:.2} × {}", ratio.value, ratio.to)).unwrap_or_default()
}

fn percentiles(value: Option<Percentiles>) -> String {
    let all = |p: Percentiles| [p.p50_ms, p.p90_ms, p.p99_ms, p.p99_9_ms].map(|ms| format!("{ms:.2}")).join("/");
    value.map(all).unwrap_or_default()
}

fn errors(row: &Row) -> String {
    row.errors.iter().map(|(error, count)| format!("{error}: {count}")).collect::<Vec<_>>().join(", ")
}

fn memory(row: &Row) -> String {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / MIB);
    row.memory.map(|m| [m.before_bytes, m.peak_bytes, m.after_bytes].map(mib).join("/")).unwrap_or_default()
}

fn nonzero(count: u64) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

fn number(value: f64) -> String {
    if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
