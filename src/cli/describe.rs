//! `weir describe`: everything about an object, for people, with its Events.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::connect::{Connect, Session};
use super::table::{Table, age};
use super::{Invocation, output, target};
use crate::client::{Kind, Kinds, Query};
use crate::failure::Outcome;
use crate::jsonpath::show;

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// TYPE [NAME…] or TYPE/NAME…
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
    /// Only objects with these labels: a=b,c!=d
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        let session = self.connect.open(invocation).await?;
        let kinds = Kinds::discover(&session.client).await?;
        let mut texts = Vec::new();
        for target in target::parse(&self.what, &kinds)? {
            let names = if target.names.is_empty() {
                let query = Query::default().with_some("labelSelector", self.selector.as_deref());
                super::names(&session.client.get(&query.on(&target.kind.list_path(Some(&session.namespace)))).await?)
            } else {
                target.names
            };
            for name in names {
                let object = session.client.get(&target.kind.object_path(&session.namespace, &name)).await?;
                let events = events(&session, target.kind, &object).await;
                texts.push(describe(&object, &events, Timestamp::now()));
            }
        }
        if texts.is_empty() {
            output::tell(&format!("No resources found in {} namespace.", session.namespace));
        }
        output::print(&texts.join("\n\n"))
    }
}

/// The Events about an object; none if the server keeps none.
async fn events(session: &Session, kind: &Kind, object: &Value) -> Vec<Value> {
    let metadata = &object["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default();
    let selector = format!(
        "involvedObject.name={},involvedObject.namespace={},involvedObject.kind={},involvedObject.uid={}",
        text("name"),
        text("namespace"),
        kind.kind,
        text("uid")
    );
    let path = Query::default()
        .with("fieldSelector", &selector)
        .on(&format!("/api/v1/namespaces/{}/events", session.namespace));
    let list = session.client.get(&path).await.unwrap_or_default();
    list["items"].as_array().cloned().unwrap_or_default()
}

fn show_events(events: &[Value], now: Timestamp) -> String {
    let names = ["Type", "Reason", "Age", "From", "Message"];
    let mut rows = vec![
        names.map(str::to_owned).to_vec(),
        ["----", "------", "----", "----", "-------"].map(str::to_owned).to_vec(),
    ];
    for event in events {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let either =
            |first: &str, second: &str| Some(text(first)).filter(|it| !it.is_empty()).unwrap_or_else(|| text(second));
        let seen = age(&either("/lastTimestamp", "/eventTime"), now);
        let count = event["count"].as_i64().unwrap_or(1);
        let seen =
            if count > 1 { format!("{seen} (x{count} over {})", age(&text("/firstTimestamp"), now)) } else { seen };
        rows.push(vec![
            text("/type"),
            text("/reason"),
            seen,
            either("/source/component", "/reportingComponent"),
            text("/message"),
        ]);
    }
    rows.iter_mut().for_each(|row| row[0].insert_str(0, "  "));
    let table = Table { heading: rows.remove(0), rows };
    format!("Events:\n{}", table.render_within(true, &table.widths(true), "  "))
}

/// An object as an indented outline: names and labels first, then every field under a readable title.
fn describe(object: &Value, events: &[Value], now: Timestamp) -> String {
    let mut lines = Lines::default();
    let metadata = &object["metadata"];
    for name in ["name", "namespace"] {
        lines.field(0, &title(name), metadata[name].as_str().unwrap_or_default());
    }
    for (name, separator) in [("labels", "="), ("annotations", ": ")] {
        lines.map(&title(name), metadata[name].as_object(), separator);
    }
    for name in ["apiVersion", "kind"] {
        lines.field(0, &title(name), object[name].as_str().unwrap_or_default());
    }
    for (name, value) in object.as_object().into_iter().flatten() {
        let mut value = value.clone();
        match name.as_str() {
            "apiVersion" | "kind" => continue,
            "metadata" => {
                for shown in ["name", "namespace", "labels", "annotations", "managedFields"] {
                    value.as_object_mut().and_then(|metadata| metadata.remove(shown));
                }
            }
            _ => {}
        }
        lines.value(0, &title(name), &value);
    }
    if events.is_empty() {
        lines.field(0, "Events", "<none>");
        return lines.render();
    }
    lines.render() + &show_events(events, now)
}

/// Lines of which neighbours with a value align it.
#[derive(Default)]
struct Lines(Vec<(String, Option<String>)>);

impl Lines {
    fn field(&mut self, level: usize, label: &str, value: &str) {
        self.0.push((format!("{}{label}:", "  ".repeat(level)), Some(value.to_owned())));
    }

    fn map(&mut self, label: &str, map: Option<&Map<String, Value>>, separator: &str) {
        let mut entries = map.into_iter().flatten().map(|(key, value)| (key, show(value)));
        let Some((key, value)) = entries.next() else { return self.field(0, label, "<none>") };
        self.field(0, label, &format!("{key}{separator}{value}"));
        self.0.extend(entries.map(|(key, value)| (String::new(), Some(format!("{key}{separator}{value}")))));
    }

    fn value(&mut self, level: usize, label: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                self.0.push((format!("{}{label}:", "  ".repeat(level)), None));
                self.fields(level + 1, fields);
            }
            Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
                self.0.push((format!("{}{label}:", "  ".repeat(level)), None));
                for item in items {
                    match item {
                        Value::Object(fields) => self.fields(level + 1, fields),
                        item => self.0.push((format!("{}{}", "  ".repeat(level + 1), show(item)), None)),
                    }
                }
            }
            Value::Array(items) => {
                self.0.push((format!("{}{label}:", "  ".repeat(level)), None));
                self.0.extend(items.iter().map(|item| (format!("{}{}", "  ".repeat(level + 1), show(item)), None)));
            }
            scalar => self.field(level, label, &show(scalar)),
        }
    }

    fn fields(&mut self, level: usize, fields: &Map<String, Value>) {
        let mut names: Vec<_> = fields.keys().collect();
        names.sort();
        for name in names {
            self.value(level, &title(name), &fields[name]);
        }
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for block in self.0.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
            let width = block.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
            for (label, value) in block {
                let _ = match value {
                    Some(value) => writeln!(text, "{label:width$}  {value}"),
                    None => writeln!(text, "{label}"),
                };
            }
        }
        text
    }
}

/// `observedGeneration` as `Observed Generation`; keys that are no field names stay as they are.
fn title(name: &str) -> String {
    if name.contains(['.', '/', '-', '_']) {
        return name.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        let boundary = words
            .last()
            .and_then(|word| word.chars().last())
            .is_none_or(|last| c.is_uppercase() && !last.is_uppercase());
        if boundary {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            if word.is_empty() { word.extend(c.to_uppercase()) } else { word.push(c) }
        }
    }
    for word in &mut words {
        if ["API", "URL", "UID", "OSB", "GUID"].contains(&word.to_uppercase().as_str()) {
            *word = word.to_uppercase();
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_becomes_an_outline() {
        let object = json!({
            "apiVersion": "eventing.knative.dev/v1", "kind": "Trigger",
            "metadata": {"name": "t", "namespace": "default", "uid": "7", "labels": {"a": "b", "c": "d"}, "annotations": {"e": "f"}, "managedFields": []},
            "spec": {"broker": "default", "subscriber": {"uri": "http://x"}},
            "status": {"conditions": [{"status": "True", "type": "Ready"}], "observedGeneration": 1}
        });
        assert_eq!(
            describe(&object, &[], Timestamp::UNIX_EPOCH),
            "\
Name:         t
Namespace:    default
Labels:       a=b
              c=d
Annotations:  e: f
API Version:  eventing.knative.dev/v1
Kind:         Trigger
Metadata:
  UID:  7
Spec:
  Broker:  default
  Subscriber:
    Uri:  http://x
Status:
  Conditions:
    Status:             True
    Type:               Ready
  Observed Generation:  1
Events:                 <none>
"
        );
    }

    #[test]
    fn events_are_listed_with_their_age_and_count() {
        let now = "2026-01-01T00:10:00Z".parse().expect("time");
        let event = json!({"type": "Warning", "reason": "Odd", "message": "it is", "count": 3, "source": {"component": "weir"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:09:55Z"});
        assert_eq!(
            show_events(&[event], now),
            "Events:\n  Type     Reason  Age               From  Message\n  ----     ------  ----              ----  -------\n  Warning  Odd     5s (x3 over 10m)  weir  it is\n"
        );
    }
}
