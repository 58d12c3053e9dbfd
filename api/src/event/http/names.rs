//! Header names of attributes, ready made for those nearly every event has.

use ::http::header::HeaderName;
use smallvec::SmallVec;

/// What the header of an attribute starts with.
pub(super) const PREFIX: &str = "ce-";

pub(super) const SPEC_VERSION: HeaderName = HeaderName::from_static("ce-specversion");
pub(super) const ID: HeaderName = HeaderName::from_static("ce-id");
pub(super) const SOURCE: HeaderName = HeaderName::from_static("ce-source");
pub(super) const TYPE: HeaderName = HeaderName::from_static("ce-type");
pub(super) const SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
pub(super) const TIME: HeaderName = HeaderName::from_static("ce-time");
pub(super) const DATA_SCHEMA: HeaderName = HeaderName::from_static("ce-dataschema");
pub(super) const SCHEMA_URL: HeaderName = HeaderName::from_static("ce-schemaurl");

/// The header of the extension called `name`; `None` if no header can be called so.
pub(super) fn of_extension(name: &str) -> Option<HeaderName> {
    let known = match name {
        "knativearrivaltime" => HeaderName::from_static("ce-knativearrivaltime"),
        "knativebrokerttl" => HeaderName::from_static("ce-knativebrokerttl"),
        "knativeerrorcode" => HeaderName::from_static("ce-knativeerrorcode"),
        "knativeerrordata" => HeaderName::from_static("ce-knativeerrordata"),
        "knativeerrordest" => HeaderName::from_static("ce-knativeerrordest"),
        "partitionkey" => HeaderName::from_static("ce-partitionkey"),
        "traceparent" => HeaderName::from_static("ce-traceparent"),
        "tracestate" => HeaderName::from_static("ce-tracestate"),
        _ => {
            let mut header: SmallVec<[u8; 64]> = SmallVec::from_slice(PREFIX.as_bytes());
            header.extend_from_slice(name.as_bytes());
            return HeaderName::from_bytes(&header).ok();
        }
    };
    Some(known)
}
