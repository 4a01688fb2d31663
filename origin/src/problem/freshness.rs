//! What a client is told of a failed ingest or commit.

use springtide_freshness::{CommitError, IngestError};
use springtide_protocol::problem::ProblemKind as Kind;

use super::{RETRY_SECONDS, Told};
use crate::error::RequestError;

pub(super) fn tell_ingest(ingest: &IngestError, error: &RequestError) -> Told {
    let told = |kind| Told::new(kind, error);
    match ingest {
        IngestError::UnknownTable(table) => told(Kind::NotFound).with("table", table.as_str()),
        IngestError::InvalidRow(row) => {
            let told = told(Kind::InvalidRows).with("line", row.line);
            match &row.column {
                Some(column) => told.with("column", column.as_str()),
                None => told,
            }
        }
        _ => told(Kind::Unavailable).retry(RETRY_SECONDS),
    }
}

pub(super) fn tell_commit(commit: &CommitError, error: &RequestError) -> Told {
    match commit {
        CommitError::UnknownTable(table) => {
            Told::new(Kind::NotFound, error).with("table", table.as_str())
        }
        _ => Told::new(Kind::Unavailable, error).retry(RETRY_SECONDS),
    }
}
