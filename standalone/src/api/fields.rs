//! Who owns which field: server-side apply, and the bookkeeping every other write owes it.
//!
//! Follows Kubernetes' structured merge: an apply sets what it names, gives up what it named before and no longer
//! does, and is refused where it would change what another manager set, unless it forces.

use serde_json::{Value, json};

use self::set::FieldSet;
pub(crate) use self::shape::Shape;
use super::failure::Cause;

mod set;
mod shape;
mod typed;

/// Who writes, and how: what identifies an entry of `managedFields`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    /// `None` for the object itself.
    pub(crate) subresource: Option<&'a str>,
    /// Whether `status` belongs to the status subresource alone.
    pub(crate) status_apart: bool,
    /// The present, as RFC 3339.
    pub(crate) now: &'a str,
}

impl Writer<'_> {
    /// Removes what nobody owns: the system's fields, and what this endpoint does not write.
    fn strip(&self, set: &mut FieldSet) {
        for field in ["apiVersion", "kind"] {
            set.remove_field(&[field]);
        }
        for field in [
            "name",
            "namespace",
            "uid",
            "creationTimestamp",
            "generation",
            "resourceVersion",
            "managedFields",
            "selfLink",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            set.remove_field(&["metadata", field]);
        }
        match self.subresource {
            Some("status") => set.0.retain(|element, _| element.as_ref() == "f:status"),
            _ if self.status_apart => set.remove_field(&["status"]),
            _ => {}
        }
        // A mere `metadata` owns nothing.
        if let Some(metadata) = set.0.get_mut("f:metadata") {
            metadata.member = false;
            if metadata.is_empty() {
                set.0.remove("f:metadata");
            }
        }
    }
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    apply: bool,
    api_version: String,
    subresource: String,
    time: String,
    fields: FieldSet,
}

impl Entry {
    fn new(writer: &Writer<'_>, apply: bool) -> Self {
        Self {
            manager: writer.manager.to_owned(),
            apply,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.unwrap_or_default().to_owned(),
            time: writer.now.to_owned(),
            fields: FieldSet::default(),
        }
    }

    /// An apply is known by its manager alone; another write also by the version it wrote.
    fn is_of(&self, writer: &Writer<'_>, apply: bool) -> bool {
        self.apply == apply
            && self.manager == writer.manager
            && self.subresource == writer.subresource.unwrap_or_default()
            && (apply || self.api_version == writer.api_version)
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let fields = FieldSet::from_json(value.get("fieldsV1")?);
        Some(Self {
            manager: text("manager"),
            apply: text("operation") == "Apply",
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields,
        })
    }

    fn to_json(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.apply { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_json(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }
}

/// The entries of an object. `None` if it has no such list at all.
fn read(object: &Value) -> Option<Vec<Entry>> {
    let list = object.pointer("/metadata/managedFields")?.as_array()?;
    Some(list.iter().filter_map(Entry::from_json).collect())
}

fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), entries.iter().map(Entry::to_json).collect());
    }
}

/// Records in `new` what a create, an update or a patch that is no apply did to `old`.
///
/// `new` may bring entries of its own, which then replace the stored ones; an empty list clears them.
pub(crate) fn track(old: Option<&Value>, new: &mut Value, writer: &Writer<'_>, shape: Shape<'_>) {
    let mut entries = match read(new) {
        Some(entries) => entries,
        None => old.and_then(read).unwrap_or_default(),
    };
    let nothing = json!({});
    let difference = typed::difference(Some(old.unwrap_or(&nothing)), Some(new), shape);
    let (mut changed, mut removed) = (difference.changed.below, difference.removed.below);
    writer.strip(&mut changed);
    writer.strip(&mut removed);
    if changed.is_empty() && removed.is_empty() {
        return write(new, entries);
    }
    let own = entries.iter().position(|entry| entry.is_of(writer, false)).unwrap_or_else(|| {
        entries.push(Entry::new(writer, false));
        entries.len() - 1
    });
    for (index, entry) in entries.iter_mut().enumerate() {
        let before = entry.fields.clone();
        entry.fields.subtract(&removed);
        if index == own {
            entry.fields.union(&changed);
        } else {
            entry.fields.subtract(&changed);
        }
        if entry.fields != before {
            writer.now.clone_into(&mut entry.time);
        }
    }
    write(new, entries);
}

/// What an apply leads to.
pub(crate) struct Applied {
    /// The new state without `managedFields`, ready for defaults and checks.
    pub(crate) object: Value,
    entries: Vec<Entry>,
}

/// The field of an apply that cannot be merged, and why.
pub(crate) fn unmergeable(patch: &Value, shape: Shape<'_>) -> Option<(String, &'static str)> {
    typed::ambiguous(patch, shape, "")
}

/// Applies `patch` to `live`. `Err` names every field that another manager owns and that would change, unless
/// `force`, which takes those fields from the others.
pub(crate) fn apply(
    live: Option<&Value>,
    patch: &Value,
    writer: &Writer<'_>,
    force: bool,
    shape: Shape<'_>,
) -> Result<Applied, Vec<Cause>> {
    let mut entries = live.and_then(read).unwrap_or_default();
    if entries.is_empty()
        && let Some(live) = live
    {
        // The object is older than anyone's bookkeeping: its fields get an owner that nobody is.
        let mut unknown = Entry::new(&Writer { manager: "before-first-apply", subresource: None, ..*writer }, false);
        unknown.fields = typed::owned(live, shape).below;
        writer.strip(&mut unknown.fields);
        entries.push(unknown);
    }
    let mut now = typed::owned(patch, shape).below;
    writer.strip(&mut now);
    let own = entries.iter().position(|entry| entry.is_of(writer, true));
    let last = own.map(|index| entries[index].fields.clone()).unwrap_or_default();

    let mut object = typed::merge(live, patch, shape);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let others: Vec<&FieldSet> =
        entries.iter().enumerate().filter(|(index, _)| Some(*index) != own).map(|(_, entry)| &entry.fields).collect();
    typed::prune(&mut object, shape, &last, &now, &others);

    let nothing = json!({});
    let difference = typed::difference(Some(live.unwrap_or(&nothing)), Some(&object), shape);
    let (mut changed, mut removed) = (difference.changed.below, difference.removed.below);
    writer.strip(&mut changed);
    writer.strip(&mut removed);

    let mut conflicts = Vec::new();
    for (_, entry) in entries.iter_mut().enumerate().filter(|(index, _)| Some(*index) != own) {
        // Sets of another version of the kind are kept, not compared: their paths may mean something else.
        if entry.api_version == writer.api_version {
            let lost = entry.fields.intersection(&changed);
            if force {
                if !lost.is_empty() {
                    entry.fields.subtract(&lost);
                    writer.now.clone_into(&mut entry.time);
                }
            } else {
                conflicts.extend(lost.paths().into_iter().map(|field| conflict(entry, field)));
            }
        }
        entry.fields.subtract(&removed);
    }
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let index = own.unwrap_or_else(|| {
        entries.push(Entry::new(writer, true));
        entries.len() - 1
    });
    let entry = &mut entries[index];
    if entry.fields != now || entry.api_version != writer.api_version {
        entry.fields = now;
        writer.api_version.clone_into(&mut entry.api_version);
        writer.now.clone_into(&mut entry.time);
    }
    Ok(Applied { object, entries })
}

impl Applied {
    /// Puts the bookkeeping into the finished object.
    pub(crate) fn record(self, object: &mut Value) {
        write(object, self.entries);
    }
}

fn conflict(entry: &Entry, field: String) -> Cause {
    let subresource =
        if entry.subresource.is_empty() { String::new() } else { format!(" with subresource {:?}", entry.subresource) };
    let message = if entry.apply {
        format!("conflict with {:?}{subresource}", entry.manager)
    } else {
        format!("conflict with {:?}{subresource} using {}", entry.manager, entry.api_version)
    };
    Cause { reason: "FieldManagerConflict", field, message }
}
