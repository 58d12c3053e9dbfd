//! Certificates of the machine's own: an authority that stays, and certificates it signs. Reads and writes no files.
//!
//! Two certificates, not one that signs itself: clients on rustls refuse an authority's certificate as a server's.

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
/// The authority's certificate is made again when less than this is left of it: it has to outlive what it signs.
const RENEW_BEFORE: Duration = Duration::from_secs(900 * 24 * 60 * 60);

/// Who signs the API's certificates.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its certificate in PEM, after a line that says until when it lasts.
    pub certificate: String,
    /// Its private key in PEM.
    pub key: String,
}

/// A server's certificate and private key, in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// No certificate could be made: a key is damaged, or a host name is none.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate: {0}")]
pub struct PkiError(#[from] rcgen::Error);

impl Authority {
    /// The authority to use at `now`: the `stored` one, with a new certificate if its own is about to end, or a new one.
    pub fn current(stored: Option<Self>, now: SystemTime) -> Result<Self, PkiError> {
        let key = match &stored {
            Some(stored) => KeyPair::from_pem(&stored.key)?,
            None => KeyPair::generate()?,
        };
        if let Some(stored) = stored.filter(|stored| stored.ends().is_some_and(|ends| ends > now + RENEW_BEFORE)) {
            return Ok(stored);
        }
        // The same name and key are the same authority: clients that trust the old certificate trust this one.
        let certificate = params(now)?.self_signed(&key)?.pem();
        let ends = (now + AUTHORITY_LIFE).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self { certificate: format!("{ENDS}{ends}\n{certificate}"), key: key.serialize_pem() })
    }

    fn ends(&self) -> Option<SystemTime> {
        let seconds = self.certificate.lines().next()?.strip_prefix(ENDS)?.parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// A certificate for a server that is called by any of `hosts`, names or addresses.
    pub fn issue(&self, hosts: &[String], now: SystemTime) -> Result<Issued, PkiError> {
        let issuer = Issuer::new(params(now)?, KeyPair::from_pem(&self.key)?);
        let mut params = CertificateParams::new(hosts.to_vec())?;
        params.distinguished_name = named("weir");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        lasts(&mut params, now, LIFE);
        let key = KeyPair::generate()?;
        Ok(Issued { certificate: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
    }
}

/// Before the certificate, in seconds since 1970: text outside the block means nothing to those who read PEM.
const ENDS: &str = "ends ";

fn params(now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("weir-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasts(&mut params, now, AUTHORITY_LIFE);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn lasts(params: &mut CertificateParams, now: SystemTime, life: Duration) {
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + life).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_stays_until_it_is_about_to_end_and_keeps_its_key() {
        let made = SystemTime::now();
        let first = Authority::current(None, made).expect("made");
        let at = |later: Duration| Authority::current(Some(first.clone()), made + later).expect("read");
        assert!(at(AUTHORITY_LIFE - RENEW_BEFORE - BACKDATED) == first);
        let renewed = at(AUTHORITY_LIFE - RENEW_BEFORE + BACKDATED);
        assert!(renewed.key == first.key && renewed.certificate != first.certificate);
        let undated = Authority { certificate: first.certificate.replace(ENDS, "x"), ..first };
        assert!(Authority::current(Some(undated), made).expect("made again").ends().is_some());
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let good = Authority::current(None, SystemTime::now()).expect("made");
        assert!(good.issue(&["localhost".to_owned(), "127.0.0.1".to_owned()], SystemTime::now()).is_ok());
        let damaged = Authority { key: "nonsense".to_owned(), ..good };
        assert!(damaged.issue(&[], SystemTime::now()).is_err());
        assert!(Authority::current(Some(damaged), SystemTime::now()).is_err());
    }
}
