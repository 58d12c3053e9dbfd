//! The CustomResourceDefinitions, from the one definition each kind has in this crate.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps,
};
use kube::CustomResourceExt;

use crate::eventing::{Broker, Trigger};

/// Every kind this build knows, as a cluster installs it and as the embedded API serves it.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![labelled::<Broker>(&[("duck.knative.dev/addressable", "true")]), labelled::<Trigger>(&[])]
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

fn make_spec_optional(schema: &mut JSONSchemaProps) {
    let Some(spec) = schema.properties.as_mut().and_then(|properties| properties.get_mut("spec")) else { return };
    spec.default = Some(JSON(serde_json::json!({})));
    if let Some(required) = &mut schema.required {
        required.retain(|field| field != "spec");
    }
    schema.required = schema.required.take().filter(|required| !required.is_empty());
}

fn labelled<K: CustomResourceExt>(labels: &[(&str, &str)]) -> CustomResourceDefinition {
    let mut crd = of::<K>();
    if !labels.is_empty() {
        let labels = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        crd.metadata.labels = Some(labels);
    }
    crd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_ones_an_api_server_takes() {
        for crd in all() {
            let text = serde_json::to_string(&crd).expect("JSON");
            assert!(!text.contains("$ref"), "a structural schema has no references: {text}");
            let schema = &crd.spec.versions[0].schema.as_ref().expect("schema").open_api_v3_schema;
            let schema = schema.as_ref().expect("schema");
            assert_eq!(schema.required, None);
            assert_eq!(
                schema.properties.as_ref().expect("properties")["spec"].default,
                Some(JSON(serde_json::json!({})))
            );
        }
    }
}
