//! From an HTTP request to the operation it asks for.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use kube::ResourceExt as _;
use serde::Deserialize as _;
use serde_json::{Value, json};
use weir_api::eventing::{BROKER_CLASS_ANNOTATION, Broker};

use super::Inner;
use super::definitions::{KEPT, is_definition};
use super::delete::{DeleteOptions, Deleted};
use super::failure::Failure;
use super::metadata;
use super::openapi;
use super::request::{self, Params, Target};
use super::reviews;
use super::selector::Selector;
use super::store::Key;
use super::view::View;
use super::write::{PatchBody, Writing};

/// The endpoint's routes. No fallback, so that it can be merged with others.
pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/openapi/v2", get(openapi_v2))
        .route("/openapi/v3", get(openapi_v3))
        .route("/openapi/v3/{*path}", get(openapi_v3))
        .route("/version", get(version))
        .route("/api", get(discover))
        .route("/api/", get(discover))
        .route("/apis", get(discover))
        .route("/apis/", get(discover))
        .route("/api/{*path}", any(handle))
        .route("/apis/{*path}", any(handle))
        .with_state(inner)
}

/// The version of Kubernetes whose API this is. A current one, so that clients do not warn about skew.
pub(super) const VERSION: &str = "v1.34.0";

/// Answers `kubectl version`.
async fn version() -> Response {
    let version = json!({
        "major": "1",
        "minor": "34",
        "gitVersion": format!("{VERSION}+weir"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    });
    json_response(StatusCode::OK, version.to_string())
}

async fn openapi_v2(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let document = inner.openapi.v2(&inner.registry, &inner.settings.definitions);
    cached(document, openapi::V2_TYPE, request.headers())
}

async fn openapi_v3(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches("/openapi/v3").trim_matches('/');
    match inner.openapi.v3(&inner.registry, &inner.settings.definitions, path) {
        Some(document) => cached(document, "application/json", request.headers()),
        None => Failure::no_such_path().into_response(),
    }
}

/// What is served, in the form the client prefers.
async fn discover(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    match inner.discovery.document(&inner.registry, request.uri().path(), request.headers()) {
        Some(document) => cached(document.body, document.content_type, request.headers()),
        None => Failure::no_such_path().into_response(),
    }
}

/// What tells two documents apart.
pub(super) fn hash(document: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    document.hash(&mut hasher);
    hasher.finish()
}

/// A document that stays the same, known by its contents.
fn cached(body: Bytes, content_type: &'static str, headers: &HeaderMap) -> Response {
    let tag = format!("\"{:016X}\"", hash(&body));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known { Response::new(Body::empty()) } else { Response::new(Body::from(body)) };
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

async fn handle(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match serve(&inner, &parts, body).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

fn json_response(code: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn serve(inner: &Arc<Inner>, parts: &Parts, body: Body) -> Result<Response, Failure> {
    let path = parts.uri.path();
    let params = Params::parse(parts.uri.query())?;
    if let Some(review) = reviews::find(path) {
        if parts.method != Method::POST {
            return Err(Failure::method_not_allowed());
        }
        let (user, _) = request::identify(parts, &params);
        let answer = review.answer(object(parts, &params, body).await?.0, &user)?;
        return Ok(json_response(StatusCode::CREATED, answer.to_string()));
    }
    let Some(target) = Target::parse(&inner.registry, path) else {
        let document = inner.discovery.document(&inner.registry, path, &parts.headers);
        let document = document.filter(|_| parts.method == Method::GET).ok_or_else(Failure::no_such_path)?;
        return Ok(cached(document.body, document.content_type, &parts.headers));
    };
    let view = View::negotiate(target, &parts.headers, &params)?;
    if parts.method != Method::GET {
        if !target.kind.writable {
            return Err(Failure::method_not_allowed());
        }
        // What a write refers to (the object, its namespace) may have been made elsewhere a moment ago.
        inner.store.fresh().await;
    }
    match (target.name, target.subresource) {
        (None, _) => match parts.method {
            Method::GET if params.watch => inner.watch(&view, &params).await,
            Method::GET => Ok(json_response(StatusCode::OK, inner.list(&view, &params).await?)),
            Method::POST => create(inner, parts, &view, &params, body).await,
            Method::DELETE => delete_collection(inner, parts, &view, &params, body).await,
            _ => Err(Failure::method_not_allowed()),
        },
        (Some(name), subresource) => {
            match subresource {
                None => {}
                Some("status") if target.kind.has_status => {}
                Some("scale") if target.kind.scale.is_some() => {}
                Some("finalize") if target.kind.plural == "namespaces" => {}
                Some(_) => return Err(Failure::no_such_path()),
            }
            require_own(inner, &target, name)?;
            match parts.method {
                Method::GET => get_one(inner, &view, &params, name).await,
                Method::PUT => update(inner, parts, &view, &params, body).await,
                Method::PATCH if subresource != Some("finalize") => patch(inner, parts, &view, &params, body).await,
                Method::DELETE if subresource.is_none() => delete(inner, parts, &view, &params, body).await,
                _ => Err(Failure::method_not_allowed()),
            }
        }
    }
}

/// An older form that shows only what was written in it does not know the others.
fn require_own(inner: &Inner, target: &Target<'_>, name: &str) -> Result<(), Failure> {
    let (Some((label, value)), Some(older)) = (target.own_label(), target.older) else { return Ok(()) };
    let found = inner.store.get(target.kind.resource, &Key::new(target.namespace_or_empty(), name));
    let own = found.is_none_or(|object| object.marks.label(label) == Some(value.as_str()));
    if own { Ok(()) } else { Err(Failure::not_found(older.kind, name)) }
}

async fn get_one(inner: &Inner, view: &View<'_>, params: &Params, name: &str) -> Result<Response, Failure> {
    let Target { kind, .. } = view.target;
    // A watch of one object by its path is an old form nobody uses; better refused than misunderstood.
    if params.watch {
        return Err(Failure::method_not_allowed());
    }
    inner.check_read(params).await?;
    let key = Key::new(view.target.namespace_or_empty(), name);
    let object = inner.store.get(kind.resource, &key).ok_or_else(|| Failure::not_found(kind, name))?;
    if let (Some("scale"), Some(replicas)) = (view.target.subresource, &kind.scale) {
        return Ok(json_response(StatusCode::OK, replicas.of(&object.value()).to_string()));
    }
    Ok(json_response(StatusCode::OK, view.render(&object)))
}

/// Runs a write and answers with the object and what the caller should know.
async fn write<F>(
    inner: &Arc<Inner>,
    parts: &Parts,
    view: &View<'_>,
    params: &Params,
    run: F,
) -> Result<Response, Failure>
where
    F: AsyncFnOnce(&mut Writing<'_>) -> Result<super::write::Written, Failure>,
{
    let (user, manager) = request::identify(parts, params);
    let api_version = view.target.api_version();
    let mut writing = Writing {
        inner,
        target: view.target,
        params,
        user: &user,
        manager: &manager,
        api_version: &api_version,
        warnings: Vec::new(),
    };
    let mut written = run(&mut writing).await?;
    writing.warnings.append(&mut written.warnings);
    let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    if written.created && view.target.kind.inert {
        writing.warnings.push(format!("weir stores the {} and does not act on it", view.target.kind.kind));
    }
    if is_definition(view.target.kind) {
        writing.warnings.push(KEPT.to_owned());
    }
    writing.warnings.extend(served_by_nobody(view, &written.object));
    writing
        .warnings
        .extend(view.target.kind.version(view.target.version).and_then(|version| version.deprecation.clone()));
    let body = match view.target.subresource {
        Some("scale") => Bytes::from(written.object.to_string()),
        _ => view.render_value(written.object),
    };
    let mut response = json_response(code, body);
    for warning in &writing.warnings {
        // What cannot stand in a header, a line break in a field's name say, is shown as Rust writes it.
        let plain =
            |c: char| if c == ' ' || c.is_ascii_graphic() { c.to_string() } else { c.escape_default().to_string() };
        let text: String = warning.chars().map(plain).collect();
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

/// The warning about a Broker that is left to another controller: in this process there is none.
fn served_by_nobody(view: &View<'_>, object: &Value) -> Option<String> {
    let broker = (view.target.kind.kind == "Broker").then(|| Broker::deserialize(object).ok()).flatten()?;
    let class = broker.annotations().get(BROKER_CLASS_ANNOTATION)?;
    (!broker.is_ours()).then(|| format!("nobody serves Brokers of {BROKER_CLASS_ANNOTATION} {class:?} here"))
}

/// The object a request carries, and what its sender is to be warned of.
async fn object(parts: &Parts, params: &Params, body: Body) -> Result<(Value, Vec<String>), Failure> {
    let body = request::read_body(body).await?;
    request::decode(request::content_type(&parts.headers), &body)?.checked(params.field_validation)
}

async fn create(
    inner: &Arc<Inner>,
    parts: &Parts,
    view: &View<'_>,
    params: &Params,
    body: Body,
) -> Result<Response, Failure> {
    let (body, warnings) = object(parts, params, body).await?;
    let create = async |writing: &mut Writing<'_>| {
        writing.warnings = warnings;
        writing.create(body).await
    };
    write(inner, parts, view, params, create).await
}

async fn update(
    inner: &Arc<Inner>,
    parts: &Parts,
    view: &View<'_>,
    params: &Params,
    body: Body,
) -> Result<Response, Failure> {
    let (body, warnings) = object(parts, params, body).await?;
    if let (Some("scale"), Some(replicas)) = (view.target.subresource, &view.target.kind.scale) {
        return write(inner, parts, view, params, async |writing| writing.put_scale(replicas, &body).await).await;
    }
    let update = async |writing: &mut Writing<'_>| {
        writing.warnings = warnings;
        writing.update(body).await
    };
    write(inner, parts, view, params, update).await
}

async fn patch(
    inner: &Arc<Inner>,
    parts: &Parts,
    view: &View<'_>,
    params: &Params,
    body: Body,
) -> Result<Response, Failure> {
    let body = request::read_body(body).await?;
    let invalid = |error: serde_json::Error| Failure::bad_request(format!("the patch cannot be read: {error}"));
    let mut warnings = Vec::new();
    let patch = match request::content_type(&parts.headers) {
        "application/json-patch+json" => PatchBody::Json(serde_json::from_slice(&body).map_err(invalid)?),
        "application/merge-patch+json" => PatchBody::Merge(serde_json::from_slice(&body).map_err(invalid)?),
        "application/strategic-merge-patch+json" if !view.target.kind.custom => {
            PatchBody::Strategic(serde_json::from_slice(&body).map_err(invalid)?)
        }
        "application/apply-patch+yaml" => {
            let decoded = request::decode("application/apply-patch+yaml", &body)?;
            let (applied, mut told) = decoded.checked(params.field_validation)?;
            warnings.append(&mut told);
            PatchBody::Apply(applied)
        }
        _ => {
            return Err(Failure::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ));
        }
    };
    if let (Some("scale"), Some(replicas)) = (view.target.subresource, &view.target.kind.scale) {
        return write(inner, parts, view, params, async |writing| writing.patch_scale(replicas, &patch).await).await;
    }
    let patch = async |writing: &mut Writing<'_>| {
        writing.warnings = warnings;
        writing.patch(patch).await
    };
    write(inner, parts, view, params, patch).await
}

async fn delete(
    inner: &Arc<Inner>,
    parts: &Parts,
    view: &View<'_>,
    params: &Params,
    body: Body,
) -> Result<Response, Failure> {
    let body = request::read_body(body).await?;
    let options = DeleteOptions::parse(params, request::content_type(&parts.headers), &body)?;
    match inner.delete(&view.target, &options).await? {
        Deleted::Marked(object) => {
            let object = view.target.kind.show(object, view.target.version);
            Ok(json_response(StatusCode::OK, view.render_value(object)))
        }
        Deleted::Gone(object) => {
            let kind = view.target.kind;
            let mut details = json!({
                "name": metadata::text(&object, "name"),
                "kind": kind.plural,
                "uid": metadata::text(&object, "uid"),
            });
            if !kind.group.is_empty() {
                details["group"] = json!(kind.group);
            }
            let status = json!({
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": details,
            });
            Ok(json_response(StatusCode::OK, status.to_string()))
        }
    }
}

async fn delete_collection(
    inner: &Arc<Inner>,
    parts: &Parts,
    view: &View<'_>,
    params: &Params,
    body: Body,
) -> Result<Response, Failure> {
    let body = request::read_body(body).await?;
    let options = DeleteOptions::parse(params, request::content_type(&parts.headers), &body)?;
    let target = view.target;
    if target.kind.namespaced && target.namespace.is_none() {
        return Err(Failure::method_not_allowed());
    }
    let selector = Selector::of(&target, params)?;
    let (listing, metadata) = inner.page(&target, params, &selector).await?;
    for object in &listing.items {
        let one = Target { name: Some(&object.key.name), ..target };
        match inner.delete(&one, &options).await {
            Ok(_) => {}
            Err(failure) if failure.reason == "NotFound" => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(json_response(StatusCode::OK, view.render_list(&listing.items, &metadata)))
}
