//! Rules of resources.md 6.4 to 6.6. Where a feature has to be on, the rules are asked directly.

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::super::config::{Feature, Features, SecurePodDefaults};
use super::{check_rows, config, object, service, with};
use crate::validation::{FieldErrors, Path};

/// As [`check_rows`], relative to the pod of a Service and with paths relative to it.
fn check_pod_rows(rows: &[(&str, Value, &str)]) {
    for (pointer, value, expected) in rows {
        let expected = expected.replace("@", "spec.template.spec.");
        check_rows(&service(), &[(&format!("/spec/template/spec{pointer}"), value.clone(), &expected)]);
    }
}

/// What is wrong with a pod under `features`.
fn told(pod: &Value, features: Features) -> String {
    let pod: PodSpec = serde_json::from_value(pod.clone()).expect("PodSpec");
    let mut errors = Vec::new();
    super::super::pod::validate(&pod, &config(features), &Path::new("spec"), &mut errors);
    FieldErrors(errors).to_string()
}

fn check_with(features: &Features, rows: &[(Value, &str)]) {
    for (pod, expected) in rows {
        let told = told(pod, features.clone());
        let fits = if expected.is_empty() { told.is_empty() } else { told.starts_with(expected) };
        assert!(fits && !told.contains('\n'), "{pod}: {told}");
    }
}

#[test]
fn fields_of_a_pod_that_may_be_set() {
    check_pod_rows(&[
        ("/serviceAccountName", json!("runner.a"), ""),
        ("/imagePullSecrets", json!([{"name": "pull"}]), ""),
        ("/enableServiceLinks", json!(true), ""),
        ("/automountServiceAccountToken", json!(false), ""),
        ("/hostNetwork", json!(false), ""),
        ("/nodeName", json!(""), ""),
        ("/tolerations", json!([]), ""),
        ("/containerConcurrency", json!(1000), ""),
        ("/timeoutSeconds", json!(600), ""),
    ]);
}

#[test]
fn limits_of_a_revision() {
    check_pod_rows(&[
        ("/containerConcurrency", json!(1001), "@containerConcurrency: Invalid value: 1001: expected 0 to 1000"),
        ("/containerConcurrency", json!(-1), "@containerConcurrency: Invalid value: -1: expected 0 to 1000"),
        ("/timeoutSeconds", json!(601), "@timeoutSeconds: Invalid value: 601: expected 0 to 600"),
        ("/timeoutSeconds", json!(-1), "@timeoutSeconds: Invalid value: -1: expected 0 to 600"),
        ("/serviceAccountName", json!("Runner"), "@serviceAccountName: Invalid value: \"Runner\": expected a DNS name"),
        (
            "/automountServiceAccountToken",
            json!(true),
            "must not set the field(s): @automountServiceAccountToken: it can only be false",
        ),
    ]);
}

#[test]
fn fields_of_a_pod_that_need_a_feature() {
    let rows: [(&str, &str, Value, Feature); 16] = [
        ("affinity", "affinity", json!({"podAffinity": {}}), Feature::Affinity),
        (
            "topologySpreadConstraints",
            "topologyspreadconstraints",
            json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]),
            Feature::TopologySpreadConstraints,
        ),
        ("hostAliases", "hostaliases", json!([{"ip": "127.0.0.1"}]), Feature::HostAliases),
        ("nodeSelector", "nodeselector", json!({"disk": "ssd"}), Feature::NodeSelector),
        ("tolerations", "tolerations", json!([{"key": "a"}]), Feature::Tolerations),
        ("runtimeClassName", "runtimeclassname", json!("gvisor"), Feature::RuntimeClassName),
        ("securityContext", "securitycontext", json!({"runAsUser": 1}), Feature::SecurityContext),
        ("priorityClassName", "priorityclassname", json!("high"), Feature::PriorityClassName),
        ("schedulerName", "schedulername", json!("mine"), Feature::SchedulerName),
        ("initContainers", "init-containers", json!([{"name": "i", "image": "nginx"}]), Feature::InitContainers),
        ("dnsPolicy", "dnspolicy", json!("None"), Feature::DnsPolicy),
        ("dnsConfig", "dnsconfig", json!({"nameservers": ["1.1.1.1"]}), Feature::DnsConfig),
        ("shareProcessNamespace", "shareprocessnamespace", json!(true), Feature::ShareProcessNamespace),
        ("hostIPC", "hostipc", json!(true), Feature::HostIpc),
        ("hostPID", "hostpid", json!(true), Feature::HostPid),
        ("hostNetwork", "hostnetwork", json!(true), Feature::HostNetwork),
    ];
    for (field, key, value, feature) in rows {
        let expected = format!("must not set the field(s): @{field}: the feature kubernetes.podspec-{key} is off");
        check_pod_rows(&[(&format!("/{field}"), value.clone(), &expected)]);
        let pod = with(json!({"containers": [{"image": "nginx"}]}), &format!("/{field}"), value);
        assert_eq!(told(&pod, Features::default().with(feature, true)), "", "{field}");
    }
}

#[test]
fn fields_of_a_pod_that_are_always_refused() {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(0)),
        ("activeDeadlineSeconds", json!(5)),
        ("nodeName", json!("n")),
        ("hostname", json!("h")),
        ("subdomain", json!("s")),
        ("priority", json!(0)),
        ("readinessGates", json!([{"conditionType": "x"}])),
        ("ephemeralContainers", json!([{"name": "e"}])),
        ("overhead", json!({"cpu": "1"})),
        ("os", json!({"name": "linux"})),
        ("hostUsers", json!(false)),
        ("serviceAccount", json!("old")),
        ("setHostnameAsFQDN", json!(true)),
        ("preemptionPolicy", json!("Never")),
    ] {
        let expected = format!("must not set the field(s): @{field}: a Revision cannot have it");
        check_pod_rows(&[(&format!("/{field}"), value, &expected)]);
    }
    // The path is that of the object: a Revision has no template.
    let revision = object("Revision", json!({"containers": [{"image": "nginx"}]}));
    check_rows(&revision, &[("/spec/nodeName", json!("n"), "must not set the field(s): spec.nodeName: ")]);
}

#[test]
fn fields_of_a_container_that_are_refused() {
    for (field, value) in [
        ("lifecycle", json!({})),
        ("stdin", json!(true)),
        ("stdinOnce", json!(true)),
        ("tty", json!(true)),
        ("volumeDevices", json!([{"name": "d", "devicePath": "/x"}])),
        ("restartPolicy", json!("Always")),
        ("resizePolicy", json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}])),
        ("resources/claims", json!([{"name": "gpu"}])),
        ("ports/0/hostPort", json!(80)),
        ("ports/0/hostIP", json!("127.0.0.1")),
        ("securityContext/procMount", json!("Default")),
        ("securityContext/seLinuxOptions", json!({"level": "s0"})),
        ("env/0/valueFrom/fileKeyRef", json!({"key": "k", "path": "p", "volumeName": "v"})),
    ] {
        let base = with(service(), "/spec/template/spec/containers/0/env", json!([{"name": "A"}]));
        let path = field.replace("/0/", "[0].").replace('/', ".");
        let expected = format!("must not set the field(s): spec.template.spec.containers[0].{path}: ");
        check_rows(&base, &[(&format!("/spec/template/spec/containers/0/{field}"), value, &expected)]);
    }
    check_pod_rows(&[("/containers/0/tty", json!(false), ""), ("/containers/0/stdin", json!(false), "")]);
}

#[test]
fn containers_images_and_names() {
    let two = |first: Value, second: Value| json!([first, second]);
    let serving = || json!({"image": "nginx", "ports": [{"containerPort": 80}]});
    check_pod_rows(&[
        ("/containers", json!([]), "missing field(s): @containers"),
        ("/containers", json!(null), "missing field(s): @containers"),
        ("/containers/0/image", json!(""), "missing field(s): @containers[0].image"),
        (
            "/containers/0/image",
            json!("My Image"),
            "@containers[0].image: Invalid value: \"My Image\": expected an image reference",
        ),
        (
            "/containers/0/name",
            json!("queue-proxy"),
            "@containers[0].name: Invalid value: \"queue-proxy\": queue-proxy is a reserved container name",
        ),
        ("/containers", two(serving(), json!({"image": "nginx"})), ""),
        (
            "/containers",
            two(json!({"image": "nginx"}), json!({"image": "nginx"})),
            "missing field(s): @containers[*].ports",
        ),
        (
            "/containers",
            two(serving(), serving()),
            "@containers[*].ports: Invalid value: 2: more than one container port is set",
        ),
        (
            "/containers/0/ports",
            json!([{"containerPort": 80}, {"containerPort": 81}]),
            "@containers[*].ports: Invalid value: 2: more than one container port is set",
        ),
        (
            "/containers",
            two(with(serving(), "/name", json!("a")), json!({"name": "a", "image": "nginx"})),
            "@containers[1].name: Invalid value: \"a\": another container has this name",
        ),
        (
            "/containers/0/terminationMessagePolicy",
            json!("Log"),
            "@containers[0].terminationMessagePolicy: Invalid value: \"Log\": expected File or FallbackToLogsOnError",
        ),
        ("/containers/0/terminationMessagePolicy", json!("FallbackToLogsOnError"), ""),
    ]);
    let several = json!({"containers": [{"image": "nginx", "ports": [{}]}, {"image": "nginx"}]});
    let off = "spec.containers: Invalid value: 2: the feature multi-container is off";
    check_with(&Features::default().with(Feature::MultiContainer, false), &[(several, off)]);
}

#[test]
fn ports() {
    let port = |port: Value| json!([port]);
    check_pod_rows(&[
        ("/containers/0/ports", port(json!({"name": "h2c", "containerPort": 8112, "protocol": "TCP"})), ""),
        ("/containers/0/ports", port(json!({"name": "http1"})), ""),
        (
            "/containers/0/ports",
            port(json!({"name": "http"})),
            "@containers[0].ports[0].name: Invalid value: \"http\": expected no name, http1 or h2c",
        ),
        (
            "/containers/0/ports",
            port(json!({"protocol": "UDP"})),
            "@containers[0].ports[0].protocol: Invalid value: \"UDP\": expected TCP",
        ),
        (
            "/containers/0/ports",
            port(json!({"containerPort": 65536})),
            "@containers[0].ports[0].containerPort: Invalid value: 65536: expected 0 to 65535",
        ),
        (
            "/containers/0/ports",
            port(json!({"containerPort": -1})),
            "@containers[0].ports[0].containerPort: Invalid value: -1: expected 0 to 65535",
        ),
    ]);
    for number in [8012, 8013, 8022, 9090, 9091, 8008] {
        let expected =
            format!("@containers[0].ports[0].containerPort: Invalid value: {number}: a reserved port, please use");
        check_pod_rows(&[("/containers/0/ports", port(json!({"containerPort": number})), &expected)]);
    }
}

#[test]
fn environment_and_resources() {
    let reserved =
        |name: &str| format!("@containers[0].env[0].name: Invalid value: \"{name}\": a reserved environment variable");
    for name in ["PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"] {
        check_pod_rows(&[("/containers/0/env", json!([{"name": name, "value": "x"}]), &reserved(name))]);
    }
    let off = "the feature kubernetes.podspec-fieldref is off";
    let field_ref = format!("must not set the field(s): @containers[0].env[0].valueFrom.fieldRef: {off}");
    let resource_ref = format!("must not set the field(s): @containers[0].env[0].valueFrom.resourceFieldRef: {off}");
    let from = |source: Value| json!([{"name": "A", "valueFrom": source}]);
    check_pod_rows(&[
        ("/containers/0/env", json!([{"value": "x"}]), "missing field(s): @containers[0].env[0].name"),
        ("/containers/0/env", from(json!({"secretKeyRef": {"name": "s", "key": "k"}})), ""),
        (
            "/containers/0/env",
            from(json!({"configMapKeyRef": {"name": "s"}})),
            "missing field(s): @containers[0].env[0].valueFrom.configMapKeyRef.key",
        ),
        ("/containers/0/env", from(json!({"fieldRef": {"fieldPath": "metadata.name"}})), &field_ref),
        ("/containers/0/env", from(json!({"resourceFieldRef": {"resource": "limits.cpu"}})), &resource_ref),
        ("/containers/0/envFrom", json!([{"prefix": "P_", "configMapRef": {"name": "c"}}]), ""),
        (
            "/containers/0/envFrom",
            json!([{"configMapRef": {"name": "c"}, "secretRef": {"name": "s"}}]),
            "@containers[0].envFrom[0]: Invalid value: [\"configMapRef\",\"secretRef\"]: expected exactly one of",
        ),
        ("/containers/0/envFrom", json!([{}]), "@containers[0].envFrom[0]: Invalid value: []: expected exactly one of"),
        ("/containers/0/resources", json!({"limits": {"cpu": 1, "memory": "1Gi"}}), ""),
        (
            "/containers/0/resources",
            json!({"requests": {"cpu": "lots"}}),
            "@containers[0].resources.requests[cpu]: Invalid value: \"lots\": expected a quantity",
        ),
    ]);
    // A sidecar may say where it listens itself, but not who it is.
    let sidecar = |name: &str| {
        let sidecar = json!({"image": "nginx", "env": [{"name": name, "value": "1"}]});
        json!([{"image": "nginx", "ports": [{"containerPort": 80}]}, sidecar])
    };
    check_pod_rows(&[
        ("/containers", sidecar("PORT"), ""),
        (
            "/containers",
            sidecar("K_REVISION"),
            "@containers[1].env[0].name: Invalid value: \"K_REVISION\": a reserved environment variable",
        ),
    ]);
}

#[test]
fn security_contexts() {
    let add = |capability: &str| json!({"capabilities": {"add": [capability], "drop": ["ALL"]}});
    let off = "must not set the field(s): @containers[0].securityContext.capabilities.add: the feature \
               kubernetes.containerspec-addcapabilities is off";
    check_pod_rows(&[
        (
            "/containers/0/securityContext",
            json!({
                "runAsUser": 0, "runAsGroup": 2_147_483_647, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false, "privileged": false, "seccompProfile": {"type": "Unconfined"},
            }),
            "",
        ),
        (
            "/containers/0/securityContext",
            json!({"runAsUser": -1}),
            "@containers[0].securityContext.runAsUser: Invalid value: -1: expected 0 to 2147483647",
        ),
        (
            "/containers/0/securityContext",
            json!({"runAsGroup": 2_147_483_648_i64}),
            "@containers[0].securityContext.runAsGroup: Invalid value: 2147483648: expected 0 to 2147483647",
        ),
        (
            "/containers/0/securityContext",
            json!({"privileged": true}),
            "must not set the field(s): @containers[0].securityContext.privileged: it can only be false",
        ),
        ("/containers/0/securityContext", add("NET_BIND_SERVICE"), off),
    ]);
    let pod = |capability: &str| json!({"containers": [{"image": "nginx", "securityContext": add(capability)}]});
    let restricted = Features { secure_pod_defaults: SecurePodDefaults::AllowRootBounded, ..Features::default() };
    check_with(&restricted, &[(pod("NET_BIND_SERVICE"), ""), (pod("SYS_ADMIN"), &off.replace('@', "spec."))]);
    check_with(&Features::default().with(Feature::AddCapabilities, true), &[(pod("SYS_ADMIN"), "")]);
    let groups = json!({"containers": [{"image": "nginx"}], "securityContext": {"supplementalGroups": [1, -1]}});
    let expected = "spec.securityContext.supplementalGroups[1]: Invalid value: -1: expected 0 to 2147483647";
    check_with(&Features::default().with(Feature::SecurityContext, true), &[(groups, expected)]);
}

#[test]
fn misspelt_fields_are_the_schemas_business() {
    // Admission leaves them: the API server has removed, or refused, them before.
    check_pod_rows(&[("/containerz", json!([]), ""), ("/containers/0/imagee", json!("x"), "")]);
}
