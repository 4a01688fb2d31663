//! Bearer tokens: JSON Web Tokens of one algorithm and one key. Times are held
//! against the clock that is handed in.

use http::{HeaderMap, header};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Map, Value};

use super::{AccessSettings, Algorithm, Denied, InvalidAccess};

/// How far clocks may differ.
const LEEWAY_SECONDS: i64 = 60;
/// The least bytes of a shared secret.
const SECRET_BYTES: usize = 16;

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Identity {
    /// The claims of a token that holds; `None`: nobody in particular.
    pub(crate) claims: Option<Map<String, Value>>,
}

impl Identity {
    /// When the token ends, in microseconds since 1970.
    pub(crate) fn ends_micros(&self) -> Option<i64> {
        let exp = self.claims.as_ref()?.get("exp").and_then(seconds)?;
        exp.checked_mul(1_000_000)
    }
}

/// Verifies tokens.
pub(crate) struct Verifier {
    key: Option<(DecodingKey, Validation)>,
}

impl Verifier {
    /// Reads the key.
    pub(crate) fn open(settings: &AccessSettings) -> Result<Self, InvalidAccess> {
        let Some(algorithm) = settings.algorithm else { return Ok(Self { key: None }) };
        let (file, name) = match algorithm {
            Algorithm::HS256 => (&settings.secret_file, "secret_file"),
            Algorithm::RS256 | Algorithm::ES256 => (&settings.public_key_file, "public_key_file"),
        };
        let path = file.as_ref().ok_or(InvalidAccess::KeyMissing(algorithm, name))?;
        let bytes = std::fs::read(path)
            .map_err(|source| InvalidAccess::KeyRead { path: path.clone(), source })?;
        Self::new(settings, algorithm, &bytes)
    }

    fn new(
        settings: &AccessSettings,
        algorithm: Algorithm,
        bytes: &[u8],
    ) -> Result<Self, InvalidAccess> {
        let (key, algorithm) = match algorithm {
            Algorithm::HS256 => {
                let secret = bytes.trim_ascii();
                if secret.len() < SECRET_BYTES {
                    return Err(InvalidAccess::SecretShort(secret.len()));
                }
                (Ok(DecodingKey::from_secret(secret)), jsonwebtoken::Algorithm::HS256)
            }
            Algorithm::RS256 => (DecodingKey::from_rsa_pem(bytes), jsonwebtoken::Algorithm::RS256),
            Algorithm::ES256 => (DecodingKey::from_ec_pem(bytes), jsonwebtoken::Algorithm::ES256),
        };
        let mut validation = Validation::new(algorithm);
        // Times are checked below, against the clock that is handed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        validation.validate_aud = settings.audience.is_some();
        if let Some(audience) = &settings.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        Ok(Self { key: Some((key.map_err(InvalidAccess::Key)?, validation)) })
    }

    /// Who a request is from. Without a key every request is from nobody.
    pub(crate) fn identify(
        &self,
        headers: &HeaderMap,
        now_micros: i64,
    ) -> Result<Identity, Denied> {
        let (Some((key, validation)), Some(token)) = (&self.key, bearer(headers)?) else {
            return Ok(Identity::default());
        };
        let data = jsonwebtoken::decode::<Map<String, Value>>(token, key, validation)
            .map_err(|error| Denied::Token(reason(error.kind())))?;
        let now = now_micros.div_euclid(1_000_000);
        let claims = data.claims;
        let exp = claims.get("exp").and_then(seconds);
        let exp = exp.ok_or(Denied::Token("it has no `exp`"))?;
        if exp.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(Denied::Token("it has expired"));
        }
        let not_before = claims.get("nbf").map(|nbf| seconds(nbf).unwrap_or(i64::MAX));
        if not_before.is_some_and(|nbf| nbf.saturating_sub(LEEWAY_SECONDS) > now) {
            return Err(Denied::Token("it is not valid yet"));
        }
        Ok(Identity { claims: Some(claims) })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("key", &self.key.is_some()).finish()
    }
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Denied::Token("`Authorization` is sent twice"));
    }
    let text = value.to_str().map_err(|_| Denied::Token("it is not text"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denied::Token("the scheme must be `Bearer`"));
    }
    Ok(Some(token.trim()))
}

/// A NumericDate (RFC 7519), whole seconds.
fn seconds(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds; a cast from f64 saturates")]
    let whole = |float: f64| float as i64;
    value.as_i64().or_else(|| value.as_f64().map(whole))
}

fn reason(kind: &jsonwebtoken::errors::ErrorKind) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match kind {
        ErrorKind::InvalidSignature => "its signature is another's",
        ErrorKind::InvalidAlgorithm => "it is signed with another algorithm",
        ErrorKind::InvalidIssuer => "its issuer is not the one expected",
        ErrorKind::InvalidAudience => "its audience is not the one expected",
        ErrorKind::MissingRequiredClaim(_) => "it lacks a required claim",
        _ => "it is not a JSON Web Token",
    }
}
