//! `/`: the live page. Its files are part of the program; it asks nothing of
//! other sites and may not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};
use springtide_protocol::ETag;
use springtide_protocol::etag::Coding;

use crate::body::{Body, empty, full};
use crate::request::if_none_match;
use crate::validators;

/// What the page may load and reach.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file of the page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asset {
    /// The page.
    Page,
    /// Its script.
    Script,
    /// Its style.
    Style,
}

impl Asset {
    const fn facts(self) -> (&'static str, &'static str) {
        match self {
            Self::Page => (include_str!("console/index.html"), "text/html; charset=utf-8"),
            Self::Script => (include_str!("console/console.js"), "text/javascript; charset=utf-8"),
            Self::Style => (include_str!("console/console.css"), "text/css; charset=utf-8"),
        }
    }
}

/// A file of the page, or 304.
pub(crate) fn asset(asset: Asset, head: &HeaderMap) -> Response<Body> {
    let (text, content_type) = asset.facts();
    let hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..12]);
    let etag = ETag::strong(hash);
    let held = validators::held(&etag, Coding::Identity, if_none_match(head).as_deref());
    let mut response = Response::new(if held.is_some() { empty() } else { full(text) });
    if held.is_some() {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, content_type);
    set(header::ETAG, &etag.to_string());
    set(header::CACHE_CONTROL, "public, max-age=0, must-revalidate");
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    response
}
