//! `weir tail`: prints events as a Broker stores them.

use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::Value;

use super::connect::Connect;
use super::signals::Signals;
use super::{Invocation, broker, output};
use crate::config::parse_duration;
use crate::failure::{Exit, Failure, Outcome};

/// Data beyond this many characters is cut off in a line for people.
const SHOWN_DATA: usize = 120;

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Name of the Broker
    broker: String,
    /// Begin with the events of this time: 5m (ago), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// End with what is stored now; without --since from the oldest event on
    #[arg(long)]
    no_follow: bool,
    /// Only events of this type
    #[arg(short, long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// Only events of this source
    #[arg(short, long, value_name = "URI")]
    source: Option<String>,
    /// human or json: one event per line
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Form,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Human,
    Json,
}

fn since(text: &str) -> Result<Timestamp, String> {
    let ago = parse_duration(text).and_then(|ago| Timestamp::now().checked_sub(ago).ok());
    ago.or_else(|| text.parse().ok())
        .ok_or_else(|| "expected a duration such as 5m, or a time such as 2026-01-31T12:00:00Z".to_owned())
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        let mut signals = Signals::listen()?;
        tokio::select! {
            ended = self.follow(invocation) => ended,
            // The usual end.
            () = signals.stop() => Ok(()),
        }
    }

    async fn follow(&self, invocation: &Invocation) -> Outcome {
        let session = self.connect.open(invocation).await?;
        let (namespace, name) = broker::parse(&self.broker, &session.namespace);
        let since = self.since.map(|time| time.to_string());
        let lines = session.client.tail((&namespace, &name), since.as_deref(), !self.no_follow).await?;
        let mut lines = std::pin::pin!(lines);
        while let Some(line) = lines.next().await {
            let line: Value = serde_json::from_slice(&line?)?;
            let event = &line["event"];
            let is = |wanted: &Option<String>, name: &str| {
                wanted.as_deref().is_none_or(|wanted| event[name].as_str() == Some(wanted))
            };
            if is(&self.ty, "type") && is(&self.source, "source") {
                output::print_line(&match self.output {
                    Form::Json => event.to_string(),
                    Form::Human => human(&line),
                })?;
            }
        }
        if self.no_follow {
            return Ok(());
        }
        Err(Failure::text(Exit::Unavailable, format!("broker {namespace}/{name} was closed")))
    }
}

/// `TIME  TYPE  SOURCE  ID  SUBJECT  DATA`
fn human(line: &Value) -> String {
    let event = &line["event"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let stored = text(&line["storedAt"]);
    // Microseconds tell events apart as well.
    let stored = stored.parse::<Timestamp>().map_or(stored, |time| format!("{time:.6}"));
    let mut parts = vec![stored, text(&event["type"]), text(&event["source"]), text(&event["id"])];
    if let Some(subject) = event["subject"].as_str() {
        parts.push(subject.to_owned());
    }
    let data = match (&event["data"], &event["data_base64"]) {
        (Value::Null, Value::String(base64)) => format!("base64:{base64}"),
        (Value::Null, _) => String::new(),
        (Value::String(text), _) => text.clone(),
        (json, _) => json.to_string(),
    };
    if !data.is_empty() {
        let cut: String = data.chars().take(SHOWN_DATA).collect();
        let more = if data.chars().nth(SHOWN_DATA).is_some() { "…" } else { "" };
        parts.push(cut + more);
    }
    // Nothing in an event may break the line or move the cursor.
    parts.join("  ").replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_when_what_whence_and_with_which_data() {
        let line = json!({"storedAt": "2026-11-25T09:33:06.464632628Z",
            "event": {"type": "t", "source": "/s", "id": "1", "subject": "x", "data": {"a": 1}}});
        assert_eq!(human(&line), "2026-11-25T09:33:06.464632Z  t  /s  1  x  {\"a\":1}");
        let long =
            json!({"storedAt": "?", "event": {"type": "t", "source": "/s", "id": "1", "data": "\n".repeat(200)}});
        assert_eq!(human(&long), format!("?  t  /s  1  {}…", " ".repeat(SHOWN_DATA)));
    }

    #[test]
    fn times_are_ago_or_exact() {
        assert!(since("5m").is_ok_and(|time| time < Timestamp::now()));
        assert_eq!(since("2026-01-31T12:00:00Z").map(|time| time.as_second()), Ok(1_769_860_800));
        assert!(since("yesterday").is_err());
    }
}
