//! The kinds of Kubernetes itself that Weir serves.

use weir_api::kinds::Conversion;

use super::{Kind, Version, ViewOf};
use crate::api::autoscaling;
use crate::api::events;
use crate::api::scale::Replicas;
use crate::api::store::ResourceId;
use crate::api::table::builtin_columns;

/// A built-in kind with one version.
struct Row {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    has: &'static [Has],
    fields: &'static [&'static str],
}

/// What not every kind has.
#[derive(PartialEq)]
enum Has {
    Namespace,
    Status,
    Scale,
    Generation,
    /// Listed by `kubectl get all`.
    All,
    /// Nobody acts on its objects here.
    Inert,
    /// There are none and none can be made: known so that clients that look for them find the kind.
    Empty,
}

use Has::{All, Empty, Generation, Inert, Namespace, Scale, Status};

const fn row(
    group_version: (&'static str, &'static str),
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    has: &'static [Has],
    fields: &'static [&'static str],
) -> Row {
    Row { group: group_version.0, version: group_version.1, plural, kind, short, has, fields }
}

const CORE: (&str, &str) = ("", "v1");
const APPS: (&str, &str) = ("apps", "v1");
const BATCH: (&str, &str) = ("batch", "v1");
const RBAC: (&str, &str) = ("rbac.authorization.k8s.io", "v1");

/// In the order of discovery. Namespaces come first; others rely on it.
const ROWS: &[Row] = &[
    row(CORE, "namespaces", "Namespace", &["ns"], &[Status], &["status.phase"]),
    row(CORE, "configmaps", "ConfigMap", &["cm"], &[Namespace], &[]),
    row(CORE, "endpoints", "Endpoints", &["ep"], &[Namespace], &[]),
    row(CORE, "events", "Event", &["ev"], &[Namespace], events::CORE_FIELDS),
    row(CORE, "persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"], &[Namespace, Empty], &[]),
    row(CORE, "persistentvolumes", "PersistentVolume", &["pv"], &[Empty], &[]),
    row(CORE, "pods", "Pod", &["po"], &[Namespace, Status, All, Inert], &["status.phase", "spec.nodeName"]),
    row(CORE, "replicationcontrollers", "ReplicationController", &["rc"], &[Namespace, Empty], &[]),
    row(CORE, "secrets", "Secret", &[], &[Namespace], &["type"]),
    row(CORE, "serviceaccounts", "ServiceAccount", &["sa"], &[Namespace], &[]),
    row(CORE, "services", "Service", &["svc"], &[Namespace, Status, All], &[]),
    row(APPS, "daemonsets", "DaemonSet", &["ds"], &[Namespace, Status, Generation, All, Inert], &[]),
    row(APPS, "deployments", "Deployment", &["deploy"], &[Namespace, Status, Scale, Generation, All, Inert], &[]),
    row(APPS, "replicasets", "ReplicaSet", &["rs"], &[Namespace, Status, Scale, Generation, All, Inert], &[]),
    row(APPS, "statefulsets", "StatefulSet", &["sts"], &[Namespace, Status, Scale, Generation, All, Inert], &[]),
    row(
        ("autoscaling", "v2"),
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        &["hpa"],
        &[Namespace, Status, All, Inert],
        &[],
    ),
    row(BATCH, "cronjobs", "CronJob", &["cj"], &[Namespace, Status, Generation, All, Inert], &[]),
    row(BATCH, "jobs", "Job", &[], &[Namespace, Status, Generation, All, Inert], &[]),
    row(("coordination.k8s.io", "v1"), "leases", "Lease", &[], &[Namespace], &[]),
    row(("discovery.k8s.io", "v1"), "endpointslices", "EndpointSlice", &[], &[Namespace, Generation], &[]),
    row(("events.k8s.io", "v1"), "events", "Event", &["ev"], &[Namespace], events::NEW_FIELDS),
    row(
        ("apiextensions.k8s.io", "v1"),
        "customresourcedefinitions",
        "CustomResourceDefinition",
        &["crd", "crds"],
        &[Status, Generation],
        &[],
    ),
    row(("networking.k8s.io", "v1"), "ingresses", "Ingress", &["ing"], &[Namespace, Empty], &[]),
    row(RBAC, "clusterrolebindings", "ClusterRoleBinding", &[], &[], &[]),
    row(RBAC, "clusterroles", "ClusterRole", &[], &[], &[]),
    row(RBAC, "rolebindings", "RoleBinding", &[], &[Namespace], &[]),
    row(RBAC, "roles", "Role", &[], &[Namespace], &[]),
];

/// The newer group of events shows the same objects as the older.
const EVENTS: ViewOf = ViewOf {
    group: "",
    kind: "Event",
    conversion: Conversion { from_stored: events::to_new, to_stored: events::to_core },
};

/// The built-in kinds.
pub(super) fn kinds() -> Vec<Kind> {
    ROWS.iter().map(kind).collect()
}

fn kind(row: &Row) -> Kind {
    let singular = match row.kind {
        // As Kubernetes has it.
        "Endpoints" => "endpoints".to_owned(),
        kind => kind.to_lowercase(),
    };
    let mut versions = vec![Version::new(row.version, None, builtin_columns(row.kind))];
    if row.kind == "HorizontalPodAutoscaler" {
        let conversion = Conversion { from_stored: autoscaling::to_v1, to_stored: autoscaling::to_v2 };
        versions.push(Version { conversion, ..Version::new("v1", None, builtin_columns(row.kind)) });
    }
    Kind {
        group: row.group.to_owned(),
        plural: row.plural.to_owned(),
        singular,
        kind: row.kind.to_owned(),
        short_names: row.short.iter().map(ToString::to_string).collect(),
        categories: if row.has.contains(&All) { vec!["all".to_owned()] } else { Vec::new() },
        namespaced: row.has.contains(&Namespace),
        versions,
        storage: 0,
        has_status: row.has.contains(&Status),
        scale: row.has.contains(&Scale).then(Replicas::of_workload),
        has_generation: row.has.contains(&Generation),
        fields: row.fields,
        writable: !row.has.contains(&Empty),
        inert: row.has.contains(&Inert),
        custom: false,
        view: (row.group == "events.k8s.io").then_some(EVENTS),
        resource: ResourceId::UNASSIGNED,
    }
}
