//! Why the origin refuses or fails: each cause kept whole. `problem` alone
//! decides what a client sees of it.

use std::sync::Arc;
use std::time::Duration;

use springtide_engine::EngineError;
use springtide_freshness::audit::AuditError;
use springtide_freshness::dead_letters::DeadLetterError;
use springtide_freshness::{CommitError, IngestError, PinError};
use springtide_protocol::TableName;
use springtide_protocol::canonical::InvalidUrl;
use springtide_protocol::parameter::InvalidParameter;
use springtide_protocol::signing::InvalidSignedVersion;
use springtide_protocol::version::InvalidVersion;

use crate::access::{Denied, InvalidAccess};
use crate::queries::{Finding, QueryFileError};
use crate::route::{NoRoute, formats};

/// Why an origin does not start.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// `[access]` does not hold.
    #[error(transparent)]
    Access(#[from] InvalidAccess),
    /// The folder of published queries cannot be read.
    #[error("the folder of published queries cannot be read")]
    Queries(#[source] std::io::Error),
    /// The scratch folder cannot be made.
    #[error("the scratch folder cannot be made")]
    Scratch(#[source] std::io::Error),
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    #[error(transparent)]
    Route(#[from] NoRoute),
    #[error(transparent)]
    Parameter(#[from] InvalidParameter),
    #[error("`{0}` may be given once")]
    RepeatedReserved(&'static str),
    #[error("`numbers` may only be `string`")]
    Numbers,
    #[error("`q` is required: /v1/sql?q=SELECT …, percent-encoded")]
    SqlMissing,
    #[error("the SQL has {0} bytes; at most {limit} are read; publish it as a file instead", limit = springtide_protocol::limits::SQL_BYTES)]
    SqlTooLong(usize),
    #[error("ad-hoc SQL is switched off here; /v1/queries lists the published queries")]
    AdhocOff,
    #[error("there is no published query `{name}`{}; /v1/queries lists them", did_you_mean(.nearest))]
    UnknownQuery { name: String, nearest: Option<String> },
    #[error("published query `{name}` has no format `{suffix}`; answers come as {}", formats())]
    QueryFormat { name: String, suffix: String },
    #[error("the file of published query `{0}` does not hold: {1}")]
    BrokenQuery(String, #[source] Arc<QueryFileError>),
    #[error("published query `{0}` does not hold: {1}")]
    QueryFinding(String, #[source] Finding),
    #[error("there is no table `{name}`{}; /v1/tables lists them", did_you_mean(.nearest))]
    UnknownTable { name: TableName, nearest: Option<String> },
    #[error("table `{0}` is declared but not known yet: {1}")]
    TableNotReady(TableName, String),
    #[error("the minimum version: {0}")]
    Minimum(#[source] InvalidVersion),
    #[error("the minimum versions of header and URL name different tables or topics")]
    MinimaDisagree,
    #[error("`v`: {0}")]
    Pinned(#[source] InvalidSignedVersion),
    #[error("`v` names one version exactly; leave the minimum version away")]
    PinnedAndMinimum,
    #[error("the version in `v` does not hold table `{0}`, which this statement reads")]
    VersionLacksTable(TableName),
    #[error("this statement reads the clock, and the version in `v` holds no time")]
    VersionLacksTime,
    #[error("the answer is at another version than the minimum asks for: `{0}` is behind")]
    BehindMinimum(String),
    #[error("the minimum version names another table or topic than those here")]
    Incomparable,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the body is missing: send one JSON object a line")]
    BodyMissing,
    #[error("the body is over {limit_bytes} bytes; send it in parts")]
    BodyTooLarge { limit_bytes: usize },
    #[error("the body did not arrive within {} s", .0.as_secs())]
    BodySlow(Duration),
    #[error("the body cannot be read")]
    BodyRead(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("a body in `Content-Encoding: {0}` is not read; send it as it is")]
    BodyEncoded(String),
    #[error("the `Idempotency-Key` must be 1 to 200 visible ASCII characters")]
    IdempotencyKey,
    #[error("the body must be JSON such as {{\"tags\":[\"t:flights\"]}}")]
    PurgeBody(#[source] serde_json::Error),
    #[error("`tags` must name 1 to {0} tags")]
    PurgeTags(usize),
    #[error(
        "the body must be JSON such as {{\"up_to\":17}}, the number of the newest letter to go"
    )]
    DiscardBody(#[source] serde_json::Error),
    #[error("`{0}` must be a whole number from 1")]
    Number(&'static str),
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    #[error("`Last-Event-ID` is not an id of this feed")]
    EventId,
    #[error("{limit} {what} are served at once already; try again shortly")]
    Busy { what: &'static str, limit: usize },
    #[error("large answers fill the scratch folder's bound; try again shortly")]
    SpoolFull,
    #[error("a large answer could not be kept in the scratch folder")]
    Spool(#[source] std::io::Error),
    #[error("a task ended early")]
    Task(#[from] tokio::task::JoinError),
    #[error("a header could not be written")]
    Header(#[from] http::header::InvalidHeaderValue),
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |n| format!("; did you mean `{n}`?"))
}

/// The candidate that looks most like a name, if any does.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(name, candidate);
    let most = (name.chars().count() / 3).clamp(1, 3);
    candidates.min_by_key(distance).filter(|c| distance(c) <= most).map(str::to_owned)
}
