//! Signed versions (rule 7): `?v=` accepts only what this deployment issued.
//! HMAC-SHA256 (RFC 2104), cut to 128 bits, as the last piece `~S…`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::version::{InvalidVersion, Version};

/// Bytes of the cut signature.
const SIGNATURE_BYTES: usize = 16;

/// The deployment's signing key.
#[derive(Clone)]
pub struct VersionKey(Vec<u8>);

/// Why a signed version is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidSignedVersion {
    /// Unsigned, or signed by another deployment.
    #[error("this version was not issued here; take it whole from a `Springtide-Version` header")]
    NotIssued,
    /// The text is not a version.
    #[error(transparent)]
    Malformed(#[from] InvalidVersion),
}

impl VersionKey {
    /// A key from secret bytes; at least 16, better 32.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(secret.to_vec())
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length");
        mac.update(text.as_bytes());
        mac
    }

    /// The version's text with its signature.
    #[must_use]
    pub fn sign(&self, version: &Version) -> String {
        let text = version.to_string();
        let full = self.mac(&text).finalize().into_bytes();
        format!("{text}~S{}", URL_SAFE_NO_PAD.encode(&full[..SIGNATURE_BYTES]))
    }

    /// Reads a signed version.
    ///
    /// # Errors
    /// Where the signature is missing or another's, or the text is no version.
    pub fn verify(&self, signed: &str) -> Result<Version, InvalidSignedVersion> {
        let (text, signature) = signed.rsplit_once("~S").ok_or(InvalidSignedVersion::NotIssued)?;
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| InvalidSignedVersion::NotIssued)?;
        if signature.len() != SIGNATURE_BYTES {
            return Err(InvalidSignedVersion::NotIssued);
        }
        let checked = self.mac(text).verify_truncated_left(&signature);
        checked.map_err(|_| InvalidSignedVersion::NotIssued)?;
        Ok(text.parse()?)
    }
}

impl fmt::Debug for VersionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VersionKey(…)")
    }
}
