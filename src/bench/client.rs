//! The sending end: one keep-alive HTTP/1.1 connection that posts prebuilt events, as light as hyper allows, because the
//! load generator shares its cores with the server it measures.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use super::tally::Stamp;

/// The `type` of every event the bench sends.
pub(super) const EVENT_TYPE: &str = "weir.bench.event";
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
/// A server that takes longer than this to answer has failed the request.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Where to post, and everything of the request that does not change.
#[derive(Debug)]
pub(super) struct Target {
    authority: String,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Target {
    /// Events with `body` as data for the plain HTTP address `url`.
    ///
    /// # Errors
    /// When `url` is not plain HTTP with a host.
    pub(super) fn new(url: &Url, body: Bytes) -> anyhow::Result<Self> {
        let (Some(host), "http") = (url.host_str(), url.scheme()) else {
            bail!(
                "cannot post to {url}: the bench speaks plain HTTP only; give a URL like http://127.0.0.1:8080/default/b"
            );
        };
        let authority = format!("{host}:{}", url.port_or_known_default().unwrap_or(80));
        let uri = url[url::Position::BeforePath..url::Position::AfterQuery].parse().context("unusable path in URL")?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&authority).context("unusable host in URL")?);
        headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
        headers.insert("ce-source", HeaderValue::from_static("/weir/bench"));
        headers.insert("ce-type", HeaderValue::from_static(EVENT_TYPE));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        Ok(Self { authority, uri, headers, body })
    }

    fn request(&self, stamp: Stamp) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let id = HeaderValue::try_from(stamp.to_id()).expect("digits and dashes are a header value");
        request.headers_mut().insert(CE_ID, id);
        request
    }
}

/// Why an event has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection: the event was not sent.
    Connect,
    /// The connection broke: the event may be stored.
    Broken,
    /// No answer in time: the event may be stored.
    TimedOut,
}

impl Failure {
    /// A name for the list of errors.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::TimedOut => "timeout",
        }
    }
}

/// One connection; it is opened when needed and again after it broke.
pub(super) struct Client {
    target: Arc<Target>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, connection: None }
    }

    /// Posts one event and waits for its answer. Not cancel safe: start over with a new client.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn send(&mut self, stamp: Stamp) -> Result<StatusCode, Failure> {
        match tokio::time::timeout(ANSWER_LIMIT, self.exchange(stamp)).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(failure)) => {
                self.connection = None;
                Err(failure)
            }
            Err(_) => {
                self.connection = None;
                Err(Failure::TimedOut)
            }
        }
    }

    async fn exchange(&mut self, stamp: Stamp) -> Result<StatusCode, Failure> {
        let request = self.target.request(stamp);
        let response = self.connection().await?.send_request(request).await.map_err(|_| Failure::Broken)?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| Failure::Broken)?;
        }
        Ok(status)
    }

    /// The open connection if the server has not closed it meanwhile, else a new one.
    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = Some(connect(&self.target.authority).await.map_err(|_| Failure::Connect)?);
        }
        self.connection.as_mut().ok_or(Failure::Connect)
    }
}

/// Opens an HTTP/1.1 connection and drives it on the current runtime.
pub(super) async fn connect<B>(authority: &str) -> anyhow::Result<SendRequest<B>>
where
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // How a connection ends shows in the request that was on it.
    tokio::spawn(async move {
        connection.await.ok();
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_accepted_and_the_query_is_kept() {
        let target = |url: &str| Target::new(&url.parse().expect("URL"), Bytes::new());
        let found = target("http://[::1]:8080/default/b?x=1").expect("plain HTTP");
        assert_eq!((found.authority.as_str(), found.uri.to_string().as_str()), ("[::1]:8080", "/default/b?x=1"));
        assert_eq!(target("http://example.com").expect("plain HTTP").authority, "example.com:80");
        let refused = target("https://example.com/").expect_err("https").to_string();
        assert!(refused.contains("plain HTTP"), "{refused}");
    }
}
