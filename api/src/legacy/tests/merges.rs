//! What clients do with a form: read it, merge into it, write it back.

use super::*;

mod cases;

use cases::{Case, PING, SERVICE, TRIGGER, cases};

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return *into = patch.clone() };
    if !into.is_object() {
        *into = json!({});
    }
    let into = into.as_object_mut().expect("object");
    for (field, value) in patch {
        if value.is_null() {
            into.remove(field);
        } else {
            merge(into.entry(field).or_insert(Value::Null), value);
        }
    }
}

/// `current` as the store has it: with the defaults of admission.
fn stored(current: Value) -> Value {
    admission::admit(current, None, Context::default()).expect("admitted").object
}

fn assert_contains(found: &Value, expected: &Value, what: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (field, expected) in expected {
                let value = found.get(field).unwrap_or_else(|| panic!("{what}: no {field} in {found:?}"));
                assert_contains(value, expected, what);
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            found.iter().zip(expected).for_each(|(found, expected)| assert_contains(found, expected, what));
        }
        _ => assert_eq!(found, expected, "{what}"),
    }
}

#[test]
fn a_patch_of_what_was_shown_wins_and_what_it_leaves_alone_stays() {
    for Case { form: (api_version, kind), written, current_change, patch, expected } in cases() {
        let what = format!("{kind} {written}, then {current_change}, then {patch}");
        let row = form(api_version, kind);
        let created = row.to_current(object(api_version, kind, written.clone()), None).expect("converted").object;
        let mut current = stored(created);
        // Beside what admission filled in.
        assert_contains(&row.from_current(current.clone())["spec"], &written, &format!("{what}: shown as written"));
        if !current_change.is_null() {
            merge(&mut current["spec"], &current_change);
        }

        let mut shown = row.from_current(current.clone());
        merge(&mut shown["spec"], &patch);
        let updated = row.to_current(shown.clone(), Some(&current)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_contains(&updated.object["spec"], &expected, &what);

        // Whoever reads it again and writes it back changes nothing.
        let updated = stored(updated.object);
        let shown = row.from_current(updated.clone());
        let again = row.to_current(shown.clone(), Some(&updated)).expect("converted").object;
        assert_eq!(stored(again)["spec"], updated["spec"], "{what}: written back");
        let created = row.to_current(shown, None).expect("converted").object;
        assert_eq!(stored(created)["spec"], updated["spec"], "{what}: exported and created elsewhere");
    }
}

/// What `kubectl apply` sends: what the manifest has and what is shown has not, and what the last manifest had only.
fn apply_patch(last: &Value, shown: &Value, manifest: &Value) -> Value {
    let (Value::Object(shown), Value::Object(manifest)) = (shown, manifest) else { return manifest.clone() };
    let mut patch = Object::new();
    for (field, value) in manifest {
        match shown.get(field) {
            Some(before) if before == value => {}
            Some(before) if before.is_object() && value.is_object() => {
                let inner = apply_patch(last.get(field).unwrap_or(&Value::Null), before, value);
                if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                    patch.insert(field.clone(), inner);
                }
            }
            _ => drop(patch.insert(field.clone(), value.clone())),
        }
    }
    for field in last.as_object().into_iter().flat_map(Object::keys) {
        if !manifest.contains_key(field) && shown.contains_key(field) {
            patch.insert(field.clone(), Value::Null);
        }
    }
    patch.into()
}

#[test]
fn applying_a_manifest_again_changes_nothing_and_applying_a_changed_one_does() {
    for Case { form: (api_version, kind), written, current_change, patch, expected } in cases() {
        let what = format!("{kind} {written}, then {current_change}, then {patch} applied");
        let row = form(api_version, kind);
        let apply = |current: &Value, last: &Value, manifest: &Value| {
            let mut shown = row.from_current(current.clone());
            let patch = apply_patch(last, &shown["spec"], manifest);
            merge(&mut shown["spec"], &patch);
            stored(row.to_current(shown, Some(current)).unwrap_or_else(|error| panic!("{what}: {error}")).object)
        };
        let created = row.to_current(object(api_version, kind, written.clone()), None).expect("converted").object;
        let current = stored(created);
        let shown = row.from_current(current.clone());
        assert_eq!(apply_patch(&written, &shown["spec"], &written), json!({}), "{what}: kubectl says unchanged");
        assert_eq!(apply(&current, &written, &written), current, "{what}: again");

        let mut changed = current;
        if !current_change.is_null() {
            merge(&mut changed["spec"], &current_change);
        }
        let mut manifest = written.clone();
        merge(&mut manifest, &patch);
        let updated = apply(&changed, &written, &manifest);
        assert_contains(&updated["spec"], &expected, &what);
        let shown = row.from_current(updated.clone());
        assert_eq!(apply_patch(&manifest, &shown["spec"], &manifest), json!({}), "{what}: unchanged then");
        assert_eq!(apply(&updated, &manifest, &manifest), updated, "{what}: twice");
    }
}

#[test]
fn what_was_changed_in_the_current_form_is_never_hidden() {
    let row = form(TRIGGER.0, TRIGGER.1);
    let spec = json!({"filter": {"sourceAndType": {"type": "t"}}, "subscriber": {"ref": service("s")}});
    let created = row.to_current(object(TRIGGER.0, TRIGGER.1, spec.clone()), None).expect("converted").object;
    let current = stored(created);
    assert_ne!(current["spec"]["subscriber"]["ref"].get("namespace"), None, "admission added a default");
    assert_eq!(row.from_current(current.clone())["spec"], spec);

    for change in [
        json!({"filter": {"attributes": {"subject": "s"}}}),
        json!({"filter": {"attributes": {"type": "u"}}}),
        json!({"filter": {"attributes": {"type": null}}}),
        json!({"delivery": {"retry": 1}}),
        json!({"subscriber": {"ref": {"namespace": "other"}}}),
        json!({"subscriber": {"uri": "/path"}}),
        json!({"broker": "other"}),
    ] {
        let mut changed = current.clone();
        merge(&mut changed["spec"], &change);
        let shown = row.from_current(changed.clone());
        assert_contains(&json!({"spec": shown["spec"]}), &json!({"spec": drop_nulls(&change)}), "shown");
        let back = row.to_current(shown, Some(&changed)).expect("converted").object;
        assert_eq!(back["spec"], changed["spec"], "{change}");
    }
}

fn drop_nulls(value: &Value) -> Value {
    let mut kept = json!({});
    merge(&mut kept, value);
    kept
}

#[test]
fn an_unknown_field_that_the_schema_dropped_does_not_change_what_is_shown() {
    let row = form(TRIGGER.0, TRIGGER.1);
    let spec = json!({"filter": {"sourceAndType": {"type": "t"}}, "subscriber": {"uri": "http://s/", "weight": 5}});
    let mut created = row.to_current(object(TRIGGER.0, TRIGGER.1, spec.clone()), None).expect("converted").object;
    assert_eq!(created["spec"]["subscriber"]["weight"], 5, "for the schema to drop with a warning");
    created["spec"]["subscriber"].as_object_mut().expect("object").remove("weight");
    assert_eq!(row.from_current(created.clone())["spec"], spec);
    created["spec"]["subscriber"].as_object_mut().expect("object").remove("uri");
    assert_eq!(row.from_current(created)["spec"]["subscriber"], json!({}), "a known field was taken away");
}

#[test]
fn a_spec_is_shown_as_written_only_in_the_form_it_was_written_in() {
    let flat = json!({"schedule": "@daily", "jsonData": "a", "sink": service("s")});
    let v1alpha2 = form(PING.0, PING.1);
    let current = v1alpha2.to_current(object(PING.0, PING.1, flat), None).expect("converted").object;
    let shown = form("sources.knative.dev/v1beta1", "PingSource").from_current(current.clone());
    assert_eq!(shown["spec"]["sink"], json!({"ref": service("s")}));
    assert_eq!(shown["spec"]["jsonData"], r#"{"body":"a"}"#);
    assert_eq!(shown["metadata"], json!({"name": "x", "namespace": "shop"}));

    let mut forged = object(PING.0, PING.1, json!({"schedule": "@daily"}));
    forged["metadata"]["annotations"] = json!({WRITTEN_SPEC: "not for clients"});
    let converted = v1alpha2.to_current(forged, None).expect("converted").object;
    assert_eq!(converted["metadata"].get("annotations"), None);
    let mut broken = current;
    broken["metadata"]["annotations"][WRITTEN_SPEC] = "{".into();
    assert_eq!(v1alpha2.from_current(broken)["spec"]["sink"], json!({"ref": service("s")}));
}

#[test]
fn what_may_not_be_written_at_once_may_not_be_merged_into_what_was_written() {
    for ((api_version, kind), written, patch, error) in [
        (
            TRIGGER,
            json!({"filter": {"sourceAndType": {"type": "t"}}, "subscriber": {"uri": "http://s/"}}),
            json!({"filter": {"attributes": {"subject": "s"}}}),
            "expected exactly one, got both: spec.filter.attributes, spec.filter.sourceAndType",
        ),
        (
            SERVICE,
            json!({"runLatest": {"configuration": {"template": {}}}}),
            json!({"template": {"spec": {}}}),
            "expected exactly one, got both: spec.template, spec.runLatest",
        ),
    ] {
        let row = form(api_version, kind);
        let created = row.to_current(object(api_version, kind, written), None).expect("converted").object;
        let mut shown = row.from_current(created.clone());
        merge(&mut shown["spec"], &patch);
        assert_eq!(row.to_current(shown, Some(&created)).expect_err("refused").to_string(), error);
    }
}

#[test]
fn a_part_of_a_flat_reference_beside_another_is_refused() {
    let row = form(PING.0, PING.1);
    let current = object("sources.knative.dev/v1", "PingSource", json!({"sink": {"ref": service("s")}}));
    let mut shown = row.from_current(current.clone());
    shown["spec"]["sink"]["name"] = "t".into();
    let error = row.to_current(shown, Some(&current)).expect_err("refused").to_string();
    assert_eq!(error, "missing field(s): spec.sink.apiVersion\nmissing field(s): spec.sink.kind");
}
