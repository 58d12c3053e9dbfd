use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use weir_api::event::{Attributes, SpecVersion, Value};
use weir_api::eventing::{SubscriptionsApiFilter, TriggerFilter};

use super::*;

fn event() -> Event {
    let mut attributes = Attributes {
        spec_version: SpecVersion::V1,
        id: "1".into(),
        source: "/shop".into(),
        ty: "order.created".into(),
        data_content_type: Some("application/json; charset=utf-8".into()),
        ..Attributes::default()
    };
    attributes.set_extension("region", Value::from("eu"));
    attributes.set_extension("empty", Value::from(""));
    attributes.set_extension("count", Value::Integer(-7));
    attributes.set_extension("vip", Value::Boolean(true));
    Event::new(attributes, Some(Bytes::from_static(b"{}")))
}

fn filters(json: serde_json::Value) -> Vec<SubscriptionsApiFilter> {
    serde_json::from_value(json).expect("filters")
}

fn compile(json: serde_json::Value) -> Result<Filter, FilterError> {
    Filter::compile(None, &filters(json))
}

fn legacy(attributes: &[(&str, &str)]) -> TriggerFilter {
    TriggerFilter { attributes: attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect() }
}

#[test]
fn older_dialect_compares_typed_values_and_takes_an_empty_value_for_any() {
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[], true),
        (&[("type", "order.created")], true),
        (&[("type", "order.created"), ("source", "/shop")], true),
        (&[("type", "order.created"), ("source", "/other")], false),
        (&[("type", "Order.Created")], false),
        (&[("type", "")], true),
        (&[("subject", "")], false),
        (&[("dataschema", "")], false),
        (&[("time", "")], true),
        (&[("time", "0001-01-01T00:00:00Z")], true),
        (&[("specversion", "1.0")], true),
        (&[("datacontenttype", "application/json")], false),
        (&[("datamediatype", "application/json")], true),
        (&[("region", "eu")], true),
        (&[("region", "")], true),
        (&[("missing", "")], false),
        (&[("missing", "x")], false),
        (&[("empty", "")], false),
        (&[("count", "-7")], false),
        (&[("count", "")], true),
        (&[("vip", "true")], false),
        (&[("vip", "")], true),
    ];
    for (attributes, expected) in cases {
        let filter = Filter::compile(Some(&legacy(attributes)), &[]).expect("compiles");
        assert_eq!(filter.matches(&event()), *expected, "{attributes:?}");
    }
    assert!(Filter::compile(None, &[]).expect("compiles").matches(&event()));
}

#[test]
fn newer_dialects_compare_string_forms() {
    let cases = [
        (json!([{"exact": {"type": "order.created"}}]), true),
        (json!([{"exact": {"type": "order.created", "source": "/shop"}}]), true),
        (json!([{"exact": {"type": "order.created", "source": "/x"}}]), false),
        (json!([{"exact": {"type": "order.created"}}, {"exact": {"source": "/x"}}]), false),
        (json!([{"exact": {"count": "-7"}}]), true),
        (json!([{"exact": {"vip": "true"}}]), true),
        (json!([{"prefix": {"count": "-"}}]), true),
        (json!([{"prefix": {"type": "order."}}]), true),
        (json!([{"prefix": {"type": "Order."}}]), false),
        (json!([{"prefix": {"type": "order.", "source": "/"}}]), true),
        (json!([{"suffix": {"type": ".created"}}]), true),
        (json!([{"suffix": {"missing": "x"}}]), false),
        (json!([{"not": {"exact": {"missing": "x"}}}]), true),
        (json!([{"not": {"not": {"exact": {"type": "order.created"}}}}]), true),
        (json!([{"all": [{"prefix": {"type": "order"}}, {"suffix": {"type": "d"}}]}]), true),
        (json!([{"any": [{"exact": {"type": "x"}}, {"exact": {"source": "/shop"}}]}]), true),
        (json!([{"any": [{"exact": {"type": "x"}}, {"exact": {"source": "/x"}}]}]), false),
    ];
    for (json, expected) in cases {
        assert_eq!(compile(json.clone()).expect("compiles").matches(&event()), expected, "{json}");
    }
}

#[test]
fn filters_replace_the_older_filter_unless_empty() {
    let older = legacy(&[("type", "nobody")]);
    let newer = filters(json!([{"exact": {"type": "order.created"}}]));
    assert!(Filter::compile(Some(&older), &newer).expect("compiles").matches(&event()));
    assert!(!Filter::compile(Some(&older), &[]).expect("compiles").matches(&event()));
}

#[test]
fn what_upstream_lets_pass_unread_is_an_error_with_its_path() {
    let cases = [
        (json!([{}]), "filters[0]", Problem::NoDialect),
        (json!([{"exact": {"type": "a"}}, {"not": {}}]), "filters[1].not", Problem::NoDialect),
        (json!([{"exact": {"type": "a"}, "prefix": {"type": "a"}}]), "filters[0]", Problem::SeveralDialects),
        (json!([{"exact": {}}]), "filters[0].exact", Problem::Empty),
        (json!([{"all": []}]), "filters[0].all", Problem::Empty),
        (json!([{"any": []}]), "filters[0].any", Problem::Empty),
        (json!([{"exact": {"": "x"}}]), "filters[0].exact.", Problem::AttributeName),
        (json!([{"prefix": {"Type": "x"}}]), "filters[0].prefix.Type", Problem::AttributeName),
        (json!([{"suffix": {"1a": "x"}}]), "filters[0].suffix.1a", Problem::AttributeName),
        (
            json!([{"any": [{"all": [{"suffix": {"type": ""}}]}]}]),
            "filters[0].any[0].all[0].suffix.type",
            Problem::EmptyValue,
        ),
        (json!([{"cesql": "true"}]), "filters[0].cesql", Problem::CesqlUnavailable),
    ];
    for (json, path, problem) in cases {
        assert_eq!(compile(json.clone()), Err(FilterError { path: path.into(), problem }), "{json}");
    }
    let error = Filter::compile(Some(&legacy(&[("dataContentType", "x")])), &[]).expect_err("refused");
    assert_eq!((error.path.as_str(), error.problem), ("filter.attributes.dataContentType", Problem::AttributeName));
}

#[test]
fn nesting_and_lists_are_bounded() {
    let leaf = || SubscriptionsApiFilter { exact: Some([("type".into(), "a".into())].into()), ..Default::default() };
    let nested = |depth| {
        (1..depth).fold(leaf(), |inner, _| SubscriptionsApiFilter { not: Some(Box::new(inner)), ..Default::default() })
    };
    assert!(Filter::compile(None, &[nested(64)]).is_ok());
    assert_eq!(Filter::compile(None, &[nested(65)]).expect_err("refused").problem, Problem::TooDeep);
    assert!(Filter::compile(None, &vec![leaf(); 1_000]).is_ok());
    assert_eq!(Filter::compile(None, &vec![leaf(); 1_001]).expect_err("refused").problem, Problem::TooLong);
}

#[test]
fn reason_names_the_deciding_clause_and_the_value_it_saw() {
    let cases = [
        (
            json!([{"exact": {"source": "/shop"}}, {"exact": {"type": "x"}}]),
            r#"not matched: filters[1].exact.type asks for "x", the event has "order.created""#,
        ),
        (
            json!([{"prefix": {"subject": "a"}}]),
            r#"not matched: filters[0].prefix.subject asks for prefix "a", the event has no subject"#,
        ),
        (
            json!([{"not": {"exact": {"count": "-7"}}}]),
            r#"not matched: filters[0].not.exact.count asks for "-7", the event has the number -7"#,
        ),
        (
            json!([{"any": [{"exact": {"type": "x"}}, {"suffix": {"source": "y"}}]}]),
            r#"not matched: filters[0].any[0].exact.type asks for "x", the event has "order.created"; filters[0].any[1].suffix.source asks for suffix "y", the event has "/shop""#,
        ),
        (
            json!([{"any": [{"exact": {"type": "x"}}, {"exact": {"vip": "true"}}]}]),
            r#"matched: filters[0].any[1].exact.vip asks for "true", the event has the boolean true"#,
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(compile(json.clone()).expect("compiles").explain(&event()).to_string(), expected, "{json}");
    }
    let older = Filter::compile(Some(&legacy(&[("subject", "")])), &[]).expect("compiles");
    assert_eq!(
        older.explain(&event()).to_string(),
        "not matched: filter.attributes.subject asks for any subject, the event has no subject"
    );
    assert_eq!(Filter::All(vec![]).explain(&event()).to_string(), "matched: no filter");
    assert_eq!(
        serde_json::to_value(compile(json!([{"exact": {"count": "1"}}])).expect("compiles").explain(&event()))
            .expect("json"),
        json!({"matched": false, "clauses": [
            {"path": "filters[0].exact.count", "test": "exact", "attribute": "count", "expected": "1", "saw": -7, "held": false}
        ]})
    );
}

#[test]
fn index_prefers_type_then_source_then_any_attribute_and_understands_alternatives() {
    let keys = |json| {
        let filter = compile(json).expect("compiles");
        filter.index_keys().map(|keys| (keys.attribute.to_string(), keys.values.join(",")))
    };
    let some = |attribute: &str, values: &str| Some((attribute.to_owned(), values.to_owned()));
    assert_eq!(keys(json!([{"exact": {"region": "eu", "source": "/s", "type": "t"}}])), some("type", "t"));
    assert_eq!(
        keys(json!([{"exact": {"region": "eu"}}, {"all": [{"exact": {"source": "/s"}}]}])),
        some("source", "/s")
    );
    assert_eq!(keys(json!([{"prefix": {"type": "t"}}, {"exact": {"region": "eu"}}])), some("region", "eu"));
    assert_eq!(keys(json!([{"any": [{"exact": {"type": "b"}}, {"exact": {"type": "a"}}]}])), some("type", "a,b"));
    assert_eq!(
        keys(json!([{"any": [{"exact": {"type": "b"}}, {"exact": {"source": "a"}}]}, {"exact": {"region": "eu"}}])),
        some("region", "eu")
    );
    assert_eq!(keys(json!([{"any": [{"exact": {"type": "b"}}, {"prefix": {"type": "a"}}]}])), None);
    assert_eq!(keys(json!([{"not": {"exact": {"type": "b"}}}])), None);
    assert_eq!(Filter::All(vec![]).index_keys(), None);
}

#[test]
fn index_is_empty_after_the_last_entry_is_removed() {
    let mut index = Index::default();
    let filters = [
        compile(json!([{"exact": {"type": "a"}}])),
        compile(json!([{"exact": {"region": "a"}}])),
        compile(json!([{"prefix": {"type": "a"}}])),
    ];
    let filters = filters.map(|filter| filter.expect("compiles"));
    filters.iter().enumerate().for_each(|(entry, filter)| index.insert(&entry, filter));
    filters.iter().enumerate().for_each(|(entry, filter)| index.remove(&entry, filter));
    assert!(index.is_empty());
}

/// Few names and values, so that filters and events meet.
fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "ab", "b", "1", "-1", "true"]).prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["type", "source", "subject", "x", "y"]).prop_map(str::to_owned)
}

fn any_event() -> impl Strategy<Value = Event> {
    let typed = || {
        prop_oneof![
            value().prop_map(Value::String),
            any::<bool>().prop_map(Value::Boolean),
            (-2..3).prop_map(Value::Integer)
        ]
    };
    (value(), value(), prop::option::of(value()), prop::option::of(typed()), prop::option::of(typed())).prop_map(
        |(ty, source, subject, x, y)| {
            let mut attributes = Attributes { id: "1".into(), ty, source, subject, ..Attributes::default() };
            x.into_iter().for_each(|value| attributes.set_extension("x", value));
            y.into_iter().for_each(|value| attributes.set_extension("y", value));
            Event::new(attributes, None)
        },
    )
}

fn any_filter() -> impl Strategy<Value = SubscriptionsApiFilter> {
    let pairs = || prop::collection::btree_map(name(), value(), 1..3);
    let leaf = prop_oneof![
        4 => pairs().prop_map(|exact| SubscriptionsApiFilter { exact: Some(exact), ..Default::default() }),
        1 => pairs().prop_map(|prefix| SubscriptionsApiFilter { prefix: Some(prefix), ..Default::default() }),
        1 => pairs().prop_map(|suffix| SubscriptionsApiFilter { suffix: Some(suffix), ..Default::default() }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            list().prop_map(|all| SubscriptionsApiFilter { all: Some(all), ..Default::default() }),
            list().prop_map(|any| SubscriptionsApiFilter { any: Some(any), ..Default::default() }),
            inner.clone().prop_map(|not| SubscriptionsApiFilter { not: Some(Box::new(not)), ..Default::default() }),
        ]
    })
}

/// The specification, read off the manifest without compiling it.
fn naive(filter: &SubscriptionsApiFilter, event: &Event) -> bool {
    let attribute = |name: &str| match name {
        "type" => Some(event.ty().to_owned()),
        "source" => Some(event.source().to_owned()),
        "subject" => event.attributes().subject.clone(),
        other => event.extension(other).map(ToString::to_string),
    };
    let each = |pairs: &Option<std::collections::BTreeMap<String, String>>, test: fn(&str, &str) -> bool| {
        pairs.iter().flatten().all(|(name, value)| attribute(name).is_some_and(|seen| test(&seen, value)))
    };
    each(&filter.exact, |seen, value| seen == value)
        && each(&filter.prefix, |seen, value| seen.starts_with(value))
        && each(&filter.suffix, |seen, value| seen.ends_with(value))
        && filter.all.iter().flatten().all(|filter| naive(filter, event))
        && filter.any.as_ref().is_none_or(|filters| filters.iter().any(|filter| naive(filter, event)))
        && filter.not.as_ref().is_none_or(|filter| !naive(filter, event))
}

proptest! {
    #[test]
    fn compiled_filter_agrees_with_the_naive_evaluator_and_with_its_reason(
        list in prop::collection::vec(any_filter(), 1..3),
        event in any_event(),
    ) {
        let filter = Filter::compile(None, &list).expect("compiles");
        let expected = list.iter().all(|filter| naive(filter, &event));
        prop_assert_eq!(filter.matches(&event), expected);
        let reason = filter.explain(&event);
        prop_assert_eq!(reason.matched, expected);
        prop_assert!(!reason.clauses.is_empty());
    }

    #[test]
    fn index_finds_every_match_once_while_entries_come_and_go(
        lists in prop::collection::vec(prop::collection::vec(any_filter(), 0..3), 1..20),
        removed in prop::collection::vec(any::<bool>(), 20),
        events in prop::collection::vec(any_event(), 1..8),
    ) {
        let filters: Vec<_> = lists.iter().map(|list| Filter::compile(None, list).expect("compiles")).collect();
        let mut index = Index::default();
        filters.iter().enumerate().for_each(|(entry, filter)| index.insert(&entry, filter));
        for (entry, filter) in filters.iter().enumerate().filter(|(entry, _)| removed[*entry]) {
            index.remove(&entry, filter);
        }
        for event in &events {
            let mut found = Vec::new();
            index.candidates(event, |entry| found.push(*entry));
            found.sort_unstable();
            prop_assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "an entry came twice: {:?}", found);
            prop_assert!(found.iter().all(|entry| !removed[*entry]), "a removed entry came");
            found.retain(|entry| filters[*entry].matches(event));
            let naive: Vec<_> = (0..filters.len())
                .filter(|entry| !removed[*entry] && lists[*entry].iter().all(|filter| naive(filter, event)))
                .collect();
            prop_assert_eq!(found, naive);
        }
    }
}
