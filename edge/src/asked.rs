//! What a request asks of the cache, read in one pass over its fields. It must
//! never know what is stored.

use http::header::{HeaderMap, HeaderValue};
use springtide_protocol::headers;
use springtide_protocol::version::{InvalidVersion, MinVersion};

use crate::policy::cache_control::RequestDirectives;

/// What the fields say.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    /// `Cache-Control` and `Pragma`.
    pub directives: RequestDirectives,
    /// Whether it has `Authorization`.
    pub authorized: bool,
    /// Whether it has If-None-Match or If-Modified-Since.
    pub conditional: bool,
    /// It asks for what no stored answer can give: a part, a stream of events,
    /// a condition for the origin, another protocol.
    pub bypass: bool,
    /// The coding.
    pub accept_encoding: Option<&'a HeaderValue>,
    minimum: Option<&'a HeaderValue>,
}

impl<'a> Fields<'a> {
    /// Reads them.
    #[must_use]
    pub(crate) fn read(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        let mut directs = false;
        for (name, value) in headers {
            match name.as_str() {
                "cache-control" | "pragma" => directs = true,
                "authorization" => fields.authorized = true,
                "if-none-match" | "if-modified-since" => fields.conditional = true,
                "range" | "if-range" | "if-match" | "if-unmodified-since" | "upgrade" => {
                    fields.bypass = true;
                }
                "accept" if value.as_bytes().starts_with(b"text/event-stream") => {
                    fields.bypass = true;
                }
                "accept-encoding" => fields.accept_encoding = Some(value),
                headers::MIN_VERSION => fields.minimum = Some(value),
                _ => {}
            }
        }
        if directs {
            fields.directives = RequestDirectives::read(headers);
        }
        fields
    }

    /// The minimum version.
    ///
    /// # Errors
    /// Where it is not one; the origin then says what is wrong.
    pub(crate) fn minimum(&self) -> Result<Option<MinVersion>, InvalidVersion> {
        let Some(value) = self.minimum else { return Ok(None) };
        let text = value.to_str().unwrap_or("?");
        text.parse().map(Some)
    }
}
