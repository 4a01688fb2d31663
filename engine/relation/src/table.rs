//! One table at one version, for one statement: rows(S) ∪ { tail rows with
//! boundary ≤ offset < end }. Held for as long as the statement runs; what it
//! names cannot be evicted meanwhile.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use springtide_protocol::{OffsetMap, TableName, TableVersion};

use crate::chunk::{OpenChunk, SealedChunk};
use crate::file::DataFile;
use crate::segment::Segment;

/// Whether the tail reaches the snapshot (rule 20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Snapshot and tail meet: the answer is whole.
    Whole,
    /// The tail does not reach back to the boundary, or cannot be read: the
    /// snapshot alone answers, E = B(S), and says so.
    SnapshotOnly,
}

/// One table for one statement.
#[derive(Clone)]
pub struct Relation {
    /// Its name in SQL.
    pub table: TableName,
    /// Its columns; each field carries `PARQUET:field_id` in its metadata.
    pub schema: SchemaRef,
    /// What it holds.
    pub version: TableVersion,
    /// B(S): the next offsets that the files do not hold.
    pub boundary: OffsetMap,
    /// Data files of the snapshot, unpruned.
    pub files: Arc<[DataFile]>,
    /// Every chunk that ended at or below the version's end, from lake and tail
    /// together: lists without a chunk twice, shared between versions.
    pub sealed: Vec<Arc<[SealedChunk]>>,
    /// The chunks that the version's end lies in; at most one a partition.
    pub open: Vec<OpenChunk>,
    /// Tail segments that overlap `[boundary, version.offsets)`.
    pub segments: Vec<Segment>,
    /// Whether snapshot and tail meet.
    pub coverage: Coverage,
    /// A boolean SQL expression that joins every read of the table (rule 16).
    pub row_filter: Option<Arc<str>>,
    /// Whatever keeps files and segments alive.
    pub guard: Arc<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relation")
            .field("table", &self.table)
            .field("version", &self.version)
            .field("boundary", &self.boundary)
            .field("files", &self.files.len())
            .field("segments", &self.segments.len())
            .field("coverage", &self.coverage)
            .finish_non_exhaustive()
    }
}
