use serde_json::{Value, json};

use crate::admission::testing::{admitted, definitions_are, each_is_refused, object, updated, with};

const V1: &str = "flows.knative.dev/v1";

fn sequence() -> Value {
    json!({"steps": [{"uri": "http://first/"}, {"uri": "http://second/", "delivery": {"retry": 2}}]})
}

fn parallel() -> Value {
    json!({"branches": [{"subscriber": {"uri": "http://first/"}}]})
}

fn service(name: &str) -> Value {
    json!({"ref": {"apiVersion": "v1", "kind": "Service", "name": name}})
}

#[test]
fn definitions_are_knatives() {
    definitions_are([
        (V1, "Sequence", "URL,Age,Ready,Reason", "", "flows", "addressable"),
        (V1, "Parallel", "URL,Age,Ready,Reason", "", "flows", "addressable"),
    ]);
}

#[test]
fn flows_get_the_default_template() {
    for (kind, spec) in [("Sequence", sequence()), ("Parallel", parallel())] {
        let template = &admitted(object(V1, kind, &spec)).object["spec"]["channelTemplate"];
        let expected = json!({"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"});
        assert_eq!(*template, expected, "{kind}");
    }
}

#[test]
fn references_get_the_namespace_of_the_flow() {
    let delivery = json!({"deadLetterSink": service("d")});
    let step = with(&service("s"), &json!({ "delivery": delivery }));
    let spec = &admitted(object(V1, "Sequence", &json!({"steps": [step], "reply": service("r")}))).object["spec"];
    for path in ["/steps/0", "/steps/0/delivery/deadLetterSink", "/reply"] {
        assert_eq!(spec.pointer(path).expect(path)["ref"]["namespace"], "shop", "{path}");
    }

    let branch =
        json!({"filter": service("f"), "subscriber": service("s"), "reply": service("r"), "delivery": delivery});
    let spec = &admitted(object(V1, "Parallel", &json!({"branches": [branch], "reply": service("r")}))).object["spec"];
    let branch = ["filter", "subscriber", "reply", "delivery/deadLetterSink"].map(|part| format!("/branches/0/{part}"));
    for path in branch.iter().map(String::as_str).chain(["/reply"]) {
        assert_eq!(spec.pointer(path).expect(path)["ref"]["namespace"], "shop", "{path}");
    }
}

#[test]
fn each_rule_of_a_flow_is_told_with_its_path() {
    for (kind, good) in [("Sequence", sequence()), ("Parallel", parallel())] {
        each_is_refused(
            V1,
            kind,
            &good,
            [
                (
                    json!({"channelTemplate": {"kind": "InMemoryChannel"}}),
                    "missing field(s): spec.channelTemplate.apiVersion",
                ),
                (
                    json!({"channelTemplate": {"apiVersion": "messaging.knative.dev/v1"}}),
                    "missing field(s): spec.channelTemplate.kind",
                ),
                (json!({"reply": {}}), "expected at least one, got none: spec.reply.ref, spec.reply.uri"),
            ],
        );
    }
}

#[test]
fn each_rule_of_a_step_is_told_with_its_path() {
    let step = |step: Value| json!({"steps": [{"uri": "http://first/"}, step]});
    each_is_refused(
        V1,
        "Sequence",
        &sequence(),
        [
            (json!({"steps": null}), "missing field(s): spec.steps"),
            (json!({"steps": []}), "missing field(s): spec.steps"),
            (step(json!({})), "expected at least one, got none: spec.steps[1].ref, spec.steps[1].uri"),
            (step(json!({"ref": {"kind": "Service", "name": "s"}})), "missing field(s): spec.steps[1].ref.apiVersion"),
            (
                step(json!({"uri": "http://a/", "delivery": {"retry": -1}})),
                "spec.steps[1].delivery.retry: Invalid value: -1: must be 0 or more",
            ),
        ],
    );
}

#[test]
fn each_rule_of_a_branch_is_told_with_its_path() {
    let good = json!({"subscriber": {"uri": "http://first/"}});
    let branch = |change: Value| json!({"branches": [good, with(&good, &change)]});
    let exact = json!([{"exact": {"type": "a"}}]);
    each_is_refused(
        V1,
        "Parallel",
        &parallel(),
        [
            (json!({"branches": null}), "missing field(s): spec.branches"),
            (json!({"branches": []}), "missing field(s): spec.branches"),
            (
                branch(json!({"subscriber": null})),
                "expected at least one, got none: spec.branches[1].subscriber.ref, spec.branches[1].subscriber.uri",
            ),
            (branch(json!({"filter": {}})), "expected at least one, got none: spec.branches[1].filter.ref"),
            (
                branch(json!({"filter": {"uri": "http://a/"}, "filters": exact})),
                "expected exactly one, got both: spec.branches[1].filter, spec.branches[1].filters",
            ),
            (
                branch(json!({"filters": [{"prefix": {"A": "b"}}]})),
                "invalid key name \"A\": spec.branches[1].filters[0].prefix",
            ),
            (branch(json!({"reply": {"uri": "a"}})), "spec.branches[1].reply.uri: Invalid value: \"a\""),
            (
                branch(json!({"delivery": {"timeout": "PT0S"}})),
                "spec.branches[1].delivery.timeout: Invalid value: \"PT0S\": must be more than zero",
            ),
        ],
    );
    admitted(object(V1, "Parallel", &branch(json!({"filters": exact}))));
    admitted(object(V1, "Parallel", &branch(json!({"filter": {"uri": "http://a/"}, "filters": []}))));
}

#[test]
fn everything_in_a_flow_may_change() {
    let change = json!({
        "channelTemplate": {"apiVersion": "messaging.knative.dev/v1beta1", "kind": "KafkaChannel"},
        "reply": {"uri": "http://reply/"},
    });
    for (kind, good, more) in [
        ("Sequence", sequence(), json!({"steps": [{"uri": "http://only/"}]})),
        ("Parallel", parallel(), json!({"branches": [{"subscriber": {"uri": "http://only/"}}]})),
    ] {
        let old = admitted(object(V1, kind, &good)).object;
        updated(object(V1, kind, &with(&with(&good, &change), &more)), &old);
    }
}
