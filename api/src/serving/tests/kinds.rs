//! The CustomResourceDefinitions, against resources.md 1.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::kinds;

/// The definition of `kind`, in one of the serving groups.
fn definition(kind: &str) -> &'static CustomResourceDefinition {
    let groups = ["serving.knative.dev", "autoscaling.internal.knative.dev", "networking.internal.knative.dev"];
    let mut rows = kinds::all().iter().filter(|row| row.kind() == kind && groups.contains(&row.group()));
    &rows.next().expect(kind).definition
}

/// The schema of a field, by the pointer of its value; `[]` is an item of a list.
fn schema(kind: &str, pointer: &str) -> Value {
    let version = serde_json::to_value(&definition(kind).spec.versions[0]).expect("JSON");
    let properties = pointer.split('/').skip(1).map(|part| match part {
        "[]" => "/items".to_owned(),
        field => format!("/properties/{field}"),
    });
    let path = format!("/schema/openAPIV3Schema{}", properties.collect::<String>());
    version.pointer(&path).cloned().unwrap_or_default()
}

#[test]
fn definitions_are_those_of_knative() {
    let serving = "serving.knative.dev/v1";
    let autoscaling = "autoscaling.internal.knative.dev/v1alpha1";
    let networking = "networking.internal.knative.dev/v1alpha1";
    let revision = "Config Name, Generation, Ready, Reason, Actual Replicas, Desired Replicas";
    let sks = "Mode, Activators, ServiceName, PrivateServiceName, Ready, Reason";
    // Kind, version, short names in order of the alphabet, printer columns, duck labels.
    for (kind, api_version, short_names, columns, ducks) in [
        (
            "Service",
            serving,
            "kservice, ksvc",
            "URL, LatestCreated, LatestReady, Ready, Reason",
            &["addressable", "podspecable"][..],
        ),
        ("Configuration", serving, "cfg, config", "LatestCreated, LatestReady, Ready, Reason", &["podspecable"]),
        ("Revision", serving, "rev", revision, &[]),
        ("Route", serving, "rt", "URL, Ready, Reason", &["addressable"]),
        ("DomainMapping", "serving.knative.dev/v1beta1", "dm", "URL, Ready, Reason", &[]),
        ("PodAutoscaler", autoscaling, "kpa, pa", "DesiredScale, ActualScale, Ready, Reason", &[]),
        ("Metric", autoscaling, "", "Ready, Reason", &[]),
        ("ServerlessService", networking, "sks", sks, &[]),
        ("ClusterDomainClaim", networking, "cdc", "", &[]),
    ] {
        let definition = definition(kind);
        let (names, version) = (&definition.spec.names, &definition.spec.versions[0]);
        assert_eq!(format!("{}/{}", definition.spec.group, version.name), api_version);
        assert_eq!(definition.spec.versions.len(), 1, "{kind}");
        let mut found = names.short_names.clone().unwrap_or_default();
        found.sort();
        assert_eq!(found.join(", "), short_names, "{kind}");
        let found = version.additional_printer_columns.iter().flatten().map(|column| column.name.as_str());
        assert_eq!(found.collect::<Vec<_>>().join(", "), columns, "{kind}");
        let categories = if api_version.starts_with("serving.") { "all, knative, serving" } else { "" };
        assert_eq!(names.categories.clone().unwrap_or_default().join(", "), categories, "{kind}");
        let mut labels = json!({"knative.dev/crd-install": "true"});
        ducks.iter().for_each(|duck| labels[format!("duck.knative.dev/{duck}")] = json!("true"));
        assert_eq!(json!(definition.metadata.labels), labels, "{kind}");
        let (scope, status) = if kind == "ClusterDomainClaim" { ("Cluster", false) } else { ("Namespaced", true) };
        assert_eq!(definition.spec.scope, scope, "{kind}");
        let has_status = version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some());
        assert_eq!(has_status, status, "{kind}");
        assert!(kinds::find(api_version, kind).is_some_and(|row| !row.reconciled), "{kind} has no reconciler yet");
    }
}

#[test]
fn columns_of_a_revision_read_its_labels() {
    let columns = json!(definition("Revision").spec.versions[0].additional_printer_columns);
    assert_eq!(columns[0]["jsonPath"], r".metadata.labels['serving\.knative\.dev/configuration']");
    assert_eq!(columns[1]["jsonPath"], r".metadata.labels['serving\.knative\.dev/configurationGeneration']");
    assert_eq!((&columns[4]["jsonPath"], &columns[4]["type"]), (&json!(".status.actualReplicas"), &json!("integer")));
}

#[test]
fn definitions_are_not_large() {
    for (kind, limit_kib) in [("Service", 64), ("Configuration", 64), ("Revision", 64), ("Route", 16)] {
        let size = serde_json::to_string(definition(kind)).expect("JSON").len();
        assert!(size < limit_kib * 1024, "{kind}: {size} bytes");
    }
}

#[test]
fn fields_of_a_pod_are_in_the_schema() {
    let pod = "/spec/template/spec";
    assert_eq!(schema("Service", &format!("{pod}/containers"))["type"], "array");
    assert_eq!(schema("Service", &format!("{pod}/containers"))["x-kubernetes-list-type"], Value::Null);
    assert_eq!(schema("Revision", "/spec/containers/[]/image")["type"], "string");
    assert_eq!(schema("Configuration", &format!("{pod}/containers/[]/imagee")), Value::Null);
    for (list, key) in [
        ("volumes", "name"),
        ("imagePullSecrets", "name"),
        ("containers/[]/env", "name"),
        ("containers/[]/volumeMounts", "mountPath"),
    ] {
        let list = schema("Service", &format!("{pod}/{list}"));
        assert_eq!(list["x-kubernetes-list-map-keys"], json!([key]), "{list}");
        assert_eq!(list["items"]["required"], json!([key]), "{list}");
    }
    let limits = schema("Service", &format!("{pod}/containers/[]/resources/limits"));
    assert_eq!(limits["additionalProperties"]["x-kubernetes-int-or-string"], true);
    let port = schema("Service", &format!("{pod}/containers/[]/readinessProbe/httpGet/port"));
    assert_eq!((&port["x-kubernetes-int-or-string"], &port["type"]), (&json!(true), &Value::Null));
    // Kept, so that admission can refuse it by name.
    assert_eq!(schema("Service", &format!("{pod}/nodeName"))["type"], "string");
    let affinity = schema("Service", &format!("{pod}/affinity"));
    assert_eq!(affinity["description"], "Needs the feature kubernetes.podspec-affinity.");
    assert_eq!(schema("Service", &format!("{pod}/timeoutSeconds"))["type"], "integer");
    assert_eq!(schema("Service", "/spec/template/metadata/annotations")["additionalProperties"]["type"], "string");
    assert_eq!(schema("Service", "/spec/template/metadata/annotation"), Value::Null);
}

#[test]
fn every_field_kubernetes_knows_is_in_the_schema() {
    // What the schema does not know is dropped before admission could refuse it.
    use k8s_openapi::schemars::{JsonSchema as _, SchemaGenerator};
    type Of = fn(&mut SchemaGenerator) -> k8s_openapi::schemars::Schema;
    let types: [(&str, Of); 7] = [
        ("", k8s_openapi::api::core::v1::PodSpec::json_schema),
        ("/containers/[]", k8s_openapi::api::core::v1::Container::json_schema),
        ("/containers/[]/securityContext", k8s_openapi::api::core::v1::SecurityContext::json_schema),
        ("/containers/[]/volumeMounts/[]", k8s_openapi::api::core::v1::VolumeMount::json_schema),
        ("/containers/[]/readinessProbe", k8s_openapi::api::core::v1::Probe::json_schema),
        ("/securityContext", k8s_openapi::api::core::v1::PodSecurityContext::json_schema),
        ("/volumes/[]", k8s_openapi::api::core::v1::Volume::json_schema),
    ];
    for (place, of) in types {
        let of = of(&mut SchemaGenerator::default()).to_value();
        let ours = schema("Revision", &format!("/spec{place}"));
        for field in of["properties"].as_object().expect("properties").keys() {
            assert!(ours["properties"].get(field).is_some(), "{place}/{field}");
        }
    }
}
