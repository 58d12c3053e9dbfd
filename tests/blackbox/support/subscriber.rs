//! A subscriber that records what it is given and answers as told.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

use super::eventually;

/// One request a subscriber got.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn id(&self) -> &str {
        self.header("ce-id")
    }
}

/// What a subscriber does with a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    hang: bool,
    delay: Duration,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Never answers.
    pub(crate) fn hang() -> Self {
        Self { hang: true, ..Self::status(200) }
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    /// Answers with an event.
    pub(crate) fn reply(id: &str, ty: &str) -> Self {
        Self::status(200)
            .header("ce-specversion", "1.0")
            .header("ce-id", id)
            .header("ce-source", "/subscriber")
            .header("ce-type", ty)
    }
}

type Script = dyn Fn(usize, &Received) -> Answer + Send + Sync;

struct Inner {
    received: Mutex<Vec<Received>>,
    script: Box<Script>,
}

/// A subscriber on a port of its own.
#[derive(Clone)]
pub(crate) struct Subscriber {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

impl Subscriber {
    /// Accepts everything.
    pub(crate) async fn start() -> Self {
        Self::scripted(|_, _| Answer::status(202)).await
    }

    /// Answers the n-th request (from 0) as `script` says.
    pub(crate) async fn scripted(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listen");
        Self::on(listener, script)
    }

    /// The same on a given listener.
    pub(crate) fn on(
        listener: tokio::net::TcpListener,
        script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}/", listener.local_addr().expect("address"));
        let inner = Arc::new(Inner { received: Mutex::default(), script: Box::new(script) });
        let app = Router::new().fallback(receive).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, inner }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.inner.received.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.inner.received.lock().len()
    }

    /// Ids in the order of arrival.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.inner.received.lock().iter().map(|received| received.id().to_owned()).collect()
    }

    /// Waits until at least `count` requests came; all of them.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} requests at the subscriber"), async || {
            let received = self.received();
            if received.len() >= count { Ok(received) } else { Err(self.ids()) }
        })
        .await
    }
}

async fn receive(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 << 20).await else {
        return Response::new(Body::empty());
    };
    let received = Received { headers: parts.headers, body };
    let answer = {
        let mut all = inner.received.lock();
        let answer = (inner.script)(all.len(), &received);
        all.push(received);
        answer
    };
    if answer.hang {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(answer.delay).await;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("status");
    for (name, value) in answer.headers {
        let name = http::HeaderName::try_from(name).expect("header name");
        response.headers_mut().insert(name, value.parse().expect("header value"));
    }
    response
}
