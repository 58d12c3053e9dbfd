//! `kubectl`'s JSONPath templates: `{.a.b}`, `{range .items[*]}…{end}`, filters, text around them.
//!
//! Not the RFC's dialect: expressions stand in braces, keys escape their dots, what is missing is empty.

use serde_json::Value;

mod parse;

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Vec<Node>);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// Back to the whole document.
    Root,
    Field(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>, i64),
    Wildcard,
    /// This value and everything below it.
    Recursive,
    Union(Vec<Step>),
    Filter(Vec<Step>, Option<(Operator, Operand)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Literal(Value),
    Path(Vec<Step>),
}

impl Template {
    /// Reads a template. A text without braces is one expression. `Err` says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains('{') {
            return parse::template(text).map(Self);
        }
        parse::template(&format!("{{{text}}}")).map(Self)
    }

    /// What the template makes of `value`.
    pub(crate) fn render(&self, value: &Value) -> String {
        let mut text = String::new();
        render(&self.0, value, value, &mut text);
        text
    }

    /// The first value found by a template that is one expression.
    pub(crate) fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self.0.as_slice() {
            [Node::Path(steps)] => walk(steps, value, value).into_iter().next(),
            _ => None,
        }
    }
}

fn render(nodes: &[Node], root: &Value, here: &Value, text: &mut String) {
    for node in nodes {
        match node {
            Node::Text(plain) => text.push_str(plain),
            Node::Path(steps) => {
                let found: Vec<_> = walk(steps, root, here).into_iter().map(show).collect();
                text.push_str(&found.join(" "));
            }
            Node::Range(steps, body) => {
                for value in walk(steps, root, here) {
                    render(body, root, value, text);
                }
            }
        }
    }
}

/// Texts as they are, everything else as JSON.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn walk<'a>(steps: &[Step], root: &'a Value, here: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![here];
    for step in steps {
        found = found.into_iter().flat_map(|value| take(step, root, value)).collect();
    }
    found
}

fn take<'a>(step: &Step, root: &'a Value, value: &'a Value) -> Vec<&'a Value> {
    match step {
        Step::Root => vec![root],
        Step::Field(name) => value.get(name).into_iter().collect(),
        Step::Index(index) => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            clamp(*index, items.len()).and_then(|at| items.get(at)).into_iter().collect()
        }
        Step::Slice(from, until, step) => slice(value, *from, *until, *step),
        Step::Wildcard => children(value),
        Step::Recursive => descendants(value),
        Step::Union(steps) => steps.iter().flat_map(|step| take(step, root, value)).collect(),
        Step::Filter(path, condition) => {
            let items = children(value).into_iter();
            items.filter(|item| holds(path, condition.as_ref(), root, item)).collect()
        }
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

fn descendants(value: &Value) -> Vec<&Value> {
    let mut found = vec![value];
    found.extend(children(value).into_iter().flat_map(descendants));
    found
}

/// An index from the front, or from the back if negative.
fn clamp(index: i64, len: usize) -> Option<usize> {
    if index >= 0 { usize::try_from(index).ok() } else { len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?) }
}

fn slice(value: &Value, from: Option<i64>, until: Option<i64>, step: i64) -> Vec<&Value> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let from = clamp(from.unwrap_or(0), items.len()).unwrap_or(0);
    let until = until.map_or(Some(items.len()), |until| clamp(until, items.len())).unwrap_or(0).min(items.len());
    let step = usize::try_from(step).unwrap_or(1).max(1);
    items.get(from..until).unwrap_or_default().iter().step_by(step).collect()
}

fn holds(path: &[Step], condition: Option<&(Operator, Operand)>, root: &Value, item: &Value) -> bool {
    let left = walk(path, root, item);
    let Some((operator, operand)) = condition else { return !left.is_empty() };
    let right = match operand {
        Operand::Literal(value) => Some(value),
        Operand::Path(path) => walk(path, root, item).into_iter().next(),
    };
    match (left.first(), right) {
        (Some(left), Some(right)) => compare(*operator, left, right),
        _ => false,
    }
}

fn compare(operator: Operator, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(std::cmp::Ordering::Equal),
    };
    match operator {
        Operator::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::NotEqual => !order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Operator::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Operator::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Operator::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_of_kubectl() {
        let value = json!({
            "kind": "List",
            "items": [
                {"metadata": {"name": "a", "annotations": {"eventing.knative.dev/x": "1"}}, "n": 1,
                 "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}},
                {"metadata": {"name": "b"}, "n": 2, "status": {"conditions": []}},
                {"metadata": {"name": "c"}, "n": 3}
            ]
        });
        for (template, expected) in [
            ("{.kind}", "List"),
            (".kind", "List"),
            ("{$.kind}", "List"),
            ("{.items[*].metadata.name}", "a b c"),
            ("{.items[0].metadata.name}", "a"),
            ("{.items[-1].metadata.name}", "c"),
            ("{.items[1:].metadata.name}", "b c"),
            ("{.items[0:3:2].metadata.name}", "a c"),
            ("{.items[0,2].metadata.name}", "a c"),
            ("{.items[0]['metadata']['name']}", "a"),
            ("{.items[0].metadata['name','annotations']}", r#"a {"eventing.knative.dev/x":"1"}"#),
            (r"{.items[0].metadata.annotations.eventing\.knative\.dev/x}", "1"),
            (r#"{.items[0].status.conditions[?(@.type=="Ready")].status}"#, "True"),
            ("{.items[0].status.conditions[?(@.type == 'Other')].status}", "False"),
            ("{.items[?(@.n>1)].metadata.name}", "b c"),
            ("{.items[?(@.n!=2)].metadata.name}", "a c"),
            ("{.items[?(@.status)].metadata.name}", "a b"),
            ("{..name}", "a b c"),
            ("{.missing.deeper}", ""),
            (r#"{range .items[*]}{.metadata.name}{"\t"}{.n}{"\n"}{end}"#, "a\t1\nb\t2\nc\t3\n"),
            ("name: {.items[0].n}!", "name: 1!"),
            ("{range .items[*]}{$.kind}-{.n} {end}", "List-1 List-2 List-3 "),
            ("{.items[0].n} {.items[1].n}", "1 2"),
        ] {
            assert_eq!(Template::parse(template).expect(template).render(&value), expected, "{template}");
        }
        assert_eq!(Template::parse("{@}").expect("whole").render(&json!({"a": [1]})), r#"{"a":[1]}"#);
    }

    #[test]
    fn malformed_templates_are_refused() {
        for template in ["{.a", "{.a[}", "{.a[?(@.b==)]}", "{range .a}", "{end}", "{.a[x]}", "{\"x}", "{.a b}"] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
    }
}
