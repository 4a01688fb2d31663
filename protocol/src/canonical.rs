//! The syntactic layer of a URL's canonical form, shared by every tier (the
//! CDN's function keeps the same rules): decode and re-encode, sort, drop what
//! is empty, refuse what is too long. It knows no parameter's meaning.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::limits::{PARAMETERS, URL_BYTES};

/// Everything but RFC 3986's unreserved characters is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path and its parameters, decoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonicalUrl {
    path: Vec<String>,
    parameters: Vec<(String, String)>,
}

/// Why a URL has no canonical form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUrl {
    /// Over the bound.
    #[error("the URL has {0} bytes; at most {URL_BYTES} are read")]
    TooLong(usize),
    /// Over the bound.
    #[error("the URL has {0} parameters; at most {PARAMETERS} are read")]
    TooManyParameters(usize),
    /// A `%` that two hexadecimal digits do not follow, or bytes that are not UTF-8.
    #[error("`{0}` is not percent-encoded UTF-8")]
    Encoding(String),
    /// `.` or `..` as a segment.
    #[error("the path may not have `.` or `..` as a segment")]
    DotSegment,
}

impl CanonicalUrl {
    /// Reads a request target: a path and, after `?`, its query.
    ///
    /// # Errors
    /// Where it is too long, not well encoded, or has dot segments.
    pub fn parse(target: &str) -> Result<Self, InvalidUrl> {
        if target.len() > URL_BYTES {
            return Err(InvalidUrl::TooLong(target.len()));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments = path.split('/').filter(|s| !s.is_empty());
        let path = segments.map(|s| decode(s, false)).collect::<Result<Vec<_>, _>>()?;
        if path.iter().any(|s| s == "." || s == "..") {
            return Err(InvalidUrl::DotSegment);
        }
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name, true)?, decode(value, true)?);
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        if parameters.len() > PARAMETERS {
            return Err(InvalidUrl::TooManyParameters(parameters.len()));
        }
        // Stable: a name that is repeated keeps the order of its values.
        parameters.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { path, parameters })
    }

    /// The decoded segments of the path.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The decoded parameters, sorted by name.
    #[must_use]
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The only value of a parameter; `None` where it is missing or repeated.
    #[must_use]
    pub fn single(&self, name: &str) -> Option<&str> {
        let mut values = self.parameters.iter().filter(|(n, _)| n == name);
        let first = values.next()?;
        values.next().is_none().then_some(first.1.as_str())
    }
}

impl std::fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in &self.path {
            write!(f, "/{}", utf8_percent_encode(segment, ENCODED))?;
        }
        if self.path.is_empty() {
            f.write_str("/")?;
        }
        for (i, (name, value)) in self.parameters.iter().enumerate() {
            let (name, value) =
                (utf8_percent_encode(name, ENCODED), utf8_percent_encode(value, ENCODED));
            write!(f, "{}{name}={value}", if i == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// Decodes one part; in a query `+` is a space (HTML's form encoding).
fn decode(part: &str, is_query: bool) -> Result<String, InvalidUrl> {
    let invalid = || InvalidUrl::Encoding(part.chars().take(80).collect());
    let spaced = if is_query { part.replace('+', " ") } else { part.to_owned() };
    let escapes = spaced.split('%').skip(1);
    let well_formed = |after: &str| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit))
    };
    if !escapes.clone().all(well_formed) {
        return Err(invalid());
    }
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| invalid())?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests;
