//! Certificates of the machine's own: an authority that stays, and a certificate for the API, made anew at each start.
//!
//! Two certificates, not one that signs itself: clients on rustls refuse an authority's certificate as a server's.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Clocks of clients may be behind.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
/// How long the authority is trusted.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How long a certificate lasts: longer than any process runs.
const LIFE: Duration = Duration::from_secs(825 * 24 * 60 * 60);
/// The authority is replaced when less than this is left of it.
const RENEW_BEFORE: Duration = Duration::from_secs(900 * 24 * 60 * 60);

/// A certificate and what clients need to trust it. All in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The authority's certificate.
    pub authority: String,
    /// The server's certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file of the authority cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A key in the directory is damaged, or a host name is none.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// A certificate for a server that is called by any of `hosts` (names or addresses), from the authority in `directory`,
/// which is made if it is not there, and again when it is about to end. Private keys are readable by their owner only.
pub fn issue(directory: &Path, hosts: &[String]) -> Result<Issued, PkiError> {
    let key = key_of(&directory.join("ca.key"))?;
    let path = directory.join("ca.crt");
    let params = authority_params()?;
    // The same name and key make the same authority: only its certificate says how long it is trusted.
    let issuer = Issuer::new(authority_params()?, &key);
    let fresh = std::fs::metadata(&path)
        .and_then(|file| file.modified())
        .is_ok_and(|made| made.elapsed().is_ok_and(|age| age < AUTHORITY_LIFE - RENEW_BEFORE));
    let authority = match read(&path)? {
        Some(pem) if fresh => pem,
        _ => {
            let pem = params.self_signed(&key)?.pem();
            write(&path, &pem)?;
            pem
        }
    };
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = named("weir");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    lasts(&mut params, LIFE);
    let own = KeyPair::generate()?;
    let certificate = params.signed_by(&own, &issuer)?.pem();
    Ok(Issued { authority, certificate, key: own.serialize_pem() })
}

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("weir-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasts(&mut params, AUTHORITY_LIFE);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn lasts(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + life).into();
}

fn key_of(path: &Path) -> Result<KeyPair, PkiError> {
    if let Some(pem) = read(path)? {
        return Ok(KeyPair::from_pem(&pem)?);
    }
    let key = KeyPair::generate()?;
    write(path, &key.serialize_pem())?;
    Ok(key)
}

fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::File { path: path.display().to_string(), source }),
    }
}

fn write(path: &Path, text: &str) -> Result<(), PkiError> {
    let written = || {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let temporary = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    written().map_err(|source| PkiError::File { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_stays_and_its_key_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("a directory");
        let pki = directory.path().join("pki");
        let first = issue(&pki, &["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("issued");
        let second = issue(&pki, &["example.com".to_owned()]).expect("issued");
        assert_eq!(first.authority, second.authority);
        assert_ne!(first.certificate, second.certificate);
        let mode = std::fs::metadata(pki.join("ca.key")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(pki.join("ca.key"), "nonsense").expect("written");
        assert!(issue(&pki, &[]).is_err());
    }
}
