//! Rules of probes (resources.md 6.6).

use serde_json::{Value, json};

use super::super::config::{Feature, Features, ServingConfig};
use super::{check_rows, config, service, with};
use crate::validation::{FieldErrors, Path};

const CONTAINER: &str = "/spec/template/spec/containers/0";

/// Rows for a Service whose port is named `h2c`; `@` stands for its container.
fn check_serving(rows: &[(&str, Value, &str)]) {
    let base = with(service(), &format!("{CONTAINER}/ports"), json!([{"name": "h2c", "containerPort": 80}]));
    for (field, probe, expected) in rows {
        let expected = expected.replace('@', "spec.template.spec.containers[0].");
        check_rows(&base, &[(&format!("{CONTAINER}/{field}"), probe.clone(), &expected)]);
    }
}

#[test]
fn probes_have_one_handler() {
    check_serving(&[
        (
            "livenessProbe",
            json!({}),
            "@livenessProbe: Invalid value: []: expected exactly one of httpGet, tcpSocket, exec",
        ),
        (
            "livenessProbe",
            json!({"exec": {"command": ["a"]}, "grpc": {"port": 1}}),
            "@livenessProbe: Invalid value: [\"exec\",\"grpc\"]: expected exactly one of",
        ),
        ("startupProbe", json!({}), "@startupProbe: Invalid value: []: expected exactly one of"),
        ("readinessProbe", json!({"terminationGracePeriodSeconds": 5}), ""),
    ]);
}

#[test]
fn named_port_of_a_probe_is_that_of_the_container() {
    let get = |port: Value| json!({"httpGet": {"path": "/", "port": port}});
    check_serving(&[
        ("readinessProbe", get(json!("h2c")), ""),
        ("readinessProbe", get(json!(9999)), ""),
        ("readinessProbe", get(json!(0)), ""),
        ("readinessProbe", json!({"httpGet": {"path": "/"}}), ""),
        (
            "readinessProbe",
            get(json!("http1")),
            "@readinessProbe.httpGet.port: Invalid value: \"http1\": Probe port must match container port",
        ),
        (
            "livenessProbe",
            json!({"tcpSocket": {"port": "other"}}),
            "@livenessProbe.tcpSocket.port: Invalid value: \"other\": Probe port must match container port",
        ),
    ]);
    let unnamed = json!({"httpGet": {"port": "http"}});
    check_rows(&service(), &[(&format!("{CONTAINER}/livenessProbe"), unnamed, "")]);
}

#[test]
fn numbers_of_a_readiness_probe() {
    check_serving(&[
        ("readinessProbe", json!({"periodSeconds": -1}), "@readinessProbe.periodSeconds: Invalid value: -1: must be 0"),
        (
            "readinessProbe",
            json!({"initialDelaySeconds": -1}),
            "@readinessProbe.initialDelaySeconds: Invalid value: -1: must be 0 or more",
        ),
        (
            "readinessProbe",
            json!({"successThreshold": -1}),
            "@readinessProbe.successThreshold: Invalid value: -1: must be 1 or more",
        ),
        (
            "readinessProbe",
            json!({"failureThreshold": 3}),
            "@readinessProbe.failureThreshold: Invalid value: 3: disallowed when periodSeconds is zero",
        ),
        (
            "readinessProbe",
            json!({"timeoutSeconds": 3, "periodSeconds": 0}),
            "@readinessProbe.timeoutSeconds: Invalid value: 3: disallowed when periodSeconds is zero",
        ),
        (
            "readinessProbe",
            json!({"failureThreshold": -1, "periodSeconds": 1}),
            "@readinessProbe.failureThreshold: Invalid value: -1: must be 1 or more",
        ),
        (
            "readinessProbe",
            json!({"timeoutSeconds": -1, "periodSeconds": 1}),
            "@readinessProbe.timeoutSeconds: Invalid value: -1: must be 1 or more",
        ),
        ("readinessProbe", json!({"timeoutSeconds": 2, "failureThreshold": 2, "periodSeconds": 1}), ""),
        // Those of the others are Kubernetes' business.
        ("livenessProbe", json!({"exec": {"command": ["a"]}, "failureThreshold": 3}), ""),
    ]);
}

/// What is wrong with a pod of a serving container, this sidecar and this init container.
fn told(sidecar: Value, init: Value, features: Features) -> String {
    let pod = json!({"containers": [{"image": "nginx", "name": "a", "ports": [{"containerPort": 80}]}]});
    let pod = with(with(pod, "/containers/1", sidecar), "/initContainers/0", init);
    let pod = serde_json::from_value(pod).expect("PodSpec");
    let config: ServingConfig = config(features.with(Feature::InitContainers, true));
    let mut errors = Vec::new();
    super::super::pod::validate(&pod, &config, &Path::new("spec"), &mut errors);
    FieldErrors(errors).to_string()
}

#[test]
fn sidecars_have_probes_only_with_the_feature_and_with_a_port() {
    let init = json!({"image": "nginx", "name": "i"});
    let sidecar = |field: &str, probe: Value| with(json!({"image": "nginx", "name": "b"}), &format!("/{field}"), probe);
    let get = json!({"httpGet": {"path": "/", "port": 81}});
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let told = told(sidecar(field, get.clone()), init.clone(), Features::default());
        let off = "the feature multi-container-probing is off";
        assert_eq!(told, format!("must not set the field(s): spec.containers[1].{field}: {off}"));
    }
    for (probe, expected) in [
        (get, ""),
        (json!({"httpGet": {"path": "/"}}), "missing field(s): spec.containers[1].livenessProbe.httpGet.port"),
        (json!({"tcpSocket": {"port": 0}}), "missing field(s): spec.containers[1].livenessProbe.tcpSocket.port"),
        (json!({"grpc": {}}), "missing field(s): spec.containers[1].livenessProbe.grpc.port"),
        (
            json!({"tcpSocket": {"port": "http"}}),
            "spec.containers[1].livenessProbe.tcpSocket.port: Invalid value: \"http\": expected a number",
        ),
    ] {
        let features = Features::default().with(Feature::MultiContainerProbing, true);
        let told = told(sidecar("livenessProbe", probe), init.clone(), features);
        assert!(told.starts_with(expected) && told.is_empty() == expected.is_empty(), "{told}");
    }
}

#[test]
fn init_containers_have_no_probes_and_names_of_their_own() {
    let sidecar = json!({"image": "nginx", "name": "b"});
    let init = |pointer: &str, value: Value| with(json!({"image": "nginx", "name": "i"}), pointer, value);
    let exec = json!({"exec": {"command": ["true"]}});
    let ports = json!([{"containerPort": 80}, {"containerPort": 81, "name": "any", "protocol": "UDP"}]);
    for (init, expected) in [
        (
            init("/livenessProbe", exec.clone()),
            "must not set the field(s): spec.initContainers[0].livenessProbe: an init",
        ),
        (
            init("/readinessProbe", exec.clone()),
            "must not set the field(s): spec.initContainers[0].readinessProbe: an init",
        ),
        (init("/startupProbe", exec), "must not set the field(s): spec.initContainers[0].startupProbe: an init"),
        (init("/lifecycle", json!({})), "must not set the field(s): spec.initContainers[0].lifecycle: "),
        (
            init("/name", json!("b")),
            "spec.initContainers[0].name: Invalid value: \"b\": another container has this name",
        ),
        (init("/image", json!("")), "missing field(s): spec.initContainers[0].image"),
        (init("/ports", ports), ""),
        (
            init("/ports", json!([{"containerPort": 8012}])),
            "spec.initContainers[0].ports[0].containerPort: Invalid value: 8012: a reserved port",
        ),
        (init("/env", json!([{"name": "PORT"}])), ""),
        (
            init("/env", json!([{"name": "K_SERVICE"}])),
            "spec.initContainers[0].env[0].name: Invalid value: \"K_SERVICE\"",
        ),
    ] {
        let told = told(sidecar.clone(), init, Features::default());
        assert!(told.starts_with(expected) && told.is_empty() == expected.is_empty() && !told.contains('\n'), "{told}");
    }
}
