//! The HTTP client: pooled connections, TLS per CA bundle, and names that exist only inside Weir.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower::Service;
use url::{Host, Url};

/// Sends requests over pooled connections. Cloning shares the pool.
pub(super) type Client = legacy::Client<HttpsConnector<Connector>, Full<Bytes>>;

/// Longest wait for a TCP connection: what a delivery without time-out would otherwise leave to the system.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Idle connections kept per destination.
const IDLE_PER_HOST: usize = 1_024;
/// Clients kept, each for another CA bundle.
const MAX_CLIENTS: usize = 64;

/// Where host names that exist only inside Weir are served, such as
/// `broker-ingress.knative-eventing.svc.cluster.local`. The URL's `Host` and, for TLS, its name stay as they are.
#[derive(Clone)]
pub struct HostMap(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<SocketAddr> + Send + Sync;

impl HostMap {
    /// `lookup` gets the URL's host, without port, and says where it is served; `None` leaves it to DNS.
    pub fn new(lookup: impl Fn(&str) -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }
}

impl Default for HostMap {
    /// No such names.
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for HostMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostMap")
    }
}

/// The CA certificates of a destination cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or no certificate in it.
    #[error("CACerts is not a list of certificates in PEM format")]
    CaCerts,
    /// A configuration the TLS library refuses.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// Clients by what they trust.
#[derive(Debug)]
pub(super) struct Clients {
    hosts: HostMap,
    ingress: Option<SocketAddr>,
    plain: Client,
    /// By CA bundle, the one used last at the end.
    tls: Mutex<Vec<(Option<Box<str>>, Client)>>,
}

impl Clients {
    pub(super) fn new(hosts: HostMap, ingress: Option<SocketAddr>) -> Result<Self, TlsError> {
        // Never used for https, so that the system's certificates are read only where they are needed.
        let plain = build(&hosts, tls_config(RootCertStore::empty())?);
        Ok(Self { hosts, ingress, plain, tls: Mutex::default() })
    }

    /// Whether events posted to `url` come back to this process.
    pub(super) fn is_ingress(&self, url: &Url) -> bool {
        let Some(ingress) = self.ingress else { return false };
        match url.host() {
            Some(Host::Domain(name)) if (self.hosts.0)(name) == Some(ingress) => return true,
            Some(Host::Domain(name)) if !(name == "localhost" && ingress.ip().is_loopback()) => return false,
            Some(Host::Ipv4(ip)) if ingress.ip() != ip => return false,
            Some(Host::Ipv6(ip)) if ingress.ip() != ip => return false,
            Some(_) => {}
            None => return false,
        }
        url.port_or_known_default() == Some(ingress.port())
    }

    pub(super) fn plain(&self) -> Client {
        self.plain.clone()
    }

    /// The client that trusts the system's certificates and those in `ca_certs`.
    pub(super) fn tls(&self, ca_certs: Option<&str>) -> Result<Client, TlsError> {
        let mut known = self.tls.lock();
        let entry = match known.iter().position(|(trusted, _)| trusted.as_deref() == ca_certs) {
            Some(at) => known.remove(at),
            None => (ca_certs.map(Box::from), build(&self.hosts, tls_config(roots(ca_certs)?)?)),
        };
        let client = entry.1.clone();
        if known.len() == MAX_CLIENTS {
            known.remove(0);
        }
        known.push(entry);
        Ok(client)
    }
}

fn roots(ca_certs: Option<&str>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // A system without certificates, or with unusable ones, still trusts the destination's own.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = ca_certs {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.map_err(|_| TlsError::CaCerts)?).map_err(|_| TlsError::CaCerts)?;
        }
        if roots.len() == before {
            return Err(TlsError::CaCerts);
        }
    }
    Ok(roots)
}

fn tls_config(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn build(hosts: &HostMap, tls: ClientConfig) -> Client {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEP_ALIVE));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(Connector { tcp, hosts: hosts.clone() });
    legacy::Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .build(connector)
}

/// Opens TCP connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector,
    hosts: HostMap,
}

impl Service<Uri> for Connector {
    type Response = Tracked;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Tracked, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let served_at = uri.host().and_then(|host| (self.hosts.0)(host));
        let uri = match served_at
            .map(|address| Uri::builder().scheme("http").authority(address.to_string()).path_and_query("/").build())
        {
            Some(Ok(uri)) => uri,
            // An address always makes an authority.
            Some(Err(_)) | None => uri,
        };
        let connecting = self.tcp.call(uri);
        Box::pin(async move { Ok(Tracked { tcp: connecting.await?, served: Served::default() }) })
    }
}

/// Whether a connection has answered a request before.
#[derive(Clone, Debug, Default)]
struct Served(Arc<AtomicBool>);

/// Remembers that the connection this response came on works, so that [`is_stale`] can tell.
pub(super) fn mark_served(response: &Response<Incoming>) {
    if let Some(Served(served)) = response.extensions().get() {
        served.store(true, Ordering::Relaxed);
    }
}

/// Whether a pooled connection died before it answered: the subscriber had closed it, perhaps long ago, and most
/// likely never saw the request. A new connection is needed, no attempt was made.
///
/// hyper itself replaces a connection it knows to be closed; this is for the close that crossed the request.
pub(super) fn is_stale(error: &legacy::Error) -> bool {
    let mut extensions = Extensions::new();
    let Some(connected) = error.connect_info() else { return false };
    connected.get_extras(&mut extensions);
    let served = extensions.get::<Served>().is_some_and(|Served(served)| served.load(Ordering::Relaxed));
    served && lost_connection(error)
}

fn lost_connection(error: &legacy::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<hyper::Error>()
            && (cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed())
        {
            return true;
        }
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            return matches!(cause.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof);
        }
        source = cause.source();
    }
    false
}

/// A TCP connection that carries [`Served`].
#[derive(Debug)]
pub(super) struct Tracked {
    tcp: TokioIo<TcpStream>,
    served: Served,
}

impl Connection for Tracked {
    fn connected(&self) -> Connected {
        self.tcp.connected().extra(self.served.clone())
    }
}

impl Read for Tracked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl Write for Tracked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }
}
