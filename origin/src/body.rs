//! Bodies on the wire: one type for whole texts, files and event streams.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// The body of every response. An error in mid-body resets the connection.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes that are there already; their length is sent.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}
