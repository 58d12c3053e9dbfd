//! How the requests of a WebhookSource are signed.

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate_header;
use crate::validation::{FieldError, Path};

/// GitHub's, and that of services that do as GitHub does.
const DEFAULT_HEADER: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// Where the signature is and how it is made, as written in a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignatureSpec {
    /// Header that carries the signature; defaults to `X-Hub-Signature-256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Algorithm of the HMAC: `sha1`, `sha256` (the default) or `sha512`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Encoding of the signature: `hex` (the default) or `base64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Prefix that stands before the signature in the header; defaults to `sha256=` for the default header and to
    /// nothing for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// Where the signature is and how it is made, every default applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The header that carries it.
    pub header: HeaderName,
    /// The hash of the HMAC.
    pub algorithm: Algorithm,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// What stands before it; a header that does not begin with it is no signature.
    pub prefix: String,
}

/// The hash an HMAC is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1, for services that have nothing better.
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-512
    Sha512,
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    Hex,
    /// Standard base64 with padding.
    Base64,
}

impl SignatureSpec {
    /// Applies the defaults; adds every rule it breaks, and takes the default there.
    pub(super) fn resolve(self, path: &Path, errors: &mut Vec<FieldError>) -> Signature {
        let header = self.header.map_or(Some(DEFAULT_HEADER), |name| {
            validate_header(&name, &path.field("header"), errors);
            HeaderName::try_from(name).ok()
        });
        let header = header.unwrap_or(DEFAULT_HEADER);
        let algorithm = match self.algorithm.as_deref() {
            Some("sha1") => Algorithm::Sha1,
            None | Some("sha256") => Algorithm::Sha256,
            Some("sha512") => Algorithm::Sha512,
            Some(other) => {
                let detail = "expected sha1, sha256 or sha512";
                errors.push(FieldError::invalid(path.field("algorithm"), &other, detail));
                Algorithm::Sha256
            }
        };
        let encoding = match self.encoding.as_deref() {
            None | Some("hex") => Encoding::Hex,
            Some("base64") => Encoding::Base64,
            Some(other) => {
                errors.push(FieldError::invalid(path.field("encoding"), &other, "expected hex or base64"));
                Encoding::Hex
            }
        };
        let default_prefix = if header == DEFAULT_HEADER { "sha256=" } else { "" };
        let prefix = self.prefix.unwrap_or_else(|| default_prefix.to_owned());
        Signature { header, algorithm, encoding, prefix }
    }
}
