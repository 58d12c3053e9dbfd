//! The CustomResourceDefinitions, from the one definition each kind has in this crate.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps,
};
use kube::CustomResourceExt;

use crate::kinds;

/// Every kind this build knows, as a cluster installs it and as the embedded API serves it.
pub fn all() -> Vec<CustomResourceDefinition> {
    kinds::all().iter().map(|kind| kind.definition.clone()).collect()
}

/// The definition of `K`, with `spec` optional and defaulted to an empty object.
///
/// The derive makes `spec` required, but manifests without one are common (a Broker needs none), and admission tells
/// what a spec lacks better than the schema does.
pub fn of<K: CustomResourceExt>() -> CustomResourceDefinition {
    let mut crd = K::crd();
    let schemas =
        crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    for schema in schemas {
        make_spec_optional(schema);
    }
    crd
}

/// Adds the versions of `other`, the same kind, as served and not stored.
pub(crate) fn add_version(definition: &mut CustomResourceDefinition, other: CustomResourceDefinition) {
    definition.spec.versions.extend(other.spec.versions.into_iter().map(|mut version| {
        version.storage = false;
        version
    }));
}

fn make_spec_optional(schema: &mut JSONSchemaProps) {
    let Some(spec) = schema.properties.as_mut().and_then(|properties| properties.get_mut("spec")) else { return };
    spec.default = Some(JSON(serde_json::json!({})));
    if let Some(required) = &mut schema.required {
        required.retain(|field| field != "spec");
    }
    schema.required = schema.required.take().filter(|required| !required.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_ones_an_api_server_takes() {
        for crd in all() {
            let text = serde_json::to_string(&crd).expect("JSON");
            assert!(!text.contains("$ref"), "a structural schema has no references: {text}");
            assert_eq!(crd.spec.versions.iter().filter(|version| version.storage).count(), 1, "one is stored: {text}");
            for version in &crd.spec.versions {
                let schema = &version.schema.as_ref().expect("schema").open_api_v3_schema;
                let schema = schema.as_ref().expect("schema");
                assert_eq!(schema.required, None);
                let spec = schema.properties.as_ref().expect("properties").get("spec");
                assert!(spec.is_none_or(|spec| spec.default == Some(JSON(serde_json::json!({})))), "{text}");
            }
        }
    }
}
