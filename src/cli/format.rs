//! `-o`: how objects are printed.

use std::str::FromStr;

use serde_json::Value;

use crate::client::Kind;
use crate::failure::Outcome;
use crate::jsonpath::Template;

/// A value of `-o`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// The objects as JSON.
    Json,
    /// The objects as YAML.
    Yaml,
    /// `kind.group/name`, one per line.
    Name,
    /// What a template picks.
    JsonPath(Template),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "wide" => Ok(Self::Wide),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            "name" => Ok(Self::Name),
            _ => match text.strip_prefix("jsonpath=") {
                Some(template) => Template::parse(template).map(Self::JsonPath),
                None => Err("expected table, wide, json, yaml, name or jsonpath=TEMPLATE".to_owned()),
            },
        }
    }
}

impl Format {
    /// Whether columns are wanted.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }

    /// An object or a list in a format that is no table.
    pub(crate) fn render(&self, value: &Value, kind: &Kind) -> Outcome<String> {
        Ok(match self {
            Self::JsonPath(template) => template.render(value),
            Self::Json => serde_json::to_string_pretty(value)? + "\n",
            Self::Yaml => serde_yaml_ng::to_string(value)?,
            Self::Name | Self::Table | Self::Wide => {
                let names =
                    super::table::objects(value).into_iter().filter_map(|object| object["metadata"]["name"].as_str());
                names.map(|name| kind.object(name) + "\n").collect()
            }
        })
    }
}

/// What `get` hides unless asked: bookkeeping nobody reads.
pub(crate) fn without_managed_fields(value: &mut Value) {
    let objects = match value.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().collect(),
        None => vec![value],
    };
    for object in objects {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_and_lists_in_every_format() {
        let kind = Kind::named("g", "v1", "Thing", "things");
        let mut list = json!({"items": [
            {"metadata": {"name": "a", "managedFields": [1]}}, {"metadata": {"name": "b"}}]});
        without_managed_fields(&mut list);
        let render =
            |format: &str, value: &Value| format.parse::<Format>().expect(format).render(value, &kind).expect(format);
        assert_eq!(render("name", &list), "thing.g/a\nthing.g/b\n");
        assert_eq!(render("jsonpath={.items[*].metadata.name}", &list), "a b");
        assert_eq!(render("yaml", &list["items"][0]), "metadata:\n  name: a\n");
        assert_eq!(render("json", &list["items"][0]), "{\n  \"metadata\": {\n    \"name\": \"a\"\n  }\n}\n");
        for wrong in ["xml", "jsonpath={.a", ""] {
            assert!(wrong.parse::<Format>().is_err(), "{wrong}");
        }
    }
}
