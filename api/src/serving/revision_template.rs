//! What a Configuration makes Revisions from, and the rules about a name of one's own for them (resources.md 5).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::changes::changes;
use super::config::ServingConfig;
use super::defaults;
use super::metadata;
use super::revision::RevisionSpec;
use crate::validation::{FieldError, Path};

/// What a Configuration makes Revisions from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionTemplateSpec {
    /// Metadata of the Revisions: labels, annotations, and a name if they are not to be numbered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "metadata_schema")]
    pub metadata: Option<ObjectMeta>,
    /// Spec of the Revisions.
    #[serde(default)]
    pub spec: RevisionSpec,
}

/// The fields of ObjectMeta that mean something before there is an object, and those that clients write anyway.
fn metadata_schema(_: &mut SchemaGenerator) -> Schema {
    let map = || json_schema!({"type": "object", "additionalProperties": {"type": "string"}});
    json_schema!({
        "type": "object",
        "description": "Labels and annotations of the Revisions, and a name if they are not to be numbered.",
        "properties": {
            "name": {"type": "string", "description": "Begins with the name of the parent and '-'."},
            "generateName": {"type": "string", "description": "Has no effect."},
            "namespace": {"type": "string", "description": "Has no effect."},
            "labels": map(),
            "annotations": map(),
            "finalizers": {"type": "array", "items": {"type": "string"}},
            "creationTimestamp": {"type": "string", "format": "date-time", "nullable": true},
        },
    })
}

impl RevisionTemplateSpec {
    /// The name the next Revision is to have, if somebody chose one.
    pub fn chosen_name(&self) -> Option<&str> {
        self.metadata.as_ref()?.name.as_deref().filter(|name| !name.is_empty())
    }

    /// Whether both name the same Revision, which is then not made again.
    fn names_revision_of(&self, old: &Self) -> bool {
        self.chosen_name().is_some_and(|name| old.chosen_name() == Some(name))
    }

    /// Fills in the defaults; not for the Revision there is already, which a newer default must not seem to change.
    pub(super) fn set_defaults(&mut self, old: Option<&Self>, config: &ServingConfig) {
        if !old.is_some_and(|old| self.names_revision_of(old)) {
            defaults::apply(&mut self.spec, config, old.is_none());
        }
    }

    /// Adds every rule this template breaks. `parent` is the metadata of the object it is part of.
    pub(super) fn validate(
        &self,
        parent: &ObjectMeta,
        config: &ServingConfig,
        path: &Path,
        errors: &mut Vec<FieldError>,
    ) {
        self.spec.validate(config, &path.field("spec"), errors);
        let Some(own) = &self.metadata else { return };
        let path = path.field("metadata");
        let annotations = metadata::annotations(own);
        metadata::validate_running(annotations, config.autoscaler, &path.field("annotations"), errors);
        metadata::validate_name(own, &path, errors);
        let Some(name) = self.chosen_name() else { return };
        let path = path.field("name");
        match parent.name.as_deref().filter(|name| !name.is_empty()) {
            Some(parent) if !name.starts_with(&format!("{parent}-")) => {
                let detail = format!("must have prefix \"{parent}-\"");
                errors.push(FieldError::invalid(path, &name, detail));
            }
            None if parent.generate_name.as_ref().is_some_and(|prefix| !prefix.is_empty()) => {
                let why = "it begins with the name of the parent, which is still to be generated";
                errors.push(FieldError::forbidden(path, why));
            }
            _ => {}
        }
    }

    /// Adds an error if this names the Revision that `old` names and asks for another.
    pub(super) fn validate_change(&self, old: &Self, path: &Path, errors: &mut Vec<FieldError>) {
        if self.names_revision_of(old)
            && let Some(changes) = changes(old, self)
        {
            let detail = format!("the template changed without a name change: {changes}");
            errors.push(FieldError::invalid(path.field("metadata").field("name"), &self.chosen_name(), detail));
        }
    }

    /// What to tell about this template although it is fine.
    pub(super) fn warnings(&self, path: &Path) -> Vec<String> {
        let mut warnings = self.spec.warnings(&path.field("spec"));
        warnings.extend(self.metadata.iter().flat_map(|own| metadata::warnings(metadata::annotations(own))));
        warnings
    }
}
