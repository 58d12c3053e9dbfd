//! Where events go, prepared once so that a delivery only adds the event.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use smallvec::SmallVec;
use url::Url;
use weir_api::Event;
use weir_api::delivery::{Delivery, Format};
use weir_api::destination::ResolvedDestination;
use weir_api::event::{InvalidEvent, Value, http as codec};
use weir_api::resources::{ObjectName, Trigger};

use super::client::{Client, Clients, TlsError};
use crate::carried;
use crate::ledger::Recipient;
use crate::stamp::TTL;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const KN_NAMESPACE: HeaderName = HeaderName::from_static("kn-namespace");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const CE_TTL: &str = "ce-knativebrokerttl";
const CE_CARRIED: &str = "ce-weirheaders";

/// Why a destination cannot be delivered to.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The controller holds the Trigger: there is no address yet.
    #[error("the subscriber is not resolved")]
    Unresolved,
    /// Not something an HTTP request can be sent to.
    #[error("{url} is not an address events can be posted to: {reason}")]
    Url {
        /// The URL, without its password.
        url: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What the destination is to be trusted by cannot be used.
    #[error("{url}: {source}")]
    Tls {
        /// The destination.
        url: Box<str>,
        /// What is wrong.
        source: TlsError,
    },
}

/// A Trigger as the delivery engine sees it: its subscriber, its options, its dead letter sink. Cheap to share, dear to
/// make: keep it as long as the Trigger's generation.
#[derive(Debug)]
pub struct Route {
    pub(super) subscriber: Target,
    pub(super) dead_letter_sink: Option<Target>,
    pub(super) delivery: Delivery,
    pub(super) recipient: Recipient,
}

impl Route {
    pub(super) fn new(clients: &Clients, broker: &ObjectName, trigger: &Trigger) -> Result<Self, RouteError> {
        let subscriber = trigger.subscriber.as_ref().ok_or(RouteError::Unresolved)?;
        let namespace = HeaderValue::from_str(&trigger.name.namespace).map_err(|_| RouteError::Url {
            url: subscriber.url.as_str().into(),
            reason: "the Trigger's namespace is not a header value",
        })?;
        let subscriber = Target {
            format: trigger.delivery.format,
            inside: if clients.is_ingress(&subscriber.url) { Inside::Anywhere } else { Inside::Broker },
            ..Target::new(clients, subscriber)?
                .with(PREFER, HeaderValue::from_static("reply"))
                .with(KN_NAMESPACE, namespace.clone())
        };
        let dead_letter_sink = match &trigger.delivery.dead_letter_sink {
            Some(sink) => Some(Target::new(clients, sink)?.with(KN_NAMESPACE, namespace)),
            None => None,
        };
        let recipient = Recipient::new(broker, trigger);
        Ok(Self { subscriber, dead_letter_sink, delivery: trigger.delivery.clone(), recipient })
    }

    /// Whom the events are for.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The subscriber's URL.
    pub fn subscriber(&self) -> &str {
        &self.subscriber.url
    }

    /// The dead letter sink's URL.
    pub fn dead_letter_sink(&self) -> Option<&str> {
        self.dead_letter_sink.as_ref().map(|target| &*target.url)
    }
}

/// Which attributes of ours a request leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// The TTL is the Broker's business: a subscriber does not see it (data plane, section 4).
    Broker,
    /// It goes along: the next Broker needs it.
    Anywhere,
}

/// An address and everything about a request to it that does not depend on the event.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) url: Arc<str>,
    uri: Uri,
    headers: SmallVec<[(HeaderName, HeaderValue); 3]>,
    format: Format,
    inside: Inside,
}

impl Target {
    pub(super) fn new(clients: &Clients, destination: &ResolvedDestination) -> Result<Self, RouteError> {
        let url = &destination.url;
        let invalid = |reason| RouteError::Url { url: redact(url).as_str().into(), reason };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it carries a user name or password"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(invalid("it has no host"));
        }
        let uri: Uri = url.as_str().parse().map_err(|_| invalid("it is malformed"))?;
        let mut headers = SmallVec::new();
        let client = match url.scheme() {
            "http" => {
                // Saves the client from making it up for every request. Over https it may be HTTP/2, which has none.
                let authority = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
                headers.extend(authority.map(|authority| (HOST, authority)));
                clients.plain()
            }
            "https" => clients
                .tls(destination.ca_certs.as_deref())
                .map_err(|source| RouteError::Tls { url: url.as_str().into(), source })?,
            _ => return Err(invalid("its scheme is neither http nor https")),
        };
        Ok(Self { client, url: url.as_str().into(), uri, headers, format: Format::Binary, inside: Inside::Anywhere })
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The request that delivers `event`.
    pub(super) fn request(&self, event: &Event) -> Result<Request<Full<Bytes>>, InvalidEvent> {
        let extensions = event.attributes().extensions.len();
        let mut headers = HeaderMap::with_capacity(self.headers.len() + extensions + 10);
        let body = match self.format {
            Format::Binary if codec::fits_binary(event) => {
                codec::encode_binary(event, &mut headers)?;
                headers.remove(CE_CARRIED);
                if self.inside == Inside::Broker {
                    headers.remove(CE_TTL);
                }
                event.data().cloned().unwrap_or_default()
            }
            // Also an event whose attributes no header can carry.
            Format::Binary | Format::Json => {
                // Without what only we need; copies the attributes, as changing a shared event does.
                let mut outside = event.clone();
                outside.remove_extension(carried::CARRIED);
                if self.inside == Inside::Broker {
                    outside.remove_extension(TTL);
                }
                codec::encode_structured(&outside, &mut headers)
            }
        };
        // The distributed tracing extension first, so that the request's own trace context wins.
        for name in [TRACEPARENT, TRACESTATE] {
            if let Some(Value::String(text)) = event.extension(name.as_str())
                && let Ok(value) = HeaderValue::from_str(text)
            {
                headers.insert(name, value);
            }
        }
        for (name, value) in carried::hand_over(event) {
            headers.insert(name, value);
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// `url` without its password.
fn redact(url: &Url) -> Url {
    let mut url = url.clone();
    // Fails only for URLs that cannot have one.
    let _without_password = url.set_password(None);
    url
}
