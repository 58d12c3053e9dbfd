//! Tables for people: the server's where it makes them, our types' printer columns where it does not.

use std::fmt::Write;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition as Column;
use serde_json::Value;

use crate::client::Kind;
use crate::jsonpath::{Template, show};

/// Between the columns of `kubectl get`.
pub(crate) const GAP: &str = "   ";

/// Rows under a heading, ready to be laid out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// Column names.
    pub(crate) heading: Vec<String>,
    /// One cell per column.
    pub(crate) rows: Vec<Vec<String>>,
}

/// How a table is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Also the columns of lower priority.
    pub(crate) wide: bool,
    /// A first column with the namespace.
    pub(crate) namespaces: bool,
    /// Names with their kind, for several kinds in one answer.
    pub(crate) kinds: bool,
}

impl Table {
    /// The table of an answer: a `Table`, a list or one object.
    pub(crate) fn of(answer: &Value, kind: &Kind, style: Style, now: Timestamp) -> Self {
        let mut table = if answer["kind"] == "Table" {
            Self::served(answer, style.wide)
        } else {
            let objects = answer["items"].as_array().map_or_else(|| vec![answer], |items| items.iter().collect());
            Self::made(&objects, kind, style.wide, now)
        };
        let metadata: Vec<_> = objects(answer).into_iter().map(|object| &object["metadata"]).collect();
        if style.kinds {
            for row in &mut table.rows {
                row[0] = kind.object(&row[0]);
            }
        }
        if style.namespaces && kind.namespaced {
            table.heading.insert(0, "NAMESPACE".to_owned());
            for (row, metadata) in table.rows.iter_mut().zip(metadata) {
                row.insert(0, metadata["namespace"].as_str().unwrap_or_default().to_owned());
            }
        }
        table
    }

    fn served(answer: &Value, wide: bool) -> Self {
        let columns = answer["columnDefinitions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let shown =
            |at: usize| columns.get(at).is_none_or(|column| wide || column["priority"].as_i64().unwrap_or(0) == 0);
        let names = columns.iter().map(|column| column["name"].as_str().unwrap_or_default().to_uppercase());
        let keep = |cells: Vec<String>| {
            cells.into_iter().enumerate().filter(|(at, _)| shown(*at)).map(|(_, cell)| cell).collect()
        };
        let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        let cells = |row: &Value| row["cells"].as_array().into_iter().flatten().map(cell).collect();
        Self { heading: keep(names.collect()), rows: rows.iter().map(|row| keep(cells(row))).collect() }
    }

    fn made(objects: &[&Value], kind: &Kind, wide: bool, now: Timestamp) -> Self {
        let columns: Vec<_> =
            columns(kind).into_iter().filter(|column| wide || column.priority.unwrap_or(0) == 0).collect();
        let mut table = Self { heading: vec!["NAME".to_owned()], rows: Vec::new() };
        table.heading.extend(columns.iter().map(|column| column.name.to_uppercase()));
        for object in objects {
            let mut row = vec![object.pointer("/metadata/name").map(cell).unwrap_or_default()];
            row.extend(columns.iter().map(|column| {
                let found = Template::parse(&column.json_path).ok().and_then(|path| path.first(object).cloned());
                match found {
                    Some(Value::String(time)) if column.type_ == "date" => age(&time, now),
                    Some(value) => cell(&value),
                    None => String::new(),
                }
            }));
            table.rows.push(row);
        }
        table
    }

    /// The widths that fit every cell.
    pub(crate) fn widths(&self, heading: bool) -> Vec<usize> {
        let mut widths = vec![0; self.heading.len()];
        for row in self.rows.iter().chain(heading.then_some(&self.heading)) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    /// Lines of text as `kubectl get` prints them.
    pub(crate) fn render(&self, heading: bool) -> String {
        self.render_within(heading, &self.widths(heading), GAP)
    }

    /// The same in columns of the given widths, `gap` apart. The last one is not padded.
    pub(crate) fn render_within(&self, heading: bool, widths: &[usize], gap: &str) -> String {
        let mut text = String::new();
        for row in heading.then_some(&self.heading).into_iter().chain(&self.rows) {
            for (at, (cell, &width)) in row.iter().zip(widths).enumerate() {
                let _ = if at + 1 < row.len() { write!(text, "{cell:width$}{gap}") } else { writeln!(text, "{cell}") };
            }
        }
        text
    }
}

/// The objects behind the rows of an answer.
pub(crate) fn objects(answer: &Value) -> Vec<&Value> {
    if let Some(rows) = answer["rows"].as_array() {
        return rows.iter().map(|row| &row["object"]).collect();
    }
    answer["items"].as_array().map_or_else(|| vec![answer], |items| items.iter().collect())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => show(value).replace('\n', " "),
    }
}

/// The printer columns of our own types; name and age for all others.
fn columns(kind: &Kind) -> Vec<Column> {
    let ours = weir_api::crd::all().into_iter();
    let ours = ours.filter(|crd| crd.spec.group == kind.group && crd.spec.names.kind == kind.kind);
    let ours = ours.flat_map(|crd| crd.spec.versions).find(|version| version.name == kind.version);
    ours.and_then(|version| version.additional_printer_columns).unwrap_or_else(|| {
        vec![Column {
            name: "Age".to_owned(),
            type_: "date".to_owned(),
            json_path: ".metadata.creationTimestamp".to_owned(),
            ..Column::default()
        }]
    })
}

/// How long ago `time` was, as `kubectl` shortens it; `<unknown>` if it is no time.
pub(crate) fn age(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    short(now.duration_since(time).as_secs())
}

/// Seconds as `kubectl` writes an age: two units while the number is small, one after that.
fn short(seconds: i64) -> String {
    const DAY: i64 = 24 * 60;
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    let two = |a: i64, unit: &str, b: i64, smaller: &str| {
        if b == 0 { format!("{a}{unit}") } else { format!("{a}{unit}{b}{smaller}") }
    };
    match minutes {
        0..2 => format!("{seconds}s"),
        2..10 => two(minutes, "m", seconds % 60, "s"),
        10..180 => format!("{minutes}m"),
        180..480 => two(hours, "h", minutes % 60, "m"),
        480..2_880 => format!("{hours}h"),
        2_880..11_520 => two(minutes / DAY, "d", hours % 24, "h"),
        11_520..1_051_200 => format!("{}d", minutes / DAY),
        1_051_200..4_204_800 => two(minutes / DAY / 365, "y", minutes / DAY % 365, "d"),
        _ => format!("{}y", minutes / DAY / 365),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn broker() -> Kind {
        Kind { namespaced: true, ..Kind::named("eventing.knative.dev", "v1", "Broker", "brokers") }
    }

    fn object() -> Value {
        json!({
            "metadata": {"name": "default", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {"eventing.knative.dev/broker.class": "MTChannelBasedBroker"}},
            "status": {"address": {"url": "http://x/y"}, "conditions": [{"type": "Ready", "status": "True"}]}
        })
    }

    #[test]
    fn printer_columns_stand_in_for_a_server_without_tables() {
        let now = "2026-01-01T00:05:03Z".parse().expect("time");
        let list = json!({"items": [object()]});
        let text = Table::of(&list, &broker(), Style::default(), now).render(true);
        assert_eq!(text, "NAME      URL          AGE    READY   REASON\ndefault   http://x/y   5m3s   True    \n");
        let wide = Style { wide: true, namespaces: true, kinds: true };
        let text = Table::of(&list, &broker(), wide, now).render(false);
        assert_eq!(
            text,
            "ns   broker.eventing.knative.dev/default   http://x/y   5m3s   True      MTChannelBasedBroker\n"
        );
    }

    #[test]
    fn a_served_table_is_shown_without_its_minor_columns() {
        let answer = json!({"kind": "Table",
            "columnDefinitions": [{"name": "Name"}, {"name": "N", "priority": 1}, {"name": "Age", "priority": 0}],
            "rows": [{"cells": ["a", 7, "5s"], "object": {"metadata": {"namespace": "ns"}}}, {"cells": ["b", null, null]}]});
        let table = |style| Table::of(&answer, &broker(), style, Timestamp::UNIX_EPOCH).render(true);
        assert_eq!(table(Style::default()), "NAME   AGE\na      5s\nb      \n");
        let style = Style { wide: true, namespaces: true, ..Style::default() };
        assert_eq!(table(style), "NAMESPACE   NAME   N   AGE\nns          a      7   5s\n            b          \n");
    }

    #[test]
    fn ages_are_those_of_kubectl() {
        let ages =
            [0, 119, 120, 303, 600, 10_799, 10_800, 14_460, 28_800, 172_800, 176_400, 691_200, 63_072_000, 400_000_000];
        let texts = ages.map(short);
        assert_eq!(
            texts,
            ["0s", "119s", "2m", "5m3s", "10m", "179m", "3h", "4h1m", "8h", "2d", "2d1h", "8d", "2y", "12y"]
        );
    }
}
