//! The part of JSONPath that printer columns use.

use serde_json::Value;

/// A compiled path: `.a.b`, `['a.b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
    All,
    /// Items whose field at the path equals the text.
    Where(Vec<String>, String),
}

impl JsonPath {
    /// `None` if the path uses what is not supported.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim().trim_start_matches('$');
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let (name, after) = name(after);
                if name.is_empty() {
                    return None;
                }
                steps.push(Step::Field(name));
                rest = after;
            } else if let Some(after) = rest.strip_prefix('[') {
                let (inside, after) = bracket(after)?;
                steps.push(subscript(inside)?);
                rest = after;
            } else {
                return None;
            }
        }
        Some(Self(steps))
    }

    /// The first match.
    pub(crate) fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        first(&self.0, value)
    }
}

/// A field name, in which a backslash protects a dot.
fn name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => return (name, &text[index..]),
            c => name.push(c),
        }
    }
    (name, "")
}

/// The inside of a bracket and what follows it. Quotes protect brackets.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (None, ']') => return Some((&text[..index], &text[index + 1..])),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn unquote(text: &str) -> Option<&str> {
    let text = text.trim();
    ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

fn subscript(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(field) = unquote(text) {
        return Some(Step::Field(field.replace("\\.", ".")));
    }
    if let Some(condition) = text.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        let (path, value) = condition.split_once("==")?;
        let path = path.trim().strip_prefix("@.")?;
        return Some(Step::Where(path.split('.').map(str::to_owned).collect(), unquote(value)?.to_owned()));
    }
    text.parse().ok().map(Step::Index)
}

fn first<'v>(steps: &[Step], value: &'v Value) -> Option<&'v Value> {
    let [step, rest @ ..] = steps else { return Some(value) };
    match step {
        Step::Field(name) => first(rest, value.get(name)?),
        Step::Index(index) => first(rest, value.get(index)?),
        Step::All => value.as_array()?.iter().find_map(|item| first(rest, item)),
        Step::Where(path, text) => value
            .as_array()?
            .iter()
            .filter(|item| {
                path.iter().try_fold(*item, |item, name| item.get(name)).and_then(Value::as_str) == Some(text)
            })
            .find_map(|item| first(rest, item)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn printer_column_paths_find_their_value() {
        let value = json!({
            "metadata": {"annotations": {"a.b/c.d": "x"}},
            "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]},
            "spec": {"list": [{"v": 1}, {"v": 2}]},
        });
        for (path, expected) in [
            (r".metadata.annotations.a\.b/c\.d", json!("x")),
            (".metadata.annotations['a.b/c.d']", json!("x")),
            (r#".status.conditions[?(@.type=="Ready")].status"#, json!("True")),
            (".status.conditions[?(@.type=='Ready')].status", json!("True")),
            (".spec.list[1].v", json!(2)),
            (".spec.list[*].v", json!(1)),
        ] {
            let found = JsonPath::parse(path).map(|path| path.find(&value).cloned());
            assert_eq!(found, Some(Some(expected)), "{path}");
        }
        assert_eq!(JsonPath::parse(".status.conditions[?(@.type==\"No\")].status").expect("path").find(&value), None);
        for broken in ["status", ".a[", ".a[x]", "..a"] {
            assert_eq!(JsonPath::parse(broken), None, "{broken}");
        }
    }
}
