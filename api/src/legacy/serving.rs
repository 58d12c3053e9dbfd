//! Service, Configuration, Revision and Route as `serving.knative.dev/v1alpha1` had them. Its last releases took the
//! current shape too, which is what they are shown in; v1beta1 had no other.

use serde_json::{Value, json};

use super::Form;
use super::notes::Notes;
use super::object::{Object, each, get, put, take, text, within};
use super::status::Rule;
use crate::validation::{FieldError, Path};

const STATUS: &[Rule] = &[Rule::Domains, Rule::Hostname];

pub(super) const SERVICE: Form = Form { convert: service, status: STATUS, ..Form::SAME };
pub(super) const CONFIGURATION: Form =
    Form { convert: |spec, notes| configuration(spec, &Path::new("spec"), notes), ..Form::SAME };
pub(super) const REVISION: Form =
    Form { convert: |spec, notes| revision(spec, &Path::new("spec"), notes), ..Form::SAME };
pub(super) const ROUTE: Form = Form { convert: route, status: STATUS, ..Form::SAME };

/// How a Service says which revisions get its traffic, beside `template` and `traffic`.
const MODES: [&str; 4] = ["runLatest", "release", "pinned", "manual"];
/// A revision of `release`: whichever is the latest.
const LATEST: &str = "@latest";

fn service(spec: &mut Object, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    let modes: Vec<_> = MODES.iter().filter_map(|mode| Some((at.field(mode), *mode, take(spec, mode)?))).collect();
    if let [(first, ..), rest @ ..] = modes.as_slice() {
        for (other, ..) in rest {
            notes.exclusive(first.clone(), other.clone());
        }
    }
    if let Some((at_mode, mode, block)) = modes.into_iter().next()
        && mode_wins(spec, &at_mode, &block, notes)
    {
        for field in CURRENT {
            spec.remove(field);
        }
        apply_mode(spec, &at_mode, mode, block, notes);
    }
    configuration(spec, &at, notes);
    traffic(spec, &at, notes);
}

const CURRENT: [&str; 2] = ["template", "traffic"];

/// Whether the mode is in force, rather than the `template` and `traffic` beside it.
fn mode_wins(spec: &Object, at_mode: &Path, block: &Value, notes: &mut Notes<'_>) -> bool {
    let at = Path::new("spec");
    let current: Vec<_> = CURRENT.iter().filter_map(|field| Some((at.field(field), get(spec, field)?))).collect();
    let Some((first, _)) = current.first() else { return true };
    let wins = notes.older_wins(&[(at_mode.clone(), block)], &current);
    if !wins {
        notes.exclusive(at_mode.clone(), first.clone());
    }
    wins
}

fn apply_mode(spec: &mut Object, at: &Path, mode: &str, block: Value, notes: &mut Notes<'_>) {
    let traffic = match mode {
        "runLatest" => json!([{"latestRevision": true, "percent": 100}]),
        "release" => release(&block, at, notes),
        "pinned" => match block.get("revisionName") {
            Some(revision) => json!([{"revisionName": revision, "percent": 100}]),
            None => return notes.refuse(FieldError::missing(at.field("revisionName"))),
        },
        _ => {
            let why =
                "the Route of a Service is not left to others any more; write a Configuration and a Route instead";
            return notes.refuse(FieldError::forbidden(at.clone(), why));
        }
    };
    let at = at.field("configuration");
    let inner = match block {
        Value::Object(mut block) => take(&mut block, "configuration"),
        _ => None,
    };
    let Some(Value::Object(mut inner)) = inner else { return notes.refuse(FieldError::missing(at)) };
    configuration(&mut inner, &at, notes);
    spec.extend(inner);
    put(spec, "traffic", traffic);
}

/// The first of at most two revisions is `current`, the second, `candidate`, gets `rolloutPercent`; both can be the
/// latest, which has a tag of its own as well.
fn release(block: &Value, at: &Path, notes: &mut Notes<'_>) -> Value {
    let revisions = block.get("revisions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if revisions.is_empty() {
        notes.refuse(FieldError::missing(at.field("revisions")));
    } else if revisions.len() > 2 {
        notes.refuse(FieldError::invalid(at.field("revisions"), &revisions, "expected one or two"));
    }
    let percent = block.get("rolloutPercent").cloned().unwrap_or_else(|| 0.into());
    let rollout = match percent.as_u64() {
        Some(0) => 0,
        Some(percent @ 1..=99) if revisions.len() > 1 => percent,
        _ => {
            let expected = if revisions.len() > 1 { "expected 0 to 99" } else { "expected 0 with only one revision" };
            notes.refuse(FieldError::invalid(at.field("rolloutPercent"), &percent, expected));
            0
        }
    };
    let shares = [("current", 100 - rollout), ("candidate", rollout)];
    let mut targets: Vec<Value> = revisions
        .iter()
        .zip(shares)
        .map(|(revision, (tag, percent))| match revision.as_str() {
            Some(LATEST) => json!({"tag": tag, "latestRevision": true, "percent": percent}),
            _ => json!({"tag": tag, "revisionName": revision, "percent": percent}),
        })
        .collect();
    targets.push(json!({"tag": "latest", "latestRevision": true, "percent": 0}));
    targets.into()
}

fn configuration(spec: &mut Object, at: &Path, notes: &mut Notes<'_>) {
    spec.remove("generation");
    refuse_build(spec, &["build"], at, notes);
    let name = if take_older(spec, at, "revisionTemplate", "template", notes, |template| template) {
        "revisionTemplate"
    } else {
        "template"
    };
    within(spec, "template", |template| {
        within(template, "spec", |spec| revision(spec, &at.field(name).field("spec"), notes));
    });
}

/// Puts `older`, made current by `convert`, in the place of `current`; false if there is none. Only one of the two may
/// be written.
fn take_older(
    spec: &mut Object,
    at: &Path,
    older: &str,
    current: &str,
    notes: &mut Notes<'_>,
    convert: impl FnOnce(Value) -> Value,
) -> bool {
    let Some(value) = take(spec, older) else { return false };
    let (at_older, at_current) = (at.field(older), at.field(current));
    if let Some(beside) = get(spec, current)
        && !notes.older_wins(&[(at_older.clone(), &value)], &[(at_current.clone(), beside)])
    {
        notes.exclusive(at_older, at_current);
        return false;
    }
    put(spec, current, convert(value));
    true
}

fn revision(spec: &mut Object, at: &Path, notes: &mut Notes<'_>) {
    // Both were the system's to write.
    spec.remove("generation");
    spec.remove("servingState");
    refuse_build(spec, &["buildName", "buildRef"], at, notes);
    take_older(spec, at, "container", "containers", notes, |container| json!([container]));
    concurrency(spec, at, notes);
}

/// `concurrencyModel` is `containerConcurrency` in words.
fn concurrency(spec: &mut Object, at: &Path, notes: &mut Notes<'_>) {
    let Some(model) = take(spec, "concurrencyModel") else { return };
    let limit = get(spec, "containerConcurrency").map_or(Some(0), Value::as_u64);
    match (model.as_str(), limit) {
        (Some("Single"), Some(0 | 1)) => put(spec, "containerConcurrency", 1.into()),
        (Some("Single"), _) | (Some("Multi"), Some(1)) => {
            let at = at.field("containerConcurrency");
            let detail = "contradicts concurrencyModel; leave that out";
            notes.refuse(FieldError::invalid(at, &spec.get("containerConcurrency"), detail));
        }
        (Some("" | "Multi"), _) => {}
        _ => notes.refuse(FieldError::invalid(at.field("concurrencyModel"), &model, "expected Single or Multi")),
    }
}

fn refuse_build(spec: &mut Object, fields: &[&str], at: &Path, notes: &mut Notes<'_>) {
    for field in fields {
        if take(spec, field).is_some_and(|build| build != "") {
            let why = "a Service does not build its image any more; build it before and name it in the container";
            notes.refuse(FieldError::forbidden(at.field(field), why));
        }
    }
}

fn route(spec: &mut Object, notes: &mut Notes<'_>) {
    spec.remove("generation");
    traffic(spec, &Path::new("spec"), notes);
}

/// A target's `name` is its `tag` now.
fn traffic(spec: &mut Object, at: &Path, notes: &mut Notes<'_>) {
    each(spec, "traffic", |i, target| {
        if text(target, "name").is_empty() {
            target.remove("name");
        }
        notes.rename(target, &at.field("traffic").index(i), "name", "tag");
    });
}
