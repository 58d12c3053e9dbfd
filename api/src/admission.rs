//! What happens to an object between a client and the store: defaults, then validation with immutability.
//!
//! [`Admit`] is the shape every kind has; [`admit`] is the same on JSON, for the embedded API (in process) and for the
//! webhook (in a cluster). Unknown fields are the schema's business, not ours.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::kinds;
use crate::validation::{FieldError, FieldErrors, Path};

/// Who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Name of the authenticated user, for the creator annotations; `None` leaves them alone.
    pub user: Option<&'a str>,
}

/// Defaults and rules of a kind. Both are pure; both are run again on stored objects by the reconcilers.
pub trait Admit: kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned {
    /// Fills in what the manifest left out. `old` is the stored object on an update.
    fn set_defaults(&mut self, old: Option<&Self>);

    /// Every rule the object breaks; with `old`, the rules about what may change too.
    fn validate(&self, old: Option<&Self>) -> Vec<FieldError>;

    /// Rules about who may make this change. Not asked when the user is not known.
    fn authorize(&self, _old: Option<&Self>, _user: &str) -> Vec<FieldError> {
        Vec::new()
    }

    /// What is allowed, but better told.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether `<group>/creator` and `<group>/lastModifier` are written.
    fn records_user(&self) -> bool {
        true
    }
}

/// An object after admission.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// With its defaults.
    pub object: Value,
    /// What the client should be told although the object is fine.
    pub warnings: Vec<String>,
}

impl Admitted {
    pub(crate) fn unchanged(object: Value) -> Self {
        Self { object, warnings: Vec::new() }
    }
}

/// Defaults and validates `object`, whatever its kind; a kind without rules of ours is returned as it came.
///
/// `old` is the stored object on an update, in the same version. An update that changes neither spec, labels nor
/// annotations always passes: an object stored before a rule existed must still be able to lose its finalizers.
pub fn admit(object: Value, old: Option<&Value>, context: Context<'_>) -> Result<Admitted, FieldErrors> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    match kinds::admission(text("apiVersion"), text("kind")) {
        Some(admit) => admit(object, old, context),
        None => Ok(Admitted::unchanged(object)),
    }
}

/// As [`admit`], for an object that is a `K`.
pub(crate) fn admit_as<K: Admit>(
    mut object: Value,
    old: Option<&Value>,
    context: Context<'_>,
) -> Result<Admitted, FieldErrors> {
    if old.is_some_and(|old| !changed(&object, old)) {
        return Ok(Admitted::unchanged(object));
    }
    if let Value::Object(fields) = &mut object {
        fields.entry("spec").or_insert_with(|| Value::Object(Map::new()));
    }
    let mut new: K = decode(&object)?;
    // A stored object that no longer decodes has no say in what may change.
    let before: Option<K> = old.and_then(|old| decode(old).ok());
    let sent = encode(&new);
    new.set_defaults(before.as_ref());
    let mut errors = new.validate(before.as_ref());
    if let Some(user) = context.user {
        errors.extend(new.authorize(before.as_ref(), user));
    }
    FieldErrors::check(errors)?;
    overlay(&mut object, &sent, &encode(&new));
    // After defaulting: a spec that only lacked its defaults is the same spec.
    let spec_changed = old.is_none_or(|old| old.get("spec") != object.get("spec"));
    if let Some(user) = context.user.filter(|_| spec_changed && new.records_user()) {
        stamp_user(&mut object, &K::group(&()), old.is_some(), user);
    }
    Ok(Admitted { object, warnings: new.warnings() })
}

fn decode<K: DeserializeOwned>(object: &Value) -> Result<K, FieldErrors> {
    K::deserialize(object).map_err(|error| {
        // Reached only where the schema was not checked before: serde does not tell the path.
        FieldErrors(vec![FieldError::invalid(Path::new("spec"), &object.get("spec"), error)])
    })
}

fn encode(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

fn changed(new: &Value, old: &Value) -> bool {
    let metadata =
        |object: &Value, field: &str| object.get("metadata").and_then(|metadata| metadata.get(field)).cloned();
    new.get("spec") != old.get("spec")
        || ["labels", "annotations"].iter().any(|field| metadata(new, field) != metadata(old, field))
}

/// `<group>/creator` and `<group>/lastModifier`, as Knative's webhook writes them: when the spec is new or changed.
fn stamp_user(object: &mut Value, group: &str, exists: bool, user: &str) {
    let annotations = &mut object["metadata"]["annotations"];
    if !exists {
        annotations[format!("{group}/creator")] = user.into();
    }
    annotations[format!("{group}/lastModifier")] = user.into();
}

/// Brings into `object` what defaulting set, changed or took away, and nothing else: fields our types do not have, key order and the
/// spelling of numbers stay as the client wrote them.
fn overlay(object: &mut Value, before: &Value, after: &Value) {
    match (object, before, after) {
        (Value::Object(object), Value::Object(before), Value::Object(after)) => {
            object.retain(|key, _| !before.contains_key(key) || after.contains_key(key));
            for (key, after) in after {
                match (object.get_mut(key), before.get(key)) {
                    (_, Some(before)) if before == after => {}
                    (Some(object), Some(before)) => overlay(object, before, after),
                    _ => {
                        object.insert(key.clone(), after.clone());
                    }
                }
            }
        }
        (object, _, after) => *object = after.clone(),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
