//! The kinds the API serves, as data: one row per kind, no handler per kind.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::schema::Schema;
use super::store::ResourceId;

mod builtin;

/// A kind and everything the generic handlers need to know of it.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Group; empty for the core group.
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    /// Versions that are served, the preferred one first.
    pub(crate) versions: Vec<Version>,
    /// Index in `versions` of the one that is stored.
    pub(crate) storage: usize,
    /// Whether `status` is written apart from the rest.
    pub(crate) has_status: bool,
    /// Whether `metadata.generation` counts changes of the specification.
    pub(crate) has_generation: bool,
    /// Fields that field selectors may name, beside `metadata.name` and `metadata.namespace`.
    pub(crate) fields: &'static [&'static str],
    /// Whether the kind is defined by a CustomResourceDefinition.
    pub(crate) custom: bool,
    /// Where the kind's objects are in the store.
    pub(crate) resource: ResourceId,
}

/// One served version of a kind.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    /// Known for custom kinds; built-in kinds are stored as they come.
    pub(crate) schema: Option<Schema>,
}

impl Kind {
    /// `plural.group`, as error messages name a kind.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `apiVersion` of the kind's objects at `version`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// `apiVersion` of the stored form.
    pub(crate) fn storage_version(&self) -> &str {
        &self.versions[self.storage].name
    }

    /// The served version called `name`.
    pub(crate) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    fn from_definition(definition: &CustomResourceDefinition) -> Self {
        let spec = &definition.spec;
        let names = &spec.names;
        // Kubernetes prefers by maturity; definitions list their versions in the order they want.
        let served: Vec<_> = spec.versions.iter().filter(|version| version.served).collect();
        let versions = served
            .iter()
            .map(|version| Version {
                name: version.name.clone(),
                schema: version
                    .schema
                    .as_ref()
                    .and_then(|schema| schema.open_api_v3_schema.as_ref())
                    .map(Schema::from_definition),
            })
            .collect();
        Self {
            group: spec.group.clone(),
            plural: names.plural.clone(),
            kind: names.kind.clone(),
            namespaced: spec.scope == "Namespaced",
            versions,
            storage: served.iter().position(|version| version.storage).unwrap_or(0),
            has_status: served
                .iter()
                .any(|version| version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some())),
            has_generation: true,
            fields: &[],
            custom: true,
            resource: ResourceId::UNASSIGNED,
        }
    }
}

/// What the store needs to know of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// `plural.group`, its name in the database.
    pub(crate) name: String,
    pub(crate) fields: &'static [&'static str],
}

/// Every kind that is served.
#[derive(Debug)]
pub(crate) struct Registry {
    kinds: Vec<Kind>,
    resources: Vec<Resource>,
}

impl Registry {
    /// The built-in kinds and those of `definitions`.
    pub(crate) fn new(definitions: &[CustomResourceDefinition]) -> Self {
        let mut kinds = builtin::kinds();
        kinds.extend(definitions.iter().map(Kind::from_definition));
        let mut resources = Vec::with_capacity(kinds.len());
        for kind in &mut kinds {
            kind.resource = ResourceId::new(resources.len());
            resources.push(Resource { name: kind.qualified(), fields: kind.fields });
        }
        Self { kinds, resources }
    }

    /// What is stored, in the order of [`ResourceId`]s.
    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The kind whose objects are stored as `resource`.
    pub(crate) fn stored_as(&self, resource: ResourceId) -> &Kind {
        &self.kinds[resource.index()]
    }

    /// The kind whose objects live under `group`/`version`/`plural`.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Kind> {
        self.kinds
            .iter()
            .find(|kind| kind.plural == plural && kind.group == group)
            .filter(|kind| kind.version(version).is_some())
    }

    /// All kinds; core groups come first, which decides what ambiguous names mean.
    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }
}
