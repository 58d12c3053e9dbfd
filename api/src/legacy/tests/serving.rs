use super::*;

const V1ALPHA1: &str = "serving.knative.dev/v1alpha1";
const V1BETA1: &str = "serving.knative.dev/v1beta1";

fn old_template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"container": {"image": "i"}, "timeoutSeconds": 5}})
}

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"image": "i"}], "timeoutSeconds": 5}})
}

fn latest() -> Value {
    json!({"tag": "latest", "latestRevision": true, "percent": 0})
}

#[test]
fn a_service_that_runs_the_latest_has_a_template() {
    let current = json!({"template": template(), "traffic": [{"latestRevision": true, "percent": 100}]});
    for configuration in [
        json!({"revisionTemplate": old_template()}),
        json!({"template": template()}),
        json!({"template": old_template(), "generation": 2}),
    ] {
        let written = json!({"runLatest": {"configuration": configuration}, "generation": 1});
        becomes(V1ALPHA1, "Service", written, current.clone());
    }
}

#[test]
fn a_release_becomes_traffic() {
    let current = |name: Value, percent: u64| {
        let mut target = json!({"tag": "current", "percent": percent});
        target.as_object_mut().expect("object").extend(name.as_object().expect("object").clone());
        target
    };
    let named = |name: &str| json!({ "revisionName": name });
    for (revisions, percent, traffic) in [
        (json!(["r1"]), json!(0), json!([current(named("r1"), 100), latest()])),
        (json!(["@latest"]), json!(0), json!([current(json!({"latestRevision": true}), 100), latest()])),
        (
            json!(["r1", "r2"]),
            json!(10),
            json!([
                current(named("r1"), 90),
                {"tag": "candidate", "revisionName": "r2", "percent": 10},
                latest(),
            ]),
        ),
        (
            json!(["r1", "@latest"]),
            json!(99),
            json!([
                current(named("r1"), 1),
                {"tag": "candidate", "latestRevision": true, "percent": 99},
                latest(),
            ]),
        ),
    ] {
        let configuration = json!({"revisionTemplate": old_template()});
        let release = json!({"revisions": revisions, "rolloutPercent": percent, "configuration": configuration});
        let current = json!({"template": template(), "traffic": traffic});
        becomes(V1ALPHA1, "Service", json!({ "release": release }), current);
    }
}

#[test]
fn a_pinned_service_gives_all_traffic_to_its_revision() {
    let configuration = json!({"revisionTemplate": old_template()});
    becomes(
        V1ALPHA1,
        "Service",
        json!({"pinned": {"revisionName": "r1", "configuration": configuration}}),
        json!({"template": template(), "traffic": [{"revisionName": "r1", "percent": 100}]}),
    );
}

#[test]
fn the_shape_of_v1_is_the_same_in_every_version() {
    let service = json!({"template": template(), "traffic": [{"tag": "t", "percent": 100, "latestRevision": true}]});
    for version in [V1ALPHA1, V1BETA1] {
        computed(version, "Service", service.clone(), service.clone());
        computed(version, "Configuration", json!({"template": template()}), json!({"template": template()}));
        computed(version, "Route", json!({"traffic": service["traffic"]}), json!({"traffic": service["traffic"]}));
        let revision = &template()["spec"];
        computed(version, "Revision", revision.clone(), revision.clone());
    }
}

#[test]
fn configurations_revisions_and_routes_get_their_current_names() {
    let configuration = json!({"generation": 1, "revisionTemplate": old_template()});
    becomes(V1ALPHA1, "Configuration", configuration, json!({"template": template()}));
    let revision = |field: &str, value: Value| json!({"container": {"image": "i"}, field: value});
    for (written, limit) in [
        (revision("concurrencyModel", json!("Single")), Some(1)),
        (revision("concurrencyModel", json!("Multi")), None),
        (revision("concurrencyModel", json!("")), None),
        (revision("servingState", json!("Active")), None),
        (revision("buildName", json!("")), None),
        (json!({"container": {"image": "i"}, "concurrencyModel": "Single", "containerConcurrency": 1}), Some(1)),
        (json!({"container": {"image": "i"}, "concurrencyModel": "Multi", "containerConcurrency": 7}), Some(7)),
    ] {
        let mut current = json!({"containers": [{"image": "i"}]});
        if let Some(limit) = limit {
            current["containerConcurrency"] = limit.into();
        }
        becomes(V1ALPHA1, "Revision", written, current);
    }
    becomes(
        V1ALPHA1,
        "Route",
        json!({"generation": 2, "traffic": [{"name": "blue", "revisionName": "r", "percent": 100}, {"name": ""}]}),
        json!({"traffic": [{"tag": "blue", "revisionName": "r", "percent": 100}, {}]}),
    );
}

#[test]
fn what_a_service_cannot_say_any_more_is_refused() {
    let configuration = json!({"template": template()});
    let release = |revisions: Value, percent: Value| {
        let release = json!({"revisions": revisions, "rolloutPercent": percent, "configuration": configuration});
        json!({ "release": release })
    };
    let build = "a Service does not build its image any more; build it before and name it in the container";
    for (spec, error) in [
        (
            json!({"manual": {}}),
            "must not set the field(s): spec.manual: the Route of a Service is not left to others any more; write a \
             Configuration and a Route instead"
                .to_owned(),
        ),
        (json!({"pinned": {"configuration": configuration}}), "missing field(s): spec.pinned.revisionName".to_owned()),
        (json!({"runLatest": {}}), "missing field(s): spec.runLatest.configuration".to_owned()),
        (json!({"runLatest": "x"}), "missing field(s): spec.runLatest.configuration".to_owned()),
        (release(json!([]), json!(0)), "missing field(s): spec.release.revisions".to_owned()),
        (
            release(json!(["a", "b", "c"]), json!(5)),
            r#"spec.release.revisions: Invalid value: ["a","b","c"]: expected one or two"#.to_owned(),
        ),
        (
            release(json!(["a"]), json!(5)),
            "spec.release.rolloutPercent: Invalid value: 5: expected 0 with only one revision".to_owned(),
        ),
        (
            release(json!(["a", "b"]), json!(100)),
            "spec.release.rolloutPercent: Invalid value: 100: expected 0 to 99".to_owned(),
        ),
        (
            release(json!(["a", "b"]), json!(-1)),
            "spec.release.rolloutPercent: Invalid value: -1: expected 0 to 99".to_owned(),
        ),
        (
            json!({"runLatest": {"configuration": configuration}, "template": template()}),
            "expected exactly one, got both: spec.template, spec.runLatest".to_owned(),
        ),
        (
            json!({"runLatest": {"configuration": configuration}, "manual": {}}),
            "expected exactly one, got both: spec.manual, spec.runLatest".to_owned(),
        ),
        (
            json!({"runLatest": {"configuration": {"build": {}, "revisionTemplate": old_template()}}}),
            format!("must not set the field(s): spec.runLatest.configuration.build: {build}"),
        ),
        (
            json!({"runLatest": {"configuration": {"revisionTemplate": {"spec": {"buildName": "b"}}}}}),
            format!("must not set the field(s): spec.runLatest.configuration.revisionTemplate.spec.buildName: {build}"),
        ),
        (
            json!({"template": {"spec": {"container": {}, "containers": []}}}),
            "expected exactly one, got both: spec.template.spec.containers, spec.template.spec.container".to_owned(),
        ),
        (
            json!({"template": {"spec": {"concurrencyModel": "Single", "containerConcurrency": 5}}}),
            "spec.template.spec.containerConcurrency: Invalid value: 5: contradicts concurrencyModel; leave that out"
                .to_owned(),
        ),
        (
            json!({"template": {"spec": {"concurrencyModel": "Double"}}}),
            r#"spec.template.spec.concurrencyModel: Invalid value: "Double": expected Single or Multi"#.to_owned(),
        ),
    ] {
        refused(V1ALPHA1, "Service", spec, &error);
    }
    let all = json!({"manual": {}, "build": {}});
    let error = convert(V1ALPHA1, "Service", all).expect_err("refused");
    assert_eq!(error.0.len(), 2, "every field is told: {error}");
}

#[test]
fn names_in_the_status_are_those_of_the_version() {
    let current = json!({
        "url": "http://x.shop.example.com",
        "address": {"url": "http://x.shop.svc.cluster.local"},
        "latestReadyRevisionName": "x-00001",
    });
    let mut old = current.clone();
    old["domain"] = "x.shop.example.com".into();
    old["domainInternal"] = "x.shop.svc.cluster.local".into();
    old["address"]["hostname"] = "x.shop.svc.cluster.local".into();
    for kind in ["Service", "Route"] {
        status(V1ALPHA1, kind, old.clone(), current.clone());
        status(V1BETA1, kind, current.clone(), current.clone());
    }
    let mut written = object(V1ALPHA1, "Route", json!({}));
    written["status"] = json!({"domain": "d", "domainInternal": "i"});
    let converted = form(V1ALPHA1, "Route").to_current(written, None).expect("converted").object;
    assert_eq!(converted["status"], json!({"url": "http://d", "address": {"url": "http://i"}}));
}
