//! Defaults of built-in kinds, only where readers depend on them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::api::registry::Kind;

/// Removes nulls, which mean "absent" to the typed decoders of a real server.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Sets `field` of `value` if it is absent.
fn default(value: &mut Value, field: &str, default: Value) {
    if let Some(map) = value.as_object_mut() {
        map.entry(field).or_insert(default);
    }
}

/// Fills in what readers of the kind rely on.
pub(super) fn complete(kind: &Kind, object: &mut Value) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Secret") => secret(object),
        ("", "Namespace") => namespace(object),
        ("", "Service") => service(object),
        ("", "Pod") => {
            if let Some(spec) = object.get_mut("spec") {
                default(spec, "restartPolicy", json!("Always"));
            }
        }
        ("apps", "Deployment") => deployment(object),
        ("apps", "ReplicaSet" | "StatefulSet") => {
            default(object, "spec", json!({}));
            default(&mut object["spec"], "replicas", json!(1));
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            default(object, "spec", json!({}));
            default(&mut object["spec"], "minReplicas", json!(1));
        }
        ("batch", "Job") => {
            default(object, "spec", json!({}));
            for (field, value) in [("parallelism", json!(1)), ("completions", json!(1)), ("backoffLimit", json!(6))] {
                default(&mut object["spec"], field, value);
            }
        }
        _ => {}
    }
}

/// Gives a new object the status it starts with.
pub(super) fn initial_status(kind: &Kind, object: &mut Value) {
    if kind.group.is_empty() && kind.kind == "Namespace" {
        object["status"] = json!({"phase": "Active"});
    }
}

fn secret(object: &mut Value) {
    default(object, "type", json!("Opaque"));
    let Some(Value::Object(plain)) = object.as_object_mut().and_then(|object| object.remove("stringData")) else {
        return;
    };
    if !object.get("data").is_some_and(Value::is_object) {
        object["data"] = Value::Object(Map::new());
    }
    for (key, value) in plain {
        object["data"][key] = json!(BASE64_STANDARD.encode(value.as_str().unwrap_or_default()));
    }
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    default(&mut object["metadata"], "labels", json!({}));
    default(&mut object["metadata"]["labels"], "kubernetes.io/metadata.name", name);
    default(object, "spec", json!({}));
    if object.pointer("/metadata/deletionTimestamp").is_none() {
        default(&mut object["spec"], "finalizers", json!(["kubernetes"]));
    }
}

fn service(object: &mut Value) {
    default(object, "spec", json!({}));
    let spec = &mut object["spec"];
    default(spec, "type", json!("ClusterIP"));
    default(spec, "sessionAffinity", json!("None"));
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        default(port, "protocol", json!("TCP"));
        if let Some(number) = port.get("port").cloned() {
            default(port, "targetPort", number);
        }
    }
}

fn deployment(object: &mut Value) {
    default(object, "spec", json!({}));
    let spec = &mut object["spec"];
    default(spec, "replicas", json!(1));
    default(spec, "revisionHistoryLimit", json!(10));
    default(spec, "progressDeadlineSeconds", json!(600));
    default(spec, "strategy", json!({}));
    default(&mut spec["strategy"], "type", json!("RollingUpdate"));
    if spec["strategy"]["type"] == "RollingUpdate" {
        let rolling = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
        default(&mut spec["strategy"], "rollingUpdate", rolling);
    }
    if let Some(pod) = spec.pointer_mut("/template/spec") {
        default(pod, "restartPolicy", json!("Always"));
    }
}
