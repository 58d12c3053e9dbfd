//! Deletion: at once, or marked and finished when the finalizers are gone.

use serde_json::{Value, json};

use super::Inner;
use super::definitions::{closed, is_definition};
use super::failure::Failure;
use super::metadata;
use super::registry::Kind;
use super::request::{self, Params, Target};
use super::store::{Change, CommitError, Key};
use super::write::now;

/// Finalizer that keeps an owner until its dependents are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer that keeps an owner until its dependents no longer refer to it.
pub(crate) const ORPHAN: &str = "orphan";

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

/// How to delete.
#[derive(Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Propagation,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// From the body, which may be empty, and the query. The body's own `apiVersion` does not matter: clients send
    /// that of the resource as well as that of DeleteOptions.
    pub(crate) fn parse(params: &Params, media_type: &str, body: &[u8]) -> Result<Self, Failure> {
        let body = if body.iter().all(u8::is_ascii_whitespace) {
            Value::Null
        } else {
            request::decode(media_type, body)?.object
        };
        check_options(&body)?;
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let policy = text("/propagationPolicy").unwrap_or_else(|| params.propagation_policy.clone());
        let orphan = body.get("orphanDependents").and_then(Value::as_bool).or(params.orphan_dependents);
        let propagation = match (policy.as_str(), orphan) {
            ("Foreground", _) => Propagation::Foreground,
            ("Orphan", _) | ("", Some(true)) => Propagation::Orphan,
            ("Background" | "", _) => Propagation::Background,
            (other, _) => {
                return Err(Failure::invalid_options(format!(
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}: \
                     supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                )));
            }
        };
        let mut dry_run = params.dry_run;
        for value in body.get("dryRun").and_then(Value::as_array).into_iter().flatten() {
            dry_run |= request::dry_run(value.as_str().unwrap_or_default())?;
        }
        Ok(Self {
            propagation,
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            dry_run,
        })
    }
}

/// Refuses options of the wrong type: a misread precondition or dry run would delete what was to stay.
fn check_options(body: &Value) -> Result<(), Failure> {
    let fits = |pointer: &str, fits: fn(&Value) -> bool| {
        body.pointer(pointer).is_none_or(|value| value.is_null() || fits(value))
    };
    let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let kind = body.get("kind").and_then(Value::as_str).unwrap_or("DeleteOptions");
    let well_typed = (body.is_null() || body.is_object())
        && matches!(kind, "" | "DeleteOptions")
        && fits("/preconditions", Value::is_object)
        && fits("/dryRun", is_list)
        && fits("/orphanDependents", Value::is_boolean)
        && fits("/gracePeriodSeconds", Value::is_i64)
        && ["/propagationPolicy", "/preconditions/uid", "/preconditions/resourceVersion"]
            .iter()
            .all(|pointer| fits(pointer, Value::is_string));
    if !well_typed {
        return Err(Failure::bad_request("the body is not one of DeleteOptions: a field has the wrong type"));
    }
    if body.get("propagationPolicy").is_some_and(Value::is_string)
        && body.get("orphanDependents").is_some_and(Value::is_boolean)
    {
        return Err(Failure::invalid_options(
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: orphanDependents and \
             propagationPolicy cannot be both set",
        ));
    }
    Ok(())
}

/// How a deletion went.
pub(crate) enum Deleted {
    /// The object is gone; its last state.
    Gone(Value),
    /// Something still has to happen first; the object as marked.
    Marked(Value),
}

impl Inner {
    /// Deletes one object, or marks it if it has finalizers.
    pub(crate) async fn delete(&self, target: &Target<'_>, options: &DeleteOptions) -> Result<Deleted, Failure> {
        let kind = target.kind;
        let name = target.name.unwrap_or_default();
        let key = Key::new(target.namespace_or_empty(), name);
        self.forbid_what_stays(kind, name)?;
        loop {
            let stored = self.store.get(kind.resource, &key).ok_or_else(|| Failure::not_found(kind, name))?;
            let live = stored.value();
            check_preconditions(kind, name, &live, options)?;
            let has_dependents = || !self.store.dependents(&stored.uid).is_empty();
            let finalizer = match options.propagation {
                Propagation::Foreground if has_dependents() => Some(FOREGROUND),
                Propagation::Orphan if has_dependents() => Some(ORPHAN),
                Propagation::Background | Propagation::Foreground | Propagation::Orphan => None,
            };
            let (object, gone) = marked(kind, live.clone(), finalizer);
            if options.dry_run || (!gone && object == live) {
                return Ok(if gone { Deleted::Gone(object) } else { Deleted::Marked(object) });
            }
            let change = if gone {
                Change::Delete { seen: stored.revision, last: object }
            } else {
                Change::Update { seen: stored.revision, value: object }
            };
            match self.store.commit(kind.resource, key.clone(), change).await {
                Ok(stored) if gone => return Ok(Deleted::Gone(stored.value())),
                Ok(stored) => return Ok(Deleted::Marked(stored.value())),
                // Somebody changed it first; what they did stands, and it is to go all the same.
                Err(CommitError::Stale) => {}
                Err(CommitError::Missing | CommitError::Exists) => return Err(Failure::not_found(kind, name)),
                Err(error @ (CommitError::Unavailable(_) | CommitError::TooLarge)) => {
                    return Err(Failure::unavailable(error.to_string()));
                }
            }
        }
    }

    fn forbid_what_stays(&self, kind: &Kind, name: &str) -> Result<(), Failure> {
        if is_definition(kind) {
            return Err(closed(name));
        }
        let kept = name == "default" || name == self.settings.system_namespace;
        if is_namespace(kind) && kept {
            return Err(Failure::forbidden(format!(
                "namespaces \"{name}\" is forbidden: this namespace may not be deleted"
            )));
        }
        Ok(())
    }
}

fn check_preconditions(kind: &Kind, name: &str, live: &Value, options: &DeleteOptions) -> Result<(), Failure> {
    let checks = [("UID", &options.uid, "uid"), ("ResourceVersion", &options.resource_version, "resourceVersion")];
    for (label, wanted, field) in checks {
        let found = metadata::text(live, field);
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let detail =
                format!("Precondition failed: {label} in precondition: {wanted}, {label} in object meta: {found}");
            return Err(Failure::conflict(kind, name, &detail));
        }
    }
    Ok(())
}

/// Whether the kind is that of namespaces themselves.
pub(crate) fn is_namespace(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.kind == "Namespace"
}

/// Whether nothing holds an object that is being deleted. A namespace is held by what is in it, too.
pub(crate) fn is_released(kind: &Kind, object: &Value) -> bool {
    let empty = |pointer: &str| {
        object.pointer(pointer).and_then(Value::as_array).is_none_or(|finalizers| finalizers.is_empty())
    };
    empty("/metadata/finalizers") && (!is_namespace(kind) || empty("/spec/finalizers"))
}

/// `live` as it is once deletion has been asked for, and whether nothing keeps it any more.
fn marked(kind: &Kind, mut live: Value, finalizer: Option<&str>) -> (Value, bool) {
    let mut finalizers = live.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    let deleting = !metadata::text(&live, "deletionTimestamp").is_empty();
    if let Some(finalizer) = finalizer
        && !finalizers.iter().any(|one| one == finalizer)
        && !deleting
    {
        finalizers.push(json!(finalizer));
    }
    if finalizers.is_empty() && is_released(kind, &live) {
        return (live, true);
    }
    if !deleting {
        let metadata = metadata::of(&mut live);
        if !finalizers.is_empty() {
            metadata.insert("finalizers".to_owned(), Value::Array(finalizers));
        }
        metadata.insert("deletionTimestamp".to_owned(), json!(now()));
        metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
        if kind.has_generation {
            let generation = metadata.get("generation").and_then(Value::as_i64).unwrap_or(0) + 1;
            metadata.insert("generation".to_owned(), json!(generation));
        }
        if is_namespace(kind) {
            live["status"]["phase"] = json!("Terminating");
        }
    }
    (live, false)
}
