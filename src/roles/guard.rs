//! What stands before the API: nothing on loopback, TLS and tokens elsewhere.

use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::net::TcpListener;
use url::Url;
use weir_standalone::api::{Access, Credentials, Tokens};
use weir_standalone::pki::Authority;

use super::standalone::address_of;
use crate::config::{ApiAccess, Settings};
use crate::data_dir::{DataDir, write_atomically};
use crate::failure::{Exit, Failure, OrFail, Outcome};

/// How the API of this process is guarded, and how its owner gets in.
#[derive(Default)]
pub(super) struct Guard {
    pub(super) access: Option<Access>,
    pub(super) credentials: Option<Credentials>,
    /// The name others call it by, if one was given.
    host: Option<String>,
}

/// The one user of a token made here.
const OWNER: &str = "admin";

impl Guard {
    /// Reads or makes certificate and tokens, if `listener` needs them.
    pub(super) fn prepare(settings: &Settings, data_dir: &DataDir, listener: &TcpListener) -> Outcome<Self> {
        let access = &settings.api_access;
        let ip = listener.local_addr()?.ip();
        if ip.is_loopback() && !access.is_asked_for() {
            return Ok(Self::default());
        }
        let (tokens, token) = tokens(access, data_dir)?;
        let (certificates, key, authority) = match &access.certificate {
            Some((certificates, key)) => {
                (read(certificates)?, read(key)?, access.authority.as_deref().map(read).transpose()?)
            }
            None => {
                let authority = authority(data_dir)?;
                let issued = authority
                    .issue(&hosts(access, ip), SystemTime::now())
                    .or_fail(Exit::Usage, || "cannot make a certificate for the API; see --api-hosts".to_owned())?;
                (issued.certificate, issued.key, Some(authority.certificate))
            }
        };
        let access =
            Access::new(&certificates, &key, tokens).or_fail(Exit::Usage, || "cannot guard the API".to_owned())?;
        let credentials = Some(Credentials { authority, token });
        Ok(Self { access: Some(access), credentials, host: settings.api_access.hosts.first().cloned() })
    }

    /// The URL at which clients reach `listener`.
    pub(super) fn url(&self, listener: &TcpListener) -> Outcome<Url> {
        let address = address_of(listener)?;
        let url = match (&self.access, &self.host) {
            (None, _) => format!("http://{address}"),
            (Some(_), None) => format!("https://{address}"),
            (Some(_), Some(host)) if host.contains(':') => format!("https://[{host}]:{}", address.port()),
            (Some(_), Some(host)) => format!("https://{host}:{}", address.port()),
        };
        Ok(url.parse()?)
    }
}

/// Everything the API may be called by.
fn hosts(access: &ApiAccess, ip: IpAddr) -> Vec<String> {
    let mut hosts = access.hosts.clone();
    hosts.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    if !ip.is_unspecified() {
        hosts.push(ip.to_string());
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    hosts.extend((!name.is_empty()).then_some(name));
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The tokens that let somebody in, and the one for the kubeconfig.
fn tokens(access: &ApiAccess, data_dir: &DataDir) -> Outcome<(Tokens, String)> {
    if let Some(path) = &access.tokens {
        let file = read(path)?;
        let tokens = Tokens::parse(&file).or_fail(Exit::Usage, || format!("cannot use {}", path.display()))?;
        let token = tokens.first().unwrap_or_default().to_owned();
        return Ok((tokens, token));
    }
    let known = read_if_there(data_dir, "token")?.map(|token| token.trim().to_owned());
    let token = match known.filter(|token| !token.is_empty()) {
        Some(token) => token,
        None => {
            let token = random_token()?;
            write(data_dir, "token", &format!("{token}\n"))?;
            token
        }
    };
    Ok((Tokens::default().with(&token, OWNER), token))
}

/// The authority in the data directory, made or renewed if need be.
fn authority(data_dir: &DataDir) -> Outcome<Authority> {
    let (certificate, key) = (read_if_there(data_dir, "ca.crt")?, read_if_there(data_dir, "ca.key")?);
    let stored = key.map(|key| Authority { certificate: certificate.unwrap_or_default(), key });
    let current = Authority::current(stored.clone(), SystemTime::now())
        .or_fail(Exit::Failure, || format!("cannot use {}", data_dir.join("pki").join("ca.key").display()))?;
    if stored.as_ref() != Some(&current) {
        write(data_dir, "ca.key", &current.key)?;
        write(data_dir, "ca.crt", &current.certificate)?;
    }
    Ok(current)
}

/// A file of `pki/`. Only one that is not there counts as none: what cannot be read must not be replaced.
fn read_if_there(data_dir: &DataDir, name: &str) -> Outcome<Option<String>> {
    let path = data_dir.join("pki").join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Exit::Failure, || format!("cannot read {}", path.display())),
    }
}

fn write(data_dir: &DataDir, name: &str, text: &str) -> Outcome {
    let directory = data_dir.join("pki");
    let path = directory.join(name);
    fs::create_dir_all(&directory)
        .and_then(|()| write_atomically(&path, text.as_bytes(), 0o600))
        .or_fail(Exit::Failure, || format!("cannot write {}", path.display()))
}

/// 256 bits that nobody guesses.
fn random_token() -> Outcome<String> {
    let mut bytes = [0; 32];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Failure::text(Exit::Failure, format!("no randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).or_fail(Exit::Usage, || format!("cannot read {}", path.display()))
}
