//! The `scale` subresource: the number of replicas of a kind, in a form that is the same for all.

use serde_json::{Value, json};

use super::failure::Failure;
use super::metadata;
use super::patch::merge_patch;
use super::write::{PatchBody, Proposal, Writing, Written};

/// The `Scale` of an object.
pub(crate) fn of(object: &Value) -> Value {
    let kept = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata: serde_json::Map<String, Value> =
        kept.iter().filter_map(|field| Some(((*field).to_owned(), object["metadata"].get(field)?.clone()))).collect();
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {
            "replicas": object["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector(&object["spec"]["selector"]),
        },
    })
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
    pub(crate) async fn put_scale(&mut self, scale: &Value) -> Result<Written, Failure> {
        self.change(|live| propose(live, scale)).await.map(|written| scaled(&written))
    }

    /// PATCH of a `Scale`.
    pub(crate) async fn patch_scale(&mut self, patch: &PatchBody) -> Result<Written, Failure> {
        let change = |live: &Value| {
            let mut scale = of(live);
            match patch {
                PatchBody::Merge(patch) | PatchBody::Strategic(patch) | PatchBody::Apply(patch) => {
                    merge_patch(&mut scale, patch);
                }
                PatchBody::Json(operations) => {
                    super::patch::json_patch(&mut scale, operations).map_err(Failure::invalid_options)?;
                }
            }
            propose(live, &scale)
        };
        self.change(change).await.map(|written| scaled(&written))
    }
}

fn propose(live: &Value, scale: &Value) -> Result<Proposal, Failure> {
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        return Err(Failure::invalid_options(format!(
            "Scale.autoscaling \"{}\" is invalid: spec.replicas: Invalid value: {replicas}: must be greater than or \
             equal to 0",
            metadata::text(live, "name")
        )));
    }
    let mut object = live.clone();
    object["spec"]["replicas"] = json!(replicas);
    match metadata::text(scale, "resourceVersion") {
        "" => {}
        version => object["metadata"]["resourceVersion"] = json!(version),
    }
    Ok(Proposal { object, applied: None })
}

fn scaled(written: &Written) -> Written {
    Written { object: of(&written.object), created: false }
}
