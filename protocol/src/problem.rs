//! Errors on the wire: RFC 9457 `application/problem+json`. A `type` is stable
//! and names the mistake; `detail` says what to change.

use serde::{Deserialize, Serialize};

/// The media type.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The kinds of problem, by what the client should do. The slug is the `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The URL is not of the form.
    InvalidRequest,
    /// A parameter is unknown, missing or of the wrong type.
    InvalidParameter,
    /// The SQL does not parse or bind.
    InvalidSql,
    /// The SQL asks for what is not allowed.
    ForbiddenSql,
    /// A row of an ingest does not fit the table.
    InvalidRows,
    /// A version's text is not of the form, or was not issued here.
    InvalidVersion,
    /// A token is needed, or it is not valid.
    Unauthorized,
    /// The token does not allow it.
    Forbidden,
    /// No such table, query, version or route.
    NotFound,
    /// The method is not for this route.
    MethodNotAllowed,
    /// The minimum version belongs to another table or topic.
    IncomparableVersion,
    /// The pinned version is past its window.
    VersionGone,
    /// The body or the URL is over its limit.
    TooLarge,
    /// The answer is over its limit of rows or bytes.
    ResultTooLarge,
    /// The statement ran out of its time.
    QueryTimeout,
    /// The statement ran out of memory.
    OutOfMemory,
    /// Too many statements at once.
    Overloaded,
    /// The minimum version was not reached in time.
    VersionNotReached,
    /// A table has a gap between lake and tail, or is halted.
    TableUnavailable,
    /// Something that this needs (broker, catalog, origin) cannot be reached.
    Unavailable,
    /// Our mistake.
    Internal,
}

impl ProblemKind {
    /// The stable slug, the status and the title.
    const fn facts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::InvalidRequest => ("invalid-request", 400, "The request is malformed"),
            Self::InvalidParameter => ("invalid-parameter", 400, "A parameter does not fit"),
            Self::InvalidSql => ("invalid-sql", 400, "The SQL is not valid"),
            Self::ForbiddenSql => ("forbidden-sql", 400, "The SQL is not allowed here"),
            Self::InvalidRows => ("invalid-rows", 400, "A row does not fit the table"),
            Self::InvalidVersion => ("invalid-version", 400, "The version is not valid"),
            Self::Unauthorized => ("unauthorized", 401, "A valid token is needed"),
            Self::Forbidden => ("forbidden", 403, "The token does not allow this"),
            Self::NotFound => ("not-found", 404, "There is no such thing here"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "The method is not for this URL"),
            Self::IncomparableVersion => {
                ("incomparable-version", 409, "The minimum version cannot be reached")
            }
            Self::VersionGone => ("version-gone", 410, "The version is no longer kept"),
            Self::TooLarge => ("too-large", 413, "The request is too large"),
            Self::ResultTooLarge => ("result-too-large", 422, "The answer is too large"),
            Self::QueryTimeout => ("query-timeout", 503, "The query took too long"),
            Self::OutOfMemory => ("out-of-memory", 503, "The query needs too much memory"),
            Self::Overloaded => ("overloaded", 503, "Too many queries at once"),
            Self::VersionNotReached => {
                ("version-not-reached", 503, "The minimum version is not here yet")
            }
            Self::TableUnavailable => ("table-unavailable", 503, "The table cannot answer now"),
            Self::Unavailable => ("unavailable", 503, "A part that this needs is not reachable"),
            Self::Internal => ("internal", 500, "Something went wrong here"),
        }
    }

    /// The last part of the `type` URI.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        self.facts().0
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.facts().1
    }
}

/// A problem's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:springtide:problem:{slug}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short text for the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to change.
    pub detail: String,
    /// The request's id, to find it in the log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// Where it is in the input: a line, a column, a parameter.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A problem of `kind`.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let (slug, status, title) = kind.facts();
        Self {
            kind: format!("urn:springtide:problem:{slug}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            request_id: None,
            extra: serde_json::Map::new(),
        }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }
}
