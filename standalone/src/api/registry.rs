//! The kinds the API serves, as data: one row per kind, no handler per kind.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use weir_api::kinds::{self, Conversion};
use weir_api::legacy::{self, Legacy};

use super::scale::Replicas;
use super::schema::Schema;
use super::store::ResourceId;
use super::table::Column;

mod builtin;

/// A kind and everything the generic handlers need to know of it.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Group; empty for the core group.
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Versions that are served, the preferred one first.
    pub(crate) versions: Vec<Version>,
    /// Index in `versions` of the one that is stored.
    pub(crate) storage: usize,
    /// Whether `status` is written apart from the rest.
    pub(crate) has_status: bool,
    /// The `scale` subresource, if there is one.
    pub(crate) scale: Option<Replicas>,
    /// Whether `metadata.generation` counts changes of the specification.
    pub(crate) has_generation: bool,
    /// Fields that field selectors may name, beside `metadata.name` and `metadata.namespace`.
    pub(crate) fields: &'static [&'static str],
    /// Whether its objects can be made and changed.
    pub(crate) writable: bool,
    /// Whether nobody acts on its objects here.
    pub(crate) inert: bool,
    /// Whether the kind is defined by a CustomResourceDefinition.
    pub(crate) custom: bool,
    /// Set if the kind is another view of objects that are stored as a different kind.
    pub(crate) view: Option<ViewOf>,
    /// Where the kind's objects are in the store.
    pub(crate) resource: ResourceId,
}

/// How a kind shows the objects of another.
#[derive(Debug)]
pub(crate) struct ViewOf {
    /// Group and kind that is stored.
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    /// Between the stored form and the one shown.
    pub(crate) conversion: Conversion,
}

/// One served version of a kind.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    /// Known for custom kinds; built-in kinds are stored as they come.
    pub(crate) schema: Option<Schema>,
    /// How its objects are shown as a table.
    pub(crate) columns: Vec<Column>,
    /// Between this version and the stored one.
    pub(crate) conversion: Conversion,
    /// What those who use it are warned of.
    pub(crate) deprecation: Option<String>,
    /// Set if it is an older form: requests for it are about the current kind.
    pub(crate) legacy: Option<&'static Legacy>,
}

impl Version {
    pub(crate) fn new(name: &str, schema: Option<Schema>, columns: Vec<Column>) -> Self {
        Self { name: name.to_owned(), schema, columns, conversion: Conversion::NONE, deprecation: None, legacy: None }
    }

    fn older(legacy: &'static Legacy) -> Self {
        Self { legacy: Some(legacy), ..Self::new(legacy.version, None, Vec::new()) }
    }
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

    /// A stored object as this kind has it at `version`.
    pub(crate) fn show(&self, mut stored: Value, version: &str) -> Value {
        if let Some(view) = &self.view {
            stored = (view.conversion.from_stored)(stored);
        }
        if let Some(version) = self.version(version) {
            stored = (version.conversion.from_stored)(stored);
        }
        if let Some(fields) = stored.as_object_mut() {
            fields.insert("apiVersion".to_owned(), Value::String(self.api_version(version)));
        }
        stored
    }

    /// An object of this kind as it is stored, the reverse of [`Self::show`].
    pub(crate) fn store(&self, mut object: Value, version: &str) -> Value {
        if let Some(version) = self.version(version) {
            object = (version.conversion.to_stored)(object);
        }
        match &self.view {
            Some(view) => (view.conversion.to_stored)(object),
            None => {
                if let Some(fields) = object.as_object_mut() {
                    fields.insert("apiVersion".to_owned(), Value::String(self.api_version(self.storage_version())));
                }
                object
            }
        }
    }

    /// Whether objects are shown at `version` just as they are stored.
    pub(crate) fn is_stored_as(&self, version: &str) -> bool {
        self.view.is_none() && self.storage_version() == version
    }

    fn from_definition(definition: &CustomResourceDefinition) -> Self {
        let spec = &definition.spec;
        let names = &spec.names;
        // Kubernetes prefers by maturity; definitions list their versions in the order they want.
        let served: Vec<_> = spec.versions.iter().filter(|version| version.served).collect();
        let versions = served
            .iter()
            .map(|version| {
                let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
                let columns = version.additional_printer_columns.as_deref().unwrap_or_default();
                let api_version = format!("{}/{}", spec.group, version.name);
                let known = kinds::find(&api_version, &names.kind).and_then(|kind| kind.conversion(&version.name));
                let deprecated = version.deprecated == Some(true);
                let said = || version.deprecation_warning.clone();
                let said = || said().unwrap_or_else(|| format!("{api_version} {} is deprecated", names.kind));
                Version {
                    conversion: known.unwrap_or(Conversion::NONE),
                    deprecation: deprecated.then(said),
                    ..Version::new(&version.name, schema.map(Schema::from_definition), Column::of_definition(columns))
                }
            })
            .collect();
        let scale = served.iter().find_map(|version| version.subresources.as_ref()?.scale.as_ref());
        Self {
            group: spec.group.clone(),
            plural: names.plural.clone(),
            singular: names.singular.clone().unwrap_or_else(|| names.kind.to_lowercase()),
            kind: names.kind.clone(),
            short_names: names.short_names.clone().unwrap_or_default(),
            categories: names.categories.clone().unwrap_or_default(),
            namespaced: spec.scope == "Namespaced",
            versions,
            storage: served.iter().position(|version| version.storage).unwrap_or(0),
            has_status: served
                .iter()
                .any(|version| version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some())),
            scale: scale.map(Replicas::of_definition),
            has_generation: true,
            fields: &[],
            writable: true,
            inert: false,
            custom: true,
            view: None,
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
    /// The kind of each resource.
    stored: Vec<usize>,
}

impl Registry {
    /// The built-in kinds and those of `definitions`.
    pub(crate) fn new(definitions: &[CustomResourceDefinition]) -> Self {
        let mut kinds = builtin::kinds();
        kinds.extend(definitions.iter().map(Kind::from_definition));
        for legacy in legacy::all() {
            add_older(&mut kinds, legacy);
        }
        let (mut resources, mut stored) = (Vec::with_capacity(kinds.len()), Vec::with_capacity(kinds.len()));
        for (index, kind) in kinds.iter_mut().enumerate().filter(|(_, kind)| kind.view.is_none()) {
            kind.resource = ResourceId::new(resources.len());
            resources.push(Resource { name: kind.qualified(), fields: kind.fields });
            stored.push(index);
        }
        for index in 0..kinds.len() {
            if let Some(view) = &kinds[index].view {
                let of = kinds.iter().find(|kind| kind.kind == view.kind && kind.group == view.group);
                kinds[index].resource = of.map_or(ResourceId::UNASSIGNED, |of| of.resource);
            }
        }
        Self { kinds, resources, stored }
    }

    /// What is stored, in the order of [`ResourceId`]s.
    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The kind whose objects are stored as `resource`.
    pub(crate) fn stored_as(&self, resource: ResourceId) -> &Kind {
        &self.kinds[self.stored[resource.index()]]
    }

    /// Where `kind`, one of these, is in [`Self::kinds`].
    pub(crate) fn index_of(&self, kind: &Kind) -> usize {
        self.kinds.iter().position(|known| std::ptr::eq(known, kind)).unwrap_or_default()
    }

    /// The kind of this name and group.
    pub(crate) fn named(&self, group: &str, kind: &str) -> Option<&Kind> {
        self.kinds.iter().find(|known| known.kind == kind && known.group == group)
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

/// Serves an older form: as a version more of a kind that has its name, else as a kind of its own. Without the current
/// kind (a registry of other definitions) there is nothing to show.
fn add_older(kinds: &mut Vec<Kind>, legacy: &'static Legacy) {
    if let Some(kind) = kinds.iter_mut().find(|kind| kind.group == legacy.group && kind.kind == legacy.kind) {
        kind.versions.push(Version::older(legacy));
        return;
    }
    let (api_version, becomes) = legacy.becomes;
    let (group, _) = api_version.split_once('/').unwrap_or_default();
    let Some(current) = kinds.iter().find(|kind| kind.group == group && kind.kind == becomes) else { return };
    kinds.push(Kind {
        group: legacy.group.to_owned(),
        plural: legacy.plural.to_owned(),
        singular: legacy.kind.to_lowercase(),
        kind: legacy.kind.to_owned(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: current.namespaced,
        versions: vec![Version::older(legacy)],
        storage: 0,
        has_status: current.has_status,
        scale: None,
        has_generation: true,
        fields: &[],
        writable: true,
        inert: false,
        custom: true,
        view: Some(ViewOf { group, kind: becomes, conversion: Conversion::NONE }),
        resource: ResourceId::UNASSIGNED,
    });
}
