//! What a client is told of a failed ingest or commit.

use springtide_freshness::decode::InvalidBody;
use springtide_freshness::stream::StreamError;
use springtide_freshness::{CommitError, IngestError};
use springtide_protocol::problem::ProblemKind as Kind;

use super::{RETRY_SECONDS, Told};
use crate::error::RequestError;

/// Of an ingest.
pub(super) fn tell_ingest(ingest: &IngestError, error: &RequestError) -> Told {
    let told = |kind| Told::new(kind, error);
    match ingest {
        IngestError::UnknownTable(table) => told(Kind::NotFound).with("table", table.as_str()),
        IngestError::NoStream(table) => told(Kind::InvalidRequest).with("table", table.as_str()),
        IngestError::Unavailable { table, .. } => {
            told(Kind::TableUnavailable).with("table", table.as_str()).retry(RETRY_SECONDS)
        }
        IngestError::Invalid(body) => tell_body(body, error),
        IngestError::Stream(stream) => tell_stream(stream, error),
    }
}

fn tell_body(body: &InvalidBody, error: &RequestError) -> Told {
    let told = |kind| Told::new(kind, error);
    match body {
        InvalidBody::Row { line, column, .. } => {
            let told = told(Kind::InvalidRows).with("line", *line);
            match column {
                Some(column) => told.with("column", column.as_str()),
                None => told,
            }
        }
        InvalidBody::Empty => told(Kind::InvalidRequest),
        InvalidBody::TooManyRows { .. } => told(Kind::TooLarge),
        _ => told(Kind::InvalidRequest),
    }
}

/// The stream's own words say what to change.
fn tell_stream(stream: &StreamError, error: &RequestError) -> Told {
    let kind = match stream {
        StreamError::IdempotencyConflict { .. } | StreamError::IdempotencyKeySize { .. } => {
            Kind::InvalidRequest
        }
        StreamError::RecordTooLarge { .. } => Kind::TooLarge,
        _ => Kind::Unavailable,
    };
    let told = Told::new(kind, error);
    if matches!(stream, StreamError::UnknownOutcome { .. }) {
        // Without Retry-After: that would have clients send the rows again unseen.
        let mut told = told.with("rows_stored", "unknown");
        told.problem.detail = stream.to_string();
        return told;
    }
    let mut told = told.with("rows_stored", "no");
    told.problem.detail = format!("nothing was taken: {stream}");
    if kind == Kind::Unavailable { told.retry(RETRY_SECONDS) } else { told }
}

/// Of a commit.
pub(super) fn tell_commit(commit: &CommitError, error: &RequestError) -> Told {
    match commit {
        CommitError::UnknownTable(table) => {
            Told::new(Kind::NotFound, error).with("table", table.as_str())
        }
        CommitError::NoStream(table) => {
            Told::new(Kind::InvalidRequest, error).with("table", table.as_str())
        }
        CommitError::Unavailable { .. } => {
            Told::new(Kind::TableUnavailable, error).retry(RETRY_SECONDS)
        }
        CommitError::Failed { source } => {
            let mut told = Told::new(Kind::Unavailable, error).retry(RETRY_SECONDS);
            told.problem.detail = format!("{commit}: {source}");
            told
        }
        CommitError::Stopped => Told::new(Kind::Unavailable, error).retry(RETRY_SECONDS),
    }
}
