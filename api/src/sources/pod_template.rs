//! Names of containers in a source's pod template.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// Gives containers without a name the name `<source>-<index>`.
pub(super) fn default_container_names(template: &mut Value, source: &ObjectMeta) {
    // The API server makes up the rest of a generated name only after admission.
    let generated = source.generate_name.as_deref().map(|prefix| prefix.trim_end_matches('-'));
    let source = source.name.as_deref().or(generated).unwrap_or("source");
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
    for (index, container) in containers.into_iter().flatten().filter_map(Value::as_object_mut).enumerate() {
        if container.get("name").is_none_or(|name| name.is_null() || name == "") {
            container.insert("name".to_owned(), Value::String(format!("{source}-{index}")));
        }
    }
}
