//! Rules about the metadata of serving kinds. Source: resources.md 6.7.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::autoscaling_annotations::{self as autoscaling, Annotations};
use super::config::AutoscalerLimits;
use super::quantity::{QUANTITY, is_quantity};
use crate::go_duration;
use crate::names::{DNS1035_LABEL, is_dns1035_label, is_dns1035_prefix};
use crate::validation::{FieldError, Path};

/// Label of a Configuration, Route or Revision: the Service it belongs to.
pub const SERVICE_LABEL: &str = "serving.knative.dev/service";
/// Label of a Revision: the Configuration it belongs to.
pub const CONFIGURATION_LABEL: &str = "serving.knative.dev/configuration";
/// Annotation of a Service or Route: how long requests take to move to a new Revision, as a Go duration.
pub const ROLLOUT_DURATION: &str = "serving.knative.dev/rollout-duration";
/// Its other spelling; [`ROLLOUT_DURATION`] wins where both are set.
pub const ROLLOUT_DURATION_ALTERNATIVE: &str = "serving.knative.dev/rolloutDuration";
/// Annotation of a template: how long a Revision may take to come up, as a Go duration.
pub const PROGRESS_DEADLINE: &str = "serving.knative.dev/progress-deadline";

const CREATOR: &str = "serving.knative.dev/creator";
const LAST_MODIFIER: &str = "serving.knative.dev/lastModifier";
const QUEUE_SIDECAR: &str = "queue.sidecar.serving.knative.dev/";
/// Its part of the resources of the container it is beside; two spellings, and deprecated.
const RESOURCE_PERCENTAGE: [&str; 2] = ["resource-percentage", "resourcePercentage"];
const QUEUE_RESOURCES: [&str; 6] = [
    "cpu-resource-request",
    "cpu-resource-limit",
    "memory-resource-request",
    "memory-resource-limit",
    "ephemeral-storage-resource-request",
    "ephemeral-storage-resource-limit",
];
const NETWORKING: &str = "networking.knative.dev/";
/// What may follow [`NETWORKING`] in an annotation of a template.
const NETWORKING_KEYS: [&str; 9] = [
    "ingress.class",
    "ingress-class",
    "certificate.class",
    "certificate-class",
    "disable-external-domain-tls",
    "disable-auto-tls",
    "disableAutoTLS",
    "http-protocol",
    "httpOption",
];

/// Adds an error where the name, or what it will be made from, cannot be a Service's.
pub(super) fn validate_name(metadata: &ObjectMeta, path: &Path, errors: &mut Vec<FieldError>) {
    let set = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(prefix) = set(&metadata.generate_name).filter(|prefix| !is_dns1035_prefix(prefix)) {
        let detail = format!("not a DNS-1035 label prefix: {DNS1035_LABEL}");
        errors.push(FieldError::invalid(path.field("generateName"), &prefix, detail));
    }
    if let Some(name) = set(&metadata.name).filter(|name| !is_dns1035_label(name)) {
        let detail = format!("not a DNS-1035 label: {DNS1035_LABEL}");
        errors.push(FieldError::invalid(path.field("name"), &name, detail));
    }
}

/// Adds an error for each annotation that only a template can have.
pub(super) fn refuse_autoscaling(metadata: &ObjectMeta, errors: &mut Vec<FieldError>) {
    let detail = "autoscaling annotations must be put under spec.template.metadata.annotations to work";
    for key in annotations(metadata).keys().filter(|key| key.starts_with(autoscaling::GROUP)) {
        errors.push(FieldError::invalid_key(Path::new("metadata").field("annotations"), key, detail));
    }
}

/// Adds an error if `label` is set and no owner of that kind and name is.
pub(super) fn validate_owner(metadata: &ObjectMeta, label: &str, kind: &str, errors: &mut Vec<FieldError>) {
    let Some(name) = metadata.labels.as_ref().and_then(|labels| labels.get(label)) else { return };
    let owners = metadata.owner_references.iter().flatten();
    if !owners.into_iter().any(|owner| owner.kind == kind && owner.name == *name) {
        let path = Path::new("metadata").field("labels").key(label);
        errors.push(FieldError::invalid(path, name, format_args!("expected an owner reference to this {kind}")));
    }
}

/// Keeps who created and changed the object where an update leaves it out, as one from a file does.
///
/// Knative refuses such an update; nobody who replaces an object with their own manifest means to forge anything.
pub(super) fn keep_user(new: &mut ObjectMeta, old: &ObjectMeta) {
    for key in [CREATOR, LAST_MODIFIER] {
        if let Some(user) = annotations(old).get(key) {
            new.annotations.get_or_insert_default().entry(key.to_owned()).or_insert_with(|| user.clone());
        }
    }
}

/// Adds an error for a creator that changed, and for a last modifier that changed although the spec did not.
pub(super) fn validate_user(new: &ObjectMeta, old: &ObjectMeta, same_spec: bool, errors: &mut Vec<FieldError>) {
    let [new, old] = [annotations(new), annotations(old)];
    let mut compare = |key: &str| {
        let (new, old) = (new.get(key), old.get(key));
        if new != old {
            errors.push(FieldError::immutable(Path::annotation(key), &new, &old));
        }
    };
    compare(CREATOR);
    if same_spec {
        compare(LAST_MODIFIER);
    }
}

/// Whether another object owns this one. Its controller then says who made and changed it.
pub(super) fn is_owned(metadata: &ObjectMeta) -> bool {
    metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty())
}

/// Adds every rule the rollout duration of a Service or Route breaks.
pub(super) fn validate_rollout(metadata: &ObjectMeta, errors: &mut Vec<FieldError>) {
    for key in [ROLLOUT_DURATION, ROLLOUT_DURATION_ALTERNATIVE] {
        if let Some(text) = annotations(metadata).get(key).filter(|text| !text.is_empty())
            && let Err(detail) = whole_seconds(text)
        {
            errors.push(FieldError::invalid(Path::annotation(key), text, detail));
        }
    }
}

/// Whole seconds of a duration, or why it is not one: not a duration at all, negative, or finer than a second.
fn whole_seconds(text: &str) -> Result<u64, &'static str> {
    let duration = go_duration::parse(text).ok_or("expected a duration such as 30s or 5m")?;
    if duration.subsec_nanos() == 0 { Ok(duration.as_secs()) } else { Err("expected whole seconds") }
}

/// Adds every rule broken by the annotations that decide how a Revision runs. `path` is that of the annotations.
pub(super) fn validate_running(
    annotations: &Annotations,
    limits: AutoscalerLimits,
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    autoscaling::validate(annotations, limits, path, errors);
    if let Some(text) = annotations.get(PROGRESS_DEADLINE) {
        let problem = match whole_seconds(text) {
            Ok(0) => Some("must be more than zero"),
            Ok(_) => None,
            Err(detail) => Some(detail),
        };
        errors.extend(problem.map(|detail| FieldError::invalid(path.key(PROGRESS_DEADLINE), text, detail)));
    }
    for (key, value) in annotations {
        if let Some(setting) = key.strip_prefix(QUEUE_SIDECAR) {
            let problem = if RESOURCE_PERCENTAGE.contains(&setting) {
                let percentage = value.parse::<f64>().ok().filter(|value| (0.1..=100.0).contains(value));
                percentage.is_none().then_some("expected 0.1 to 100")
            } else {
                (QUEUE_RESOURCES.contains(&setting) && !is_quantity(value)).then_some(QUANTITY)
            };
            errors.extend(problem.map(|detail| FieldError::invalid(path.key(key), value, detail)));
        }
        if let Some(setting) = key.strip_prefix(NETWORKING)
            && !NETWORKING_KEYS.contains(&setting)
        {
            let detail = format!("after {NETWORKING} comes one of {}", NETWORKING_KEYS.join(", "));
            errors.push(FieldError::invalid_key(path.clone(), key, detail));
        }
    }
}

/// What to tell about annotations that decide how a Revision runs.
pub(super) fn warnings(annotations: &Annotations) -> Vec<String> {
    let unknown = |key: &&String| {
        let setting = key.strip_prefix(QUEUE_SIDECAR);
        setting.is_some_and(|setting| !RESOURCE_PERCENTAGE.contains(&setting) && !QUEUE_RESOURCES.contains(&setting))
    };
    let unknown = annotations.keys().filter(unknown).chain(autoscaling::unknown(annotations));
    let mut warnings: Vec<String> =
        unknown.map(|key| format!("annotation {key} is not known here and has no effect")).collect();
    for key in RESOURCE_PERCENTAGE.map(|setting| format!("{QUEUE_SIDECAR}{setting}")) {
        if annotations.contains_key(&key) {
            warnings
                .push(format!("annotation {key} is deprecated: use {QUEUE_SIDECAR}cpu-resource-request and others"));
        }
    }
    warnings
}

/// The annotations of an object.
pub(super) fn annotations(metadata: &ObjectMeta) -> &Annotations {
    static NONE: Annotations = BTreeMap::new();
    metadata.annotations.as_ref().unwrap_or(&NONE)
}
