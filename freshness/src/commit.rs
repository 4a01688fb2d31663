//! The commit protocol: rows of the tail become data files and one Iceberg
//! snapshot that carries the full map of next offsets. Fenced on the previous
//! map; an unknown outcome is looked up by commit id before any retry.
//!
//! It must never know where the rows came from or what is evicted afterwards.

use springtide_protocol::OffsetMap;
use springtide_relation::TailBatch;
use uuid::Uuid;

use crate::lake::LakeError;

mod attempts;
mod fence;
mod protocol;
mod summary;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use {
    attempts::{Answer, Attempts, Step},
    fence::State,
    summary::commit_properties,
};

pub(crate) use attempts::{ATTEMPTS, Reason};
pub(crate) use protocol::{NotSubmitted, Submission, submit};
pub(crate) use summary::load_properties;

/// What to commit.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The map that the lake must have now (the fence).
    pub from: OffsetMap,
    /// The map that it has afterwards; covers `from`.
    pub next: OffsetMap,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The topic's name.
    pub topic: String,
    /// Which cluster or journal the topic lies in.
    pub cluster: String,
    /// The schema that the rows were decoded under.
    pub schema_id: i32,
    /// The decode epoch that the rows were decoded under.
    pub decode_epoch: u32,
    /// All rows with `from ≤ offset < next`, in the table's schema. None: the map alone is committed.
    pub batches: Vec<TailBatch>,
    /// Names this commit. A retry of the same commit gives the same id.
    pub commit_id: Uuid,
}

/// Why a commit did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The lake is not at `from`: another committer was there. Nothing of ours was
    /// committed and our files are removed.
    #[error("another committer has moved the table's boundary")]
    Fenced {
        /// Where the lake is.
        current: OffsetMap,
    },
    /// The table's schema or decode epoch is no longer the one that the rows were decoded
    /// under. Nothing of ours was committed.
    #[error(
        "the rows were decoded under schema {schema_id} and decode epoch {decode_epoch}, \
         which are no longer the table's"
    )]
    DecodedBefore {
        /// The schema of the rows.
        schema_id: i32,
        /// The decode epoch of the rows.
        decode_epoch: u32,
    },
    /// The lake's boundary is unknown, so nothing can be fenced on it. Nothing was committed.
    #[error("the table's boundary is unknown: {reason}")]
    BoundaryUnknown {
        /// Why.
        reason: String,
    },
    /// It cannot be told whether the commit happened. Call again with the *same*
    /// request: it is looked up by its id first.
    #[error("whether commit {commit_id} happened cannot be told yet")]
    OutcomeUnknown {
        /// The commit.
        commit_id: Uuid,
        /// What hid it.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// The request contradicts itself. Nothing was committed.
    #[error("commit refused: {what}")]
    Invalid {
        /// How.
        what: String,
    },
    /// The lake failed before anything was submitted. Nothing was committed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl CommitError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::OutcomeUnknown { .. } => true,
            Self::Lake(error) => error.is_transient(),
            _ => false,
        }
    }
}
