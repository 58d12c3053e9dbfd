//! Label and field selectors: parsing, and matching objects before and after a change.

use super::failure::Failure;
use super::registry::Kind;
use super::request::{Params, Target};
use super::store::{Key, Marks, Object};

/// What a list, watch or collection delete is restricted to. The default selects everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, PartialEq, Eq)]
struct LabelRequirement {
    key: String,
    test: LabelTest,
}

#[derive(Debug, PartialEq, Eq)]
enum LabelTest {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

#[derive(Debug, PartialEq, Eq)]
struct FieldRequirement {
    field: Field,
    value: String,
    equal: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
    /// Index into the kind's selectable fields.
    Own(usize),
}

impl Selector {
    /// Parses both kinds of selector as they stand in a query; either may be empty.
    pub(crate) fn of(target: &Target<'_>, params: &Params) -> Result<Self, Failure> {
        let mut labels = split(&params.label_selector)
            .map(|text| LabelRequirement::parse(text).ok_or_else(|| unparsable(text)))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some((key, value)) = target.own_label() {
            labels.push(LabelRequirement { key: key.to_owned(), test: LabelTest::In(vec![value]) });
        }
        let fields = params
            .field_selector
            .split(',')
            .filter(|text| !text.is_empty())
            .map(|text| FieldRequirement::parse(target.kind, text))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The one name it asks for, if it does.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.matches_marks(&object.key, &object.marks)
    }

    /// As [`Self::matches`], for the marks the object of `key` had at some time.
    pub(crate) fn matches_marks(&self, key: &Key, marks: &Marks) -> bool {
        self.labels.iter().all(|requirement| requirement.matches(marks.label(&requirement.key)))
            && self.fields.iter().all(|requirement| requirement.matches(key, marks))
    }
}

/// Requirements are separated by commas that are not inside parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|text| !text.is_empty())
}

fn unparsable(text: &str) -> Failure {
    Failure::bad_request(format!("unable to parse requirement: {text:?}"))
}

impl LabelRequirement {
    fn parse(text: &str) -> Option<Self> {
        let (key, test) = if let Some(key) = text.strip_prefix('!') {
            (key.trim(), LabelTest::Absent)
        } else if let Some((key, value)) = text.split_once("!=") {
            (key.trim(), LabelTest::NotIn(vec![word(value)?]))
        } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (key.trim(), LabelTest::In(vec![word(value)?]))
        } else if let Some((head, list)) = text.split_once('(') {
            let values = list.trim_end().strip_suffix(')')?.split(',').map(word).collect::<Option<_>>()?;
            match head.split_whitespace().collect::<Vec<_>>().as_slice() {
                [key, "in"] => (*key, LabelTest::In(values)),
                [key, "notin"] => (*key, LabelTest::NotIn(values)),
                _ => return None,
            }
        } else {
            (text, LabelTest::Exists)
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        (!key.is_empty() && key.chars().all(plain)).then(|| Self { key: key.to_owned(), test })
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|wanted| wanted == value));
        match &self.test {
            LabelTest::In(values) => among(values),
            LabelTest::NotIn(values) => !among(values),
            LabelTest::Exists => value.is_some(),
            LabelTest::Absent => value.is_none(),
        }
    }
}

/// A label value: empty, or up to 63 of the characters a label may have.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (text.len() <= 63 && text.chars().all(plain)).then(|| text.to_owned())
}

impl FieldRequirement {
    fn parse(kind: &Kind, text: &str) -> Result<Self, Failure> {
        let invalid = || Failure::bad_request(format!("invalid selector: '{text}'; can't understand '{text}'"));
        let (path, value, equal) = if let Some((path, value)) = text.split_once("!=") {
            (path, value, false)
        } else {
            let (path, value) = text.split_once("==").or_else(|| text.split_once('=')).ok_or_else(invalid)?;
            (path, value, true)
        };
        let field = match path.trim() {
            "metadata.name" => Field::Name,
            "metadata.namespace" => Field::Namespace,
            path => Field::Own(
                kind.fields
                    .iter()
                    .position(|field| *field == path)
                    .ok_or_else(|| Failure::bad_request(format!("field label not supported: {path}")))?,
            ),
        };
        Ok(Self { field, value: value.trim().to_owned(), equal })
    }

    fn matches(&self, key: &Key, marks: &Marks) -> bool {
        let found = match self.field {
            Field::Name => key.name.as_ref(),
            Field::Namespace => key.namespace.as_ref(),
            Field::Own(index) => marks.fields.get(index).map_or("", |value| value.as_ref()),
        };
        (found == self.value) == self.equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(text: &str, labels: &[(&str, &str)]) -> bool {
        let marks = Marks {
            labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            fields: Box::default(),
        };
        split(text).all(|text| {
            let requirement = LabelRequirement::parse(text).expect(text);
            requirement.matches(marks.label(&requirement.key))
        })
    }

    #[test]
    fn label_selectors_follow_kubernetes_grammar() {
        let labels = [("app", "web"), ("tier", "front")];
        for selected in
            ["app=web", "app==web,tier!=back", "app in (web, api),!gone", "tier notin (back)", "app", "gone!=x", ""]
        {
            assert!(matches(selected, &labels), "{selected}");
        }
        for refused in ["app=api", "app notin (web)", "!app", "gone", "app in (api)", "app=web,tier=back"] {
            assert!(!matches(refused, &labels), "{refused}");
        }
        for broken in ["a b", "app in web", "app in (we b)", "=x", "app=(x)"] {
            assert!(LabelRequirement::parse(broken).is_none(), "{broken}");
        }
    }
}
