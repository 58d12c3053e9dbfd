//! The HTTP server of the data plane: accepts connections, bounds them, and drains them on a stop.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::USER_AGENT;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ingress::{self, Answer, Ingress};
use crate::metrics::Metrics;
use crate::settings::IngressSettings;

/// Largest header block of a request.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// HTTP/2 connections are asked this often whether they are alive, and closed if they do not answer within it.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Pause after an accept that failed for want of something that may come back, file descriptors above all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `listener` until `shutdown`; then answers for the quiet period, finishes what is in progress, and returns.
pub(crate) async fn serve(
    listener: TcpListener,
    ingress: Ingress,
    settings: &IngressSettings,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) {
    let server = Arc::new(Server {
        ingress,
        metrics,
        builder: builder(settings),
        header_timeout: settings.header_timeout,
        draining: shutdown,
        last_request: CancellationToken::new(),
    });
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let quiet = async {
        server.draining.cancelled().await;
        tokio::time::sleep(settings.quiet_period).await;
    };
    tokio::select! {
        () = quiet => {}
        () = server.accept(&listener, &room, &connections) => {}
    }
    drop(listener);
    server.last_request.cancel();
    connections.close();
    if tokio::time::timeout(settings.grace_period, connections.wait()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "Requests still in progress after the grace period are cut off."
        );
    }
}

struct Server {
    ingress: Ingress,
    metrics: Arc<Metrics>,
    builder: auto::Builder<TokioExecutor>,
    header_timeout: Duration,
    /// Fires when the process is to stop: probes fail, everything else still works.
    draining: CancellationToken,
    /// Fires when connections are to end after the request in progress.
    last_request: CancellationToken,
}

fn builder(settings: &IngressSettings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

impl Server {
    /// Never returns: what cannot be accepted now is accepted later.
    async fn accept(self: &Arc<Self>, listener: &TcpListener, room: &Arc<Semaphore>, connections: &TaskTracker) {
        loop {
            let Ok(permit) = Arc::clone(room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _peer)) => {
                    connections.spawn(Arc::clone(self).connection(stream, permit));
                }
                Err(error) => self.accept_failed(&error).await,
            }
        }
    }

    async fn accept_failed(&self, error: &io::Error) {
        self.metrics.accept_errors.inc();
        match error.kind() {
            // The peer went away before we looked.
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {}
            _ => {
                tracing::warn!(%error, "Cannot accept connections; trying again.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, _room: OwnedSemaphorePermit) {
        // Only a hint: an answer that waits for the next one is late, not lost.
        let _best_effort = stream.set_nodelay(true);
        self.metrics.connections.inc();
        let greeted = Arc::new(AtomicBool::new(false));
        let service = {
            let (server, greeted) = (Arc::clone(&self), Arc::clone(&greeted));
            service_fn(move |request| {
                greeted.store(true, Ordering::Relaxed);
                let server = Arc::clone(&server);
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            })
        };
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        // hyper's header timeout begins once the protocol's version is known, so the first request has one of its own.
        let mut first_request = pin!(tokio::time::sleep(self.header_timeout));
        let mut waits_for_first = true;
        loop {
            tokio::select! {
                biased;
                _finished_or_broken = connection.as_mut() => break,
                () = self.last_request.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _finished_or_broken = connection.await;
                    break;
                }
                () = first_request.as_mut(), if waits_for_first => {
                    if !greeted.load(Ordering::Relaxed) {
                        break;
                    }
                    waits_for_first = false;
                }
            }
        }
        self.metrics.connections.dec();
    }

    /// The one place that decides who answers a request: a probe, or an event address. Requests for a host that is not
    /// the data plane's own will be told apart here and go to the serving gateway.
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if is_probe(&request) {
            return self.health();
        }
        // A bug in handling one request is that request's failure.
        match std::panic::AssertUnwindSafe(self.ingress.answer(request)).catch_unwind().await {
            Ok(answer) => answer,
            Err(_panic) => {
                self.metrics.panics.inc();
                tracing::error!("A request hit a bug and was answered with 500.");
                ingress::panicked()
            }
        }
    }

    fn health(&self) -> Answer {
        let reason =
            if self.draining.is_cancelled() { Some("draining".to_owned()) } else { self.ingress.health().err() };
        let mut answer = Response::new(Full::new(Bytes::new()));
        if let Some(reason) = reason {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            *answer.body_mut() = Full::new(format!("{reason}\n").into());
        }
        answer
    }
}

/// Kubernetes' probes are known by their agent, whatever the path, as in Knative; `/healthz` is for everyone else.
fn is_probe(request: &Request<Incoming>) -> bool {
    request.uri().path() == "/healthz"
        || request.headers().get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"kube-probe/"))
}
