//! How long an answer lives (RFC 9111 §4.2, RFC 9213 §2.2) and how old it is
//! (§4.2.3). Two lifetimes are kept apart (rule 13): the ordinary one, and the
//! long hold that counts only under a live change feed.

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName};

use super::cache_control::ResponseDirectives;
use super::{MICROS_PER_SECOND, Now};

/// The targeted field of CDNs (RFC 9213 §3.1).
pub const CDN_CACHE_CONTROL: HeaderName =
    HeaderName::from_static(springtide_protocol::headers::CDN_CACHE_CONTROL);
/// Our own targeted field.
pub const SPRINGTIDE_CACHE_CONTROL: HeaderName =
    HeaderName::from_static(springtide_protocol::headers::SPRINGTIDE_CACHE_CONTROL);

/// An error is kept no longer than this.
pub const MOST_ERROR_SECONDS: i64 = 10;

/// What a stored answer's fields allow. Times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// The ordinary lifetime; 0: validate before each use.
    pub ordinary: i64,
    /// The long hold under a live feed (rule 13).
    pub hold: Option<i64>,
    /// RFC 5861 §3.
    pub stale_while_revalidate: i64,
    /// RFC 5861 §4.
    pub stale_if_error: i64,
    /// Never used stale (§5.2.2.2, §5.2.2.8, §5.2.2.4, §5.2.2.10).
    pub strict: bool,
    /// Its content cannot change (RFC 8246): no purge but a drop touches it.
    pub immutable: bool,
}

/// The directives that count for this cache: CDN-Cache-Control where it is
/// there, else Cache-Control (RFC 9213 §2.2).
#[must_use]
pub fn effective(headers: &HeaderMap) -> Option<ResponseDirectives> {
    let targeted = ResponseDirectives::read(headers, &CDN_CACHE_CONTROL);
    let known = targeted.filter(|d| *d != ResponseDirectives::default());
    known.or_else(|| ResponseDirectives::read(headers, &header::CACHE_CONTROL))
}

/// The explicit lifetimes of an answer (§4.2.1); `None` where it names none.
#[must_use]
pub fn lifetimes(status: StatusCode, headers: &HeaderMap) -> Option<Lifetimes> {
    let directives = effective(headers);
    let ours = ResponseDirectives::read(headers, &SPRINGTIDE_CACHE_CONTROL);
    let plain = directives.unwrap_or_default();
    let named = plain.s_maxage.or(plain.max_age).map(|s| micros(s.into()));
    let expires = || expires_after_date(headers);
    let always = plain.no_cache.then_some(0);
    let mut ordinary = always.or(named).or_else(expires)?;
    let mut hold = ours.and_then(|d| d.s_maxage.or(d.max_age)).map(|s| micros(s.into()));
    if plain.no_cache {
        hold = None;
    }
    if status.is_client_error() || status.is_server_error() {
        ordinary = ordinary.min(micros(MOST_ERROR_SECONDS));
        hold = None;
    }
    // §5.2.2.10 says that s-maxage implies proxy-revalidate; RFC 5861's explicit
    // permission to serve stale wins over it.
    let permits = plain.stale_if_error.is_some() || plain.stale_while_revalidate.is_some();
    let explicit = plain.must_revalidate || plain.proxy_revalidate || plain.no_cache;
    Some(Lifetimes {
        ordinary,
        hold,
        stale_while_revalidate: micros(plain.stale_while_revalidate.unwrap_or(0).into()),
        stale_if_error: micros(plain.stale_if_error.unwrap_or(0).into()),
        strict: explicit || (plain.s_maxage.is_some() && !permits),
        immutable: plain.immutable,
    })
}

/// The age of an answer when it came in (§4.2.3): the value of `Age` and the time
/// that the exchange took, since all caches before us set `Age`. Microseconds.
#[must_use]
pub fn initial_age(headers: &HeaderMap, asked: Now, received: Now) -> i64 {
    // §5.1: of several values the first counts; what is not a number is ignored.
    let text = headers.get(header::AGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let first = text.split(',').next().unwrap_or_default().trim();
    let numeric = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
    let most = i64::from(super::cache_control::MOST_SECONDS);
    let named = if numeric { first.parse().map_or(most, |n: i64| n.min(most)) } else { 0 };
    micros(named) + (received.mono - asked.mono).max(0)
}

/// `Expires` − `Date` (§4.2.1); an `Expires` that is no date is past (§5.3).
fn expires_after_date(headers: &HeaderMap) -> Option<i64> {
    let mut lines = headers.get_all(header::EXPIRES).iter();
    let line = lines.next()?;
    if lines.next().is_some() {
        return Some(0);
    }
    let date = |value: &http::HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let (Some(expires), Some(sent)) = (date(line), headers.get(header::DATE).and_then(date)) else {
        return Some(0);
    };
    let seconds = expires.duration_since(sent).map_or(0, |d| d.as_secs());
    Some(micros(seconds.min(u64::from(super::cache_control::MOST_SECONDS)).cast_signed()))
}

const fn micros(seconds: i64) -> i64 {
    seconds * MICROS_PER_SECOND
}

#[cfg(test)]
mod tests;
