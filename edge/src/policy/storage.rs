//! Whether an answer may be stored by a shared cache (RFC 9111 §3), and why
//! not. It must never know where it would be stored.

use http::header::{self, HeaderMap};
use http::{Method, StatusCode};

use super::cache_control::{RequestDirectives, ResponseDirectives};
use super::freshness::{self, Lifetimes};

/// What of the request bears on storing its answer.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// Its `Cache-Control`.
    pub directives: RequestDirectives,
    /// Whether it had `Authorization`.
    pub authorized: bool,
}

/// Why an answer is not stored. The label stands in `Cache-Status` as `detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotStored {
    /// §3: only answers to GET are kept here.
    Method,
    /// §3: a part, an interim answer, or a status that is not for storing.
    Status,
    /// §5.2.1.5: the request forbids it.
    RequestNoStore,
    /// §5.2.2.5: the answer forbids it.
    NoStore,
    /// §5.2.2.7: the answer is for one user.
    Private,
    /// §3.5: the request was authorised and the answer does not permit sharing.
    Authorized,
    /// §4.1: it varies by more than the coding.
    Vary,
    /// It sets a cookie.
    Cookie,
    /// §4.2: it names no lifetime.
    NoLifetime,
    /// It is a stream of events.
    Events,
    /// Over the largest body that is stored.
    TooLarge,
    /// A tag of it was dropped while it was made (rule 12).
    Dropped,
}

impl NotStored {
    /// The label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::RequestNoStore => "request-no-store",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorized => "authorized",
            Self::Vary => "vary",
            Self::Cookie => "set-cookie",
            Self::NoLifetime => "no-lifetime",
            Self::Events => "event-stream",
            Self::TooLarge => "too-large",
            Self::Dropped => "dropped",
        }
    }
}

/// Whether this answer may be stored, and for how long.
///
/// # Errors
/// The first reason against it.
pub fn storable(
    asked: Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Lifetimes, NotStored> {
    if *asked.method != Method::GET {
        return Err(NotStored::Method);
    }
    if !is_understood(status) {
        return Err(NotStored::Status);
    }
    if asked.directives.no_store {
        return Err(NotStored::RequestNoStore);
    }
    let (directives, plain) = both_directives(headers);
    // Where the fields disagree about storing at all, the stricter counts.
    if directives.no_store || plain.no_store {
        return Err(NotStored::NoStore);
    }
    if directives.private || plain.private {
        return Err(NotStored::Private);
    }
    let shared = directives.public || directives.must_revalidate || directives.s_maxage.is_some();
    if asked.authorized && !shared {
        return Err(NotStored::Authorized);
    }
    if headers.contains_key(header::SET_COOKIE) {
        return Err(NotStored::Cookie);
    }
    if varies_beyond_coding(headers) {
        return Err(NotStored::Vary);
    }
    let media = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    if media.starts_with(b"text/event-stream") {
        return Err(NotStored::Events);
    }
    freshness::lifetimes(status, headers).ok_or(NotStored::NoLifetime)
}

/// Whether an answer that is not stored for `reason` may be told to all who wait for it
/// now. `reason` is the first of several: what makes an answer one client's own is
/// looked for again.
#[must_use]
pub fn is_for_all(asked: Asked<'_>, reason: NotStored, headers: &HeaderMap) -> bool {
    let (directives, plain) = both_directives(headers);
    matches!(reason, NotStored::Status | NotStored::NoStore | NotStored::NoLifetime)
        && !asked.authorized
        && !directives.private
        && !plain.private
        && !headers.contains_key(header::SET_COOKIE)
        && !varies_beyond_coding(headers)
}

/// The directives that count here, and those for everybody.
fn both_directives(headers: &HeaderMap) -> (ResponseDirectives, ResponseDirectives) {
    let plain = ResponseDirectives::read(headers, &header::CACHE_CONTROL);
    (freshness::effective(headers).unwrap_or_default(), plain.unwrap_or_default())
}

/// §3: a final status whose meaning for caching is known. Parts (206) and 304
/// are none; server errors are kept only where they say so, and shortly.
fn is_understood(status: StatusCode) -> bool {
    !status.is_informational()
        && status != StatusCode::PARTIAL_CONTENT
        && status != StatusCode::NOT_MODIFIED
}

/// The key holds the coding; any other dimension (or `*`) is not stored.
fn varies_beyond_coding(headers: &HeaderMap) -> bool {
    headers.get_all(header::VARY).iter().any(|line| {
        let Ok(line) = line.to_str() else { return true };
        let mut names = line.split(',').map(str::trim).filter(|n| !n.is_empty());
        names.any(|name| !name.eq_ignore_ascii_case("accept-encoding"))
    })
}

#[cfg(test)]
mod tests;
