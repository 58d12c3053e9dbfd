//! What a request asks for: its path, its query, its body.

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use weir_api::legacy::{CONVERTED_FROM, Legacy};

use super::failure::Failure;
use super::protobuf::{self, ProtobufError};
use super::registry::{Kind, Registry};

mod decode;

pub(crate) use self::decode::Decoded;

/// Largest request body: an object.
pub(crate) const BODY_LIMIT_BYTES: usize = super::store::OBJECT_LIMIT_BYTES;

/// An object, a collection or a subresource, as the path names it.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) version: &'a str,
    /// The older form in which the client speaks of it; kind and version are those of the current one.
    pub(crate) older: Option<Older<'a>>,
    /// `None` for cluster-wide collections and for kinds without namespaces.
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) subresource: Option<&'a str>,
}

/// An older form of a kind.
#[derive(Clone, Copy)]
pub(crate) struct Older<'a> {
    pub(crate) legacy: &'static Legacy,
    /// The kind as the client names it.
    pub(crate) kind: &'a Kind,
}

impl<'a> Target<'a> {
    /// Reads a path below `/api` or `/apis`; `None` if nothing is served there.
    pub(crate) fn parse(registry: &'a Registry, path: &'a str) -> Option<Self> {
        let mut segments = path.trim_matches('/').split('/');
        let group = match segments.next()? {
            "api" => "",
            "apis" => segments.next()?,
            _ => return None,
        };
        let version = segments.next()?;
        let rest: Vec<&str> = segments.collect();
        let (namespace, rest) = match rest.as_slice() {
            // `/api/v1/namespaces/x/status` is about the namespace itself, `/api/v1/namespaces/x/y` about what is in it.
            ["namespaces", _, "status" | "finalize"] if group.is_empty() => (None, &rest[..]),
            ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (Some(*namespace), inner),
            all => (None, all),
        };
        let (plural, name, subresource) = match *rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(name), None),
            [plural, name, subresource] => (plural, Some(name), Some(subresource)),
            _ => return None,
        };
        let kind = registry.find(group, version, plural)?;
        let fits = kind.namespaced == namespace.is_some() || (kind.namespaced && name.is_none());
        let target = Self { kind, version, older: None, namespace, name, subresource };
        let target = match kind.version(version)?.legacy {
            None => target,
            Some(legacy) => {
                let (api_version, becomes) = legacy.becomes;
                let (group, version) = api_version.split_once('/')?;
                Self { kind: registry.named(group, becomes)?, version, older: Some(Older { legacy, kind }), ..target }
            }
        };
        fits.then_some(target)
    }

    /// One object of a kind as it is stored.
    pub(crate) fn stored(kind: &'a Kind, namespace: Option<&'a str>, name: Option<&'a str>) -> Self {
        Self { kind, version: kind.storage_version(), older: None, namespace, name, subresource: None }
    }

    /// `apiVersion` and `kind` as the client names them.
    pub(crate) fn shown_as(&self) -> (String, &'a str) {
        match self.older {
            Some(older) => (older.kind.api_version(older.legacy.version), &older.kind.kind),
            None => (self.api_version(), &self.kind.kind),
        }
    }

    /// A stored object as this request shows it.
    pub(crate) fn show(&self, stored: Value) -> Value {
        let current = self.kind.show(stored, self.version);
        match self.older {
            Some(older) => older.legacy.from_current(current),
            None => current,
        }
    }

    /// The label selector that goes without saying, for a form that shows only what was written in it.
    pub(crate) fn own_label(&self) -> Option<(&'static str, String)> {
        let legacy = self.older?.legacy;
        legacy.only_own().then(|| (CONVERTED_FROM, legacy.name()))
    }

    /// `apiVersion` of the current form.
    pub(crate) fn api_version(&self) -> String {
        self.kind.api_version(self.version)
    }

    /// Namespace as it stands in keys.
    pub(crate) fn namespace_or_empty(&self) -> &'a str {
        self.namespace.unwrap_or_default()
    }
}

/// What to do with fields nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// The query parameters that mean something here. Others are ignored, as Kubernetes does.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pub(crate) watch: bool,
    pub(crate) label_selector: String,
    pub(crate) field_selector: String,
    pub(crate) resource_version: String,
    pub(crate) resource_version_match: String,
    pub(crate) limit: Option<usize>,
    pub(crate) continue_token: String,
    pub(crate) allow_bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) dry_run: bool,
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
    pub(crate) force: bool,
    pub(crate) propagation_policy: String,
    pub(crate) orphan_dependents: Option<bool>,
    pub(crate) include_object: String,
}

impl Params {
    /// Reads the query part of a URL.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Failure> {
        let mut params = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            // As Kubernetes reads booleans: Python clients write `True`.
            let flag = !value.eq_ignore_ascii_case("false") && value != "0";
            match name.as_ref() {
                "watch" => params.watch = flag,
                "labelSelector" => params.label_selector = value.into_owned(),
                "fieldSelector" => params.field_selector = value.into_owned(),
                "resourceVersion" => params.resource_version = value.into_owned(),
                "resourceVersionMatch" => params.resource_version_match = value.into_owned(),
                "limit" => params.limit = Some(number(&name, &value)?).filter(|limit| *limit > 0),
                "continue" => params.continue_token = value.into_owned(),
                "allowWatchBookmarks" => params.allow_bookmarks = flag,
                "sendInitialEvents" => params.send_initial_events = Some(flag),
                "timeoutSeconds" => params.timeout_seconds = Some(number(&name, &value)?),
                "dryRun" => params.dry_run |= dry_run(&value)?,
                "fieldManager" => params.field_manager = value.into_owned(),
                "fieldValidation" => params.field_validation = field_validation(&value)?,
                "force" => params.force = flag,
                "propagationPolicy" => params.propagation_policy = value.into_owned(),
                "orphanDependents" => params.orphan_dependents = Some(flag),
                "includeObject" => params.include_object = value.into_owned(),
                _ => {}
            }
        }
        Ok(params)
    }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, Failure> {
    value.parse().map_err(|_| Failure::bad_request(format!("invalid value for parameter {name}: {value:?}")))
}

/// The one value `dryRun` has.
pub(crate) fn dry_run(value: &str) -> Result<bool, Failure> {
    match value {
        "All" => Ok(true),
        // Not taken for "no": who asks for a dry run in vain must not change anything.
        other => {
            Err(Failure::invalid_options(format!("dryRun: Unsupported value: {other:?}: supported values: \"All\"")))
        }
    }
}

fn field_validation(value: &str) -> Result<FieldValidation, Failure> {
    match value {
        "Strict" => Ok(FieldValidation::Strict),
        "Warn" | "" => Ok(FieldValidation::Warn),
        "Ignore" => Ok(FieldValidation::Ignore),
        other => Err(Failure::bad_request(format!(
            "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
        ))),
    }
}

/// Reads a whole body, refusing what is larger than an object may be.
pub(crate) async fn read_body(body: Body) -> Result<Bytes, Failure> {
    match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Failure::too_large(BODY_LIMIT_BYTES)),
        Err(error) => Err(Failure::bad_request(format!("the request body could not be read: {error}"))),
    }
}

/// The media type of a body, without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Decodes an object. Several kubectl commands send JSON without saying so, hence no media type means JSON.
pub(crate) fn decode(media_type: &str, body: &[u8]) -> Result<Decoded, Failure> {
    let invalid = |error: String| {
        Failure::bad_request(format!("the object provided is unrecognized (must be of type JSON or YAML): {error}"))
    };
    match media_type {
        "" | "application/json" | "*/*" => decode::json(body).map_err(invalid),
        "application/yaml" | "application/x-yaml" | "text/yaml" | "application/apply-patch+yaml" => {
            decode::yaml(body).map_err(invalid)
        }
        protobuf::MEDIA_TYPE => protobuf::decode(body).map(Decoded::of).map_err(|error| match error {
            // What Kubernetes answers for custom kinds, and why.
            ProtobufError::UnknownKind { .. } => {
                let failure = Failure::unsupported_media_type("application/json, application/yaml");
                Failure { message: format!("{}: {error}", failure.message), ..failure }
            }
            ProtobufError::NotKubernetes | ProtobufError::Malformed(_) | ProtobufError::Table(_) => {
                Failure::bad_request(error.to_string())
            }
        }),
        _ => Err(Failure::unsupported_media_type(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// Who sent the request. Set by the server on what it hands itself; a request from outside cannot carry it.
#[derive(Clone, Debug)]
pub(crate) struct User(pub(crate) std::sync::Arc<str>);

/// Who asks, and as which field manager.
pub(crate) fn identify(parts: &Parts, params: &Params) -> (User, String) {
    let user = parts.extensions.get::<User>();
    let agent = || {
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        agent.split('/').next().filter(|agent| !agent.is_empty()).unwrap_or("unknown").to_owned()
    };
    let manager = match (params.field_manager.as_str(), user) {
        ("", Some(user)) => user.0.to_string(),
        ("", None) => agent(),
        (manager, _) => manager.to_owned(),
    };
    (user.cloned().unwrap_or_else(|| User("system:admin".into())), manager)
}
