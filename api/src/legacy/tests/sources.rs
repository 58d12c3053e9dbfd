use super::*;

const LEGACY: &str = "sources.eventing.knative.dev/v1alpha1";
const V1ALPHA1: &str = "sources.knative.dev/v1alpha1";
const V1ALPHA2: &str = "sources.knative.dev/v1alpha2";
const V1BETA1: &str = "sources.knative.dev/v1beta1";
const V1BETA2: &str = "sources.knative.dev/v1beta2";

fn sink() -> Value {
    json!({"ref": service("s")})
}

#[test]
fn a_flat_sink_becomes_a_reference() {
    let flat = json!({"apiVersion": "eventing.knative.dev/v1alpha1", "kind": "Broker", "name": "b", "namespace": "n"});
    let mut wrapped = json!({ "ref": flat });
    wrapped["ref"]["apiVersion"] = "eventing.knative.dev/v1".into();
    for (kind, versions) in [
        ("PingSource", vec![V1ALPHA1, V1ALPHA2, V1BETA1]),
        ("ApiServerSource", vec![LEGACY, V1ALPHA1, V1ALPHA2, V1BETA1, V1BETA2]),
        ("ContainerSource", vec![LEGACY, V1ALPHA1, V1ALPHA2, V1BETA1, V1BETA2]),
        ("SinkBinding", vec![V1ALPHA1, V1ALPHA2, V1BETA1, V1BETA2]),
        ("AwsSqsSource", vec![LEGACY]),
    ] {
        for version in versions {
            becomes(version, kind, json!({ "sink": flat }), json!({ "sink": wrapped }));
            let uri = json!({"sink": {"uri": "http://s/"}});
            computed(version, kind, uri.clone(), uri);
        }
    }
}

#[test]
fn of_two_sinks_written_at_once_ref_is_used() {
    let mut both = sink();
    both["name"] = "other".into();
    both["kind"] = "Service".into();
    both["apiVersion"] = "v1".into();
    let warning = "spec.sink.name is not used: ref is set beside it";
    becomes_with_warnings(V1ALPHA1, "SinkBinding", json!({ "sink": both }), json!({"sink": sink()}), &[warning]);
    both["name"] = "s".into();
    becomes(V1ALPHA1, "SinkBinding", json!({ "sink": both }), json!({"sink": sink()}));
}

#[test]
fn a_sink_binding_is_the_same() {
    let subject = |version: &str| json!({"apiVersion": version, "kind": "Service", "name": "app"});
    for version in [V1ALPHA1, V1ALPHA2, V1BETA1, V1BETA2] {
        let spec =
            json!({"subject": subject("serving.knative.dev/v1"), "sink": sink(), "ceOverrides": {"extensions": {}}});
        computed(version, "SinkBinding", spec.clone(), spec.clone());
        let mut old = spec.clone();
        old["subject"] = subject("serving.knative.dev/v1alpha1");
        becomes(version, "SinkBinding", old, spec);
    }
}

#[test]
fn a_cron_job_source_becomes_a_ping_source_with_the_same_events() {
    for (data, sent) in [
        (json!(r#"{"a": 1}"#), r#"{"a": 1}"#),
        (json!("hello"), r#"{"body":"hello"}"#),
        (json!("[1]"), r#"{"body":"[1]"}"#),
        (json!("null"), r#"{"body":"null"}"#),
        (json!(r#"say "hi""#), r#"{"body":"say \"hi\""}"#),
        (json!(""), r#"{"body":""}"#),
    ] {
        becomes(
            LEGACY,
            "CronJobSource",
            json!({"schedule": "*/2 * * * *", "data": data, "sink": service("s")}),
            json!({"schedule": "*/2 * * * *", "data": sent, "contentType": "application/json", "sink": sink()}),
        );
    }
    let empty = json!({"schedule": "@hourly", "data": r#"{"body":""}"#, "contentType": "application/json"});
    becomes(LEGACY, "CronJobSource", json!({"schedule": "@hourly"}), empty);
    computed(
        LEGACY,
        "CronJobSource",
        json!({"schedule": "@hourly", "data": "{}", "contentType": "application/json", "sink": sink()}),
        json!({"schedule": "@hourly", "data": "{}", "sink": sink()}),
    );
    let error = "spec.data: Invalid value: 5: expected a string";
    refused(LEGACY, "CronJobSource", json!({"data": 5}), error);
}

#[test]
fn a_cron_job_source_keeps_the_type_and_source_of_its_events() {
    let converted = converted(LEGACY, "CronJobSource", json!({"schedule": "@hourly", "data": "{}", "sink": sink()}));
    let annotations = json!({
        EVENT_TYPE: "dev.knative.cronjob.event",
        EVENT_SOURCE: "/apis/v1/namespaces/shop/cronjobsources/x",
    });
    assert_eq!(converted.object["metadata"]["annotations"], annotations);

    let row = form(LEGACY, "CronJobSource");
    for metadata in [json!({"generateName": "x-", "namespace": "shop"}), json!({"name": "x"})] {
        let written = json!({"metadata": metadata, "spec": {"schedule": "@hourly", "data": "{}"}});
        let converted = row.to_current(written, None).expect("converted").object;
        let annotations = json!({EVENT_TYPE: "dev.knative.cronjob.event"});
        assert_eq!(converted["metadata"]["annotations"], annotations, "the rest is left to be computed");
    }
    let mut own = object(LEGACY, "CronJobSource", json!({"schedule": "@hourly", "data": "{}"}));
    own["metadata"]["annotations"] = json!({EVENT_TYPE: "mine"});
    let kept = row.to_current(own.clone(), None).expect("converted").object;
    assert_eq!(kept["metadata"]["annotations"][EVENT_TYPE], "mine");
    own["apiVersion"] = LEGACY.into();
    assert_eq!(row.from_current(kept), own);
}

#[test]
fn what_a_ping_source_has_no_use_for_is_told() {
    let resources = json!({"requests": {"cpu": "100m"}});
    becomes_with_warnings(
        LEGACY,
        "CronJobSource",
        json!({"schedule": "@hourly", "data": "{}", "serviceAccountName": "a", "resources": resources}),
        json!({"schedule": "@hourly", "data": "{}", "contentType": "application/json"}),
        &[
            "spec.serviceAccountName is not used: a PingSource has no Pod of its own",
            "spec.resources is not used: a PingSource has no Pod of its own",
        ],
    );
}

#[test]
fn what_a_cron_job_source_cannot_say_is_shown_as_it_is_and_stays() {
    for current in [
        json!({"data": "raw", "contentType": "text/plain"}),
        json!({"dataBase64": "AAE=", "contentType": "application/json"}),
        json!({"dataBase64": "AAE=", "contentType": ""}),
    ] {
        let ping = object("sources.knative.dev/v1", "PingSource", current.clone());
        let shown = form(LEGACY, "CronJobSource").from_current(ping);
        assert_eq!(converted(LEGACY, "CronJobSource", shown["spec"].clone()).object["spec"], current);
    }
    let raw = object("sources.knative.dev/v1", "PingSource", json!({"data": "raw"}));
    let shown = form(LEGACY, "CronJobSource").from_current(raw);
    let back = converted(LEGACY, "CronJobSource", shown["spec"].clone()).object;
    assert_eq!(back["spec"], json!({"data": "raw", "contentType": ""}), "bytes stay bytes");
}

#[test]
fn the_json_data_of_a_ping_source_becomes_data() {
    for version in [V1ALPHA1, V1ALPHA2, V1BETA1] {
        becomes(
            version,
            "PingSource",
            json!({"schedule": "* * * * *", "jsonData": "hello", "sink": sink(), "timezone": "Europe/Berlin"}),
            json!({
                "schedule": "* * * * *",
                "data": r#"{"body":"hello"}"#,
                "contentType": "application/json",
                "sink": sink(),
                "timezone": "Europe/Berlin",
            }),
        );
        computed(
            version,
            "PingSource",
            json!({"schedule": "@daily", "data": r#"{"a":1}"#, "contentType": "application/json"}),
            json!({"schedule": "@daily", "jsonData": r#"{"a":1}"#}),
        );
        for same in [json!({"schedule": "@daily"}), json!({"data": "x", "contentType": "text/plain"})] {
            computed(version, "PingSource", same.clone(), same);
        }
    }
    let error = "spec.jsonData: Invalid value: {}: expected a string";
    refused(V1ALPHA2, "PingSource", json!({"jsonData": {}}), error);
    let warning = "spec.jsonData is not used: data is set beside it";
    let both = json!({"jsonData": "{}", "data": "raw"});
    becomes_with_warnings(V1BETA1, "PingSource", both, json!({"data": "raw"}), &[warning]);
}

#[test]
fn an_api_server_source_says_the_same_in_fewer_ways() {
    let pod = |change: Value| {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod"});
        pod.as_object_mut().expect("object").extend(change.as_object().expect("object").clone());
        pod
    };
    let labels = json!({"matchLabels": {"app": "a"}});
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet"});
    let empty = json!({
        "labelSelector": {},
        "controllerSelector": {"apiVersion": "", "kind": "", "name": "", "uid": ""},
        "controller": false,
    });
    let mut selected = owner.clone();
    selected["uid"] = "".into();
    for version in [LEGACY, V1ALPHA1] {
        for (written, current) in [
            (json!({"mode": "Ref"}), json!({"mode": "Reference"})),
            (json!({"mode": "Resource"}), json!({"mode": "Resource"})),
            (json!({"resources": [pod(empty.clone())]}), json!({"resources": [pod(json!({}))]})),
            (
                json!({"resources": [pod(json!({ "labelSelector": labels }))]}),
                json!({"resources": [pod(json!({ "selector": labels }))]}),
            ),
            (
                json!({"resources": [pod(json!({})), pod(json!({ "labelSelector": labels }))], "selector": labels}),
                json!({"resources": [pod(json!({ "selector": labels })), pod(json!({ "selector": labels }))]}),
            ),
            (
                json!({"resources": [pod(json!({ "controllerSelector": selected }))]}),
                json!({"resources": [pod(json!({}))], "owner": owner}),
            ),
            (
                json!({"resources": [pod(json!({ "controllerSelector": owner }))], "owner": owner}),
                json!({"resources": [pod(json!({}))], "owner": owner}),
            ),
            (json!({"serviceAccountName": "a", "owner": owner}), json!({"serviceAccountName": "a", "owner": owner})),
        ] {
            becomes(version, "ApiServerSource", written, current);
        }
        computed(
            version,
            "ApiServerSource",
            json!({"mode": "Reference", "resources": [pod(json!({ "selector": labels }))], "owner": owner}),
            json!({"mode": "Ref", "resources": [pod(json!({ "labelSelector": labels }))], "owner": owner}),
        );
    }
    for version in [V1ALPHA2, V1BETA1, V1BETA2] {
        let spec = json!({"mode": "Reference", "resources": [pod(json!({ "selector": labels }))], "owner": owner});
        computed(version, "ApiServerSource", spec.clone(), spec);
    }
}

#[test]
fn what_an_api_server_source_cannot_say_any_more_is_refused() {
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet"});
    let detail = "expected the same for every resource, and for spec.owner if that is set: it is one for all now";
    for (spec, error) in [
        (
            json!({"resources": [{"kind": "Pod", "controller": true}]}),
            "must not set the field(s): spec.resources[0].controller: events are about the resource itself, no longer \
             about its controller"
                .to_owned(),
        ),
        (
            json!({"resources": [{"controllerSelector": owner}, {"kind": "Pod"}]}),
            format!("spec.resources[1].controllerSelector: Invalid value: null: {detail}"),
        ),
        (
            json!({"resources": [{"controllerSelector": owner}], "owner": {"apiVersion": "v1", "kind": "Job"}}),
            format!("spec.resources[0].controllerSelector: Invalid value: {owner}: {detail}"),
        ),
        (
            json!({
                "resources": [{"labelSelector": {"matchLabels": {"a": "b"}}}],
                "selector": {"matchLabels": {"a": "c"}},
            }),
            "expected exactly one, got both: spec.resources[0].labelSelector, spec.selector".to_owned(),
        ),
    ] {
        refused(V1ALPHA1, "ApiServerSource", spec, &error);
    }
}
