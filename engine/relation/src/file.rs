//! A data file of the lake as a statement sees it: a local path, bounds, what
//! identifies its rows, and which of them are deleted. It must never know how
//! a delete was written down.

use std::path::PathBuf;
use std::sync::Arc;

use roaring::RoaringTreemap;

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
    /// Rows, deleted ones included.
    pub rows: u64,
    /// Size.
    pub bytes: u64,
    /// Bounds by column of the relation's schema, over deleted rows too.
    pub columns: Arc<[ColumnStatistics]>,
    /// The rows that are deleted; `None` where there are none.
    pub dead: Option<Arc<DeadRows>>,
}

/// Rows of a data file that are deleted, and what deleted them (rule 4).
#[derive(Clone, Debug, PartialEq)]
pub struct DeadRows {
    file: Arc<str>,
    deletes: Arc<[Arc<str>]>,
    positions: RoaringTreemap,
}

impl DataFile {
    /// Rows that are not deleted.
    #[must_use]
    pub fn live_rows(&self) -> u64 {
        let dead = self.dead.as_ref().map(|dead| dead.positions.range_cardinality(..self.rows));
        self.rows - dead.unwrap_or(0)
    }
}

impl DeadRows {
    /// The rows at `positions`, which count from 0, of the data file that the lake calls
    /// `file`. `deletes`: what identifies each delete file and deletion vector that
    /// deleted one of them.
    #[must_use]
    pub fn new(file: Arc<str>, mut deletes: Vec<Arc<str>>, positions: RoaringTreemap) -> Self {
        deletes.sort_unstable();
        deletes.dedup();
        Self { file, deletes: deletes.into(), positions }
    }

    /// The data file's path in the lake.
    #[must_use]
    pub const fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// What deleted them: sorted, none twice.
    #[must_use]
    pub const fn deletes(&self) -> &Arc<[Arc<str>]> {
        &self.deletes
    }

    /// Their positions.
    #[must_use]
    pub const fn positions(&self) -> &RoaringTreemap {
        &self.positions
    }
}
