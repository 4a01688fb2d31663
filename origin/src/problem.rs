//! The only place that turns errors into HTTP: which kind of problem, which
//! status, what the client reads, what goes to the log.

use std::error::Error as _;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use springtide_engine::EngineError;
use springtide_freshness::PinError;
use springtide_protocol::canonical::InvalidUrl;
use springtide_protocol::problem::{CONTENT_TYPE, Problem, ProblemKind};

use crate::access::Denied;
use crate::body::{Body, full};
use crate::error::RequestError;
use crate::route::NoRoute;

mod freshness;

/// How long a 410 may be kept (rule 7).
const GONE_SECONDS: u32 = 10;
/// When to try again where nothing better is known.
const RETRY_SECONDS: u64 = 1;

/// What a client is told, before it is written.
struct Told {
    problem: Problem,
    retry_after_seconds: Option<u64>,
    allow: Option<&'static str>,
}

impl Told {
    fn new(kind: ProblemKind, error: &RequestError) -> Self {
        Self {
            problem: Problem::new(kind, error.to_string()),
            retry_after_seconds: None,
            allow: None,
        }
    }

    fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.problem = self.problem.with(name, value);
        self
    }

    const fn retry(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

/// The document of an error, for an event stream.
pub(crate) fn document(error: &RequestError) -> Problem {
    tell(error).problem
}

/// The response to an error.
pub(crate) fn response(error: &RequestError, request_id: &str) -> Response<Body> {
    let Told { mut problem, retry_after_seconds, allow } = tell(error);
    if problem.status >= 500 {
        log(error, &problem, request_id);
    }
    problem.request_id = Some(request_id.to_owned());
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(full(body));
    let status = StatusCode::from_u16(problem.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, CONTENT_TYPE.to_owned());
    let gone = problem.status == StatusCode::GONE.as_u16();
    let cache = if gone { format!("public, max-age={GONE_SECONDS}") } else { "no-store".into() };
    set(header::CACHE_CONTROL, cache);
    if let Some(seconds) = retry_after_seconds {
        set(header::RETRY_AFTER, seconds.to_string());
    }
    if let Some(allow) = allow {
        set(header::ALLOW, allow.to_owned());
    }
    if problem.status == StatusCode::UNAUTHORIZED.as_u16() {
        set(header::WWW_AUTHENTICATE, "Bearer".to_owned());
        set(header::VARY, "Authorization".to_owned());
    }
    response
}

fn log(error: &RequestError, problem: &Problem, request_id: &str) {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let causes = causes.join(": ");
    if problem.status == 500 {
        tracing::error!(request_id, detail = problem.detail, causes, "a request failed");
    } else {
        tracing::warn!(request_id, detail = problem.detail, causes, "a request has no answer now");
    }
}

fn tell(error: &RequestError) -> Told {
    use ProblemKind as Kind;
    use RequestError as E;
    let told = |kind| Told::new(kind, error);
    match error {
        E::Url(InvalidUrl::TooLong(_) | InvalidUrl::TooManyParameters(_)) => told(Kind::TooLarge),
        E::SqlTooLong(_) | E::BodyTooLarge { .. } => told(Kind::TooLarge),
        E::Url(_) | E::BodyEncoded(_) | E::BodyRead(_) | E::BodySlow(_) => {
            told(Kind::InvalidRequest)
        }
        E::BodyMissing | E::IdempotencyKey | E::EventId => told(Kind::InvalidRequest),
        E::PurgeBody(_) | E::PurgeTags(_) | E::DiscardBody(_) => told(Kind::InvalidRequest),
        E::DeadLetters(_) | E::Audit(_) => told(Kind::Unavailable).retry(RETRY_SECONDS),
        E::Number(name) => told(Kind::InvalidParameter).with("parameter", *name),
        E::Route(NoRoute::Method { allow, .. } | NoRoute::Options { allow }) => {
            Told { allow: Some(allow), ..told(Kind::MethodNotAllowed) }
        }
        E::Route(_) | E::UnknownQuery { .. } | E::QueryFormat { .. } => told(Kind::NotFound),
        E::UnknownTable { .. } => told(Kind::NotFound),
        E::Parameter(invalid) => told(Kind::InvalidParameter).with("parameter", invalid.name()),
        E::RepeatedReserved(name) => told(Kind::InvalidParameter).with("parameter", *name),
        E::Numbers => told(Kind::InvalidParameter).with("parameter", "numbers"),
        E::SqlMissing => told(Kind::InvalidParameter).with("parameter", "q"),
        E::AdhocOff => told(Kind::Forbidden),
        E::BrokenQuery(..) => told(Kind::Unavailable),
        E::QueryFinding(..) => told(Kind::ForbiddenSql),
        E::TableNotReady(table, _) => {
            told(Kind::TableUnavailable).with("table", table.as_str()).retry(RETRY_SECONDS)
        }
        E::Minimum(_) | E::MinimaDisagree | E::Pinned(_) | E::PinnedAndMinimum => {
            told(Kind::InvalidVersion)
        }
        E::VersionLacksTable(_) | E::VersionLacksTime => told(Kind::InvalidVersion),
        E::BehindMinimum(_) => told(Kind::VersionNotReached).retry(RETRY_SECONDS),
        E::Incomparable => told(Kind::IncomparableVersion),
        E::Engine(engine) => tell_engine(engine, error),
        E::Pin(pin) => tell_pin(pin, error),
        E::Ingest(ingest) => freshness::tell_ingest(ingest, error),
        E::Commit(commit) => freshness::tell_commit(commit, error),
        E::Denied(denied) => tell_denied(denied, error),
        E::Busy { .. } | E::SpoolFull => told(Kind::Overloaded).retry(RETRY_SECONDS),
        E::Spool(_) | E::Task(_) | E::Header(_) => {
            let mut told = told(Kind::Internal);
            told.problem.detail = "this request failed here; the log has its request id".to_owned();
            told
        }
    }
}

fn tell_denied(denied: &Denied, error: &RequestError) -> Told {
    let kind = match denied {
        Denied::Token(_) | Denied::TokenMissing(_) => ProblemKind::Unauthorized,
        Denied::Table(_) | Denied::Claim(..) | Denied::WritesOff => ProblemKind::Forbidden,
        Denied::AdminOff | Denied::OtherSite => ProblemKind::Forbidden,
    };
    Told::new(kind, error)
}

fn tell_engine(engine: &EngineError, error: &RequestError) -> Told {
    use ProblemKind as Kind;
    let told = |kind| Told::new(kind, error);
    match engine {
        EngineError::InvalidSql { position, .. } => match position {
            Some(position) => told(Kind::InvalidSql).with("position", *position),
            None => told(Kind::InvalidSql),
        },
        EngineError::Forbidden { what, hint } => {
            told(Kind::ForbiddenSql).with("what", what.as_str()).with("hint", hint.as_str())
        }
        EngineError::UnknownTable { name, .. } => {
            told(Kind::InvalidSql).with("table", name.as_str())
        }
        EngineError::ResultTooLarge { .. } => told(Kind::ResultTooLarge),
        EngineError::Timeout { .. } => told(Kind::QueryTimeout).retry(RETRY_SECONDS),
        EngineError::OutOfMemory { .. } => told(Kind::OutOfMemory).retry(RETRY_SECONDS),
        EngineError::Overloaded { .. } | EngineError::Cancelled => {
            told(Kind::Overloaded).retry(RETRY_SECONDS)
        }
        EngineError::SchemaChanged { .. } => told(Kind::TableUnavailable).retry(RETRY_SECONDS),
        gone if gone.is_missing_file() => {
            let mut told = told(Kind::Unavailable).retry(RETRY_SECONDS);
            told.problem.detail =
                "a data file of the lake is not there, also not after a second look; was it \
                 removed by hand, or its snapshot expired before the pin window ended?"
                    .to_owned();
            told
        }
        _ => {
            let mut told = told(Kind::Internal);
            told.problem.detail =
                "the statement failed for a cause that is not yours; the log has its request id"
                    .to_owned();
            told
        }
    }
}

fn tell_pin(pin: &PinError, error: &RequestError) -> Told {
    use ProblemKind as Kind;
    let told = |kind| Told::new(kind, error);
    match pin {
        PinError::UnknownTable(table) => told(Kind::NotFound).with("table", table.as_str()),
        PinError::Incomparable { table } => {
            told(Kind::IncomparableVersion).with("table", table.as_str())
        }
        PinError::NotReached { table, retry_after } => {
            let told = told(Kind::VersionNotReached).with("table", table.as_str());
            told.retry(retry_after.as_secs().max(RETRY_SECONDS))
        }
        PinError::Gone => told(Kind::VersionGone),
        PinError::Future => told(Kind::NotFound),
        PinError::Unavailable { table, .. } => {
            told(Kind::TableUnavailable).with("table", table.as_str()).retry(RETRY_SECONDS)
        }
    }
}

#[cfg(test)]
mod tests;
