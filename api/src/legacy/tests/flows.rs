use super::*;

const MESSAGING: &str = "messaging.knative.dev/v1alpha1";
const FLOWS: &str = "flows.knative.dev/v1alpha1";

const EVERY_SEQUENCE: [&str; 8] = [
    "eventing.knative.dev/v1alpha1",
    "eventing.knative.dev/v1alpha2",
    "eventing.knative.dev/v1beta1",
    MESSAGING,
    "messaging.knative.dev/v1alpha2",
    "messaging.knative.dev/v1beta1",
    FLOWS,
    "flows.knative.dev/v1beta1",
];

fn channel() -> Value {
    reference("messaging.knative.dev/v1", "Channel", "c")
}

#[test]
fn steps_and_reply_of_a_sequence_are_destinations() {
    let template = |version: &str| json!({"apiVersion": version, "kind": "InMemoryChannel"});
    for version in EVERY_SEQUENCE {
        becomes(
            version,
            "Sequence",
            json!({
                "steps": [
                    {"ref": reference("serving.knative.dev/v1alpha1", "Service", "a")},
                    {"uri": "http://b/"},
                    {"dnsName": "c.shop.svc", "delivery": {"deadLetterSink": service("d")}},
                    service("e"),
                ],
                "channelTemplate": template("messaging.knative.dev/v1beta1"),
                "reply": reference("eventing.knative.dev/v1alpha1", "Channel", "c"),
            }),
            json!({
                "steps": [
                    {"ref": reference("serving.knative.dev/v1", "Service", "a")},
                    {"uri": "http://b/"},
                    {"uri": "http://c.shop.svc", "delivery": {"deadLetterSink": {"ref": service("d")}}},
                    {"ref": service("e")},
                ],
                "channelTemplate": template("messaging.knative.dev/v1"),
                "reply": {"ref": channel()},
            }),
        );
    }
}

#[test]
fn a_sequence_is_shown_with_the_reply_of_its_version() {
    let spec = |reply: Value| json!({"steps": [{"uri": "http://a/", "delivery": {"retry": 1}}], "reply": reply});
    for version in EVERY_SEQUENCE {
        let shown = if version == MESSAGING { channel() } else { json!({"ref": channel()}) };
        computed(version, "Sequence", spec(json!({"ref": channel()})), spec(shown));
        let uri = json!({"uri": "http://r/"});
        computed(version, "Sequence", spec(uri.clone()), spec(uri));
    }
}

#[test]
fn branches_of_a_parallel_are_destinations() {
    for version in EVERY_SEQUENCE {
        becomes(
            version,
            "Parallel",
            json!({
                "branches": [
                    {"filter": service("f"), "subscriber": {"dnsName": "s"}, "reply": service("r")},
                    {"subscriber": {"ref": reference("serving.knative.dev/v1beta1", "Service", "s")}},
                ],
                "reply": service("r"),
            }),
            json!({
                "branches": [
                    {
                        "filter": {"ref": service("f")},
                        "subscriber": {"uri": "http://s"},
                        "reply": {"ref": service("r")},
                    },
                    {"subscriber": {"ref": reference("serving.knative.dev/v1", "Service", "s")}},
                ],
                "reply": {"ref": service("r")},
            }),
        );
        let branch = json!({"subscriber": {"ref": service("s")}, "delivery": {"retry": 2}});
        let current = json!({"branches": [branch], "reply": {"ref": service("r")}});
        computed(version, "Parallel", current.clone(), current);
    }
}

#[test]
fn cases_of_a_choice_become_branches() {
    let subscriber = json!({"ref": service("s")});
    computed(
        MESSAGING,
        "Choice",
        json!({
            "branches": [{"filter": {"uri": "http://f/"}, "subscriber": subscriber, "reply": {"ref": channel()}}],
            "reply": {"ref": channel()},
        }),
        json!({
            "cases": [{"filter": {"uri": "http://f/"}, "subscriber": subscriber, "reply": channel()}],
            "reply": channel(),
        }),
    );
    let error = "spec.cases[0].filter.dnsName: Invalid value: true: expected a host name";
    refused(MESSAGING, "Choice", json!({"cases": [{"filter": {"dnsName": true}}]}), error);
}

#[test]
fn references_to_a_choice_become_references_to_a_parallel() {
    becomes(
        "eventing.knative.dev/v1beta1",
        "Trigger",
        json!({"broker": "b", "subscriber": {"ref": reference(MESSAGING, "Choice", "c")}}),
        json!({"broker": "b", "subscriber": {"ref": reference("flows.knative.dev/v1", "Parallel", "c")}}),
    );
}

#[test]
fn names_in_the_status_are_those_of_the_version() {
    let address = json!({"url": "http://x.shop.svc/"});
    let hostname = json!({"url": "http://x.shop.svc/", "hostname": "x.shop.svc"});
    for (version, kind) in [(MESSAGING, "Sequence"), (FLOWS, "Sequence"), (MESSAGING, "Parallel"), (FLOWS, "Parallel")]
    {
        status(version, kind, json!({ "address": hostname }), json!({ "address": address }));
    }
    let same = json!({ "address": address });
    status("flows.knative.dev/v1beta1", "Sequence", same.clone(), same.clone());
    status("eventing.knative.dev/v1alpha2", "Parallel", same.clone(), same);
    let statuses = json!([{"filterSubscriptionStatus": {"ready": {"type": "Ready", "status": "True"}}}]);
    status(
        MESSAGING,
        "Choice",
        json!({"address": hostname, "caseStatuses": statuses}),
        json!({"address": address, "branchStatuses": statuses}),
    );
}
