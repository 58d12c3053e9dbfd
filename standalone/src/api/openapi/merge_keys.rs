//! How strategic merge treats fields of the built-in kinds, for clients that make such patches: `kubectl apply` tells by
//! it what was removed from a list. The schemas of `k8s-openapi` leave it out.
//!
//! Source: the `patchStrategy` and `patchMergeKey` of the Kubernetes API types.

use serde_json::{Map, Value, json};

/// Definition, field, strategy, merge key.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("core.v1.PodSpec", "containers", "merge", "name"),
    ("core.v1.PodSpec", "initContainers", "merge", "name"),
    ("core.v1.PodSpec", "ephemeralContainers", "merge", "name"),
    ("core.v1.PodSpec", "volumes", "merge,retainKeys", "name"),
    ("core.v1.PodSpec", "imagePullSecrets", "merge", "name"),
    ("core.v1.PodSpec", "hostAliases", "merge", "ip"),
    ("core.v1.PodSpec", "topologySpreadConstraints", "merge", "topologyKey"),
    ("core.v1.PodSpec", "resourceClaims", "merge,retainKeys", "name"),
    ("core.v1.PodSpec", "schedulingGates", "merge", "name"),
    ("core.v1.PodStatus", "conditions", "merge", "type"),
    ("core.v1.PodStatus", "podIPs", "merge", "ip"),
    ("core.v1.Container", "env", "merge", "name"),
    ("core.v1.Container", "ports", "merge", "containerPort"),
    ("core.v1.Container", "volumeMounts", "merge", "mountPath"),
    ("core.v1.Container", "volumeDevices", "merge", "devicePath"),
    ("core.v1.EphemeralContainer", "env", "merge", "name"),
    ("core.v1.EphemeralContainer", "ports", "merge", "containerPort"),
    ("core.v1.EphemeralContainer", "volumeMounts", "merge", "mountPath"),
    ("core.v1.EphemeralContainer", "volumeDevices", "merge", "devicePath"),
    ("core.v1.ServiceSpec", "ports", "merge", "port"),
    ("core.v1.ServiceStatus", "conditions", "merge", "type"),
    ("core.v1.ServiceAccount", "secrets", "merge", "name"),
    ("core.v1.NamespaceStatus", "conditions", "merge", "type"),
    ("apps.v1.DeploymentSpec", "strategy", "retainKeys", ""),
    ("apps.v1.DeploymentStatus", "conditions", "merge", "type"),
    ("apps.v1.DaemonSetStatus", "conditions", "merge", "type"),
    ("apps.v1.ReplicaSetStatus", "conditions", "merge", "type"),
    ("apps.v1.StatefulSetStatus", "conditions", "merge", "type"),
    ("batch.v1.JobStatus", "conditions", "merge", "type"),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "conditions", "merge", "type"),
];

const META: &[Row] = &[("ObjectMeta", "ownerReferences", "merge", "uid"), ("ObjectMeta", "finalizers", "merge", "")];

/// Adds to the schemas of a document what is known of their fields.
pub(super) fn annotate(schemas: &mut Map<String, Value>) {
    let groups = [("io.k8s.api.", ROWS), ("io.k8s.apimachinery.pkg.apis.meta.v1.", META)];
    for (prefix, rows) in groups {
        for (definition, field, strategy, key) in rows {
            let schema = schemas.get_mut(&format!("{prefix}{definition}"));
            let property = schema.and_then(|schema| schema.pointer_mut(&format!("/properties/{field}")));
            let Some(Value::Object(property)) = property else { continue };
            property.insert("x-kubernetes-patch-strategy".to_owned(), json!(strategy));
            if !key.is_empty() {
                property.insert("x-kubernetes-patch-merge-key".to_owned(), json!(key));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema as _;
    use schemars::generate::SchemaSettings;

    use super::*;

    /// A name that no schema has would be left out without a word.
    #[test]
    fn every_row_names_a_field_there_is() {
        use k8s_openapi::api;
        let mut generator = SchemaSettings::openapi3().into_generator();
        api::apps::v1::Deployment::json_schema(&mut generator);
        api::apps::v1::DaemonSet::json_schema(&mut generator);
        api::apps::v1::ReplicaSet::json_schema(&mut generator);
        api::apps::v1::StatefulSet::json_schema(&mut generator);
        api::autoscaling::v2::HorizontalPodAutoscaler::json_schema(&mut generator);
        api::batch::v1::Job::json_schema(&mut generator);
        api::core::v1::Pod::json_schema(&mut generator);
        api::core::v1::Service::json_schema(&mut generator);
        api::core::v1::Namespace::json_schema(&mut generator);
        let mut schemas: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
        let account = api::core::v1::ServiceAccount::json_schema(&mut generator);
        schemas.insert("io.k8s.api.core.v1.ServiceAccount".to_owned(), Value::from(account));
        annotate(&mut schemas);
        let annotated = serde_json::to_string(&schemas).expect("JSON").matches("x-kubernetes-patch-strategy").count();
        assert_eq!(annotated, ROWS.len() + META.len());
    }
}
