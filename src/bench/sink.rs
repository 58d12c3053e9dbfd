//! The receiving end: a subscriber that counts what arrives, and an address where nobody answers until it is opened.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::load::spawn_thread;
use super::tally::{Phase, Stamp};

/// A subscriber on a thread of its own. The first segment of a request's path is the number of the inbox it counts in.
/// Closed when dropped.
pub(super) struct Sink {
    address: SocketAddr,
    phase: Arc<Mutex<Arc<Phase>>>,
    _open: DropGuard,
}

impl Sink {
    /// Serves on `listener`, counting in `phase`.
    ///
    /// # Errors
    /// When the listener is unusable or a thread cannot be started.
    pub(super) fn start(listener: TcpListener, phase: Arc<Phase>) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("the sink has no address")?;
        let phase = Arc::new(Mutex::new(phase));
        let open = CancellationToken::new();
        let (closed, shared) = (open.clone(), Arc::clone(&phase));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        spawn_thread("bench-sink".to_owned(), move || {
            let served = runtime.block_on(closed.run_until_cancelled(serve(listener, move || {
                let shared = Arc::clone(&shared);
                service_fn(move |request| receive(Arc::clone(&shared.lock()), request))
            })));
            if let Some(Err(error)) = served {
                tracing::error!(error = format!("{error:#}"), "the sink stopped");
            }
        })?;
        Ok(Self { address, phase, _open: open.drop_guard() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that delivers to `inbox`.
    pub(super) fn inbox_url(&self, inbox: usize) -> String {
        format!("http://{}/{inbox}", self.address)
    }

    /// From now on deliveries count in `phase`.
    pub(super) fn turn_to(&self, phase: Arc<Phase>) {
        *self.phase.lock() = phase;
    }
}

async fn receive(phase: Arc<Phase>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let id = request.headers().get("ce-id").and_then(|id| id.to_str().ok());
    let stamp = id.and_then(Stamp::from_id);
    let inbox = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
    // Only an event that arrived whole counts.
    let complete = drain(request.into_body()).await;
    if complete {
        phase.receive(inbox, stamp);
    }
    let status = if complete { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST };
    Ok(empty(status))
}

/// Reads a body to its end and drops it; false if it broke off.
pub(super) async fn drain(mut body: Incoming) -> bool {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

/// Accepts connections for ever, one task and one service each.
///
/// # Errors
/// When the listener fails.
pub(super) async fn serve<S>(listener: TcpListener, service: impl Fn() -> S) -> anyhow::Result<()>
where
    S: HttpService<Incoming, ResBody = Empty<Bytes>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept a connection")?;
        stream.set_nodelay(true)?;
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service());
        // A connection that breaks is the sender's to notice.
        tokio::spawn(async move {
            connection.await.ok();
        });
    }
}

/// An address that refuses connections, and stays ours so that it can be opened later.
pub(super) struct DeadAddress {
    socket: tokio::net::TcpSocket,
    address: SocketAddr,
}

impl DeadAddress {
    /// Reserves a port on loopback.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn reserve() -> anyhow::Result<Self> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).context("cannot reserve a port")?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The URL of inbox 0 there.
    pub(super) fn inbox_url(&self) -> String {
        format!("http://{}/0", self.address)
    }

    /// Brings the subscriber to life.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub(super) fn open(self, phase: Arc<Phase>) -> anyhow::Result<Sink> {
        let listener = self.socket.listen(1024).context("cannot listen on the reserved port")?;
        Sink::start(listener.into_std()?, phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::client::{Client, Failure, Target};
    use crate::bench::tally::Clock;

    #[tokio::test]
    async fn a_dead_address_refuses_until_it_is_opened_and_then_counts() {
        let dead = DeadAddress::reserve().expect("a free port");
        let target = Target::new(&dead.inbox_url().parse().expect("URL"), Bytes::new()).expect("plain HTTP");
        let mut client = Client::new(Arc::new(target));
        let stamp = Stamp { phase: 1, number: 0, intended_ns: 0 };
        assert_eq!(client.send(stamp).await, Err(Failure::Connect));
        let phase = Arc::new(Phase::new(1, Clock::start(), 1));
        let _sink = dead.open(Arc::clone(&phase)).expect("opened");
        assert_eq!(client.send(stamp).await, Ok(StatusCode::ACCEPTED));
        assert_eq!(client.send(stamp).await, Ok(StatusCode::ACCEPTED));
        let account = phase.account();
        assert_eq!((account.delivered, account.duplicates), (1, 1));
    }
}
