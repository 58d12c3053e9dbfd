//! Subscribers over TLS. The certificates beside this file are for these tests alone: `localhost` and
//! `inside.svc.cluster.local`, signed by `ca.pem`, whose key was thrown away.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const CA: &str = include_str!("tls/ca.pem");

/// Speaks the protocols in `alpn`, answers with the HTTP version it was asked in as the status 200 + version.
async fn start(alpn: &[&str]) -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).expect("certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server-key.pem")).expect("key");
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("configuration");
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(connection) = acceptor.accept(connection).await else { return };
                let service = service_fn(|request: Request<Incoming>| async move {
                    let status = if request.version() == http::Version::HTTP_2 { 202 } else { 201 };
                    let response = Response::builder().status(status).body(Empty::<Bytes>::new());
                    Ok::<_, Infallible>(response.expect("a response"))
                });
                let server = auto::Builder::new(TokioExecutor::new());
                let _closed = server.serve_connection(TokioIo::new(connection), service).await;
            });
        }
    });
    address
}

fn bench(url: &str, ca_certs: Option<&str>, hosts: HostMap) -> Bench {
    let mut bench = Bench::with(url, DeliverySettings { hosts, ..DeliverySettings::default() });
    let destination = ResolvedDestination { ca_certs: ca_certs.map(str::to_owned), ..destination(url) };
    bench.trigger.subscriber = Some(destination);
    bench.delivery(|delivery| delivery.retry = 0)
}

#[tokio::test]
async fn subscriber_is_trusted_by_its_ca_bundle_and_spoken_to_in_the_protocol_it_prefers() {
    for (alpn, status) in [(&["h2", "http/1.1"][..], 202), (&["http/1.1"][..], 201), (&[][..], 201)] {
        let url = format!("https://localhost:{}/", start(alpn).await.port());
        let bench = bench(&url, Some(CA), HostMap::default());
        for _ in 0..3 {
            assert_eq!(delivered(&bench.deliver(event()).await), (status, false, 1), "{alpn:?}");
        }
    }
}

#[tokio::test]
async fn subscriber_of_an_unknown_ca_or_another_name_is_not_connected_to() {
    let port = start(&["http/1.1"]).await.port();
    for (host, ca_certs) in [("localhost", None), ("127.0.0.1", Some(CA))] {
        let bench = bench(&format!("https://{host}:{port}/"), ca_certs, HostMap::default());
        let outcome = bench.deliver(event()).await;
        assert_eq!(dead(&outcome).1.kind, FailureKind::Connect, "{host}");
        assert!(dead(&outcome).1.detail.contains("certificate"), "{}", dead(&outcome).1.detail);
    }
}

#[tokio::test]
async fn names_that_exist_only_inside_are_the_names_certificates_are_checked_for() {
    let address = start(&["h2"]).await;
    let hosts = HostMap::new(move |host| host.ends_with(".svc.cluster.local").then_some(address));
    let inside = bench("https://inside.svc.cluster.local/", Some(CA), hosts.clone());
    assert_eq!(delivered(&inside.deliver(event()).await).0, 202);
    let other = bench("https://other.svc.cluster.local/", Some(CA), hosts);
    assert_eq!(dead(&other.deliver(event()).await).1.kind, FailureKind::Connect);
}
