//! The way every change takes, always in this order: type, names and namespace, the current form and unknown fields of
//! what the client sent (`taken`); the change itself; system fields; status apart from the rest; types; defaults; schema;
//! admission; generation; field owners; and, unless it would change nothing or is a dry run, the store.

use std::sync::Arc;

use jiff::Timestamp;
use json_patch::Patch;
use serde_json::{Value, json};
use weir_api::admission::{self, Admitted};

use super::Inner;
use super::definitions::{closed, is_definition};
use super::delete::is_released;
use super::failure::{Cause, Failure};
use super::fields::{self, Shape, Writer};
use super::metadata;
use super::patch::{self, strategic};
use super::registry::Kind;
use super::request::{Params, Target, User};
use super::store::{Change, CommitError, Key, OBJECT_LIMIT_BYTES, Object};
use super::types;

mod builtin;
mod taken;

use self::taken::Taken;

/// How often a change without a revision is tried again on top of somebody else's.
const ATTEMPTS: usize = 5;

/// Who changes what, and how.
pub(crate) struct Writing<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) target: Target<'a>,
    pub(crate) params: &'a Params,
    pub(crate) user: &'a User,
    pub(crate) manager: &'a str,
    /// `apiVersion` of the target.
    pub(crate) api_version: &'a str,
    /// What the caller should know although the request succeeded.
    pub(crate) warnings: Vec<String>,
}

/// A finished change.
pub(crate) struct Written {
    /// The object in its current form, at the version of the request, with its resourceVersion.
    pub(crate) object: Value,
    pub(crate) created: bool,
    /// What admission has to say.
    pub(crate) warnings: Vec<String>,
}

/// A patch, decoded.
pub(crate) enum PatchBody {
    Json(Patch),
    Merge(Value),
    /// Strategic merge, for built-in kinds.
    Strategic(Value),
    Apply(Value),
}

/// The present as Kubernetes writes it: whole seconds.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Writing<'_> {
    fn kind(&self) -> &Kind {
        self.target.kind
    }

    /// POST of a new object.
    pub(crate) async fn create(&mut self, body: Value) -> Result<Written, Failure> {
        let (body, companions) = self.take_in(body, None)?;
        let generated = metadata::text(&body, "name").is_empty();
        let prefix = metadata::text(&body, "generateName").to_owned();
        for attempt in 0.. {
            let mut object = body.clone();
            if generated && !prefix.is_empty() {
                metadata::of(&mut object).insert("name".to_owned(), json!(metadata::generate_name(&prefix)));
            }
            match self.create_once(object, None).await {
                Err(failure) if failure.reason == "AlreadyExists" && generated && attempt == 0 => {}
                outcome => return self.with_companions(outcome?, companions).await,
            }
        }
        Err(Failure::internal("no name could be generated"))
    }

    /// Creates `object`; `applied` carries the field owners if it comes from an apply.
    async fn create_once(&self, mut object: Value, applied: Option<fields::Applied>) -> Result<Written, Failure> {
        let now = now();
        let name = metadata::text(&object, "name").to_owned();
        if is_definition(self.kind()) && self.inner.store.get(self.kind().resource, &Key::new("", &name)).is_none() {
            return Err(closed(&name));
        }
        self.require_namespace(&name)?;
        metadata::initialise(&mut object, &self.target, &now)?;
        metadata::validate(&object, None, &self.target)?;
        self.check_type(&object)?;
        self.complete(&mut object);
        if self.kind().has_status
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        builtin::initial_status(self.kind(), &mut object);
        self.check_schema(&object)?;
        let Admitted { mut object, warnings } = self.admit(object, None)?;
        match applied {
            Some(applied) => applied.record(&mut object),
            None => fields::track(None, &mut object, &self.writer(&now), self.shape()),
        }
        metadata::check_depth(&object)?;
        let key = Key::new(self.target.namespace_or_empty(), &name);
        if self.params.dry_run {
            let taken = self.inner.store.get(self.kind().resource, &key).is_some();
            return if taken {
                Err(Failure::already_exists(self.kind(), &name))
            } else {
                Ok(Written { object, created: true, warnings })
            };
        }
        let stored = self
            .commit(key, Change::Create(self.kind().store(object, self.target.version)))
            .await
            .map_err(|error| self.failed(&error, &name))?;
        Ok(Written { object: self.show(&stored), created: true, warnings })
    }

    /// PUT of an object or its status.
    pub(crate) async fn update(&mut self, body: Value) -> Result<Written, Failure> {
        let stored = self.stored();
        metadata::require_name(&body, &self.target)?;
        let (body, companions) = self.take_in(body, stored.as_ref())?;
        let name = self.target.name.unwrap_or_default();
        if metadata::text(&body, "resourceVersion").is_empty() && self.kind().custom {
            let cause = Cause::invalid("metadata.resourceVersion", "0x0", "must be specified for an update");
            return Err(Failure::invalid(self.kind(), name, &[cause]));
        }
        let written = self.change(|_| Ok(Proposal { object: body.clone(), applied: None })).await?;
        self.with_companions(written, companions).await
    }

    /// PATCH of an object or its status.
    pub(crate) async fn patch(&mut self, body: PatchBody) -> Result<Written, Failure> {
        match body {
            PatchBody::Json(operations) => {
                let (kind, name) = (self.target.kind, self.target.name.unwrap_or_default());
                let refuse = |detail: String| {
                    Failure::invalid(kind, name, &[Cause::invalid("patch", &json!(operations).to_string(), &detail)])
                };
                let change = |live: &Value| {
                    let mut object = live.clone();
                    patch::json_patch(&mut object, &operations).map_err(refuse)?;
                    Ok(object)
                };
                self.patch_with(change).await
            }
            PatchBody::Merge(body) => {
                if !body.is_object() {
                    return Err(Failure::bad_request("a merge patch is a JSON object"));
                }
                let change = |live: &Value| {
                    let mut object = live.clone();
                    patch::merge_patch(&mut object, &body);
                    Ok(object)
                };
                self.patch_with(change).await
            }
            PatchBody::Strategic(body) => {
                let shape = Shape::root(self.target.kind, self.target.version);
                let change = |live: &Value| {
                    let mut object = live.clone();
                    strategic::merge(&mut object, &body, shape).map_err(Failure::bad_request)?;
                    Ok(object)
                };
                self.patch_with(change).await
            }
            PatchBody::Apply(body) => self.apply(body).await,
        }
    }

    async fn patch_with(&mut self, change: impl Fn(&Value) -> Result<Value, Failure>) -> Result<Written, Failure> {
        let (target, strict) = (self.target, self.params.field_validation);
        let mut taken = Taken::default();
        let written = self
            .change(|live| {
                let object = match target.older {
                    Some(older) => change(&older.legacy.from_current(live.clone()))?,
                    None => change(live)?,
                };
                metadata::require_name(&object, &target)?;
                taken = Taken::from(object, &target, strict, Some(live))?;
                Ok(Proposal { object: taken.object.take(), applied: None })
            })
            .await?;
        self.warnings.append(&mut taken.warnings);
        self.with_companions(written, taken.companions).await
    }

    /// Server-side apply.
    async fn apply(&mut self, body: Value) -> Result<Written, Failure> {
        if self.params.field_manager.is_empty() {
            return Err(Failure::invalid_options(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        if body.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null() && *fields != json!([])) {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        let (mut body, companions) = if body.get("spec").is_some() || self.target.older.is_none() {
            let stored = self.stored();
            self.take_in(body, stored.as_ref())?
        } else {
            // It says nothing about the specification, whose older form therefore needs no conversion.
            (self.rename(body)?, Vec::new())
        };
        metadata::of(&mut body).remove("managedFields");
        let name = self.target.name.unwrap_or_default();
        let now = now();
        let key = Key::new(self.target.namespace_or_empty(), name);
        for _ in 0..ATTEMPTS {
            if self.inner.store.get(self.kind().resource, &key).is_none() {
                if self.target.subresource.is_some() {
                    return Err(Failure::not_found(self.kind(), name));
                }
                let mut applied = self.merge(None, &body, &now)?;
                match self.create_once(applied.object.take(), Some(applied)).await {
                    // Somebody was faster: apply to what they made.
                    Err(failure) if failure.reason == "AlreadyExists" && !self.params.dry_run => continue,
                    outcome => return self.with_companions(outcome?, companions).await,
                }
            }
            let this = &*self;
            let outcome = this
                .change(|live| {
                    let mut applied = this.merge(Some(live), &body, &now)?;
                    Ok(Proposal { object: applied.object.take(), applied: Some(applied) })
                })
                .await;
            match outcome {
                // Deleted since: create it after all.
                Err(failure) if failure.reason == "NotFound" => {}
                outcome => return self.with_companions(outcome?, companions).await,
            }
        }
        Err(Failure::stale(self.kind(), name))
    }

    fn merge(&self, live: Option<&Value>, body: &Value, now: &str) -> Result<fields::Applied, Failure> {
        if let Some((field, why)) = fields::unmergeable(body, self.shape()) {
            let cause = Cause::invalid(field, "", why);
            return Err(Failure::invalid(self.kind(), self.target.name.unwrap_or_default(), &[cause]));
        }
        fields::apply(live, body, &self.writer(now), self.params.force, self.shape())
            .map_err(|conflicts| Failure::apply_conflict(&conflicts))
    }

    /// Reads the object, lets `propose` say what it should become, and sees it through; again from the start when
    /// somebody else changed it meanwhile, unless the proposal insists on a revision.
    pub(crate) async fn change(
        &self,
        mut propose: impl FnMut(&Value) -> Result<Proposal, Failure>,
    ) -> Result<Written, Failure> {
        let name = self.target.name.unwrap_or_default();
        let key = Key::new(self.target.namespace_or_empty(), name);
        for _ in 0..ATTEMPTS {
            let stored = self
                .inner
                .store
                .get(self.kind().resource, &key)
                .ok_or_else(|| Failure::not_found(self.kind(), name))?;
            let live = self.show(&stored);
            let Proposal { object, applied } = propose(&live)?;
            let version = metadata::text(&object, "resourceVersion");
            let insists = !version.is_empty() && version != metadata::text(&live, "resourceVersion");
            if insists {
                return Err(Failure::stale(self.kind(), name));
            }
            let Admitted { object, warnings } = self.prepare(object, applied, &live)?;
            if object == live {
                return Ok(Written { object, created: false, warnings });
            }
            if self.params.dry_run {
                return Ok(Written { object, created: false, warnings });
            }
            let gone = stored.deleting && is_released(self.kind(), &object);
            let object = self.kind().store(object, self.target.version);
            let change = if gone {
                Change::Delete { seen: stored.revision, last: object }
            } else {
                Change::Update { seen: stored.revision, value: object }
            };
            match self.commit(key.clone(), change).await {
                Ok(stored) => return Ok(Written { object: self.show(&stored), created: false, warnings }),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(self.failed(&error, name)),
            }
        }
        Err(Failure::stale(self.kind(), name))
    }

    /// Takes a proposal through every step up to the store.
    fn prepare(&self, mut object: Value, applied: Option<fields::Applied>, live: &Value) -> Result<Admitted, Failure> {
        let mut warnings = Vec::new();
        let kind = self.kind();
        let name = self.target.name.unwrap_or_default();
        let uid = metadata::text(&object, "uid");
        if !uid.is_empty() && uid != metadata::text(live, "uid") {
            let detail = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                metadata::text(live, "uid")
            );
            return Err(Failure::conflict(kind, name, &detail));
        }
        metadata::keep_system_fields(&mut object, live);
        match self.target.subresource {
            Some("status") => object = with_field(live, &object, "status"),
            _ if kind.has_status => object = with_field(&object, live, "status"),
            _ => {}
        }
        if is_definition(kind) {
            // What is served is built in, whatever a manifest of the same name says.
            object = with_field(&object, live, "spec");
        }
        metadata::of(&mut object).insert("resourceVersion".to_owned(), live["metadata"]["resourceVersion"].clone());
        metadata::validate(&object, Some(live), &self.target)?;
        self.check_type(&object)?;
        self.complete(&mut object);
        self.check_schema(&object)?;
        if self.target.subresource != Some("status") && metadata::text(live, "deletionTimestamp").is_empty() {
            Admitted { object, warnings } = self.admit(object, Some(live))?;
        }
        if kind.has_generation && metadata::specification_differs(live, &object, kind.has_status) {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        match applied {
            Some(applied) => applied.record(&mut object),
            None => fields::track(Some(live), &mut object, &self.writer(&now()), self.shape()),
        }
        metadata::check_depth(&object)?;
        Ok(Admitted { object, warnings })
    }

    /// Defaults: of the schema, or those of built-in kinds that readers rely on.
    fn complete(&self, object: &mut Value) {
        match schema(&self.target) {
            Some(schema) => schema.fill(object),
            None => builtin::complete(self.kind(), object),
        }
    }

    /// Refuses what the type of a built-in kind cannot hold.
    fn check_type(&self, object: &Value) -> Result<(), Failure> {
        let Target { kind, version, .. } = self.target;
        let Some(Err(error)) = types::round_trip(kind, version, object) else { return Ok(()) };
        Err(Failure::bad_request(format!(
            "{} in version {version:?} cannot be handled as a {}: {error}",
            kind.kind, kind.kind
        )))
    }

    fn check_schema(&self, object: &Value) -> Result<(), Failure> {
        let causes = schema(&self.target).map(|schema| schema.validate(object)).unwrap_or_default();
        if causes.is_empty() {
            return Ok(());
        }
        Err(Failure::invalid(self.kind(), metadata::text(object, "name"), &causes))
    }

    /// What a cluster's webhooks do.
    fn admit(&self, object: Value, old: Option<&Value>) -> Result<Admitted, Failure> {
        let context = admission::Context { user: Some(&self.user.0) };
        admission::admit(object, old, context).map_err(|errors| {
            let family = self.kind().group.split('.').next().unwrap_or_default();
            // Knative has one webhook per component: everything that is not serving belongs to eventing.
            let component = if family == "serving" { "serving" } else { "eventing" };
            Failure::bad_request(format!(
                "admission webhook \"validation.webhook.{component}.knative.dev\" denied the request: validation \
                 failed: {errors}"
            ))
        })
    }

    fn require_namespace(&self, name: &str) -> Result<(), Failure> {
        let Some(namespace) = self.target.namespace else { return Ok(()) };
        match self.inner.namespace(namespace) {
            None => Err(Failure::no_namespace(namespace)),
            Some(found) if found.deleting => Err(Failure::terminating(self.kind(), name, namespace)),
            Some(_) => Ok(()),
        }
    }

    fn show(&self, stored: &Object) -> Value {
        self.target.kind.show(stored.value(), self.target.version)
    }

    fn shape(&self) -> Shape<'_> {
        Shape::root(self.target.kind, self.target.version)
    }

    fn writer<'w>(&'w self, now: &'w str) -> Writer<'w> {
        Writer {
            manager: self.manager,
            api_version: self.api_version,
            subresource: self.target.subresource,
            status_apart: self.target.kind.has_status,
            now,
        }
    }

    async fn commit(&self, key: Key, change: Change) -> Result<Arc<Object>, CommitError> {
        self.inner.store.commit(self.kind().resource, key, change).await
    }

    fn failed(&self, error: &CommitError, name: &str) -> Failure {
        match error {
            CommitError::Exists => Failure::already_exists(self.kind(), name),
            CommitError::Missing => Failure::not_found(self.kind(), name),
            CommitError::Stale => Failure::stale(self.kind(), name),
            CommitError::TooLarge => Failure::too_large(OBJECT_LIMIT_BYTES),
            CommitError::Unavailable(_) => Failure::unavailable(error.to_string()),
        }
    }
}

/// What a change should lead to.
pub(crate) struct Proposal {
    pub(crate) object: Value,
    /// Field owners, if the change is an apply.
    pub(crate) applied: Option<fields::Applied>,
}

fn schema<'a>(target: &Target<'a>) -> Option<&'a super::schema::Schema> {
    target.kind.version(target.version)?.schema.as_ref()
}

/// `object` with the field `name` as `other` has it.
fn with_field(object: &Value, other: &Value, name: &str) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        match other.get(name) {
            Some(value) => fields.insert(name.to_owned(), value.clone()),
            None => fields.remove(name),
        };
    }
    object
}
