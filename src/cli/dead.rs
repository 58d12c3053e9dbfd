//! `weir dead`: events that could not be delivered, and what to do with them.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use weir_api::event::json::decode;

use super::connect::{Connect, Session};
use super::table::{GAP, Table, age};
use super::{Invocation, output};
use crate::client::{Client, Query, RequestError};
use crate::event_display::for_people;
use crate::failure::{Exit, Failure, Outcome};

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print dead letters, oldest first
    List(List),
    /// Print one with everything known about it
    Show(Show),
    /// Try to deliver them again, to the Trigger that failed
    Redrive(Several),
    /// Remove them for good
    Discard(Several),
}

/// Which dead letters.
#[derive(Debug, clap::Args)]
struct Filter {
    /// Of this Broker
    #[arg(long, value_name = "NAME")]
    broker: Option<String>,
    /// For this Trigger
    #[arg(long, value_name = "NAME")]
    trigger: Option<String>,
    /// With exactly this reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Of the event with this id
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// In every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// Also those that were redriven
    #[arg(long)]
    redriven: bool,
    /// table, json or name
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Form,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Json,
    Name,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Id of the dead letter
    id: String,
    /// human or json
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Style,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Style {
    Human,
    Json,
}

#[derive(Debug, clap::Args)]
struct Several {
    /// Ids of dead letters
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All that match
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    connect: Connect,
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        match &self.what {
            What::List(list) => list.run(invocation).await,
            What::Show(show) => {
                let session = show.connect.open(invocation).await?;
                let letter = session.client.dead_letter(&show.id).await?;
                match show.output {
                    Style::Human => output::print(&describe(&letter)),
                    Style::Json => output::print_line(&serde_json::to_string_pretty(&letter)?),
                }
            }
            What::Redrive(several) => several.redrive(invocation).await,
            What::Discard(several) => several.discard(invocation).await,
        }
    }
}

impl Filter {
    fn query(&self, session: &Session) -> Query {
        let namespace = (!self.all_namespaces).then_some(session.namespace.as_str());
        Query::default()
            .with_some("namespace", namespace)
            .with_some("broker", self.broker.as_deref())
            .with_some("trigger", self.trigger.as_deref())
            .with_some("reason", self.reason.as_deref())
            .with_some("event", self.event.as_deref())
            .with("limit", "500")
    }
}

/// Every letter of `query`, page by page.
async fn all(session: &Session, query: &Query) -> Outcome<Vec<Value>> {
    let (mut letters, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut page = session.client.dead_letters(query.clone().with_some("after", after.as_deref())).await?;
        if let Some(items) = page["items"].as_array_mut() {
            letters.append(items);
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return Ok(letters);
        }
    }
}

fn text<'a>(letter: &'a Value, field: &str) -> &'a str {
    letter[field].as_str().unwrap_or_default()
}

impl List {
    async fn run(&self, invocation: &Invocation) -> Outcome {
        let session = self.connect.open(invocation).await?;
        let query = self.filter.query(&session).with("redriven", if self.redriven { "true" } else { "false" });
        let letters = all(&session, &query).await?;
        match self.output {
            Form::Json => output::print(&(serde_json::to_string_pretty(&json!({ "items": letters }))? + "\n")),
            Form::Name => letters.iter().try_for_each(|letter| output::print_line(text(letter, "id"))),
            Form::Table if letters.is_empty() => {
                output::tell("No dead letters.");
                Ok(())
            }
            Form::Table => {
                let table = table(&letters, self.filter.all_namespaces, Timestamp::now());
                output::print(&table.render_within(true, &table.widths(true), GAP))
            }
        }
    }
}

fn table(letters: &[Value], namespaces: bool, now: Timestamp) -> Table {
    let mut heading = vec!["ID", "TRIGGER", "EVENT", "TYPE", "ATTEMPTS", "AGE", "REASON"];
    if namespaces {
        heading.insert(0, "NAMESPACE");
    }
    let row = |letter: &Value| {
        let mut row = vec![
            text(letter, "id").to_owned(),
            text(letter, "trigger").to_owned(),
            text(letter, "eventId").to_owned(),
            text(letter, "eventType").to_owned(),
            letter["attempts"].to_string(),
            age(text(letter, "deadAt"), now),
            text(letter, "reason").to_owned(),
        ];
        if namespaces {
            row.insert(0, text(letter, "namespace").to_owned());
        }
        row
    };
    Table { heading: heading.into_iter().map(str::to_owned).collect(), rows: letters.iter().map(row).collect() }
}

impl Several {
    async fn ids(&self, session: &Session) -> Outcome<Vec<String>> {
        if !self.all {
            return Ok(self.ids.clone());
        }
        let letters = all(session, &self.filter.query(session)).await?;
        if letters.is_empty() {
            output::tell("No dead letters.");
        }
        Ok(letters.iter().map(|letter| text(letter, "id").to_owned()).collect())
    }

    async fn redrive(&self, invocation: &Invocation) -> Outcome {
        let session = self.connect.open(invocation).await?;
        let ids = self.ids(&session).await?;
        let (mut failed, mut missing) = (0, 0);
        for id in &ids {
            // One that cannot be redriven keeps none of the others back; a server that does not answer does.
            match redrive(&session.client, id).await {
                Ok((trigger, None)) => output::print_line(&format!("dead letter {id} delivered to {trigger}"))?,
                Ok((trigger, Some(reason))) => {
                    failed += 1;
                    output::tell(&format!("dead letter {id} not delivered to {trigger}: {reason}"));
                }
                Err(RequestError::Refused(status)) if matches!(status.code, 404 | 409 | 503) => {
                    failed += 1;
                    missing += usize::from(status.code == 404);
                    output::tell(&format!("dead letter {id} not delivered: {}", status.message));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if failed == 0 {
            return Ok(());
        }
        if missing == failed {
            return Err(Failure::told(Exit::NotFound));
        }
        Err(Failure::text(Exit::NotDelivered, format!("{failed} of {} dead letters not delivered", ids.len()))
            .next("they are kept"))
    }

    async fn discard(&self, invocation: &Invocation) -> Outcome {
        let session = self.connect.open(invocation).await?;
        let mut missing = false;
        for id in self.ids(&session).await? {
            match session.client.discard(&id).await {
                Ok(()) => output::print_line(&format!("dead letter {id} discarded"))?,
                Err(error) if error.is_not_found() => {
                    missing = true;
                    output::tell(&error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
        if missing { Err(Failure::told(Exit::NotFound)) } else { Ok(()) }
    }
}

/// One attempt: the Trigger it was for, and why it failed if it did.
async fn redrive(client: &Client, id: &str) -> Result<(String, Option<String>), RequestError> {
    let letter = client.dead_letter(id).await?;
    let trigger = format!("trigger {}/{}", text(&letter, "namespace"), text(&letter, "trigger"));
    let answer = client.redrive(id).await?;
    let failed = answer["delivered"] != true;
    Ok((trigger, failed.then(|| text(&answer, "error").to_owned())))
}

/// Everything about a dead letter, for people.
fn describe(letter: &Value) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(lines, "{:<13}{value}", format!("{name}:"));
        }
    };
    line("Id", text(letter, "id"));
    line("Trigger", &format!("{}/{}", text(letter, "namespace"), text(letter, "trigger")));
    line("Broker", &format!("{}/{}", text(letter, "namespace"), text(letter, "broker")));
    line("Stored", text(letter, "storedAt"));
    line("Dead since", text(letter, "deadAt"));
    line("Redriven", text(letter, "redrivenAt"));
    line("Attempts", &letter["attempts"].to_string());
    line("Destination", text(letter, "destination"));
    line("Reason", text(letter, "reason"));
    line("Detail", text(letter, "detail"));
    // Base64, as the attribute knativeerrordata is.
    let answer = BASE64.decode(text(letter, "errorData")).unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer);
    line("Answer", if text(letter, "detail").ends_with(&*answer) { "" } else { &answer });
    match decode(&Bytes::from(letter["event"].to_string())) {
        Ok(event) => lines.push_str(&for_people(&event)),
        // A record that is no event.
        Err(_) => line("Raw (base64)", text(letter, "raw")),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_told_in_a_row_and_whole() {
        let letter = json!({"id": "7", "deadAt": "2026-01-01T00:00:00Z", "namespace": "default", "broker": "b",
            "trigger": "t", "storedAt": "2026-01-01T00:00:00Z", "attempts": 3, "reason": "could not connect",
            "detail": "refused", "destination": "http://x/", "errorData": "b29wcw==", "eventId": "e", "eventSource": "/s",
            "eventType": "ty", "event": {"specversion": "1.0", "id": "e", "source": "/s", "type": "ty"}});
        let now = "2026-01-01T00:00:07Z".parse().expect("a time");
        assert_eq!(
            table(std::slice::from_ref(&letter), false, now).render(true),
            "ID   TRIGGER   EVENT   TYPE   ATTEMPTS   AGE   REASON\n\
             7    t         e       ty     3          7s    could not connect\n"
        );
        let text = describe(&letter);
        assert!(text.contains("Trigger:     default/t\n") && text.contains("  id: e\n"), "{text}");
        assert!(text.contains("Answer:      oops\n") && !text.contains("Redriven"), "{text}");
    }
}
