//! What the bench found, for machines as JSON and for people as [`text`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::process::Memory;
use super::stats::{Percentiles, Spread, round};

pub(super) mod text;

/// Everything one run of the bench found. Its JSON form is the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Version of the program that measured.
    pub(super) version: String,
    /// When the run began, RFC 3339.
    pub(super) started: String,
    pub(super) machine: Machine,
    pub(super) settings: Settings,
    pub(super) scenarios: Vec<Finding>,
}

impl Report {
    /// True if every scenario ran to its end and lost nothing. Figures that are not met do not count.
    pub(super) fn is_sound(&self) -> bool {
        self.scenarios.iter().all(|found| found.error.is_none() && found.rows.iter().all(|row| row.events.lost == 0))
    }
}

/// What the numbers were measured on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    /// Where data directories were.
    pub(super) dir: String,
    /// One append of 4 KiB and its `fdatasync` there, in milliseconds.
    pub(super) sync_ms: Spread,
}

/// How hard it was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    pub(super) connections: usize,
    pub(super) size_bytes: usize,
    pub(super) duration_seconds: f64,
    pub(super) warmup_seconds: f64,
    pub(super) repeat: usize,
    pub(super) threads: usize,
}

/// What one scenario found.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Finding {
    pub(super) name: String,
    /// One sentence for people.
    pub(super) about: String,
    pub(super) rows: Vec<Row>,
    pub(super) figures: Vec<Figure>,
    /// Why the scenario ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// One thing under load: a yardstick, or a Broker.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// Events acknowledged per second.
    pub(super) accepted_per_second: Option<Spread>,
    /// Deliveries per second, from the first send to the last delivery.
    pub(super) delivered_per_second: Option<Spread>,
    pub(super) ratio: Option<Ratio>,
    /// Intended send time to the acknowledgement.
    pub(super) accept_latency: Option<Percentiles>,
    /// Intended send time to the first delivery.
    pub(super) delivery_latency: Option<Percentiles>,
    pub(super) events: Events,
    /// Unacknowledged requests by status code, or `connect`, `broken`, `timeout`.
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) memory: Option<Memory>,
    pub(super) cpu_seconds: Option<f64>,
}

impl Row {
    /// The rate the row stands for: deliveries where there are any to make, else acknowledgements.
    pub(super) fn rate(&self) -> Option<Spread> {
        self.delivered_per_second.or(self.accepted_per_second)
    }

    /// Relates this row's rate to that of `base`.
    pub(super) fn compare(&mut self, base: &Row) {
        if let (Some(rate), Some(of)) = (self.rate(), base.rate())
            && of.median > 0.0
        {
            self.ratio = Some(Ratio { to: base.name.clone(), value: round(rate.median / of.median) });
        }
    }
}

/// A rate relative to another row's.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ratio {
    pub(super) to: String,
    pub(super) value: f64,
}

/// Where the events went, over all repetitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Events {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) delivered: u64,
    /// Acknowledged and not delivered to a Trigger that wants them.
    pub(super) lost: u64,
    pub(super) duplicates: u64,
    /// Delivered to where they do not belong.
    pub(super) unexpected: u64,
}

/// A number the design promises something about, or one worth knowing.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) met: Option<bool>,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    /// A figure with a limit.
    pub(super) fn new(name: impl Into<String>, value: f64, unit: &'static str, limit: Limit) -> Self {
        let met = match limit {
            Limit::AtLeast(least) => value >= least,
            Limit::AtMost(most) => value <= most,
        };
        Self { name: name.into(), value: round(value), unit, limit: Some(limit), met: Some(met) }
    }

    /// A number without a limit.
    pub(super) fn fact(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value: round(value), unit, limit: None, met: None }
    }

    /// The ratio of a row, if it has one.
    pub(super) fn ratio(row: &Row, what: &str, least: f64) -> Option<Self> {
        let ratio = row.ratio.as_ref()?;
        Some(Self::new(format!("{what}: {} ÷ {}", row.name, ratio.to), ratio.value, "×", Limit::AtLeast(least)))
    }
}

#[cfg(test)]
mod tests;
