//! Keeps web pages out of an endpoint that asks nobody who they are.
//!
//! A page in a browser on this machine can send requests to loopback, by address (its own origin then stands in
//! `Origin`) or by a name of its own that it lets resolve to loopback (that name then stands in `Host`).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header;

use super::failure::Failure;
use super::{Inner, is_loopback};

/// Refuses requests with a foreign `Host` or `Origin`.
pub(super) async fn check(State(inner): State<Arc<Inner>>, request: Request, next: Next) -> Response {
    match refusal(&inner, &request) {
        Some(failure) => failure.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(inner: &Inner, request: &Request) -> Option<Failure> {
    // What is not text matches nothing that is expected.
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let authority = header(header::HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    if let Some(host) = authority.filter(|authority| !expected(inner, authority)) {
        return Some(Failure::forbidden(format!("host {host:?} is not one this server answers to")));
    }
    let origin = header(header::ORIGIN)?;
    let own = origin.split_once("://").is_some_and(|(_, origin)| Some(origin) == authority);
    (!own).then(|| Failure::forbidden(format!("requests from pages of {origin:?} are refused")))
}

fn expected(inner: &Inner, authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
        _ => authority,
    };
    is_loopback(host) || inner.settings.hosts.iter().any(|known| known == host)
}
