//! Which kinds the server knows, and how people name them.

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList};
use kube::core::discovery::v2::{APIGroupDiscoveryList, APIResourceDiscovery};
use serde::de::DeserializeOwned;

use super::{Client, RequestError};
use crate::failure::{Exit, Failure, Outcome};

/// Every group in one answer; servers that cannot do that send the group list alone.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
     application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// One kind of object a server knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kind {
    /// API group; empty for the core.
    pub(crate) group: String,
    /// Preferred version.
    pub(crate) version: String,
    /// `Trigger`
    pub(crate) kind: String,
    /// `triggers`
    pub(crate) plural: String,
    /// `trigger`
    pub(crate) singular: String,
    /// Other names.
    pub(crate) short_names: Vec<String>,
    /// Groups of kinds it belongs to: `all`, …
    pub(crate) categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
}

impl Kind {
    /// A kind by its names alone.
    pub(crate) fn named(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        let text = str::to_owned;
        let singular = kind.to_lowercase();
        Self {
            group: text(group),
            version: text(version),
            kind: text(kind),
            plural: text(plural),
            singular,
            ..Self::default()
        }
    }

    /// `eventing.knative.dev/v1`
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `trigger.eventing.knative.dev/t`, as messages name an object.
    pub(crate) fn object(&self, name: &str) -> String {
        format!("{}/{name}", self.qualified())
    }

    /// `trigger.eventing.knative.dev`
    pub(crate) fn qualified(&self) -> String {
        self.within_group(&self.singular)
    }

    /// `triggers.eventing.knative.dev`
    pub(crate) fn resource(&self) -> String {
        self.within_group(&self.plural)
    }

    fn within_group(&self, name: &str) -> String {
        if self.group.is_empty() { name.to_owned() } else { format!("{name}.{}", self.group) }
    }

    /// Whether `word` names this kind: `trigger`, `triggers.eventing.knative.dev`, `triggers.v1.eventing.knative.dev`.
    fn is_called(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let (name, group) = word.split_once('.').map_or((word.as_str(), None), |(name, group)| (name, Some(group)));
        let ours = name == self.plural || name == self.singular || self.short_names.iter().any(|short| short == name);
        let within = |group: &str| group == self.group || group == format!("{}.{}", self.version, self.group);
        ours && group.is_none_or(within)
    }
}

/// Every kind a server knows, in the order that decides ambiguous names.
#[derive(Debug)]
pub(crate) struct Kinds(Vec<Kind>);

impl Kinds {
    /// Asks the server. One that does not say is taken to know what this build knows.
    pub(crate) async fn discover(client: &Client) -> Result<Self, RequestError> {
        let mut kinds = Vec::new();
        for root in ["/api", "/apis"] {
            let answer = match client.call(Method::GET, root, AGGREGATED, None).await {
                Ok(answer) => answer.value,
                Err(error) if error.is_not_found() => return Ok(Self(super::known::kinds())),
                Err(error) => return Err(error),
            };
            if answer["kind"] == "APIGroupDiscoveryList" {
                aggregated(&parse(answer)?, &mut kinds);
            } else if root == "/api" {
                legacy(&parse(client.get("/api/v1").await?)?, &mut kinds);
            } else {
                for group in parse::<APIGroupList>(answer)?.groups {
                    for version in group.versions {
                        let path = format!("/apis/{}", version.group_version);
                        legacy(&parse(client.get(&path).await?)?, &mut kinds);
                    }
                }
            }
        }
        Ok(Self(kinds))
    }

    /// The kinds that `word` names: one, or all of a category.
    pub(crate) fn named(&self, word: &str) -> Outcome<Vec<&Kind>> {
        if let Some(kind) = self.0.iter().find(|kind| kind.is_called(word)) {
            return Ok(vec![kind]);
        }
        let mut found: Vec<&Kind> = Vec::new();
        for kind in self.0.iter().filter(|kind| kind.categories.iter().any(|category| category == word)) {
            // A kind served in several versions is one kind.
            if !found.iter().any(|known| known.resource() == kind.resource()) {
                found.push(kind);
            }
        }
        if found.is_empty() {
            let text = format!("the server doesn't have a resource type {word:?}");
            return Err(Failure::text(Exit::NotFound, text).next("`weir crds` lists the types of Weir"));
        }
        Ok(found)
    }

    /// The kind of an object.
    pub(crate) fn of(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.0.iter().find(|known| known.kind == kind && known.api_version() == api_version)
    }

    /// Kinds of this name in any version, for advice.
    pub(crate) fn like(&self, kind: &str) -> Vec<String> {
        let same = self.0.iter().filter(|known| known.kind == kind);
        same.map(|known| format!("{} of {}", known.kind, known.api_version())).collect()
    }
}

impl From<Vec<Kind>> for Kinds {
    fn from(kinds: Vec<Kind>) -> Self {
        Self(kinds)
    }
}

fn parse<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, RequestError> {
    serde_json::from_value(value).map_err(|error| RequestError::Unreachable {
        server: "the server".to_owned(),
        reason: format!("its list of kinds is not understood: {error}"),
    })
}

fn aggregated(list: &APIGroupDiscoveryList, kinds: &mut Vec<Kind>) {
    for group in &list.items {
        let name = group.metadata.as_ref().and_then(|metadata| metadata.name.as_deref()).unwrap_or_default();
        for version in &group.versions {
            let resources = version.resources.iter();
            kinds.extend(resources.filter_map(|resource| from_aggregated(name, version.version.as_deref()?, resource)));
        }
    }
}

fn from_aggregated(group: &str, version: &str, resource: &APIResourceDiscovery) -> Option<Kind> {
    let kind = resource.response_kind.as_ref()?.kind.as_deref()?;
    let known = Kind::named(group, version, kind, resource.resource.as_deref()?);
    Some(Kind {
        singular: resource.singular_resource.clone().filter(|name| !name.is_empty()).unwrap_or(known.singular),
        short_names: resource.short_names.clone(),
        categories: resource.categories.clone(),
        namespaced: resource.scope.as_deref() == Some("Namespaced"),
        ..known
    })
}

fn legacy(list: &APIResourceList, kinds: &mut Vec<Kind>) {
    let (group, version) = list.group_version.split_once('/').unwrap_or(("", &list.group_version));
    for resource in list.resources.iter().filter(|resource| !resource.name.contains('/')) {
        let known = Kind::named(group, version, &resource.kind, &resource.name);
        kinds.push(Kind {
            singular: Some(resource.singular_name.clone()).filter(|name| !name.is_empty()).unwrap_or(known.singular),
            short_names: resource.short_names.clone().unwrap_or_default(),
            categories: resource.categories.clone().unwrap_or_default(),
            namespaced: resource.namespaced,
            ..known
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds() -> Kinds {
        let kind = |group, kind, plural, short: &str, category: &str| Kind {
            short_names: vec![short.to_owned()],
            categories: vec![category.to_owned()],
            ..Kind::named(group, "v1", kind, plural)
        };
        Kinds(vec![
            kind("", "Service", "services", "svc", "all"),
            kind("serving.knative.dev", "Service", "services", "ksvc", "knative"),
            kind("eventing.knative.dev", "Trigger", "triggers", "t", "all"),
        ])
    }

    #[test]
    fn kinds_are_named_as_kubectl_names_them() {
        let kinds = kinds();
        let named =
            |word: &str| kinds.named(word).map(|found| found.iter().map(|kind| kind.resource()).collect::<Vec<_>>());
        for word in
            ["trigger", "triggers", "Trigger", "t", "triggers.eventing.knative.dev", "trigger.v1.eventing.knative.dev"]
        {
            assert_eq!(named(word).expect(word), ["triggers.eventing.knative.dev"], "{word}");
        }
        assert_eq!(named("services").expect("core first"), ["services"]);
        assert_eq!(named("services.serving.knative.dev").expect("by group"), ["services.serving.knative.dev"]);
        assert_eq!(named("all").expect("a category"), ["services", "triggers.eventing.knative.dev"]);
        assert_eq!(named("nonsense").expect_err("unknown").exit(), Exit::NotFound);
        assert_eq!(
            kinds.of("eventing.knative.dev/v1", "Trigger").expect("known").object("x"),
            "trigger.eventing.knative.dev/x"
        );
    }

    #[test]
    fn this_build_knows_its_own_kinds() {
        let kinds = Kinds(super::super::known::kinds());
        for (word, resource) in [
            ("ns", "namespaces"),
            ("triggers", "triggers.eventing.knative.dev"),
            ("brokers", "brokers.eventing.knative.dev"),
        ] {
            assert_eq!(kinds.named(word).expect(word)[0].resource(), resource);
        }
        assert!(!kinds.named("ns").expect("known")[0].namespaced);
    }

    #[test]
    fn both_forms_of_discovery_are_understood() {
        let list = serde_json::json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "g.io"}, "versions": [{
            "version": "v2", "resources": [{"resource": "things", "responseKind": {"group": "g.io", "version": "v2", "kind": "Thing"},
            "scope": "Namespaced", "singularResource": "thing", "shortNames": ["th"], "categories": ["all"], "verbs": ["get"]}]}]}]});
        let mut new = Vec::new();
        aggregated(&parse(list).expect("parses"), &mut new);
        let list = serde_json::json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "g.io/v2", "resources": [
            {"name": "things", "singularName": "", "namespaced": true, "kind": "Thing", "verbs": ["get"], "shortNames": ["th"], "categories": ["all"]},
            {"name": "things/status", "singularName": "", "namespaced": true, "kind": "Thing", "verbs": ["get"]}]});
        let mut old = Vec::new();
        legacy(&parse(list).expect("parses"), &mut old);
        assert_eq!(new, old);
        assert_eq!(new[0].short_names, ["th"]);
    }
}
