//! The kinds this build serves: for a server that does not list its kinds.

use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::Kind;

/// Kubernetes' own kinds first: they win ambiguous names.
pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind { namespaced: false, ..builtin::<Namespace>(&["ns"]) },
        builtin::<ConfigMap>(&["cm"]),
        builtin::<Secret>(&[]),
        builtin::<Service>(&["svc"]),
        builtin::<ServiceAccount>(&["sa"]),
        builtin::<Event>(&["ev"]),
        builtin::<Pod>(&["po"]),
        builtin::<Deployment>(&["deploy"]),
        builtin::<Job>(&[]),
        builtin::<Lease>(&[]),
    ];
    for crd in weir_api::crd::all() {
        kinds.extend(custom(&crd));
    }
    kinds
}

fn builtin<K: Resource>(short_names: &[&str]) -> Kind {
    Kind {
        short_names: short_names.iter().map(ToString::to_string).collect(),
        namespaced: true,
        ..Kind::named(K::GROUP, K::VERSION, K::KIND, K::URL_PATH_SEGMENT)
    }
}

/// The kind of a definition, once per served version, the stored one first.
fn custom(crd: &CustomResourceDefinition) -> Vec<Kind> {
    let (spec, names) = (&crd.spec, &crd.spec.names);
    let mut versions: Vec<_> = spec.versions.iter().filter(|version| version.served).collect();
    versions.sort_by_key(|version| !version.storage);
    let kind = |version: &str| Kind {
        singular: names.singular.clone().unwrap_or_else(|| names.kind.to_lowercase()),
        short_names: names.short_names.clone().unwrap_or_default(),
        categories: names.categories.clone().unwrap_or_default(),
        namespaced: spec.scope == "Namespaced",
        ..Kind::named(&spec.group, version, &names.kind, &names.plural)
    };
    versions.into_iter().map(|version| kind(&version.name)).collect()
}
