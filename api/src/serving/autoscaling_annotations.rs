//! Annotations that tell the autoscaler what to do with a Revision. Source: resources.md 12.2.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::AutoscalerLimits;
use crate::go_duration;
use crate::validation::{FieldError, Path};

/// Annotations of an object.
pub(super) type Annotations = BTreeMap<String, String>;

/// What they all begin with.
pub(super) const GROUP: &str = "autoscaling.knative.dev";
/// Who scales: [`KPA_CLASS`], [`HPA_CLASS`] or somebody else.
pub const CLASS: &str = "autoscaling.knative.dev/class";
/// By what: `concurrency` or `rps`, for [`HPA_CLASS`] `cpu`, `memory` or a metric of your own.
pub const METRIC: &str = "autoscaling.knative.dev/metric";
/// Knative's own autoscaler, the default.
pub const KPA_CLASS: &str = "kpa.autoscaling.knative.dev";
/// Kubernetes' HorizontalPodAutoscaler.
pub const HPA_CLASS: &str = "hpa.autoscaling.knative.dev";

/// Knative's own domain: classes in it are a closed set.
const DOMAIN: &str = "knative.dev";
/// Longest window and delay.
const MAX_WINDOW: Duration = Duration::from_secs(60 * 60);

/// One setting and its two spellings; the first wins where both are set.
struct Key(&'static str, Option<&'static str>);

const TARGET: Key = Key("target", None);
const UTILIZATION: Key = Key("target-utilization-percentage", Some("targetUtilizationPercentage"));
const BURST: Key = Key("target-burst-capacity", Some("targetBurstCapacity"));
const MIN: Key = Key("min-scale", Some("minScale"));
const MAX: Key = Key("max-scale", Some("maxScale"));
const INITIAL: Key = Key("initial-scale", Some("initialScale"));
const ACTIVATION: Key = Key("activation-scale", None);
const SCALE_DOWN_DELAY: Key = Key("scale-down-delay", Some("scaleDownDelay"));
const WINDOW: Key = Key("window", None);
const PANIC_WINDOW: Key = Key("panic-window-percentage", Some("panicWindowPercentage"));
const PANIC_THRESHOLD: Key = Key("panic-threshold-percentage", Some("panicThresholdPercentage"));
const RETENTION: Key = Key("scale-to-zero-pod-retention-period", Some("scaleToZeroPodRetentionPeriod"));
const ALGORITHM: Key = Key("metric-aggregation-algorithm", Some("metricAggregationAlgorithm"));
const KEYS: [Key; 13] = [
    TARGET,
    UTILIZATION,
    BURST,
    MIN,
    MAX,
    INITIAL,
    ACTIVATION,
    SCALE_DOWN_DELAY,
    WINDOW,
    PANIC_WINDOW,
    PANIC_THRESHOLD,
    RETENTION,
    ALGORITHM,
];

impl Key {
    fn spellings(&self) -> impl Iterator<Item = String> {
        [Some(self.0), self.1].into_iter().flatten().map(|name| format!("{GROUP}/{name}"))
    }
}

/// Adds every rule the annotations break. `path` is that of the annotations.
pub(super) fn validate(annotations: &Annotations, limits: AutoscalerLimits, path: &Path, errors: &mut Vec<FieldError>) {
    if !annotations.keys().any(|key| key.starts_with(GROUP)) {
        return;
    }
    let mut read = Reader { annotations, path, errors };
    read.validate_class_and_metric();
    read.validate_scales(limits);
    read.number(&TARGET, "expected 0.01 or more", |value| value >= 0.01);
    read.number(&UTILIZATION, "expected 1 to 100", |value| (1.0..=100.0).contains(&value));
    read.number(&BURST, "expected 0 or more, or -1", |value| value >= 0.0 || value == -1.0);
    read.number(&PANIC_WINDOW, "expected 1 to 100", |value| (1.0..=100.0).contains(&value));
    read.number(&PANIC_THRESHOLD, "expected 110 to 1000", |value| (110.0..=1000.0).contains(&value));
    read.duration(&WINDOW, "expected 6s to 1h, in whole seconds", Duration::from_secs(6), true);
    read.duration(&SCALE_DOWN_DELAY, "expected 0s to 1h, in whole seconds", Duration::ZERO, true);
    read.duration(&RETENTION, "expected 0s to 1h", Duration::ZERO, false);
}

/// Annotations of the group that no autoscaler of Knative reads. Those of another class may have their own.
pub(super) fn unknown(annotations: &Annotations) -> impl Iterator<Item = &String> {
    let ours = matches!(annotations.get(CLASS).map(String::as_str), None | Some(KPA_CLASS | HPA_CLASS));
    annotations.keys().filter(move |key| {
        let is_known =
            |key: &str| key == CLASS || key == METRIC || KEYS.iter().flat_map(Key::spellings).any(|known| known == key);
        ours && key.starts_with(GROUP) && !is_known(key)
    })
}

struct Reader<'a> {
    annotations: &'a Annotations,
    path: &'a Path,
    errors: &'a mut Vec<FieldError>,
}

impl Reader<'_> {
    /// Reads a setting; both spellings have to be right, so that the one that loses is not left unread.
    fn parsed<T>(&mut self, key: &Key, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut first = None;
        for name in key.spellings() {
            let Some(text) = self.annotations.get(&name) else { continue };
            match parse(text) {
                Some(value) => first = first.or(Some(value)),
                None => self.errors.push(FieldError::invalid(self.path.key(&name), text, expected)),
            }
        }
        first
    }

    fn number(&mut self, key: &Key, expected: &str, is_right: impl Fn(f64) -> bool) {
        self.parsed(key, expected, |text| {
            text.parse().ok().filter(|&value: &f64| value.is_finite() && is_right(value))
        });
    }

    fn duration(&mut self, key: &Key, expected: &str, least: Duration, whole: bool) {
        self.parsed(key, expected, |text| {
            let usable = |duration: &Duration| {
                (least..=MAX_WINDOW).contains(duration) && (!whole || duration.subsec_nanos() == 0)
            };
            go_duration::parse(text).filter(usable)
        });
    }

    fn validate_class_and_metric(&mut self) {
        let class = self.annotations.get(CLASS).map(String::as_str);
        if let Some(class) = class.filter(|class| class.ends_with(DOMAIN) && ![KPA_CLASS, HPA_CLASS].contains(class)) {
            let detail = format!("expected {KPA_CLASS}, {HPA_CLASS} or a class outside {DOMAIN}");
            self.errors.push(FieldError::invalid(self.path.key(CLASS), &class, detail));
        }
        let problem = match (class.unwrap_or(KPA_CLASS), self.annotations.get(METRIC).map(String::as_str)) {
            (KPA_CLASS, Some(metric)) if !matches!(metric, "concurrency" | "rps") => {
                Some("expected concurrency or rps")
            }
            (HPA_CLASS, Some("")) => Some("expected cpu, memory or the name of a metric"),
            _ => None,
        };
        if let Some(detail) = problem {
            self.errors.push(FieldError::invalid(self.path.key(METRIC), &self.annotations.get(METRIC), detail));
        }
        if class == Some(KPA_CLASS) {
            self.parsed(&ALGORITHM, "expected linear or weighted-exponential", |text| {
                matches!(text, "" | "linear" | "weighted-exponential" | "weightedExponential").then_some(())
            });
        }
    }

    fn validate_scales(&mut self, limits: AutoscalerLimits) {
        let whole = |text: &str| text.parse::<i32>().ok().filter(|&scale| scale >= 0);
        let min = self.parsed(&MIN, "expected a whole number of 0 or more", whole);
        let expected = match limits.max_scale_limit {
            0 => "expected a whole number of 0 or more".to_owned(),
            limit => format!("expected a whole number from 1 to {limit}"),
        };
        let within = |scale: &i32| limits.max_scale_limit == 0 || (1..=limits.max_scale_limit).contains(scale);
        let max = self.parsed(&MAX, &expected, |text| whole(text).filter(within));
        // No bound is none, and 0 is none too.
        let (lower, upper) = (min.unwrap_or(0), max.filter(|&max| max != 0).unwrap_or(i32::MAX));
        if upper < lower {
            self.refuse(&MAX, format!("max-scale={upper} is less than min-scale={lower}"));
        }
        let least = if limits.allow_zero_initial_scale { 0 } else { 1 };
        let expected = format!("expected a whole number of {least} or more");
        self.parsed(&INITIAL, &expected, |text| whole(text).filter(|&scale| scale >= least));
        let activation = self.parsed(&ACTIVATION, "expected a whole number of 2 or more", |text| {
            whole(text).filter(|&scale| scale >= 2)
        });
        match activation {
            Some(scale) if scale < lower => self.refuse(&ACTIVATION, format!("is less than min-scale={lower}")),
            Some(scale) if scale > upper => self.refuse(&ACTIVATION, format!("is more than max-scale={upper}")),
            _ => {}
        }
    }

    /// Adds an error for a setting that is right by itself.
    fn refuse(&mut self, key: &Key, detail: String) {
        if let Some(name) = key.spellings().find(|name| self.annotations.contains_key(name)) {
            self.errors.push(FieldError::invalid(self.path.key(&name), &self.annotations.get(&name), detail));
        }
    }
}
