//! Rules of metadata: resources.md 6.7 and 12.2.

use serde_json::{Value, json};

use super::super::autoscaling_annotations::validate;
use super::super::config::AutoscalerLimits;
use super::{admitted, check_rows, object, refused, service, with};
use crate::validation::{FieldErrors, Path};

const TEMPLATE: &str = "/spec/template/metadata/annotations";

fn annotation(key: &str) -> String {
    format!("spec.template.metadata.annotations[{key}]: Invalid value: ")
}

/// Each row: annotations of a template, and what the one error begins with, or nothing if they are fine.
fn check_template(rows: &[(Value, &str)]) {
    for (annotations, expected) in rows {
        check_rows(&service(), &[(TEMPLATE, annotations.clone(), expected)]);
    }
}

#[test]
fn values_of_autoscaling_annotations() {
    let good: [(&str, &[&str]); 13] = [
        ("class", &["kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev", "keda.example.com"]),
        ("metric", &["concurrency", "rps"]),
        ("target", &["0.01", "100", "1e2"]),
        ("target-utilization-percentage", &["1", "70.5", "100"]),
        ("target-burst-capacity", &["0", "211", "-1"]),
        ("min-scale", &["0", "5"]),
        ("max-scale", &["0", "5"]),
        ("initial-scale", &["1", "5"]),
        ("activation-scale", &["2", "5"]),
        ("scale-down-delay", &["0s", "15m", "1h"]),
        ("window", &["6s", "1h", "1m30s"]),
        ("panic-window-percentage", &["1", "10.0", "100"]),
        ("scale-to-zero-pod-retention-period", &["0s", "1h", "1500ms"]),
    ];
    let bad: [(&str, &[&str]); 13] = [
        ("class", &["other.autoscaling.knative.dev", "x.knative.dev"]),
        ("metric", &["cpu", ""]),
        ("target", &["0", "0.001", "-1", "many", "inf", "NaN"]),
        ("target-utilization-percentage", &["0.9", "100.1", "x"]),
        ("target-burst-capacity", &["-2", "-0.5", "x"]),
        ("min-scale", &["-1", "1.5", "x", "2147483648"]),
        ("max-scale", &["-1", "x"]),
        ("initial-scale", &["0", "-1", "x"]),
        ("activation-scale", &["1", "0", "x"]),
        ("scale-down-delay", &["-1s", "61m", "1500ms", "5"]),
        ("window", &["5s", "61m", "6500ms", "x"]),
        ("panic-threshold-percentage", &["109", "1001", "x"]),
        ("scale-to-zero-pod-retention-period", &["-1s", "61m", "x"]),
    ];
    for (key, values) in good {
        let key = format!("autoscaling.knative.dev/{key}");
        values.iter().for_each(|value| check_template(&[(json!({ key.as_str(): value }), "")]));
    }
    for (key, values) in bad {
        let key = format!("autoscaling.knative.dev/{key}");
        values.iter().for_each(|value| check_template(&[(json!({ key.as_str(): value }), &annotation(&key))]));
    }
}

#[test]
fn metric_and_algorithm_depend_on_the_class() {
    let of = |class: &str, key: &str, value: &str| {
        let class = format!("{class}.autoscaling.knative.dev");
        json!({"autoscaling.knative.dev/class": class, format!("autoscaling.knative.dev/{key}"): value})
    };
    let foreign = json!({"autoscaling.knative.dev/class": "a.example.com", "autoscaling.knative.dev/metric": "x"});
    let algorithm = "metric-aggregation-algorithm";
    let unclassed = json!({"autoscaling.knative.dev/metric-aggregation-algorithm": "mean"});
    check_template(&[
        (of("hpa", "metric", "memory"), ""),
        (of("hpa", "metric", "my-own"), ""),
        (of("hpa", "metric", ""), &annotation("autoscaling.knative.dev/metric")),
        (of("kpa", "metric", "cpu"), &annotation("autoscaling.knative.dev/metric")),
        (foreign, ""),
        (of("kpa", algorithm, "linear"), ""),
        (of("kpa", algorithm, "weighted-exponential"), ""),
        (of("kpa", algorithm, "weightedExponential"), ""),
        (of("kpa", algorithm, "mean"), &annotation("autoscaling.knative.dev/metric-aggregation-algorithm")),
        (unclassed, ""),
    ]);
}

#[test]
fn scales_fit_each_other() {
    let scales = |pairs: &[(&str, &str)]| -> Value {
        pairs.iter().map(|(key, value)| (format!("autoscaling.knative.dev/{key}"), json!(value))).collect()
    };
    let [max, activation] =
        ["max-scale", "activation-scale"].map(|key| annotation(&format!("autoscaling.knative.dev/{key}")));
    check_template(&[
        (scales(&[("min-scale", "3"), ("max-scale", "3"), ("activation-scale", "3")]), ""),
        (scales(&[("min-scale", "3"), ("max-scale", "0")]), ""),
        (
            scales(&[("min-scale", "3"), ("max-scale", "2")]),
            &format!("{max}\"2\": max-scale=2 is less than min-scale=3"),
        ),
        (
            scales(&[("min-scale", "3"), ("activation-scale", "2")]),
            &format!("{activation}\"2\": is less than min-scale=3"),
        ),
        (
            scales(&[("max-scale", "3"), ("activation-scale", "4")]),
            &format!("{activation}\"4\": is more than max-scale=3"),
        ),
        // Camel case is another spelling; the dashed one wins, and both have to be right.
        (scales(&[("minScale", "3"), ("maxScale", "2")]), &annotation("autoscaling.knative.dev/maxScale")),
        (scales(&[("min-scale", "1"), ("minScale", "3"), ("max-scale", "2")]), ""),
        (scales(&[("min-scale", "1"), ("minScale", "x")]), &annotation("autoscaling.knative.dev/minScale")),
    ]);
    let told = |limits: AutoscalerLimits, key: &str, value: &str| {
        let mut errors = Vec::new();
        let annotations = [(format!("autoscaling.knative.dev/{key}"), value.to_owned())].into();
        validate(&annotations, limits, &Path::new("annotations"), &mut errors);
        FieldErrors(errors).to_string()
    };
    let limits = AutoscalerLimits { allow_zero_initial_scale: true, max_scale_limit: 10 };
    assert_eq!(told(limits, "initial-scale", "0"), "");
    assert_eq!(told(limits, "max-scale", "10"), "");
    for scale in ["0", "11"] {
        assert!(told(limits, "max-scale", scale).ends_with("expected a whole number from 1 to 10"), "{scale}");
    }
}

#[test]
fn autoscaling_annotations_belong_on_the_template() {
    let key = "autoscaling.knative.dev/min-scale";
    let expected = format!(
        "invalid key name \"{key}\": metadata.annotations: autoscaling annotations must be put under \
         spec.template.metadata.annotations to work"
    );
    let template = service()["spec"].clone();
    let traffic = json!({"traffic": [{"configurationName": "a", "percent": 100}]});
    for base in [service(), object("Configuration", template), object("Route", traffic)] {
        check_rows(&base, &[("/metadata/annotations", json!({ key: "1" }), &expected)]);
    }
    let revision = object("Revision", service()["spec"]["template"]["spec"].clone());
    let own = format!("metadata.annotations[{key}]: Invalid value: \"x\": ");
    check_rows(
        &revision,
        &[("/metadata/annotations", json!({ key: "1" }), ""), ("/metadata/annotations", json!({ key: "x" }), &own)],
    );
}

#[test]
fn other_annotations_of_a_template() {
    let deadline = "serving.knative.dev/progress-deadline";
    let queue = |setting: &str| format!("queue.sidecar.serving.knative.dev/{setting}");
    let one = |key: &str, value: &str| json!({ key: value });
    check_template(&[
        (one(deadline, "10m"), ""),
        (one(deadline, "0s"), &format!("{}\"0s\": must be more than zero", annotation(deadline))),
        (one(deadline, "-1s"), &annotation(deadline)),
        (one(deadline, "1500ms"), &format!("{}\"1500ms\": expected whole seconds", annotation(deadline))),
        (one(deadline, "soon"), &annotation(deadline)),
        (one(&queue("cpu-resource-request"), "100m"), ""),
        (one(&queue("resource-percentage"), "0.1"), ""),
        (one(&queue("resourcePercentage"), "100"), ""),
        (one(&queue("memory-resource-limit"), "much"), &annotation(&queue("memory-resource-limit"))),
        (one(&queue("ephemeral-storage-resource-limit"), ""), &annotation(&queue("ephemeral-storage-resource-limit"))),
        (one(&queue("resource-percentage"), "0.09"), &annotation(&queue("resource-percentage"))),
        (one(&queue("resourcePercentage"), "101"), &annotation(&queue("resourcePercentage"))),
        (one(&queue("resource-percentage"), "NaN"), &annotation(&queue("resource-percentage"))),
        (one("networking.knative.dev/ingress.class", "x"), ""),
        (one("networking.knative.dev/disableAutoTLS", "true"), ""),
        (
            one("networking.knative.dev/ingres.class", "x"),
            "invalid key name \"networking.knative.dev/ingres.class\": spec.template.metadata.annotations: after",
        ),
        (one("example.com/anything", "x"), ""),
    ]);
}

#[test]
fn what_is_fine_but_better_told() {
    let annotations = json!({
        "queue.sidecar.serving.knative.dev/resourcePercentage": "50",
        "queue.sidecar.serving.knative.dev/gpu": "1",
        "autoscaling.knative.dev/minscale": "1",
    });
    let told = admitted(with(service(), TEMPLATE, annotations), None).warnings;
    let beginnings = [
        "Kubernetes default value is insecure, Knative may default this to secure in a future release: \
         spec.template.spec.containers[0].securityContext.runAsNonRoot",
        "annotation queue.sidecar.serving.knative.dev/gpu is not known here",
        "annotation autoscaling.knative.dev/minscale is not known here",
        "annotation queue.sidecar.serving.knative.dev/resourcePercentage is deprecated",
    ];
    assert_eq!(told.len(), beginnings.len(), "{told:?}");
    assert!(told.iter().zip(beginnings).all(|(told, beginning)| told.starts_with(beginning)), "{told:?}");
    let context = json!({"runAsNonRoot": true});
    let quiet = with(service(), "/spec/template/spec/containers/0/securityContext", context);
    assert_eq!(admitted(quiet.clone(), None).warnings, Vec::<String>::new());
    // Another autoscaler may have annotations of its own.
    let foreign = json!({"autoscaling.knative.dev/class": "a.example.com", "autoscaling.knative.dev/own": "1"});
    assert_eq!(admitted(with(quiet, TEMPLATE, foreign), None).warnings, Vec::<String>::new());
}

#[test]
fn rollout_duration_of_services_and_routes() {
    let route = object("Route", json!({"traffic": [{"configurationName": "a", "percent": 100}]}));
    for base in [service(), route] {
        for key in ["serving.knative.dev/rollout-duration", "serving.knative.dev/rolloutDuration"] {
            let at = format!("metadata.annotations[{key}]: Invalid value: ");
            check_rows(
                &base,
                &[
                    ("/metadata/annotations", json!({ key: "2m" }), ""),
                    ("/metadata/annotations", json!({ key: "0s" }), ""),
                    ("/metadata/annotations", json!({ key: "" }), ""),
                    (
                        "/metadata/annotations",
                        json!({ key: "500ms" }),
                        &format!("{at}\"500ms\": expected whole seconds"),
                    ),
                    ("/metadata/annotations", json!({ key: "-1s" }), &at),
                    ("/metadata/annotations", json!({ key: "2 minutes" }), &at),
                ],
            );
        }
    }
}

#[test]
fn names_are_those_of_services() {
    let long = "x".repeat(64);
    for name in ["1hello", "hello.world", "Hello", "hello-", long.as_str()] {
        let expected = format!("metadata.name: Invalid value: \"{name}\": not a DNS-1035 label");
        check_rows(&service(), &[("/metadata/name", json!(name), &expected)]);
    }
    let metadata = |prefix: &str| json!({"generateName": prefix, "namespace": "shop"});
    let told = refused(with(service(), "/metadata", metadata("Hello-")), None);
    assert!(
        told.starts_with("metadata.generateName: Invalid value: \"Hello-\": not a DNS-1035 label prefix"),
        "{told}"
    );
    admitted(with(service(), "/metadata", metadata("hello-")), None);
}

#[test]
fn labels_that_name_an_owner_need_it() {
    let template = service()["spec"]["template"].clone();
    let traffic = json!({"traffic": [{"configurationName": "a", "percent": 100}]});
    for (kind, spec, label, owner) in [
        ("Configuration", json!({ "template": template }), "serving.knative.dev/service", "Service"),
        ("Route", traffic, "serving.knative.dev/service", "Service"),
        ("Revision", template["spec"].clone(), "serving.knative.dev/configuration", "Configuration"),
    ] {
        let owner_of = |kind: &str, name: &str| json!([{"apiVersion": "a/v1", "kind": kind, "name": name, "uid": "u"}]);
        let labelled = with(object(kind, spec), "/metadata/labels", json!({ label: "parent" }));
        let expected =
            format!("metadata.labels[{label}]: Invalid value: \"parent\": expected an owner reference to this {owner}");
        check_rows(
            &labelled,
            &[
                ("/metadata/annotations", json!({}), &expected),
                ("/metadata/ownerReferences", owner_of(owner, "other"), &expected),
                ("/metadata/ownerReferences", owner_of("Other", "parent"), &expected),
                ("/metadata/ownerReferences", owner_of(owner, "parent"), ""),
            ],
        );
    }
}
