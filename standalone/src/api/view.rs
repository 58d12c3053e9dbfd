//! How objects are shown to a client: whole, their metadata only, or as rows of a table.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::failure::Failure;
use super::request::{Params, Target};
use super::store::Object;
use super::table::{Column, IncludeObject, partial, table};

/// What a client asked to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    Table(IncludeObject),
}

/// Renders objects of one kind for one request.
pub(crate) struct View<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) form: Form,
}

impl<'a> View<'a> {
    /// Picks the first entry of `Accept` that can be served.
    pub(crate) fn negotiate(target: Target<'a>, headers: &HeaderMap, params: &Params) -> Result<Self, Failure> {
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
        let include = match params.include_object.as_str() {
            "None" => IncludeObject::None,
            "Object" => IncludeObject::Object,
            "" | "Metadata" => IncludeObject::Metadata,
            other => {
                return Err(Failure::bad_request(format!("invalid includeObject value: {other:?}")));
            }
        };
        let form = accept.split(',').find_map(|entry| form(entry, include)).ok_or_else(Failure::not_acceptable)?;
        Ok(Self { target, form })
    }

    fn show(&self, object: &Object) -> Value {
        self.target.show(object.value())
    }

    fn current(&self, object: &Object) -> Value {
        self.target.kind.show(object.value(), self.target.version)
    }

    fn columns(&self) -> &'a [Column] {
        self.target.kind.version(self.target.version).map_or(&[], |version| &version.columns)
    }

    /// One object as JSON.
    pub(crate) fn render(&self, object: &Object) -> Bytes {
        self.render_change(object, true)
    }

    /// One object as a watch shows it; `head` says whether a table describes its columns.
    pub(crate) fn render_change(&self, object: &Object, head: bool) -> Bytes {
        let as_stored = self.target.older.is_none() && self.target.kind.is_stored_as(self.target.version);
        if self.form == Form::Whole && as_stored {
            return object.json.clone();
        }
        match self.form {
            Form::Whole => self.render_event(&self.show(object), head),
            // Columns and metadata are those of the current form.
            Form::Metadata | Form::Table(_) => self.render_event(&self.current(object), head),
        }
    }

    /// As [`Self::render`], for an object in its current form that is not stored, or not yet.
    pub(crate) fn render_value(&self, object: Value) -> Bytes {
        match self.target.older {
            Some(older) if self.form == Form::Whole => self.render_event(&older.legacy.from_current(object), true),
            _ => self.render_event(&object, true),
        }
    }

    /// As [`Self::render_change`], for what is not stored.
    pub(crate) fn render_event(&self, object: &Value, head: bool) -> Bytes {
        let value = match self.form {
            Form::Whole => return Bytes::from(object.to_string()),
            Form::Metadata => partial(object),
            Form::Table(include) => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                table(self.columns(), std::slice::from_ref(object), include, head, &metadata)
            }
        };
        Bytes::from(value.to_string())
    }

    /// A list of objects with the list's own metadata.
    pub(crate) fn render_list(&self, items: &[Arc<Object>], metadata: &Value) -> Vec<u8> {
        let (kind, api_version) = match self.form {
            Form::Whole => {
                let (api_version, kind) = self.target.shown_as();
                (format!("{kind}List"), api_version)
            }
            Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
            Form::Table(include) => {
                let objects: Vec<Value> = items.iter().map(|object| self.current(object)).collect();
                return table(self.columns(), &objects, include, true, metadata).to_string().into_bytes();
            }
        };
        let size: usize = items.iter().map(|object| object.json.len() + 1).sum();
        let mut list = Vec::with_capacity(size + 256);
        let head = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#);
        list.extend_from_slice(head.as_bytes());
        for (index, object) in items.iter().enumerate() {
            if index > 0 {
                list.push(b',');
            }
            list.extend_from_slice(&self.render(object));
        }
        list.extend_from_slice(b"]}");
        list
    }
}

/// What one entry of `Accept` asks for; `None` if it cannot be served.
fn form(entry: &str, include: IncludeObject) -> Option<Form> {
    let mut parts = entry.split(';').map(str::trim);
    if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
        return None;
    }
    let mut form = Some(Form::Whole);
    for parameter in parts {
        if let Some(name) = parameter.strip_prefix("as=") {
            form = match name {
                "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Form::Metadata),
                "Table" => Some(Form::Table(include)),
                _ => None,
            };
        }
    }
    form
}
