//! Schemas of the built-in kinds, as `k8s-openapi` has them.

use k8s_openapi::api;
use schemars::JsonSchema;
use schemars::generate::SchemaGenerator;
use serde_json::Value;

use crate::api::registry::Kind;

/// Name and schema of a built-in kind; what it refers to is left in the generator.
pub(super) fn schema(kind: &Kind, version: &str, generator: &mut SchemaGenerator) -> Option<(String, Value)> {
    let schema = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => of::<api::core::v1::Namespace>,
        ("", "ConfigMap") => of::<api::core::v1::ConfigMap>,
        ("", "Endpoints") => of::<api::core::v1::Endpoints>,
        ("", "Event") => of::<api::core::v1::Event>,
        ("", "Pod") => of::<api::core::v1::Pod>,
        ("", "Secret") => of::<api::core::v1::Secret>,
        ("", "ServiceAccount") => of::<api::core::v1::ServiceAccount>,
        ("", "Service") => of::<api::core::v1::Service>,
        ("apps", "Deployment") => of::<api::apps::v1::Deployment>,
        ("apps", "DaemonSet") => of::<api::apps::v1::DaemonSet>,
        ("apps", "ReplicaSet") => of::<api::apps::v1::ReplicaSet>,
        ("apps", "StatefulSet") => of::<api::apps::v1::StatefulSet>,
        ("autoscaling", "HorizontalPodAutoscaler") if version == "v2" => {
            of::<api::autoscaling::v2::HorizontalPodAutoscaler>
        }
        ("autoscaling", "HorizontalPodAutoscaler") => of::<api::autoscaling::v1::HorizontalPodAutoscaler>,
        ("batch", "CronJob") => of::<api::batch::v1::CronJob>,
        ("batch", "Job") => of::<api::batch::v1::Job>,
        ("coordination.k8s.io", "Lease") => of::<api::coordination::v1::Lease>,
        ("discovery.k8s.io", "EndpointSlice") => of::<api::discovery::v1::EndpointSlice>,
        ("events.k8s.io", "Event") => of::<api::events::v1::Event>,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => of::<api::rbac::v1::ClusterRoleBinding>,
        ("rbac.authorization.k8s.io", "ClusterRole") => of::<api::rbac::v1::ClusterRole>,
        ("rbac.authorization.k8s.io", "RoleBinding") => of::<api::rbac::v1::RoleBinding>,
        ("rbac.authorization.k8s.io", "Role") => of::<api::rbac::v1::Role>,
        // What cannot be written needs no schema. That of definitions is recursive, and of no use to readers.
        _ => return None,
    };
    Some(schema(generator))
}

fn of<K: JsonSchema>(generator: &mut SchemaGenerator) -> (String, Value) {
    (K::schema_name().into_owned(), Value::from(K::json_schema(generator)))
}
