//! Tables: what `kubectl get` prints, computed here so that it knows columns it never heard of.

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use serde_json::{Value, json};

pub(crate) use self::jsonpath::JsonPath;

mod builtin;
mod jsonpath;

pub(crate) use self::builtin::columns as builtin_columns;

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    name: String,
    ty: String,
    format: String,
    description: String,
    /// Above zero it is shown with `-o wide` only.
    priority: i32,
    cell: Cell,
}

/// Where a cell's content comes from.
#[derive(Clone, Debug)]
enum Cell {
    Path(JsonPath),
    Computed(fn(&Value, Timestamp) -> Value),
}

/// How much of the object a row carries beside its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    Metadata,
    Object,
}

impl Column {
    fn computed(name: &str, ty: &str, priority: i32, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self {
            name: name.to_owned(),
            ty: ty.to_owned(),
            format: String::new(),
            description: String::new(),
            priority,
            cell: Cell::Computed(cell),
        }
    }

    /// The name of the object: first in every table.
    pub(crate) fn name() -> Self {
        let name = |object: &Value, _| object["metadata"]["name"].clone();
        Self { format: "name".to_owned(), ..Self::computed("Name", "string", 0, name) }
    }

    /// How long ago the object was made.
    pub(crate) fn age() -> Self {
        Self::computed("Age", "string", 0, |object, now| age(&object["metadata"]["creationTimestamp"], now))
    }

    /// The columns of a custom kind. A path that cannot be read gives empty cells, as in Kubernetes.
    pub(crate) fn of_definition(definition: &[CustomResourceColumnDefinition]) -> Vec<Self> {
        let mut columns = vec![Self::name()];
        columns.extend(definition.iter().filter_map(|column| {
            Some(Self {
                name: column.name.clone(),
                ty: column.type_.clone(),
                format: column.format.clone().unwrap_or_default(),
                description: column.description.clone().unwrap_or_default(),
                priority: column.priority.unwrap_or(0),
                cell: Cell::Path(JsonPath::parse(&column.json_path)?),
            })
        }));
        if columns.len() == 1 {
            columns.push(Self::age());
        }
        columns
    }

    fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.ty,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let path = match &self.cell {
            Cell::Computed(cell) => return cell(object, now),
            Cell::Path(path) => path,
        };
        let Some(found) = path.find(object).filter(|found| !found.is_null()) else { return Value::Null };
        match (self.ty.as_str(), found) {
            ("date", found) => age(found, now),
            ("string", Value::String(text)) => json!(text),
            ("string", other) => json!(other.to_string()),
            ("integer", found) if found.is_i64() || found.is_u64() => found.clone(),
            ("integer", found) => found.as_f64().map_or(Value::Null, |number| json!(number.trunc())),
            ("number", found) if found.is_number() => found.clone(),
            ("boolean", found) if found.is_boolean() => found.clone(),
            _ => Value::Null,
        }
    }
}

/// A table of `objects`. Without `head` the column definitions are left out, as in all but the first event of a watch.
pub(crate) fn table(
    columns: &[Column],
    objects: &[Value],
    include: IncludeObject,
    head: bool,
    metadata: &Value,
) -> Value {
    let now = Timestamp::now();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| column.cell(object, now)).collect();
            let carried = match include {
                IncludeObject::None => Value::Null,
                IncludeObject::Metadata => partial(object),
                IncludeObject::Object => object.clone(),
            };
            let mut row = json!({"cells": cells});
            if !carried.is_null() {
                row["object"] = carried;
            }
            row
        })
        .collect();
    let definitions: Vec<Value> = if head { columns.iter().map(Column::definition).collect() } else { Vec::new() };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// The metadata of an object alone.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// Time since a timestamp, as people read it; `<unknown>` without one.
fn age(timestamp: &Value, now: Timestamp) -> Value {
    match timestamp.as_str().map(str::parse::<Timestamp>) {
        Some(Ok(then)) => json!(human(now.as_second().saturating_sub(then.as_second()))),
        Some(Err(_)) => json!("<invalid>"),
        None => json!("<unknown>"),
    }
}

/// Seconds as Kubernetes abbreviates them: two units while the second still matters.
fn human(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, unit: &str, small: i64, part: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{part}") }
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(seconds / MINUTE, "m", seconds % MINUTE, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(seconds / YEAR, "y", seconds % YEAR / DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_abbreviated_as_kubectl_does() {
        for (seconds, text) in [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (3599, "59m"),
            (10_860, "3h1m"),
            (30_000, "8h"),
            (180_000, "2d2h"),
            (900_000, "10d"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }
}
