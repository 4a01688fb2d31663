//! Validation (RFC 9111 §4.3, RFC 9110 §13): a client's condition against a
//! stored answer, and what a 304 from upstream makes of one.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use springtide_protocol::ETag;
use springtide_protocol::etag::Coding;

/// Fields of a request that make it conditional in ways that only the origin
/// answers (RFC 9110 §13.1.1, §13.1.4, §13.1.5).
pub const ORIGIN_CONDITIONS: [HeaderName; 3] =
    [header::IF_MATCH, header::IF_UNMODIFIED_SINCE, header::IF_RANGE];

/// Reads a stored validator in the way that [`ETag::matches`] compares: without
/// mark and without the suffix of its coding (rule 15).
#[must_use]
pub fn validator(value: &HeaderValue, coding: Option<&HeaderValue>) -> Option<ETag> {
    let text = value.to_str().ok()?.trim();
    let (text, weak) = text.strip_prefix("W/").map_or((text, false), |t| (t, true));
    let opaque = text.strip_prefix('"')?.strip_suffix('"')?;
    let suffix = match coding.map(HeaderValue::as_bytes) {
        Some(b"br") => "-br",
        Some(b"gzip") => "-gz",
        _ => "",
    };
    let opaque = opaque.strip_suffix(suffix).unwrap_or(opaque).to_owned();
    Some(if weak { ETag::weak(opaque) } else { ETag::strong(opaque) })
}

/// Whether the client already has this answer: If-None-Match by weak
/// comparison, else If-Modified-Since (RFC 9110 §13.2.2).
#[must_use]
pub fn is_unmodified(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let mut named = request.get_all(header::IF_NONE_MATCH).iter().peekable();
    if named.peek().is_some() {
        let Some(value) = stored.get(header::ETAG) else { return false };
        let Some(etag) = validator(value, stored.get(header::CONTENT_ENCODING)) else {
            return false;
        };
        let exact = etag.header(Coding::Identity);
        return named
            .any(|line| line.to_str().is_ok_and(|text| text == exact || etag.matches(text)));
    }
    let date = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let since = request.get(header::IF_MODIFIED_SINCE).and_then(date);
    let modified = stored.get(header::LAST_MODIFIED).and_then(date);
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// The conditions of a refill (§4.3.1): the stored validators.
pub fn add_conditions(request: &mut HeaderMap, stored: &HeaderMap) {
    if let Some(etag) = stored.get(header::ETAG) {
        request.insert(header::IF_NONE_MATCH, etag.clone());
    }
    if let Some(date) = stored.get(header::LAST_MODIFIED) {
        request.insert(header::IF_MODIFIED_SINCE, date.clone());
    }
}

/// Whether a 304 speaks of the stored answer (§4.3.4): its validator, where it
/// names one, is the stored one by weak comparison.
#[must_use]
pub fn confirms(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
    let weakly = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        bytes.strip_prefix(b"W/").unwrap_or(bytes).to_vec()
    };
    match (not_modified.get(header::ETAG), stored.get(header::ETAG)) {
        (Some(new), Some(old)) => weakly(new) == weakly(old),
        _ => true,
    }
}

/// The stored fields brought up to date by a 304's (§3.2): each field that it
/// names replaces the stored one, but for those that describe the body.
#[must_use]
pub fn merge(stored: &HeaderMap, not_modified: &HeaderMap) -> HeaderMap {
    const BODY: [HeaderName; 4] = [
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
    ];
    let mut merged = stored.clone();
    for name in not_modified.keys().filter(|n| !BODY.contains(n)) {
        merged.remove(name);
        for value in not_modified.get_all(name) {
            merged.append(name.clone(), value.clone());
        }
    }
    merged
}

#[cfg(test)]
mod tests;
