//! `weir wait`: until a condition holds, a field has a value, an object is there or gone.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::connect::{Connect, Session};
use super::{Invocation, output, target};
use crate::client::{Client, JSON, Kind, Kinds, Query, RequestError, watch};
use crate::failure::{Exit, Failure, Outcome};
use crate::jsonpath::{Template, show};
use crate::manifest;

/// Between two looks whether there is a server.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A server that is not there after so long is worth a word.
const TELL_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// TYPE NAME… or TYPE/NAME…
    #[arg(value_name = "WHAT", required_unless_present = "filename")]
    what: Vec<String>,
    /// The objects in these files, directories or - for standard input
    #[arg(short, long, value_name = "PATH", conflicts_with = "what")]
    filename: Vec<PathBuf>,
    /// condition=TYPE[=STATUS], jsonpath=PATH[=VALUE], create or delete
    #[arg(long = "for", value_name = "GOAL")]
    goal: Goal,
    /// Every object of the type in the namespace
    #[arg(long)]
    all: bool,
    /// Only objects with these labels: a=b,c!=d
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Most time to wait; 0 looks once
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::duration)]
    timeout: Duration,
    #[command(flatten)]
    connect: Connect,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Goal {
    /// A condition has this status.
    Condition(String, String),
    /// A path has this value, or any.
    Field(Template, Option<String>),
    /// The object is there.
    Created,
    /// The object is gone.
    Deleted,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(condition) = text.strip_prefix("condition=") {
            let (ty, status) = condition.split_once('=').unwrap_or((condition, "true"));
            return Ok(Self::Condition(ty.to_owned(), status.to_owned()));
        }
        if let Some(field) = text.strip_prefix("jsonpath=") {
            // The value follows the closing brace: a filter inside has `=` of its own.
            let end = field.rfind('}').map_or_else(|| field.find('=').unwrap_or(field.len()), |at| at + 1);
            let (path, value) = field.split_at(end);
            let value = match value.strip_prefix('=') {
                Some(value) => Some(value.to_owned()),
                None if value.is_empty() => None,
                None => return Err("expected jsonpath={PATH} or jsonpath={PATH}=VALUE".to_owned()),
            };
            return Ok(Self::Field(Template::parse(path)?, value));
        }
        match text {
            "create" => Ok(Self::Created),
            "delete" => Ok(Self::Deleted),
            _ => Err("expected condition=TYPE, jsonpath={PATH}=VALUE, create or delete".to_owned()),
        }
    }
}

impl Goal {
    /// `condition=Ready`
    pub(super) fn ready() -> Self {
        Self::Condition("Ready".to_owned(), "True".to_owned())
    }

    /// Whether `object` has reached it.
    fn is_met(&self, object: Option<&Value>) -> bool {
        match (self, object) {
            (Self::Deleted, object) => object.is_none(),
            (Self::Created, object) => object.is_some(),
            (Self::Condition(ty, status), Some(object)) => {
                let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
                let ours =
                    conditions.into_iter().find(|it| it["type"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(ty)));
                // A condition of an older generation says nothing about this one.
                let current = match (&object["status"]["observedGeneration"], &object["metadata"]["generation"]) {
                    (Value::Number(observed), Value::Number(wanted)) => observed.as_i64() >= wanted.as_i64(),
                    _ => true,
                };
                let holds = |it: &Value| it["status"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(status));
                current && ours.is_some_and(holds)
            }
            (Self::Field(path, value), Some(object)) => match (path.first(object), value) {
                (Some(Value::Null) | None, _) => false,
                (Some(_), None) => true,
                (Some(found), Some(value)) => show(found) == *value,
            },
            (_, None) => false,
        }
    }
}

/// When waiting ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// After `timeout`; never if it is zero.
    pub(super) fn after(timeout: Duration) -> Self {
        Self((!timeout.is_zero()).then(|| Instant::now() + timeout))
    }
}

/// One object.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) kind: &'a Kind,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// Waits until the object at `place` has reached `goal`.
pub(super) async fn until(client: &Client, place: Place<'_>, goal: &Goal, deadline: Deadline) -> Outcome {
    let reached = reach(client, place, goal);
    let Deadline(Some(deadline)) = deadline else { return Ok(reached.await?) };
    match tokio::time::timeout_at(deadline, reached).await {
        Ok(reached) => Ok(reached?),
        Err(_) => Err(too_late(place)),
    }
}

fn too_late(place: Place<'_>) -> Failure {
    let text = format!("timed out waiting for the condition on {}/{}", place.kind.plural, place.name);
    let advice = format!("`weir describe {} {}` says how far it is", place.kind.singular, place.name);
    Failure::text(Exit::Unavailable, text).next(advice)
}

async fn reach(client: &Client, place: Place<'_>, goal: &Goal) -> Result<(), RequestError> {
    let path = place.kind.list_path(Some(place.namespace));
    let query = Query::default().with("fieldSelector", &format!("metadata.name={}", place.name));
    let mut first = true;
    loop {
        let list = client.get(&query.on(&path)).await?;
        let object = list["items"].as_array().and_then(|items| items.first());
        if goal.is_met(object) {
            return Ok(());
        }
        if object.is_none() && first && *goal != Goal::Created {
            // Waiting for what nobody made is a mistake, told in the server's words.
            client.get(&place.kind.object_path(place.namespace, place.name)).await?;
        }
        first = false;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
        let ended = watch(client, &path, &query, JSON, version, |change| {
            let object = (change.kind != "DELETED").then_some(&change.object);
            Ok::<_, RequestError>(goal.is_met(object).then_some(()))
        });
        match ended.await {
            Err(error) if error.is_expired() => {}
            other => return other,
        }
    }
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        let documents = manifest::load(&self.filename)?;
        // Zero means "look once": a moment for one answer.
        let timeout = if self.timeout.is_zero() { Duration::from_secs(1) } else { self.timeout };
        let deadline = Deadline::after(timeout);
        let session = self.session(invocation).await?;
        let kinds = Kinds::discover(&session.client).await?;
        let mut objects: Vec<(&Kind, String, String)> = Vec::new();
        for document in &documents {
            let kind = kinds.of(document.api_version(), document.kind()).ok_or_else(|| {
                manifest::refuse(&[document.problem("kind", format!("unknown kind {:?}", document.kind()))])
            })?;
            let namespace = document.namespace().unwrap_or(&session.namespace).to_owned();
            objects.push((kind, namespace, document.name().to_owned()));
        }
        for target in if self.what.is_empty() { Vec::new() } else { target::parse(&self.what, &kinds)? } {
            let mut names = target.names;
            if names.is_empty() {
                if !self.all && self.selector.is_none() {
                    return Err(
                        Failure::text(Exit::Usage, "no names given").next("name objects, or say -l LABELS or --all")
                    );
                }
                let query = Query::default().with_some("labelSelector", self.selector.as_deref());
                names = super::names(
                    &session.client.get(&query.on(&target.kind.list_path(Some(&session.namespace)))).await?,
                );
            }
            objects.extend(names.into_iter().map(|name| (target.kind, session.namespace.clone(), name)));
        }
        if objects.is_empty() {
            return Err(Failure::text(Exit::NotFound, "no matching resources found"));
        }
        for (kind, namespace, name) in &objects {
            until(&session.client, Place { kind, namespace, name }, &self.goal, deadline).await?;
            let met = if self.goal == Goal::Deleted { "deleted" } else { "condition met" };
            output::print_line(&format!("{} {met}", kind.object(name)))?;
        }
        Ok(())
    }

    /// A connection to a server that is ready: `weir run & weir wait …` need not guess how long a start takes.
    async fn session(&self, invocation: &Invocation) -> Outcome<Session> {
        let (start, mut told) = (Instant::now(), false);
        loop {
            let failure = match self.connect.open(invocation).await {
                Ok(session) => match session.client.ready().await {
                    Ok(()) => return Ok(session),
                    Err(error) => Failure::from(error),
                },
                Err(failure) => failure,
            };
            if failure.exit() != Exit::Unavailable || start.elapsed() >= self.timeout {
                return Err(failure);
            }
            if !told && start.elapsed() > TELL_AFTER {
                output::tell(&format!("waiting for a server: {failure}"));
                told = true;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn goal(text: &str) -> Goal {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn goals_are_met_by_objects() {
        let object = json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 2, "n": 3,
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Odd", "status": "Unknown"}]}});
        for (text, met) in [
            ("condition=Ready", true),
            ("condition=ready=true", true),
            ("condition=Ready=False", false),
            ("condition=Odd", false),
            ("condition=Odd=unknown", true),
            ("condition=None", false),
            ("jsonpath={.status.n}=3", true),
            ("jsonpath={.status.n}=4", false),
            ("jsonpath={.status.n}", true),
            ("jsonpath={.status.m}", false),
            ("jsonpath=.status.n=3", true),
            (r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}=True"#, true),
            ("create", true),
            ("delete", false),
        ] {
            assert_eq!(goal(text).is_met(Some(&object)), met, "{text}");
        }
        assert!(goal("delete").is_met(None));
        assert!(!goal("condition=Ready").is_met(None));
    }

    #[test]
    fn a_condition_of_an_older_generation_does_not_count() {
        let object = json!({"metadata": {"generation": 3}, "status": {"observedGeneration": 2,
            "conditions": [{"type": "Ready", "status": "True"}]}});
        assert!(!goal("condition=Ready").is_met(Some(&object)));
    }

    #[test]
    fn other_goals_are_refused() {
        for text in ["", "Ready", "jsonpath={.a", "jsonpath={.a}x"] {
            assert!(text.parse::<Goal>().is_err(), "{text}");
        }
    }
}
