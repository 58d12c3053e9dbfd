//! What there is, told to clients: the older documents, one per group version, and the newer aggregated ones.

use std::sync::OnceLock;

use bytes::Bytes;
use http::HeaderMap;
use http::header;
use serde_json::{Value, json};

use super::registry::{Kind, Registry};
use super::reviews;

/// The media types of an aggregated document, newest first. A client takes the document for what the answer's
/// `Content-Type` says, parameters included.
const AGGREGATED: [(&str, &str); 2] = [
    ("v2", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
    ("v2beta1", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"),
];

/// What can be done with objects of `kind`.
fn verbs(kind: &Kind) -> &'static [&'static str] {
    match kind.writable {
        true => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        false => &["get", "list", "watch"],
    }
}

/// A group with its versions, the preferred one first, and the kinds of each.
struct Group<'a> {
    name: &'a str,
    versions: Vec<(&'a str, Vec<&'a Kind>)>,
}

/// Groups in the order of the registry, which decides what ambiguous names mean.
fn groups(registry: &Registry) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut add = |name, version, kind: Option<_>| {
        let index = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
            groups.push(Group { name, versions: Vec::new() });
            groups.len() - 1
        });
        let versions = &mut groups[index].versions;
        match versions.iter_mut().find(|(known, _)| *known == version) {
            Some((_, kinds)) => kinds.extend(kind),
            None => versions.push((version, kind.into_iter().collect())),
        }
    };
    for kind in registry.kinds() {
        for version in &kind.versions {
            add(&kind.group, &version.name, Some(kind));
        }
    }
    for review in reviews::KINDS {
        add(review.group, review.version, None);
    }
    for group in &mut groups {
        group.versions.sort_by_key(|(version, _)| std::cmp::Reverse(priority(version)));
    }
    groups
}

/// Kubernetes' order of versions: stable before beta before alpha, then the higher number.
fn priority(version: &str) -> (u8, u32, u32) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let major = rest[..digits].parse().unwrap_or(0);
    let (stage, minor) = match &rest[digits..] {
        "" => (3, ""),
        rest => match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor),
            (_, Some(minor)) => (1, minor),
            _ => (0, ""),
        },
    };
    (stage, major, minor.parse().unwrap_or(0))
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// `/api`
fn core_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
    })
}

fn api_group(group: &Group<'_>) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|(version, _)| json!({"groupVersion": group_version(group.name, version), "version": version}))
        .collect();
    json!({"name": group.name, "preferredVersion": versions[0], "versions": versions})
}

/// `/apis`
fn group_list(registry: &Registry) -> Value {
    let groups: Vec<Value> = groups(registry).iter().filter(|group| !group.name.is_empty()).map(api_group).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/{group}`
fn one_group(registry: &Registry, name: &str) -> Option<Value> {
    let groups = groups(registry);
    let mut group = api_group(groups.iter().find(|group| group.name == name && !name.is_empty())?);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    Some(group)
}

/// Group, version and kind of what a subresource exchanges, if that is not the kind itself.
type Exchanged = Option<[&'static str; 3]>;

/// Subresources of a kind: name, type exchanged, verbs.
fn subresources(kind: &Kind) -> Vec<(&'static str, Exchanged, &'static [&'static str])> {
    const READ_WRITE: &[&str] = &["get", "patch", "update"];
    let mut list = Vec::new();
    if kind.scale.is_some() {
        list.push(("scale", Some(["autoscaling", "v1", "Scale"]), READ_WRITE));
    }
    if kind.has_status {
        list.push(("status", None, READ_WRITE));
    }
    if kind.plural == "namespaces" && kind.group.is_empty() {
        list.push(("finalize", None, &["update"]));
    }
    list
}

/// `/api/v1` and `/apis/{group}/{version}`
fn resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let groups = groups(registry);
    let found = groups.iter().find(|known| known.name == group)?;
    let (_, kinds) = found.versions.iter().find(|(known, _)| *known == version)?;
    let mut resources = Vec::new();
    for kind in kinds {
        let mut resource = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": verbs(kind),
        });
        if !kind.short_names.is_empty() {
            resource["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        resources.push(resource);
        for (name, other, verbs) in subresources(kind) {
            let mut resource = json!({
                "name": format!("{}/{name}", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": verbs,
            });
            if let Some([group, version, kind]) = other {
                resource["group"] = json!(group);
                resource["version"] = json!(version);
                resource["kind"] = json!(kind);
            }
            resources.push(resource);
        }
    }
    for review in reviews::KINDS.iter().filter(|review| review.group == group && review.version == version) {
        resources.push(json!({
            "name": review.plural,
            "singularName": review.kind.to_lowercase(),
            "namespaced": false,
            "kind": review.kind,
            "verbs": ["create"],
        }));
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version(group, version),
        "resources": resources,
    }))
}

/// `/api` or `/apis` with everything below, in one document.
fn aggregated(registry: &Registry, core: bool, document_version: &str) -> Value {
    let items: Vec<Value> = groups(registry)
        .iter()
        .filter(|group| group.name.is_empty() == core)
        .map(|group| {
            let versions: Vec<Value> =
                group.versions.iter().map(|(version, kinds)| aggregated_version(group.name, version, kinds)).collect();
            let mut metadata = json!({"creationTimestamp": null});
            if !core {
                metadata["name"] = json!(group.name);
            }
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{document_version}"),
        "metadata": {},
        "items": items,
    })
}

fn aggregated_version(group: &str, version: &str, kinds: &[&Kind]) -> Value {
    let mut resources: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            let own = json!({"group": group, "version": version, "kind": kind.kind});
            let mut resource = json!({
                "resource": kind.plural,
                "responseKind": own,
                "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": kind.singular,
                "verbs": verbs(kind),
            });
            if !kind.short_names.is_empty() {
                resource["shortNames"] = json!(kind.short_names);
            }
            if !kind.categories.is_empty() {
                resource["categories"] = json!(kind.categories);
            }
            let subresources: Vec<Value> = subresources(kind)
                .into_iter()
                .map(|(name, other, verbs)| {
                    let response = other.map_or_else(
                        || own.clone(),
                        |[group, version, kind]| json!({"group": group, "version": version, "kind": kind}),
                    );
                    json!({"subresource": name, "responseKind": response, "verbs": verbs})
                })
                .collect();
            if !subresources.is_empty() {
                resource["subresources"] = json!(subresources);
            }
            resource
        })
        .collect();
    resources.extend(reviews::KINDS.iter().filter(|review| review.group == group && review.version == version).map(
        |review| {
            json!({
                "resource": review.plural,
                "responseKind": {"group": group, "version": version, "kind": review.kind},
                "scope": "Cluster",
                "singularResource": review.kind.to_lowercase(),
                "verbs": ["create"],
            })
        },
    ));
    json!({"version": version, "freshness": "Current", "resources": resources})
}

/// A document and how it is to be announced.
pub(crate) struct Document {
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

/// The aggregated documents, made when first asked for.
#[derive(Default)]
pub(crate) struct Discovery {
    aggregated: [[OnceLock<Bytes>; 2]; 2],
}

impl Discovery {
    /// The document at `path`, in the first form of `Accept` there is; `None` if `path` is none of discovery's.
    pub(crate) fn document(&self, registry: &Registry, path: &str, headers: &HeaderMap) -> Option<Document> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        if let ["api" | "apis"] = segments[..] {
            let core = segments[0] == "api";
            if let Some(index) = wanted_aggregate(headers) {
                let (version, content_type) = AGGREGATED[index];
                let make = || Bytes::from(aggregated(registry, core, version).to_string());
                let body = self.aggregated[usize::from(core)][index].get_or_init(make).clone();
                return Some(Document { content_type, body });
            }
        }
        let document = match segments[..] {
            ["api"] => core_versions(),
            ["apis"] => group_list(registry),
            ["api", version] => resource_list(registry, "", version)?,
            ["apis", group] => one_group(registry, group)?,
            ["apis", group, version] => resource_list(registry, group, version)?,
            _ => return None,
        };
        Some(Document { content_type: "application/json", body: Bytes::from(document.to_string()) })
    }
}

/// Which aggregated form the client prefers to the older documents, if any.
fn wanted_aggregate(headers: &HeaderMap) -> Option<usize> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    for entry in accept.split(',') {
        let parts: Vec<&str> = entry.split(';').map(str::trim).collect();
        if !matches!(parts[0], "application/json" | "*/*" | "application/*") {
            continue;
        }
        if parts.contains(&"as=APIGroupDiscoveryList") {
            let version = parts.iter().find_map(|part| part.strip_prefix("v="))?;
            if let Some(index) = AGGREGATED.iter().position(|(known, _)| *known == version) {
                return Some(index);
            }
        } else {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_maturity() {
        let mut versions = ["v1alpha1", "v1beta2", "v1", "v2beta1", "v1beta3", "v2"];
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(versions, ["v2", "v1", "v2beta1", "v1beta3", "v1beta2", "v1alpha1"]);
    }
}
