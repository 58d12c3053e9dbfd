//! Who may use an endpoint that others can reach: TLS, and a bearer token for each user.
//!
//! There is no authorization: whoever has a token may do everything, as nobody but the owner of this machine does.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use subtle::ConstantTimeEq as _;

use super::failure::Failure;
use super::request::User;

/// What guards an endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    pub(super) tls: Arc<ServerConfig>,
    tokens: Arc<Tokens>,
}

/// Tokens and whose they are.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(Box<str>, User)>);

/// Why an endpoint cannot be guarded.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The certificate, its key, or both, cannot be used.
    #[error("cannot use the TLS certificate: {0}")]
    Certificate(String),
    /// A line of the token file is not understood. The text does not repeat it: it may hold a token.
    #[error("line {line} of the token file is not TOKEN,USER,UID[,GROUPS]")]
    Token {
        /// Counted from 1.
        line: usize,
    },
    /// Without a token nobody could ever get in.
    #[error("the token file holds no token")]
    NoToken,
}

impl Access {
    /// Guards with the certificate chain and private key in PEM.
    pub fn new(certificates: &str, key: &str, tokens: Tokens) -> Result<Self, AccessError> {
        let invalid = |error: &dyn std::fmt::Display| AccessError::Certificate(error.to_string());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| invalid(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| invalid(&error))?;
        let mut tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| invalid(&error))?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), tokens: Arc::new(tokens) })
    }
}

impl Tokens {
    /// One token, of `user`.
    #[must_use]
    pub fn with(mut self, token: &str, user: &str) -> Self {
        self.0.push((token.into(), User(user.into())));
        self
    }

    /// Reads a file as `kube-apiserver --token-auth-file` takes it: `token,user,uid[,"group1,group2"]` on each line.
    /// Groups and uids are accepted and mean nothing.
    pub fn parse(file: &str) -> Result<Self, AccessError> {
        let mut tokens = Self::default();
        for (index, line) in file.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut columns = line.splitn(4, ',').map(str::trim);
            match (columns.next(), columns.next(), columns.next()) {
                (Some(token), Some(user), Some(_uid)) if !token.is_empty() && !user.is_empty() => {
                    tokens = tokens.with(token, user);
                }
                _ => return Err(AccessError::Token { line: index + 1 }),
            }
        }
        if tokens.0.is_empty() { Err(AccessError::NoToken) } else { Ok(tokens) }
    }

    /// The first token.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(|(token, _)| token.as_ref())
    }

    /// Whose `token` is. Takes the same time for every token of a length, right or wrong.
    fn user(&self, token: &str) -> Option<&User> {
        let mut found = None;
        for (known, user) in &self.0 {
            if bool::from(known.as_bytes().ct_eq(token.as_bytes())) {
                found = Some(user);
            }
        }
        found
    }
}

/// Paths that say nothing worth a secret: probes ask for them without credentials.
const OPEN: [&str; 4] = ["/livez", "/readyz", "/healthz", "/version"];

/// Lets nobody in without a token.
pub(super) async fn authenticate(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| {
        let (scheme, token) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match token.and_then(|token| access.tokens.user(token)).cloned() {
        Some(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        None if token.is_none() && OPEN.contains(&request.uri().path()) => next.run(request).await,
        None => Failure::unauthorized().into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_files_are_those_of_kubernetes() {
        let tokens = Tokens::parse("# people\n\nt1,ann,1,\"system:masters,x\"\nt2, bob , 2\n").expect("parses");
        assert_eq!(tokens.user("t1").map(|user| &*user.0), Some("ann"));
        assert_eq!(tokens.user("t2").map(|user| &*user.0), Some("bob"));
        for wrong in ["", "t", "t3", "t11"] {
            assert!(tokens.user(wrong).is_none(), "{wrong}");
        }
        for (broken, line) in [("t1,ann,1\nsecret", 2), (",ann,1", 1), ("t1,,1", 1)] {
            let told = Tokens::parse(broken).err().expect(broken).to_string();
            assert!(told.contains(&format!("line {line} ")) && !told.contains("secret"), "{told}");
        }
        assert!(matches!(Tokens::parse("\n"), Err(AccessError::NoToken)));
    }
}
