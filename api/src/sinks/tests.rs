use serde_json::{Value, json};

use crate::admission::testing::{admitted, definitions_are, each_is_refused, object, updated};

const V1ALPHA1: &str = "sinks.knative.dev/v1alpha1";

/// A Job with this pod.
fn job(pod: &Value) -> Value {
    json!({"job": {
        "metadata": {"labels": {"a": "b"}, "creationTimestamp": null},
        "spec": {"completions": 1, "template": {"spec": pod}},
    }})
}

fn pod(containers: &Value) -> Value {
    json!({"containers": containers, "restartPolicy": "Never"})
}

#[test]
fn definitions_are_knatives() {
    definitions_are([(V1ALPHA1, "JobSink", "URL,Age,Ready,Reason", "", "eventing,sink", "addressable")]);
}

#[test]
fn containers_of_a_job_are_told_to_handle_one_event() {
    let mode = json!({"name": "K_EXECUTION_MODE", "value": "batch"});
    let own = json!({"name": "K_EXECUTION_MODE", "value": "mine"});
    let other = json!({"name": "A", "value": "b"});
    let containers = json!([
        {"name": "a", "image": "i"},
        {"name": "b", "image": "i", "env": [other]},
        {"name": "c", "image": "i", "env": [own]},
        {"name": "d", "image": "i", "env": null},
    ]);
    let mut pod = pod(&containers);
    pod["initContainers"] = json!([{"name": "e", "image": "i"}]);
    let spec = &admitted(object(V1ALPHA1, "JobSink", &job(&pod))).object["spec"]["job"]["spec"]["template"]["spec"];
    let env =
        |list: &str| spec[list].as_array().expect("list").iter().map(|one| one["env"].clone()).collect::<Vec<_>>();
    assert_eq!(env("containers"), [json!([mode]), json!([other, mode]), json!([own]), json!([mode])]);
    assert_eq!(env("initContainers"), [json!([mode])]);
}

#[test]
fn each_rule_of_a_job_is_told_with_its_path() {
    let good = json!([{"name": "a", "image": "i"}]);
    let path = "spec.job.spec.template.spec";
    let changed = |field: &str, value: Value| {
        let mut pod = pod(&good);
        pod[field] = value;
        job(&pod)
    };
    let cases = [
        (json!({"job": null}), "missing field(s): spec.job".to_owned()),
        (json!({"job": {}}), "missing field(s): spec.job.spec".to_owned()),
        (json!({"job": {"spec": {}}}), format!("missing field(s): {path}")),
        (changed("containers", json!([])), format!("missing field(s): {path}.containers")),
        (changed("containers", json!([{"name": "a"}])), format!("missing field(s): {path}.containers[0].image")),
        (changed("containers", json!([{"image": "i"}])), format!("missing field(s): {path}.containers[0].name")),
        (
            changed("initContainers", json!([{"name": "a"}])),
            format!("missing field(s): {path}.initContainers[0].image"),
        ),
        (changed("restartPolicy", Value::Null), format!("missing field(s): {path}.restartPolicy")),
        (
            changed("restartPolicy", json!("Always")),
            format!("{path}.restartPolicy: Invalid value: \"Always\": expected Never or OnFailure"),
        ),
        (
            changed("restartPollicy", json!("Never")),
            format!("must not set the field(s): {path}.restartPollicy: no such"),
        ),
        (
            changed("containers", json!([{"name": "a", "image": "i", "argz": []}])),
            format!("must not set the field(s): {path}.containers[0].argz: no such field"),
        ),
        (
            changed("containers", json!("a")),
            format!("spec.job: Invalid value: {}: invalid type: string", changed("containers", json!("a"))["job"]),
        ),
        (
            json!({"job": {"apiVersion": "batch/v1beta1", "kind": "Job"}}),
            "spec.job: Invalid value: {\"apiVersion\":\"batch/v1beta1\",\"kind\":\"Job\"}: invalid value: string \"batch/v1beta1\""
                .to_owned(),
        ),
    ];
    for (change, expected) in &cases {
        each_is_refused(V1ALPHA1, "JobSink", &job(&pod(&good)), [(change.clone(), expected)]);
    }
    admitted(object(V1ALPHA1, "JobSink", &changed("restartPolicy", json!("OnFailure"))));
}

#[test]
fn the_job_may_change() {
    let sink = |image: &str| object(V1ALPHA1, "JobSink", &job(&pod(&json!([{"name": "a", "image": image}]))));
    let old = admitted(sink("one")).object;
    updated(sink("two"), &old);
}
