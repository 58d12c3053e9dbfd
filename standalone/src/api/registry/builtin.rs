//! The kinds of Kubernetes itself that Weir serves.

use super::{Kind, Version};
use crate::api::store::ResourceId;

/// A built-in kind with one version.
struct Row {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    scope: Scope,
    has: &'static [Has],
    fields: &'static [&'static str],
}

#[derive(PartialEq)]
enum Scope {
    Namespaced,
    Cluster,
}

#[derive(PartialEq)]
enum Has {
    Status,
    Generation,
}

use Has::{Generation, Status};
use Scope::{Cluster, Namespaced};

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const fn row(
    group_version: (&'static str, &'static str),
    plural: &'static str,
    kind: &'static str,
    scope: Scope,
    has: &'static [Has],
    fields: &'static [&'static str],
) -> Row {
    Row { group: group_version.0, version: group_version.1, plural, kind, scope, has, fields }
}

const CORE: (&str, &str) = ("", "v1");
const APPS: (&str, &str) = ("apps", "v1");
const RBAC: (&str, &str) = ("rbac.authorization.k8s.io", "v1");

/// In the order of discovery.
const ROWS: &[Row] = &[
    row(CORE, "namespaces", "Namespace", Cluster, &[Status], &["status.phase"]),
    row(CORE, "configmaps", "ConfigMap", Namespaced, &[], &[]),
    row(CORE, "secrets", "Secret", Namespaced, &[], &["type"]),
    row(CORE, "services", "Service", Namespaced, &[Status], &[]),
    row(CORE, "serviceaccounts", "ServiceAccount", Namespaced, &[], &[]),
    row(CORE, "endpoints", "Endpoints", Namespaced, &[], &[]),
    row(CORE, "events", "Event", Namespaced, &[], EVENT_FIELDS),
    row(CORE, "pods", "Pod", Namespaced, &[Status], &["status.phase", "spec.nodeName"]),
    row(APPS, "deployments", "Deployment", Namespaced, &[Status, Generation], &[]),
    row(("batch", "v1"), "jobs", "Job", Namespaced, &[Status, Generation], &[]),
    row(("coordination.k8s.io", "v1"), "leases", "Lease", Namespaced, &[], &[]),
    row(("discovery.k8s.io", "v1"), "endpointslices", "EndpointSlice", Namespaced, &[Generation], &[]),
    row(RBAC, "roles", "Role", Namespaced, &[], &[]),
    row(RBAC, "rolebindings", "RoleBinding", Namespaced, &[], &[]),
    row(RBAC, "clusterroles", "ClusterRole", Cluster, &[], &[]),
    row(RBAC, "clusterrolebindings", "ClusterRoleBinding", Cluster, &[], &[]),
];

/// The built-in kinds.
pub(super) fn kinds() -> Vec<Kind> {
    ROWS.iter().map(kind).collect()
}

fn kind(row: &Row) -> Kind {
    Kind {
        group: row.group.to_owned(),
        plural: row.plural.to_owned(),
        kind: row.kind.to_owned(),
        namespaced: row.scope == Namespaced,
        versions: vec![Version { name: row.version.to_owned(), schema: None }],
        storage: 0,
        has_status: row.has.contains(&Status),
        has_generation: row.has.contains(&Generation),
        fields: row.fields,
        custom: false,
        resource: ResourceId::UNASSIGNED,
    }
}
