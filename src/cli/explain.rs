//! `weir explain`: where one event went, and why. Also what `weir send --wait` shows.

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::connect::Connect;
use super::table::Table;
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
    /// Wait until every Trigger that wants it has it, or gave it up: exit code 5 then
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
        match self.output {
            Form::Table => output::print(&in_full(&answer))?,
            Form::Json => output::print_line(&serde_json::to_string_pretty(&answer)?)?,
        }
        match (self.wait, settled) {
            (true, true) if is_dead(&answer) => Err(Failure::told(Exit::NotDelivered)),
            (_, true) => Ok(()),
            (_, false) => Err(unsettled(self.timeout)),
        }
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
            let Ok(seen) = tokio::time::timeout_at(deadline, self.look(client)).await else {
                return Err(Failure::text(Exit::Unavailable, format!("no answer within {timeout:?}")));
            };
            let late = Instant::now() >= deadline;
            match seen {
                Ok(answer) if is_settled(&newest(&answer)) => return Ok((answer, true)),
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
    ways(answer).any(|way| way["state"] == "dead-lettered")
}

/// The part of an answer about the event stored last: others of its id were sent before.
pub(super) fn newest(answer: &Value) -> Value {
    let events = answer["events"].as_array().into_iter().flatten();
    let stored = |event: &&Value| event["storedAt"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    json!({ "events": events.max_by_key(stored).into_iter().collect::<Vec<_>>() })
}

/// For people: each event, a line per Trigger, and what was noted of the attempts.
fn in_full(answer: &Value) -> String {
    let mut told = String::new();
    for found in answer["events"].as_array().into_iter().flatten() {
        let text = |name: &str| found["event"][name].as_str().unwrap_or_default();
        let stored = found["storedAt"].as_str().unwrap_or_default();
        let _ = writeln!(told, "event {} from {}, type {}, stored {stored}", text("id"), text("source"), text("type"));
        let one = json!({ "events": [found] });
        told.push_str(&show(&one));
        for way in ways(&one) {
            let attempts = way["attempts"].as_array().into_iter().flatten();
            let rows: Vec<_> = attempts.map(attempt).collect();
            if !rows.is_empty() {
                let _ = writeln!(told, "attempts for {}", way["name"].as_str().unwrap_or_default());
                let table = Table { heading: vec![String::new(); 4], rows };
                told.push_str(&table.render(false));
            }
        }
    }
    told
}

/// When, what, how long it took, and what came of it.
fn attempt(attempt: &Value) -> Vec<String> {
    let text = |field: &str| attempt[field].as_str().unwrap_or_default();
    let what = match text("kind") {
        "failed-attempt" => format!("attempt {} failed", attempt["attempt"]),
        "sample" => format!("attempt {} delivered", attempt["attempt"]),
        kind => kind.to_owned(),
    };
    let took = format!("{} ms", attempt["durationMillis"]);
    vec![format!("  {}", text("at")), what, took, text("detail").to_owned()]
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
    let told = clauses.filter(|clause| clause["held"] == is_negated(clause)).map(|clause| {
        let text = |field: &str| clause[field].as_str().unwrap_or_default();
        let saw = match &clause["saw"] {
            Value::Null => "is absent".to_owned(),
            saw => format!("is {saw}"),
        };
        let wanted = match text("test") {
            "present" => "any value".to_owned(),
            "exact" => format!("{:?}", text("expected")),
            test => format!("{test} {:?}", text("expected")),
        };
        let not = if is_negated(clause) { "anything but " } else { "" };
        format!("{} {saw}, {} asks for {not}{wanted}", text("attribute"), text("path"))
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Whether a clause stands below an odd number of `not`.
fn is_negated(clause: &Value) -> bool {
    let text = |field: &str| clause[field].as_str().unwrap_or_default();
    // An attribute may have that name.
    let place = text("path").strip_suffix(text("attribute")).unwrap_or_default();
    place.split(['.', '[', ']']).filter(|part| *part == "not").count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trigger_has_a_line_that_says_why() {
        let answer = json!({"events": [{"triggers": [
            {"name": "a", "state": "delivered", "attempts": []},
            {"name": "bcd", "state": "dead-lettered", "deadLetter": "7", "attempts": [
                {"kind": "failed-attempt", "detail": "503"}, {"kind": "dead-letter-store", "detail": "503"}]},
            {"name": "e", "state": "filtered", "attempts": [], "clauses": [
                {"path": "filter.attributes.type", "test": "exact", "attribute": "type", "expected": "x", "saw": "y", "held": false}]},
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

    #[test]
    fn only_the_comparisons_that_refused_are_told() {
        let clause = |path: &str, test: &str, saw: &str, held: bool| json!({"path": path, "test": test, "attribute": "type", "expected": "x", "saw": saw, "held": held});
        let way = |clauses: Value| json!({"name": "a", "state": "filtered", "attempts": [], "clauses": clauses});
        let passed = clause("filters[0].exact.type", "exact", "x", true);
        let negated = clause("filters[1].not.prefix.type", "prefix", "xy", true);
        assert_eq!(
            fate(&way(json!([passed, negated]))),
            "not matched: type is \"xy\", filters[1].not.prefix.type asks for anything but prefix \"x\""
        );
        let passed = clause("filters[0].not.exact.type", "exact", "y", false);
        let refused = clause("filters[1].not.not.suffix.type", "suffix", "y", false);
        assert_eq!(
            fate(&way(json!([passed, refused]))),
            "not matched: type is \"y\", filters[1].not.not.suffix.type asks for suffix \"x\""
        );
    }

    #[test]
    fn an_event_is_told_with_its_attempts() {
        let event = |stored: &str| {
            json!({"storedAt": stored, "event": {"id": "1", "source": "/s", "type": "t"}, "triggers": [
                {"name": "a", "state": "retrying", "attempts": [{"at": "2026-01-01T00:00:01Z", "kind": "failed-attempt",
                    "attempt": 1, "durationMillis": 3, "detail": "503"}]}]})
        };
        let answer = json!({"events": [event("2026-01-01T00:00:00.5Z"), event("2026-01-01T00:00:00Z")]});
        assert_eq!(
            in_full(&newest(&answer)),
            "event 1 from /s, type t, stored 2026-01-01T00:00:00.5Z\n\
             trigger a   retrying after 1 failed attempts: 503\n\
             attempts for a\n\x20 2026-01-01T00:00:01Z   attempt 1 failed   3 ms   503\n"
        );
    }
}
