//! A data file of the lake as a statement sees it: a local path, bounds, and
//! what identifies its rows.

use std::path::PathBuf;
use std::sync::Arc;

use crate::chunk::ChunkId;
use crate::statistics::ColumnStatistics;

/// What identifies the rows of a file in a scan set (rules 4 and 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOrigin {
    /// Written by someone else (or loaded in bulk): its path in the lake.
    Foreign(Arc<str>),
    /// Written by our committer: the chunks that its rows came from. It adds no
    /// atom of its own; the chunks are in [`crate::Relation::sealed`] or open.
    Stream(Arc<[ChunkId]>),
}

/// One data file.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// A path that the engine can open.
    pub path: PathBuf,
    /// What identifies its rows.
    pub origin: FileOrigin,
    /// Rows.
    pub rows: u64,
    /// Size.
    pub bytes: u64,
    /// Bounds by column of the relation's schema.
    pub columns: Arc<[ColumnStatistics]>,
}
