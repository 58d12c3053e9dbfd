//! `weir explain`: where one event went, and why. Also what `weir send --wait` shows.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::connect::Connect;
use super::{Invocation, broker, output};
use crate::client::{Client, RequestError};
use crate::failure::{Exit, Failure, Outcome};

/// Between two looks: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Name of the Broker
    broker: String,
    /// Attribute id of the event
    id: String,
    /// Attribute source of the event, if several have the id
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// Wait until every Trigger that wants it has it, or gave it up
    #[arg(long)]
    wait: bool,
    /// Most time to wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::duration)]
    timeout: Duration,
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Form,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Json,
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        let session = self.connect.open(invocation).await?;
        let (namespace, name) = broker::parse(&self.broker, &session.namespace);
        let event = Sought { broker: (&namespace, &name), id: &self.id, source: self.source.as_deref() };
        let (answer, settled) = if self.wait {
            event.wait(&session.client, self.timeout).await?
        } else {
            (event.look(&session.client).await?, true)
        };
        if self.output == Form::Json {
            return output::print(&(serde_json::to_string_pretty(&answer)? + "\n"));
        }
        output::print(&show(&answer))?;
        if settled { Ok(()) } else { Err(unsettled(self.timeout)) }
    }
}

/// An event somebody asks about.
pub(super) struct Sought<'a> {
    /// Namespace and name.
    pub(super) broker: (&'a str, &'a str),
    pub(super) id: &'a str,
    pub(super) source: Option<&'a str>,
}

impl Sought<'_> {
    async fn look(&self, client: &Client) -> Result<Value, RequestError> {
        client.explain(self.broker, self.id, self.source).await
    }

    /// Looks until every Trigger is done with the event, for at most `timeout`; what was seen last, and whether they are.
    pub(super) async fn wait(&self, client: &Client, timeout: Duration) -> Outcome<(Value, bool)> {
        let (deadline, mut pause) = (Instant::now() + timeout, PAUSES.0);
        loop {
            let seen = self.look(client).await;
            let late = Instant::now() >= deadline;
            match seen {
                Ok(answer) if is_settled(&answer) => return Ok((answer, true)),
                Ok(answer) if late => return Ok((answer, false)),
                // A Broker that just opened has no Triggers to speak of yet.
                Err(RequestError::Refused(status)) if status.code == 503 && !late => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// What to say when waiting took too long.
pub(super) fn unsettled(timeout: Duration) -> Failure {
    Failure::text(Exit::NotDelivered, format!("not everywhere delivered within {timeout:?}"))
        .next("the event is kept and delivery goes on")
}

fn ways(answer: &Value) -> impl Iterator<Item = &Value> {
    let events = answer["events"].as_array().into_iter().flatten();
    events.flat_map(|event| event["triggers"].as_array().into_iter().flatten())
}

fn is_settled(answer: &Value) -> bool {
    ways(answer).all(|way| !matches!(way["state"].as_str(), Some("pending" | "retrying")))
}

/// Whether a Trigger gave the event up.
pub(super) fn is_dead(answer: &Value) -> bool {
    ways(answer).any(|way| way["state"] == "dead-lettered" && way["deadLetterRedriven"].is_null())
}

/// For people: a line per Trigger.
pub(super) fn show(answer: &Value) -> String {
    let width = ways(answer).filter_map(|way| way["name"].as_str()).map(str::len).max().unwrap_or(0);
    let mut lines = String::new();
    for way in ways(answer) {
        let name = way["name"].as_str().unwrap_or_default();
        lines.push_str(&format!("trigger {name:<width$}   {}\n", fate(way)));
    }
    if lines.is_empty() { "no Trigger\n".to_owned() } else { lines }
}

fn fate(way: &Value) -> String {
    let attempts = way["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failed: Vec<_> = attempts.iter().filter(|attempt| attempt["kind"] == "failed-attempt").collect();
    let last = || failed.last().and_then(|attempt| attempt["detail"].as_str()).unwrap_or_default();
    match way["state"].as_str().unwrap_or_default() {
        "filtered" => format!("not matched: {}", why_not(way)),
        "before-start" => "not offered: the Trigger began after it".to_owned(),
        "retrying" => format!("retrying after {} failed attempts: {}", failed.len(), last()),
        "dead-lettered" => {
            let home = way["deadLetter"].as_str();
            let home = home.map_or_else(String::new, |id| format!(" (weir dead show {id})"));
            format!("dead-lettered after {} failed attempts: {}{home}", failed.len(), last())
        }
        "delivered" if !failed.is_empty() => format!("delivered after {} failed attempts", failed.len()),
        state => state.to_owned(),
    }
}

/// The comparisons that decided against the event.
fn why_not(way: &Value) -> String {
    let clauses = way["clauses"].as_array().into_iter().flatten();
    let told = clauses.map(|clause| {
        let text = |field: &str| clause[field].as_str().unwrap_or_default();
        let saw = match &clause["saw"] {
            Value::Null => "is absent".to_owned(),
            saw => format!("is {saw}"),
        };
        format!("{} {saw}, {} asks for {:?}", text("attribute"), text("path"), text("expected"))
    });
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_trigger_has_a_line_that_says_why() {
        let answer = json!({"events": [{"triggers": [
            {"name": "a", "state": "delivered", "attempts": []},
            {"name": "bcd", "state": "dead-lettered", "deadLetter": "7", "attempts": [
                {"kind": "failed-attempt", "detail": "503"}, {"kind": "dead-letter-store", "detail": "503"}]},
            {"name": "e", "state": "filtered", "attempts": [], "clauses": [
                {"path": "filter.attributes.type", "attribute": "type", "expected": "x", "saw": "y", "held": false}]},
        ]}]});
        assert_eq!(
            show(&answer),
            "trigger a     delivered\n\
             trigger bcd   dead-lettered after 1 failed attempts: 503 (weir dead show 7)\n\
             trigger e     not matched: type is \"y\", filter.attributes.type asks for \"x\"\n"
        );
        assert!(is_settled(&answer) && is_dead(&answer));
        assert!(!is_settled(&json!({"events": [{"triggers": [{"state": "retrying"}]}]})));
    }
}
