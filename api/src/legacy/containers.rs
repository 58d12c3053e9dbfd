//! ContainerSource, and the CronJobSource of `sources.knative.dev/v1alpha2`, which is one.

use serde_json::{Value, json};

use super::Form;
use super::destination::destination;
use super::notes::Notes;
use super::object::{Object, each, get, put, take, within};
use crate::validation::{FieldError, Path};

/// Fields of the only container, instead of `template`.
const FLAT: [&str; 4] = ["args", "env", "image", "serviceAccountName"];

/// How a container of the first generation learns its sink: by an argument and a variable. Both come from `K_SINK`,
/// which is injected now.
const SINK_ARGUMENT: &str = "--sink=";
const SINK_VARIABLE: &str = "SINK";
const INJECTED: &str = "$(K_SINK)";

pub(super) const CONTAINER: Form = Form { convert: container, ..Form::SAME };
/// `sources.eventing.knative.dev/v1alpha1`
pub(super) const CONTAINER_SINK_ARGUMENT: Form =
    Form { convert: container_with_sink, present: present_with_sink, ..Form::SAME };
pub(super) const CRON_JOB_CONTAINER: Form = Form { convert: cron_job_container, ..Form::SAME };

fn container(spec: &mut Object, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    destination(spec, "sink", &at, notes);
    let flat: Object = FLAT.iter().filter_map(|field| Some(((*field).to_owned(), take(spec, field)?))).collect();
    if flat.is_empty() {
        return;
    }
    if let Some(template) = get(spec, "template") {
        let older: Vec<_> = flat.iter().map(|(field, value)| (at.field(field), value)).collect();
        if !notes.older_wins(&older, &[(at.field("template"), template)]) {
            return flat.keys().for_each(|field| notes.unused(&at.field(field), "template is set beside it"));
        }
    }
    spec.insert("template".to_owned(), template(flat));
}

fn template(mut flat: Object) -> Value {
    let account = flat.remove("serviceAccountName");
    flat.extend([("name".to_owned(), "source".into()), ("imagePullPolicy".to_owned(), "IfNotPresent".into())]);
    let mut pod = Object::from_iter([("containers".to_owned(), json!([flat]))]);
    pod.extend(account.map(|account| ("serviceAccountName".to_owned(), account)));
    json!({ "spec": pod })
}

fn container_with_sink(spec: &mut Object, notes: &mut Notes<'_>) {
    container(spec, notes);
    let mut own_sink = None;
    each_container(spec, |container| {
        let own = arguments(container).find_map(|argument| argument.strip_prefix(SINK_ARGUMENT)).map(str::to_owned);
        if own.is_none() {
            push(container, "args", format!("{SINK_ARGUMENT}{INJECTED}").into());
        }
        if !variables(container).any(|variable| variable.get("name") == Some(&SINK_VARIABLE.into())) {
            let sink = own.clone().unwrap_or_else(|| INJECTED.to_owned());
            push(container, "env", json!({"name": SINK_VARIABLE, "value": sink}));
        }
        own_sink = own_sink.take().or(own);
    });
    if let (Some(uri), None) = (own_sink, get(spec, "sink")) {
        put(spec, "sink.uri", uri.into());
    }
}

fn present_with_sink(spec: &mut Object, _: &str) {
    each_container(spec, |container| {
        let sink = arguments(container).find_map(|argument| argument.strip_prefix(SINK_ARGUMENT)).map(str::to_owned);
        let variable = json!({"name": SINK_VARIABLE, "value": sink});
        remove(container, "args", |argument| *argument == format!("{SINK_ARGUMENT}{INJECTED}"));
        remove(container, "env", |entry| *entry == variable);
    });
}

fn cron_job_container(spec: &mut Object, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    match (get(spec, "template").is_some(), get(spec, "schedule").is_some()) {
        (true, false) => destination(spec, "sink", &at, notes),
        (true, true) => notes.exclusive(at.field("template"), at.field("schedule")),
        (false, false) => notes.refuse(FieldError::missing(at.field("template"))),
        (false, true) => {
            let why = "in this version a CronJobSource runs the containers of spec.template; for events on a schedule \
                       write a PingSource of sources.knative.dev/v1";
            notes.refuse(FieldError::forbidden(at.field("schedule"), why));
        }
    }
}

fn each_container(spec: &mut Object, mut visit: impl FnMut(&mut Object)) {
    within(spec, "template", |template| {
        within(template, "spec", |pod| each(pod, "containers", |_, container| visit(container)));
    });
}

fn arguments(container: &Object) -> impl Iterator<Item = &str> {
    container.get("args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn variables(container: &Object) -> impl Iterator<Item = &Value> {
    container.get("env").and_then(Value::as_array).into_iter().flatten()
}

fn push(container: &mut Object, field: &str, value: Value) {
    let list = container.entry(field).or_insert(Value::Null);
    if list.is_null() {
        *list = Value::Array(Vec::new());
    }
    if let Value::Array(items) = list {
        items.push(value);
    }
}

/// Takes the matching items out, and the list if that leaves it empty.
fn remove(container: &mut Object, field: &str, matches: impl Fn(&Value) -> bool) {
    if let Some(Value::Array(items)) = container.get_mut(field) {
        let before = items.len();
        items.retain(|item| !matches(item));
        if items.is_empty() && before > 0 {
            container.remove(field);
        }
    }
}
