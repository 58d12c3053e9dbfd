//! Speaks to a Kubernetes-style API the way `kubectl` does: objects are JSON, kinds come from discovery.
//!
//! One client for every command, and for `weir run -f`, whose requests never leave the process.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::core::Status;
use serde_json::Value;

use crate::failure::{Exit, Failure};

mod admin;
mod kinds;
mod known;
mod path;
mod watch;

pub(crate) use kinds::{Kind, Kinds};
pub(crate) use path::Query;
pub(crate) use watch::watch;

/// Asks for tables where the server can make them, for plain objects elsewhere.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Longest wait for an answer: beyond that of a redrive, the slowest.
const PATIENCE: Duration = Duration::from_secs(65);

/// Plain objects.
pub(crate) const JSON: &str = "application/json";

/// A connection to an API.
#[derive(Clone)]
pub(crate) struct Client {
    kube: kube::Client,
    /// Whom errors speak of.
    server: String,
}

/// Why a request brought no answer worth having.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The API said no.
    Refused(Box<Status>),
    /// There was no API to say anything.
    Unreachable {
        /// Whom we asked.
        server: String,
        /// The innermost reason.
        reason: String,
    },
}

/// An API's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 200, or 201 when something was created.
    pub(crate) code: StatusCode,
    /// What the API has to say beside it, for people.
    pub(crate) warnings: Vec<String>,
    /// The body.
    pub(crate) value: Value,
}

type Result<T> = std::result::Result<T, RequestError>;

impl Client {
    /// A client over `kube` that calls its server `server`.
    pub(crate) fn new(kube: kube::Client, server: String) -> Self {
        Self { kube, server }
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.call(Method::GET, path, JSON, None).await?.value)
    }

    /// Whether the server says it is ready; one that says nothing about it counts as ready.
    pub(crate) async fn ready(&self) -> Result<()> {
        match self.send(Method::GET, "/readyz", "text/plain", None).await {
            Err(RequestError::Refused(status)) if status.code != 503 => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Any request; `body` comes with its content type.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer> {
        let answer = self.send(method, path, accept, body).await?;
        let code = answer.status();
        let warnings = answer.headers().get_all(header::WARNING).into_iter().filter_map(warning).collect();
        let bytes = answer.into_body().collect().await.map_err(|error| self.unreachable(&error))?.to_bytes();
        let value = serde_json::from_slice(&bytes)
            .map_err(|_| self.unreachable(&std::io::Error::other(format!("the answer to {path} is not JSON"))))?;
        Ok(Answer { code, warnings, value })
    }

    /// GET of a body that goes on: one item per line.
    pub(crate) async fn lines(&self, path: &str, accept: &str) -> Result<impl Stream<Item = Result<Bytes>> + use<>> {
        let server = self.server.clone();
        let mut body = self.send(Method::GET, path, accept, None).await?.into_body().into_data_stream();
        let (mut rest, mut scanned) = (bytes::BytesMut::new(), 0);
        Ok(futures_util::stream::poll_fn(move |context| {
            loop {
                if let Some(at) = rest[scanned..].iter().position(|&byte| byte == b'\n') {
                    let line = rest.split_to(scanned + at + 1).freeze();
                    scanned = 0;
                    return std::task::Poll::Ready(Some(Ok(line)));
                }
                scanned = rest.len();
                match std::task::ready!(body.poll_next_unpin(context)) {
                    Some(Ok(more)) => rest.extend_from_slice(&more),
                    Some(Err(error)) => {
                        let error = RequestError::Unreachable { server: server.clone(), reason: innermost(&error) };
                        return std::task::Poll::Ready(Some(Err(error)));
                    }
                    None => return std::task::Poll::Ready(None),
                }
            }
        }))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<http::Response<kube::client::Body>> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
        if let Some((kind, _)) = body {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let body = body.map_or_else(kube::client::Body::empty, |(_, body)| kube::client::Body::from(body));
        let request = request.body(body).map_err(|error| self.unreachable(&error))?;
        // Until the answer begins: what is watched goes on for as long as it likes.
        let answer = match tokio::time::timeout(PATIENCE, self.kube.send(request)).await {
            Ok(answer) => answer.map_err(|error| self.unreachable(&error))?,
            Err(_elapsed) => {
                let reason = format!("no answer within {} s", PATIENCE.as_secs());
                return Err(self.unreachable(&std::io::Error::other(reason)));
            }
        };
        let code = answer.status();
        if code.is_success() {
            return Ok(answer);
        }
        let bytes = answer.into_body().collect().await.map_err(|error| self.unreachable(&error))?.to_bytes();
        let status = serde_json::from_slice::<Status>(&bytes).ok().filter(|status| status.code != 0);
        let status = status.unwrap_or_else(|| {
            let body = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let text = body["error"].as_str().unwrap_or_else(|| text.trim());
            let text = if text.is_empty() { code.to_string() } else { text.to_owned() };
            // `NotFound`, as the API writes it.
            let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
            Status::failure(&text, &reason).with_code(code.as_u16())
        });
        Err(RequestError::Refused(Box::new(status)))
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> RequestError {
        RequestError::Unreachable { server: self.server.clone(), reason: innermost(error) }
    }
}

/// The text of a header such as `299 - "text"`; Kubernetes sends no other kind.
fn warning(header: &HeaderValue) -> Option<String> {
    let text = std::str::from_utf8(header.as_bytes()).ok()?.strip_prefix("299 ")?;
    let quoted = text.split_once(" \"")?.1.strip_suffix('"')?;
    let (mut text, mut escaped) = (String::new(), false);
    for c in quoted.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            text.push(c);
        }
    }
    Some(text)
}

/// The cause at the bottom: `connection refused` says more than the layers above it.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl RequestError {
    /// Whether what was asked for is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code == 404)
    }

    /// Whether the revision to watch from is gone.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code == 410)
    }
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(status) => f.write_str(&status.message),
            Self::Unreachable { server, reason } => write!(f, "cannot reach {server}: {reason}"),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let RequestError::Refused(status) = &error else {
            return Self::text(Exit::Unavailable, error.to_string())
                .next("is `weir run` running? --server names another address");
        };
        let exit = match status.code {
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            401 | 403 => Exit::NotAllowed,
            400 | 405 | 413 | 415 | 422 => Exit::Usage,
            429 | 503 | 504 => Exit::Unavailable,
            _ => Exit::Failure,
        };
        let reason = if status.reason.is_empty() { status.code.to_string() } else { status.reason.clone() };
        Self::server(exit, format!("Error from server ({reason}): {}", status.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_the_quoted_texts() {
        let read = |text: &'static str| warning(&HeaderValue::from_static(text));
        assert_eq!(read(r#"299 - "a \"b\" c\\d""#).as_deref(), Some(r#"a "b" c\d"#));
        assert_eq!(read(r#"299 kube "a""#).as_deref(), Some("a"));
        assert_eq!((read("199 - \"a\""), read("299 - a")), (None, None));
    }
}
