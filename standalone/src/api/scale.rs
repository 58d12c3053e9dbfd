//! The `scale` subresource: the number of replicas of a kind, in a form that is the same for all.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceSubresourceScale;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::metadata;
use super::patch::merge_patch;
use super::write::{PatchBody, Proposal, Writing, Written};

/// Where a kind keeps what `scale` shows.
#[derive(Clone, Debug)]
pub(crate) struct Replicas {
    /// JSON pointers.
    wanted: String,
    running: String,
    selector: Option<String>,
}

impl Replicas {
    /// Of Deployments and their like.
    pub(crate) fn of_workload() -> Self {
        Self {
            wanted: "/spec/replicas".to_owned(),
            running: "/status/replicas".to_owned(),
            selector: Some("/spec/selector".to_owned()),
        }
    }

    /// Of a custom kind.
    pub(crate) fn of_definition(scale: &CustomResourceSubresourceScale) -> Self {
        // These paths are plain field names, as Kubernetes demands.
        let pointer = |path: &str| path.replace('.', "/");
        Self {
            wanted: pointer(&scale.spec_replicas_path),
            running: pointer(&scale.status_replicas_path),
            selector: scale.label_selector_path.as_deref().map(pointer),
        }
    }

    /// The `Scale` of an object.
    pub(crate) fn of(&self, object: &Value) -> Value {
        let kept = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
        let metadata: Map<String, Value> = kept
            .iter()
            .filter_map(|field| Some(((*field).to_owned(), object["metadata"].get(field)?.clone())))
            .collect();
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        let selector = match self.selector.as_ref().and_then(|pointer| object.pointer(pointer)) {
            Some(Value::String(text)) => text.clone(),
            Some(labels) => selector(labels),
            None => String::new(),
        };
        json!({
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": metadata,
            "spec": {"replicas": number(&self.wanted)},
            "status": {"replicas": number(&self.running), "selector": selector},
        })
    }

    fn set(&self, object: &mut Value, replicas: i64) {
        let mut place = object;
        for field in self.wanted.split('/').skip(1) {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[field];
        }
        *place = json!(replicas);
    }
}

/// A label selector in its text form.
fn selector(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let values = values.collect::<Vec<_>>().join(",");
        parts.push(match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

impl Writing<'_> {
    /// PUT of a `Scale`. Its resourceVersion, if it has one, must be the object's.
    pub(crate) async fn put_scale(&mut self, replicas: &Replicas, scale: &Value) -> Result<Written, Failure> {
        let written = self.change(|live| propose(replicas, live, scale)).await?;
        Ok(Written { object: replicas.of(&written.object), ..written })
    }

    /// PATCH of a `Scale`.
    pub(crate) async fn patch_scale(&mut self, replicas: &Replicas, patch: &PatchBody) -> Result<Written, Failure> {
        let change = |live: &Value| {
            let mut scale = replicas.of(live);
            match patch {
                PatchBody::Merge(patch) | PatchBody::Strategic(patch) | PatchBody::Apply(patch) => {
                    merge_patch(&mut scale, patch);
                }
                PatchBody::Json(operations) => {
                    super::patch::json_patch(&mut scale, operations).map_err(Failure::invalid_options)?;
                }
            }
            propose(replicas, live, &scale)
        };
        let written = self.change(change).await?;
        Ok(Written { object: replicas.of(&written.object), ..written })
    }
}

fn propose(place: &Replicas, live: &Value, scale: &Value) -> Result<Proposal, Failure> {
    let wanted = scale["spec"].get("replicas").unwrap_or(&Value::Null);
    // Absent is none, as in Kubernetes; what is no number is a mistake.
    let number =
        if wanted.is_null() { Some(0) } else { wanted.as_i64().filter(|number| *number <= i64::from(i32::MAX)) };
    let Some(replicas) = number else {
        return Err(Failure::invalid_options(format!(
            "Scale.autoscaling \"{}\" is invalid: spec.replicas: Invalid value: {wanted}: must be a whole number",
            metadata::text(live, "name")
        )));
    };
    if replicas < 0 {
        return Err(Failure::invalid_options(format!(
            "Scale.autoscaling \"{}\" is invalid: spec.replicas: Invalid value: {replicas}: must be greater than or \
             equal to 0",
            metadata::text(live, "name")
        )));
    }
    let mut object = live.clone();
    place.set(&mut object, replicas);
    match metadata::text(scale, "resourceVersion") {
        "" => {}
        version => object["metadata"]["resourceVersion"] = json!(version),
    }
    Ok(Proposal { object, applied: None })
}
