//! What the tests of all kinds need: objects, what admission makes of them, and what their definitions say.

use serde_json::{Value, json};

use super::{Admitted, Context, admit};
use crate::kinds;

/// The object `x` in the namespace `shop`.
pub(crate) fn object(api_version: &str, kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}, "spec": spec})
}

/// `base` with the fields of `change` in place of its own; a null takes a field away.
pub(crate) fn with(base: &Value, change: &Value) -> Value {
    let (mut base, Value::Object(change)) = (base.clone(), change) else { panic!("not an object: {change}") };
    for (key, value) in change {
        match value {
            Value::Null => drop(base.as_object_mut().expect("an object").remove(key)),
            value => base[key] = value.clone(),
        }
    }
    base
}

/// What admission makes of a new object.
pub(crate) fn admitted(object: Value) -> Admitted {
    admit(object, None, Context::default()).unwrap_or_else(|errors| panic!("has to be taken: {errors}"))
}

/// What admission makes of a change by nobody in particular.
pub(crate) fn updated(object: Value, old: &Value) -> Value {
    admit(object, Some(old), Context::default()).unwrap_or_else(|errors| panic!("has to be taken: {errors}")).object
}

/// Why admission refuses a new object, or with `old` a change.
pub(crate) fn refused(object: Value, old: Option<&Value>) -> String {
    admit(object, old, Context::default()).expect_err("has to be refused").to_string()
}

/// Checks for each change of a good spec that it alone is refused, in a text that begins as it should.
pub(crate) fn each_is_refused<const N: usize>(api_version: &str, kind: &str, good: &Value, cases: [(Value, &str); N]) {
    admitted(object(api_version, kind, good));
    for (change, expected) in cases {
        let told = refused(object(api_version, kind, &with(good, &change)), None);
        assert!(told.starts_with(expected) && !told.contains('\n'), "{kind} with {change}: {told}");
    }
}

/// Checks for each field of a good spec that it cannot change to the value given, and that the rest can stay.
pub(crate) fn each_is_immutable<const N: usize>(
    api_version: &str,
    kind: &str,
    good: &Value,
    cases: [(&str, Value); N],
) {
    let old = admitted(object(api_version, kind, good)).object;
    for (field, value) in cases {
        let told = refused(object(api_version, kind, &with(good, &json!({ field: value }))), Some(&old));
        let expected = format!("spec.{field}: Invalid value: ");
        let immutable = told.starts_with(&expected) && told.contains("field is immutable (it is ");
        assert!(immutable && !told.contains('\n'), "{kind} with {field}: {told}");
    }
}

/// What a definition says that Knative's says too.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Names of the printer columns.
    pub(crate) columns: String,
    /// Short names.
    pub(crate) short: String,
    /// Categories beside `all` and `knative`.
    pub(crate) categories: String,
    /// Labels that are `true`, without their domain.
    pub(crate) labels: String,
}

/// The definition of a kind in one of its versions.
pub(crate) fn definition(api_version: &str, kind: &str) -> Definition {
    let row = kinds::find(api_version, kind).unwrap_or_else(|| panic!("no {api_version} {kind}"));
    let spec = &row.definition.spec;
    let version = api_version.rsplit('/').next().expect("a version");
    let version = spec.versions.iter().find(|served| served.name == version).expect("served");
    let columns: Vec<_> =
        version.additional_printer_columns.iter().flatten().map(|column| column.name.as_str()).collect();
    let categories = spec.names.categories.clone().unwrap_or_default();
    let labels = row.definition.metadata.labels.iter().flatten();
    let labels = labels.map(|(label, value)| {
        assert_eq!(value, "true");
        label.rsplit('/').next().expect("a name")
    });
    Definition {
        columns: columns.join(","),
        short: spec.names.short_names.clone().unwrap_or_default().join(","),
        categories: categories.strip_prefix(&["all".to_owned(), "knative".to_owned()]).expect("both").join(","),
        labels: labels.collect::<Vec<_>>().join(","),
    }
}

/// Checks kinds against rows of version, kind, columns, short names, categories and labels.
pub(crate) fn definitions_are<const N: usize>(rows: [(&str, &str, &str, &str, &str, &str); N]) {
    for (api_version, kind, columns, short, categories, labels) in rows {
        let [columns, short, categories, labels] = [columns, short, categories, labels].map(str::to_owned);
        let expected = Definition { columns, short, categories, labels };
        assert_eq!(definition(api_version, kind), expected, "{api_version} {kind}");
    }
}
