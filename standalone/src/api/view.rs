//! How objects are shown to a client: whole, or their metadata only.

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::failure::Failure;
use super::request::Target;
use super::store::Object;

/// What a client asked to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

/// Renders objects of one kind for one request.
pub(crate) struct View<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) form: Form,
}

impl<'a> View<'a> {
    /// Picks the first entry of `Accept` that can be served.
    pub(crate) fn negotiate(target: Target<'a>, headers: &HeaderMap) -> Result<Self, Failure> {
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
        let form = accept.split(',').find_map(form).ok_or_else(Failure::not_acceptable)?;
        Ok(Self { target, form })
    }

    /// One object as JSON.
    pub(crate) fn render(&self, object: &Object) -> Bytes {
        match self.form {
            Form::Whole => object.json.clone(),
            Form::Metadata => Bytes::from(partial(&object.value()).to_string()),
        }
    }

    /// As [`Self::render`], for an object that is not stored, or not yet.
    pub(crate) fn render_value(&self, object: &Value) -> Bytes {
        match self.form {
            Form::Whole => Bytes::from(object.to_string()),
            Form::Metadata => Bytes::from(partial(object).to_string()),
        }
    }

    /// A list of objects with the list's own metadata.
    pub(crate) fn render_list(&self, items: &[std::sync::Arc<Object>], metadata: &Value) -> Vec<u8> {
        let (kind, api_version) = match self.form {
            Form::Whole => (format!("{}List", self.target.kind.kind), self.target.api_version()),
            Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        };
        let size: usize = items.iter().map(|object| object.json.len() + 1).sum();
        let mut list = Vec::with_capacity(size + 256);
        let head =
            format!(r#"{{"kind":{},"apiVersion":{},"metadata":{metadata},"items":["#, json!(kind), json!(api_version));
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
fn form(entry: &str) -> Option<Form> {
    let mut parts = entry.split(';').map(str::trim);
    if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
        return None;
    }
    let mut form = Some(Form::Whole);
    for parameter in parts {
        if let Some(name) = parameter.strip_prefix("as=") {
            form = match name {
                "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Form::Metadata),
                _ => None,
            };
        }
    }
    form
}

/// The metadata of an object alone.
fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}
