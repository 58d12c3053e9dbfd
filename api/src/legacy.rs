//! Older manifests: each legacy group, version and kind as another view of the objects of a current kind.
//!
//! An API server asks [`find`] for a row, converts what comes in with [`Legacy::to_current`] and what goes out with
//! [`Legacy::from_current`]; stored is the current form only. Pure functions on JSON, no I/O. What the current form
//! itself allows is admission's business, and what its schema does not know is carried over for the schema to drop with
//! a warning: a legacy request should be decoded with `fieldValidation=Warn` at most.
//!
//! A client that applies a manifest merges it into what it last read, so a read has to show the spec as it was written
//! although the stored one looks different: see [`WRITTEN_SPEC`]. Where a merge leaves an older field beside the
//! current one it became, the one that changed since that read was written last and wins: see [`Notes::older_wins`].

use serde_json::Value;

use crate::admission::{self, Context};
use crate::validation::FieldErrors;

mod channels;
mod containers;
mod destination;
mod eventing;
mod flows;
mod notes;
mod object;
mod serving;
mod sources;
mod status;
mod table;
mod written;

use notes::Notes;
use object::{Object, text};

/// Label on an object that was written as another kind: `<Kind>.<version>.<group>` of that form.
pub const CONVERTED_FROM: &str = "weir.dev/converted-from";
/// Annotation that keeps a spec as it was written, with its `apiVersion` and `kind`, as compact JSON. Only there where
/// the older form could not be computed from the current one; never shown in an older form.
pub const WRITTEN_SPEC: &str = "weir.dev/written-spec";
/// Annotation of a PingSource: the `type` of its events instead of `dev.knative.sources.ping`.
pub const EVENT_TYPE: &str = "weir.dev/event-type";
/// Annotation of a PingSource: the `source` of its events instead of the path of the PingSource.
pub const EVENT_SOURCE: &str = "weir.dev/event-source";

/// An older form of a kind.
#[derive(Debug)]
pub struct Legacy {
    /// API group.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Resource name in paths; the singular is the kind in lower case.
    pub plural: &'static str,
    /// `apiVersion` and `kind` of what its objects become.
    pub becomes: (&'static str, &'static str),
    form: Form,
}

/// How a form differs from the current one.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// Makes a spec of this form a current one.
    convert: fn(&mut Object, &mut Notes<'_>),
    /// Makes a current spec of an object in that namespace one of this form, as far as the form can say it.
    present: fn(&mut Object, &str),
    /// Annotations that objects of this form have in the current form, beside their own.
    annotations: fn(&Object) -> Vec<(&'static str, String)>,
    /// Names in the status.
    status: &'static [status::Rule],
}

impl Form {
    const SAME: Self = Self { convert: |_, _| (), present: |_, _| (), annotations: |_| Vec::new(), status: &[] };
}

/// An object in its current form.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The object.
    pub object: Value,
    /// What it became, then what of it has no effect; one line each, for `Warning` headers. They quote field names of
    /// the object as they are.
    pub warnings: Vec<String>,
    /// Objects that have to exist beside it, in its namespace: to be created, or given this content, and owned by it.
    /// None means no change, not that there should be none.
    pub companions: Vec<Value>,
}

/// Every legacy form.
pub fn all() -> &'static [Legacy] {
    table::ROWS
}

/// The legacy form with this `apiVersion` and `kind`.
pub fn find(api_version: &str, kind: &str) -> Option<&'static Legacy> {
    let (group, version) = api_version.split_once('/')?;
    all().iter().find(|row| row.group == group && row.version == version && row.kind == kind)
}

impl Legacy {
    /// `group/version`
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// Whether only objects that were written in this form are shown in it (they carry [`CONVERTED_FROM`] with
    /// [`Legacy::name`]), rather than every object of the current kind.
    pub fn only_own(&self) -> bool {
        self.kind != self.becomes.1
    }

    /// `<Kind>.<version>.<group>`
    pub fn name(&self) -> String {
        format!("{}.{}.{}", self.kind, self.version, self.group)
    }

    /// The current form of an object of this form, or every field that cannot be carried over.
    ///
    /// On an update, `stored` is the object as it is stored, in the version that [`Legacy::becomes`] names. `metadata`
    /// is kept but for what this module adds; `namespace` and `name` should be there by now: the `source` of a
    /// CronJobSource's events and the name of a Broker's ConfigMap are made of them.
    pub fn to_current(&self, object: Value, stored: Option<&Value>) -> Result<Converted, FieldErrors> {
        let Value::Object(mut object) = object else {
            return Ok(Converted { object, warnings: Vec::new(), companions: Vec::new() });
        };
        let mut metadata = object::take_object(&mut object, "metadata");
        object::remove_entry(&mut metadata, "annotations", WRITTEN_SPEC);
        let written = object.remove("spec").filter(|spec| !spec.is_null());
        let mut notes = Notes::new(&metadata, stored.map(|stored| self.from_current(stored.clone())));
        let spec = self.convert_spec(written.as_ref(), &mut notes);
        let Notes { errors, warnings: unused, companions, stale, .. } = notes;
        FieldErrors::check(errors)?;

        for (name, value) in (self.form.annotations)(&metadata) {
            object::add_entry(&mut metadata, "annotations", name, value);
        }
        if self.only_own() {
            object::remove_entry(&mut metadata, "labels", CONVERTED_FROM);
            object::add_entry(&mut metadata, "labels", CONVERTED_FROM, self.name());
        }
        if let (Some(Value::Object(written)), Some(Value::Object(spec))) = (&written, &spec) {
            let written = written::without(written, &stale);
            let mut computed = spec.clone();
            (self.form.present)(&mut computed, text(&metadata, "namespace"));
            if computed != written {
                object::add_entry(&mut metadata, "annotations", WRITTEN_SPEC, written::record(self, &written));
            }
        }
        let mut warnings = vec![self.became(&metadata)];
        warnings.extend(unused);
        object.extend(spec.map(|spec| ("spec".to_owned(), spec)));
        object.insert("metadata".to_owned(), Value::Object(metadata));
        if let Some(Value::Object(status)) = object.get_mut("status") {
            self.form.status.iter().for_each(|rule| rule.convert(status));
        }
        name_type(&mut object, self.becomes.0, self.becomes.1);
        Ok(Converted { object: Value::Object(object), warnings, companions })
    }

    /// A current object as clients of this form see it: the inverse of [`Legacy::to_current`], as far as the form can
    /// say what the object is; fields it has no word for keep their current name.
    ///
    /// The spec is shown as it was last written in this form, if that still says what the object is. A spec that
    /// somebody changed in its current form since is computed: nothing of the change may be hidden, or the next write
    /// in this form would undo it.
    pub fn from_current(&self, object: Value) -> Value {
        let Value::Object(mut object) = object else { return object };
        let mut metadata = object::take_object(&mut object, "metadata");
        let written = object::remove_entry(&mut metadata, "annotations", WRITTEN_SPEC)
            .and_then(|text| written::read(self, text.as_str()?));
        if let Some(Value::Object(spec)) = object.get_mut("spec") {
            match written {
                Some(written) if self.says(&written, spec, &metadata) => *spec = written,
                _ => (self.form.present)(spec, text(&metadata, "namespace")),
            }
        }
        for (name, value) in (self.form.annotations)(&metadata) {
            object::remove_equal_entry(&mut metadata, "annotations", name, &value);
        }
        object::remove_equal_entry(&mut metadata, "labels", CONVERTED_FROM, &self.name());
        object.insert("metadata".to_owned(), Value::Object(metadata));
        if let Some(Value::Object(status)) = object.get_mut("status") {
            self.form.status.iter().for_each(|rule| rule.present(status));
        }
        name_type(&mut object, &self.api_version(), self.kind);
        Value::Object(object)
    }

    /// A spec that is missing is an empty one to the conversion, and missing again if nothing came of it.
    fn convert_spec(&self, written: Option<&Value>, notes: &mut Notes<'_>) -> Option<Value> {
        let mut spec = match written {
            None => Object::new(),
            Some(Value::Object(spec)) => spec.clone(),
            // Not for us to judge: the schema says what is wrong with it.
            Some(other) => return Some(other.clone()),
        };
        (self.form.convert)(&mut spec, notes);
        (written.is_some() || !spec.is_empty()).then_some(Value::Object(spec))
    }

    /// Whether writing the spec `written` again would give `current`, with or without the defaults that admission and
    /// schema add.
    fn says(&self, written: &Object, current: &Object, metadata: &Object) -> bool {
        let mut notes = Notes::new(metadata, None);
        let mut spec = written.clone();
        (self.form.convert)(&mut spec, &mut notes);
        if !notes.errors.is_empty() {
            return false;
        }
        let (api_version, kind) = self.becomes;
        let mut object = Object::from_iter([
            ("metadata".to_owned(), Value::Object(metadata.clone())),
            ("spec".to_owned(), Value::Object(spec)),
        ]);
        name_type(&mut object, api_version, kind);
        let object = Value::Object(object);
        let admitted = admission::admit(object.clone(), None, Context::default());
        let with_defaults = admitted.ok().map(|admitted| admitted.object);
        let comparison = written::Comparison { namespace: text(metadata, "namespace") };
        let schema = written::spec_schema(api_version, kind);
        [Some(&object), with_defaults.as_ref()].into_iter().flatten().any(|expected| match expected.get("spec") {
            Some(Value::Object(expected)) => comparison.same_object(current, expected, schema),
            _ => false,
        })
    }

    fn became(&self, metadata: &Object) -> String {
        let name = Some(text(metadata, "name")).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| text(metadata, "generateName"));
        let (api_version, kind) = self.becomes;
        format!(
            "{} {} {name:?} became {api_version} {kind} {name:?}: update the manifest",
            self.api_version(),
            self.kind
        )
    }
}

fn name_type(object: &mut Object, api_version: &str, kind: &str) {
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
}

#[cfg(test)]
mod tests;
