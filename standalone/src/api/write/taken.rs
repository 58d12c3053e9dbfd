//! What comes in: checked against where it was sent, turned from an older form into the current one, without what nobody
//! knows. And what an older form stands for beside its object.

use serde_json::{Value, json};

use super::{PatchBody, Writing, Written, builtin, schema};
use crate::api::failure::Failure;
use crate::api::metadata;
use crate::api::request::{FieldValidation, Params, Target};
use crate::api::store::Key;
use crate::api::types;

impl Writing<'_> {
    /// The object as it is stored, if the request names one that is there.
    pub(super) fn stored(&self) -> Option<Value> {
        let key = Key::new(self.target.namespace_or_empty(), self.target.name?);
        Some(self.show(&*self.inner.store.get(self.kind().resource, &key)?))
    }

    /// A body as a client sent it, in its current form, without what is not known; and what has to exist beside it.
    pub(super) fn take_in(&mut self, body: Value, stored: Option<&Value>) -> Result<(Value, Vec<Value>), Failure> {
        let mut taken = Taken::from(body, &self.target, self.params.field_validation, stored)?;
        self.warnings.append(&mut taken.warnings);
        Ok((taken.object, taken.companions))
    }

    /// A body of an older form under the current name.
    pub(super) fn rename(&self, mut body: Value) -> Result<Value, Failure> {
        metadata::accept(&mut body, &self.target, &mut Vec::new())?;
        body["apiVersion"] = json!(self.target.api_version());
        body["kind"] = json!(self.kind().kind);
        Ok(body)
    }

    /// Sees to what an older form stands for beside its object, which owns it.
    pub(super) async fn with_companions(&self, written: Written, companions: Vec<Value>) -> Result<Written, Failure> {
        if self.params.dry_run {
            return Ok(written);
        }
        for mut companion in companions {
            let of = |field: &str| companion.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (api_version, kind) = (of("apiVersion"), of("kind"));
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            let Some(kind) = self.inner.registry.named(group, &kind) else { continue };
            let name = metadata::text(&companion, "name").to_owned();
            let owner = json!({
                "apiVersion": self.api_version,
                "kind": self.kind().kind,
                "name": metadata::text(&written.object, "name"),
                "uid": metadata::text(&written.object, "uid"),
                "controller": true,
                "blockOwnerDeletion": true,
            });
            metadata::of(&mut companion).insert("ownerReferences".to_owned(), json!([owner]));
            let params = Params { field_manager: "weir".to_owned(), force: true, ..Params::default() };
            let target = Target::stored(kind, self.target.namespace, Some(&name));
            let mut writing = Writing {
                inner: self.inner,
                target,
                params: &params,
                user: self.user,
                manager: "weir",
                api_version: &api_version,
                warnings: Vec::new(),
            };
            Box::pin(writing.patch(PatchBody::Apply(companion))).await?;
        }
        Ok(written)
    }
}

/// What a client sent, checked against where it sent it.
#[derive(Default)]
pub(super) struct Taken {
    /// In the current form, without unknown fields.
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
    /// What has to exist beside it.
    pub(super) companions: Vec<Value>,
}

impl Taken {
    /// `stored` is the object as it is, in its current form, if there is one.
    pub(super) fn from(
        mut object: Value,
        target: &Target<'_>,
        validation: FieldValidation,
        stored: Option<&Value>,
    ) -> Result<Self, Failure> {
        let mut unknown = Vec::new();
        metadata::accept(&mut object, target, &mut unknown)?;
        let mut taken = Self { object, ..Self::default() };
        if let Some(older) = target.older {
            let (api_version, kind) = target.shown_as();
            let name = metadata::text(&taken.object, "name").to_owned();
            let converted = older.legacy.to_current(taken.object, stored).map_err(|errors| {
                Failure::bad_request(format!("{api_version} {kind} {name:?} cannot be converted: {errors}"))
            })?;
            taken = Self { object: converted.object, warnings: converted.warnings, companions: converted.companions };
        }
        let mut warnings = prune(target, validation, &mut taken.object, unknown)?;
        taken.warnings.append(&mut warnings);
        Ok(taken)
    }
}

/// Removes unknown fields from what a client sent, or refuses it because of them. Returns warnings.
fn prune(
    target: &Target<'_>,
    validation: FieldValidation,
    object: &mut Value,
    mut unknown: Vec<String>,
) -> Result<Vec<String>, Failure> {
    match schema(target) {
        Some(schema) => unknown.extend(schema.prune(object)),
        None => {
            builtin::drop_nulls(object);
            unknown.extend(types::unknown_fields(target.kind, target.version, object));
        }
    }
    let texts = unknown.iter().map(|field| format!("unknown field \"{field}\""));
    match validation {
        // What an older manifest says beyond the current form was fine when it was written.
        FieldValidation::Strict if !unknown.is_empty() && target.older.is_none() => {
            let list: Vec<String> = texts.collect();
            Err(Failure::bad_request(format!(
                "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
                target.kind.kind,
                target.version,
                target.kind.kind,
                list.join(", ")
            )))
        }
        FieldValidation::Warn | FieldValidation::Strict => Ok(texts.collect()),
        FieldValidation::Ignore => Ok(Vec::new()),
    }
}
