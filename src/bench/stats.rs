//! Many numbers made few: percentiles of a latency, median and spread of repeated measurements.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency told apart, in nanoseconds; longer ones count as this.
const LONGEST_NS: u64 = 600_000_000_000;

/// An empty histogram of nanoseconds, to three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("constant bounds are valid")
}

/// A latency in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p99_9_ms: f64,
    pub(super) max_ms: f64,
    /// Events measured.
    pub(super) count: u64,
}

impl Percentiles {
    /// `None` when nothing was recorded.
    pub(super) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| round(histogram.value_at_quantile(quantile) as f64 / 1e6);
        (!histogram.is_empty()).then(|| Self {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            max_ms: round(histogram.max() as f64 / 1e6),
            count: histogram.len(),
        })
    }
}

/// What repeated measurements of one thing came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { median: round(median), min: round(min), max: round(max) })
    }
}

/// Four significant digits or more: enough for every figure, short enough to read.
pub(super) fn round(value: f64) -> f64 {
    let scale = if value.abs() >= 1000.0 { 1.0 } else { 1000.0 };
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut latency = histogram();
        for millis in 1..=1000u64 {
            latency.saturating_record(millis * 1_000_000);
        }
        let percentiles = Percentiles::of(&latency).expect("not empty");
        let close = |found: f64, wanted: f64| (found - wanted).abs() / wanted < 0.002;
        assert!(close(percentiles.p50_ms, 500.0), "{percentiles:?}");
        assert!(close(percentiles.p99_ms, 990.0), "{percentiles:?}");
        assert!(close(percentiles.p99_9_ms, 999.0), "{percentiles:?}");
        assert_eq!(percentiles.count, 1000);
        assert_eq!(Percentiles::of(&histogram()), None);
    }

    #[test]
    fn a_latency_beyond_the_longest_counts_as_the_longest() {
        let mut latency = histogram();
        latency.saturating_record(u64::MAX);
        assert!(Percentiles::of(&latency).expect("not empty").max_ms >= LONGEST_NS as f64 / 1e6);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of(&[7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(Spread::of(&[]), None);
    }
}
