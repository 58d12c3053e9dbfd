//! What every object has: names, system fields, and the rules about them.

use serde_json::{Map, Value, json};
use uuid::Uuid;
use weir_api::names::{is_label_value, is_qualified_name};

use super::failure::{Cause, Failure};
use super::request::Target;

/// The fields metadata may have.
const KNOWN: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// Fields that only the server writes.
const SYSTEM: &[&str] = &[
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "namespace",
    "name",
    "generateName",
];

/// `metadata` of an object; missing metadata is added.
pub(crate) fn of(object: &mut Value) -> &mut Map<String, Value> {
    if !object.get("metadata").is_some_and(Value::is_object) {
        object["metadata"] = json!({});
    }
    match &mut object["metadata"] {
        Value::Object(metadata) => metadata,
        // Made an object just above.
        _ => unreachable!("metadata is an object"),
    }
}

/// A text field of metadata; empty if absent.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// Checks what a client sent against where it sent it, fills in type and namespace, drops what metadata cannot hold.
/// Unknown metadata fields are added to `unknown`.
pub(crate) fn accept(object: &mut Value, target: &Target<'_>, unknown: &mut Vec<String>) -> Result<(), Failure> {
    let Some(fields) = object.as_object_mut() else {
        return Err(Failure::bad_request("the object provided is unrecognized: it is not an object"));
    };
    let (api_version, kind) = target.shown_as();
    expect(fields, "apiVersion", &api_version, "API version")?;
    expect(fields, "kind", kind, "kind")?;
    let metadata = of(object);
    metadata.retain(|name, value| {
        if value.is_null() || name == "selfLink" {
            return false;
        }
        let known = KNOWN.contains(&name.as_str());
        if !known {
            unknown.push(format!("metadata.{name}"));
        }
        known
    });
    for (field, fits) in [
        ("labels", is_text_map as fn(&Value) -> bool),
        ("annotations", is_text_map),
        ("finalizers", is_text_list),
        ("ownerReferences", Value::is_array),
        ("managedFields", Value::is_array),
        ("name", Value::is_string),
        ("namespace", Value::is_string),
        ("generateName", Value::is_string),
        ("resourceVersion", Value::is_string),
        ("uid", Value::is_string),
    ] {
        if metadata.get(field).is_some_and(|value| !fits(value)) {
            return Err(Failure::bad_request(format!(
                "{} in version {:?} cannot be handled as a {}: metadata.{field} has the wrong type",
                kind, api_version, kind
            )));
        }
    }
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = |value: &Value| value.as_object().is_some_and(Map::is_empty) || value == &json!([]);
        if metadata.get(field).is_some_and(empty) {
            metadata.remove(field);
        }
    }
    let wanted = target.namespace_or_empty();
    let found = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    if !found.is_empty() && found != wanted {
        return Err(Failure::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request: {found:?}, not \
             {wanted:?}"
        )));
    }
    if target.kind.namespaced {
        metadata.insert("namespace".to_owned(), json!(wanted));
    } else {
        metadata.remove("namespace");
    }
    if let Some(name) = target.name {
        match metadata.get("name").and_then(Value::as_str) {
            None | Some("") => {
                metadata.insert("name".to_owned(), json!(name));
            }
            Some(other) if other != name => {
                return Err(Failure::bad_request(format!(
                    "the name of the object ({other}) does not match the name on the URL ({name})"
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn expect(fields: &mut Map<String, Value>, field: &str, wanted: &str, what: &str) -> Result<(), Failure> {
    match fields.get(field).and_then(Value::as_str) {
        None | Some("") => {
            fields.insert(field.to_owned(), json!(wanted));
        }
        Some(found) if found != wanted => {
            return Err(Failure::bad_request(format!(
                "the {what} in the data ({found}) does not match the expected {what} ({wanted})"
            )));
        }
        Some(_) => {}
    }
    Ok(())
}

fn is_text_map(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.values().all(Value::is_string))
}

fn is_text_list(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

/// Refuses a change that takes the name away: then nobody can say what it is about.
pub(crate) fn require_name(object: &Value, target: &Target<'_>) -> Result<(), Failure> {
    match target.name {
        Some(name) if text(object, "name").is_empty() => Err(Failure::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        _ => Ok(()),
    }
}

/// How deep an object may be nested: what readers take (128 levels), less what a list or a watch puts around it.
pub(crate) const MAX_DEPTH: usize = 100;

/// Refuses an object that could not be read back.
pub(crate) fn check_depth(object: &Value) -> Result<(), Failure> {
    if is_deeper(object, MAX_DEPTH) {
        return Err(Failure::bad_request(format!("the object is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

/// Whether `value` has more than `levels` levels.
pub(crate) fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) if levels == 0 => true,
        Value::Object(fields) => fields.values().any(|value| is_deeper(value, levels - 1)),
        Value::Array(items) => items.iter().any(|value| is_deeper(value, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Gives a new object its identity.
pub(crate) fn initialise(object: &mut Value, target: &Target<'_>, now: &str) -> Result<(), Failure> {
    let metadata = of(object);
    if metadata.get("resourceVersion").is_some_and(|version| version != "") {
        return Err(Failure::bad_request("resourceVersion should not be set on objects to be created"));
    }
    for field in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), json!(Uuid::new_v4().to_string()));
    metadata.insert("creationTimestamp".to_owned(), json!(now));
    if target.kind.has_generation {
        metadata.insert("generation".to_owned(), json!(1));
    }
    Ok(())
}

/// Takes over from the stored object what clients cannot change.
pub(crate) fn keep_system_fields(object: &mut Value, live: &Value) {
    let metadata = of(object);
    for field in SYSTEM {
        match live.pointer(&format!("/metadata/{field}")) {
            Some(value) => metadata.insert((*field).to_owned(), value.clone()),
            None => metadata.remove(*field),
        };
    }
}

/// Rules about names and finalizers, in Kubernetes' words.
pub(crate) fn validate(object: &Value, live: Option<&Value>, target: &Target<'_>) -> Result<(), Failure> {
    let name = text(object, "name");
    let mut causes = Vec::new();
    if live.is_none() {
        // RBAC names are path segments, all others host names.
        let (free, fits) = match target.kind.group.as_str() {
            "rbac.authorization.k8s.io" => (true, is_path_segment(name)),
            "" if target.kind.kind == "Namespace" => {
                (false, is_subdomain(name) && !name.contains('.') && name.len() <= 63)
            }
            _ => (false, is_subdomain(name)),
        };
        if name.is_empty() {
            causes.push(Cause::required("metadata.name", "name or generateName is required"));
        } else if !fits {
            let rule = if free {
                "may not contain '/' or '%'"
            } else {
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                 must start and end with an alphanumeric character"
            };
            causes.push(Cause::invalid("metadata.name", &json!(name).to_string(), rule));
        }
    }
    if let Some(live) = live.filter(|live| !text(live, "deletionTimestamp").is_empty()) {
        let finalizers = |object: &Value| -> Vec<String> {
            let list = object.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|finalizer| finalizer.as_str().map(str::to_owned)).collect()
        };
        let before = finalizers(live);
        let added: Vec<String> = finalizers(object).into_iter().filter(|one| !before.contains(one)).collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            causes.push(Cause::forbidden("metadata.finalizers", &detail));
        }
    }
    // What is stored may be older than a rule; what is written may not.
    if live.is_none_or(|live| RULED.iter().any(|field| live["metadata"].get(field) != object["metadata"].get(field))) {
        check_contents(object, &mut causes);
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(target.kind, name, &causes)) }
}

/// Fields whose contents have rules.
const RULED: [&str; 4] = ["labels", "annotations", "finalizers", "ownerReferences"];
/// Most bytes of all annotations.
const ANNOTATIONS_LIMIT_BYTES: usize = 256 << 10;

/// Rules about labels, annotations, finalizers and owners. Source: Kubernetes' ObjectMeta validation.
fn check_contents(object: &Value, causes: &mut Vec<Cause>) {
    const NAME: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and \
                        end with an alphanumeric character, with an optional DNS subdomain prefix and '/'";
    const VALUE: &str = "a valid label must be an empty string or consist of at most 63 alphanumeric characters, '-', \
                         '_' or '.', and must start and end with an alphanumeric character";
    let map = |field: &str| object["metadata"].get(field).and_then(Value::as_object).into_iter().flatten();
    let shown = |text: &str| json!(text).to_string();
    for (name, value) in map("labels") {
        let value = value.as_str().unwrap_or_default();
        if !is_qualified_name(name) {
            causes.push(Cause::invalid("metadata.labels", &shown(name), NAME));
        }
        if !is_label_value(value) {
            causes.push(Cause::invalid("metadata.labels", &shown(value), VALUE));
        }
    }
    let mut bytes = 0;
    for (name, value) in map("annotations") {
        // Upper case is allowed here in the prefix, for historical reasons.
        if !is_qualified_name(&name.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &shown(name), NAME));
        }
        bytes += name.len() + value.as_str().unwrap_or_default().len();
    }
    if bytes > ANNOTATIONS_LIMIT_BYTES {
        let message = format!("Too long: may not be more than {ANNOTATIONS_LIMIT_BYTES} bytes");
        causes.push(Cause { reason: "FieldValueTooLong", field: "metadata.annotations".to_owned(), message });
    }
    let list = |field: &str| object["metadata"].get(field).and_then(Value::as_array).into_iter().flatten();
    for finalizer in list("finalizers").filter_map(Value::as_str).filter(|finalizer| !is_qualified_name(finalizer)) {
        causes.push(Cause::invalid("metadata.finalizers", &shown(finalizer), NAME));
    }
    for (index, owner) in list("ownerReferences").enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
                causes.push(Cause::required(format!("metadata.ownerReferences[{index}].{field}"), "must not be empty"));
            }
        }
    }
    if list("ownerReferences").filter(|owner| owner["controller"] == true).count() > 1 {
        let detail = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid("metadata.ownerReferences", "", detail));
    }
}

/// Whether `name` can stand in a path, and in every database.
fn is_path_segment(name: &str) -> bool {
    let odd = |c: char| matches!(c, '/' | '%') || c.is_control();
    (1..=1024).contains(&name.len()) && !name.contains(odd) && !matches!(name, "." | "..")
}

/// Whether `name` is an RFC 1123 subdomain.
fn is_subdomain(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            let bytes = label.as_bytes();
            bytes.first().copied().is_some_and(plain)
                && bytes.last().copied().is_some_and(plain)
                && bytes.iter().all(|c| plain(*c) || *c == b'-')
        })
}

/// A name that starts as `prefix` says, with five random characters that spell nothing.
pub(crate) fn generate_name(prefix: &str) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let prefix: String = prefix.chars().take(58).collect();
    let random = Uuid::new_v4().into_bytes();
    let suffix = random[..5].iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
    prefix.chars().chain(suffix).collect()
}

/// Whether more than metadata and (where it is written apart) status differ: what `generation` counts.
pub(crate) fn specification_differs(old: &Value, new: &Value, status_apart: bool) -> bool {
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let counts = |name: &str| name != "metadata" && !(status_apart && name == "status");
    old.keys().chain(new.keys()).filter(|name| counts(name)).any(|name| old.get(name) != new.get(name))
}
