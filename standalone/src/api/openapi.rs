//! OpenAPI documents: what `kubectl explain`, client-side validation and `apply` read.
//!
//! Version 3 is JSON, one document per group version; version 2 is one document in protobuf, for older clients. Both
//! are made when first asked for. No document offers strategic merge patches: kubectl uses them for the kinds compiled
//! into it in any case, and would otherwise need merge keys that these schemas do not have.

use std::sync::OnceLock;

use bytes::Bytes;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::registry::{Kind, Registry};

mod builtin;
mod merge_keys;
mod v2;

/// Media type of the second version. Clients ask for it with an `@` that several of them then refuse to parse.
pub(crate) const V2_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The documents, as far as they have been asked for.
#[derive(Default)]
pub(crate) struct OpenApi {
    v3: OnceLock<Vec<(String, Bytes)>>,
    v2: OnceLock<Bytes>,
}

impl OpenApi {
    /// The document at `path`, below `/openapi/v3`; the index for an empty path.
    pub(crate) fn v3(
        &self,
        registry: &Registry,
        definitions: &[CustomResourceDefinition],
        path: &str,
    ) -> Option<Bytes> {
        let documents = self.v3.get_or_init(|| {
            let all = group_versions(registry).into_iter();
            all.map(|(path, kinds)| (path, Bytes::from(document(&kinds, definitions).to_string()))).collect()
        });
        if path.is_empty() {
            let paths: Map<String, Value> = documents
                .iter()
                .map(|(path, document)| {
                    let url = format!("/openapi/v3/{path}?hash={:016X}", super::routes::hash(document));
                    (path.clone(), json!({"serverRelativeURL": url}))
                })
                .collect();
            return Some(Bytes::from(json!({"paths": paths}).to_string()));
        }
        documents.iter().find(|(known, _)| known == path).map(|(_, document)| document.clone())
    }

    /// The whole second version.
    pub(crate) fn v2(&self, registry: &Registry, definitions: &[CustomResourceDefinition]) -> Bytes {
        let make = || {
            let documents: Vec<Value> =
                group_versions(registry).iter().map(|(_, kinds)| document(kinds, definitions)).collect();
            v2::encode(&documents)
        };
        self.v2.get_or_init(make).clone()
    }
}

/// `api/v1` or `apis/{group}/{version}`, and the kinds there with the version.
fn group_versions(registry: &Registry) -> Vec<(String, Vec<(&Kind, &str)>)> {
    let mut all: Vec<(String, Vec<(&Kind, &str)>)> = Vec::new();
    for kind in registry.kinds() {
        for version in &kind.versions {
            let prefix = if kind.group.is_empty() { "api" } else { "apis" };
            let path = format!("{prefix}/{}", kind.api_version(&version.name));
            match all.iter_mut().find(|(known, _)| *known == path) {
                Some((_, kinds)) => kinds.push((kind, &version.name)),
                None => all.push((path, vec![(kind, &version.name)])),
            }
        }
    }
    all
}

fn document(kinds: &[(&Kind, &str)], definitions: &[CustomResourceDefinition]) -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for (kind, version) in kinds {
        let gvk = json!({"group": kind.group, "version": version, "kind": kind.kind});
        let (name, schema) = if kind.custom {
            (custom_name(kind, version), custom_schema(kind, version, definitions, &mut generator))
        } else {
            match builtin::schema(kind, version, &mut generator) {
                Some(found) => found,
                None => continue,
            }
        };
        let mut schema = schema;
        schema["x-kubernetes-group-version-kind"] = json!([gvk]);
        schemas.insert(name.clone(), schema);
        add_paths(&mut paths, kind, version, &name, &gvk);
    }
    for (name, schema) in generator.take_definitions(true) {
        schemas.entry(name).or_insert(schema);
    }
    merge_keys::annotate(&mut schemas);
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": super::routes::VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// `dev.knative.eventing.v1.Trigger`
fn custom_name(kind: &Kind, version: &str) -> String {
    let reversed: Vec<&str> = kind.group.rsplit('.').collect();
    format!("{}.{version}.{}", reversed.join("."), kind.kind)
}

fn custom_schema(
    kind: &Kind,
    version: &str,
    definitions: &[CustomResourceDefinition],
    generator: &mut SchemaGenerator,
) -> Value {
    let definition = definitions
        .iter()
        .filter(|definition| definition.spec.group == kind.group && definition.spec.names.kind == kind.kind)
        .flat_map(|definition| &definition.spec.versions)
        .find(|known| known.name == version);
    let schema = definition.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    // Older forms have no schema of their own: they are judged by what they become.
    let open = || json!({"x-kubernetes-preserve-unknown-fields": true});
    let mut schema = schema.and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_else(open);
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>();
    let text = |description: &str| json!({"type": "string", "description": description});
    schema["properties"]["apiVersion"] =
        text("APIVersion defines the versioned schema of this representation of an object.");
    schema["properties"]["kind"] =
        text("Kind is a string value representing the REST resource this object represents.");
    schema["properties"]["metadata"] = json!({
        "description": "Standard object's metadata.",
        "allOf": [{"$ref": format!("#/components/schemas/{OBJECT_META}")}],
    });
    schema["type"] = json!("object");
    schema
}

/// The paths of one kind, with what clients look for in them: the type, and which parameters a PATCH takes.
fn add_paths(paths: &mut Map<String, Value>, kind: &Kind, version: &str, schema: &str, gvk: &Value) {
    let prefix = if kind.group.is_empty() { "/api" } else { "/apis" };
    let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{prefix}/{}{namespace}/{}", kind.api_version(version), kind.plural);
    let reference = json!({"$ref": format!("#/components/schemas/{schema}")});
    let ok = json!({"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}});
    let operation = |action: &str, id: &str| {
        json!({
            "operationId": format!("{id}{}{}{}", kind.group.split('.').next().unwrap_or_default(), version, kind.kind),
            "responses": ok,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
        })
    };
    let query = |name: &str, ty: &str| json!({"name": name, "in": "query", "schema": {"type": ty}});
    let writing = json!([
        query("dryRun", "string"),
        query("fieldManager", "string"),
        query("fieldValidation", "string"),
        query("force", "boolean"),
    ]);
    let mut patch = operation("patch", "patch");
    patch["parameters"] = writing.clone();
    patch["requestBody"] = json!({"content": {
        "application/apply-patch+yaml": {"schema": {"type": "object"}},
        "application/json-patch+json": {"schema": {"type": "object"}},
        "application/merge-patch+json": {"schema": {"type": "object"}},
    }});
    let with_body = |action: &str, id: &str| {
        let mut operation = operation(action, id);
        operation["parameters"] = writing.clone();
        operation["requestBody"] = json!({"content": {"application/json": {"schema": reference}}});
        operation
    };
    paths.insert(collection.clone(), json!({"get": operation("list", "list"), "post": with_body("post", "create")}));
    paths.insert(
        format!("{collection}/{{name}}"),
        json!({
            "get": operation("get", "read"),
            "put": with_body("put", "replace"),
            "patch": patch,
            "delete": operation("delete", "delete"),
        }),
    );
}
