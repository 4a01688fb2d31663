//! Chunks: rows from the stream are identified by offset-aligned ranges of
//! 1,024 offsets per stream partition (rule 5), never by files or batches, so
//! that replicas agree and a row's identity survives its way into the lake.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use springtide_protocol::limits::CHUNK_OFFSETS;
use springtide_protocol::{Offset, PartitionId};

use crate::segment::TailBatch;
use crate::statistics::ColumnStatistics;

/// One chunk: offsets `[index × 1024, (index + 1) × 1024)` of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkId {
    /// The stream partition.
    pub partition: PartitionId,
    /// Counts from 0.
    pub index: i64,
}

impl ChunkId {
    /// The chunk that `offset` lies in.
    #[must_use]
    pub const fn containing(partition: PartitionId, offset: Offset) -> Self {
        Self { partition, index: offset.0.div_euclid(CHUNK_OFFSETS) }
    }

    /// Its first offset.
    #[must_use]
    pub const fn start(self) -> Offset {
        Offset(self.index * CHUNK_OFFSETS)
    }

    /// The first offset after it.
    #[must_use]
    pub const fn end(self) -> Offset {
        Offset((self.index + 1) * CHUNK_OFFSETS)
    }
}

/// A chunk that the version's end has passed: its rows are final.
/// A chunk without rows (aborted, compacted away) does not appear.
#[derive(Clone, Debug)]
pub struct SealedChunk {
    /// Which.
    pub id: ChunkId,
    /// Bounds over *all* its rows, wherever they lie now, by column of the relation's schema.
    pub columns: Arc<[ColumnStatistics]>,
    /// How many rows it has, exactly, in lake and tail together; `None`: unknown. The
    /// bounds may be those of more rows.
    pub rows: Option<u64>,
}

/// The chunk that a partition's end offset lies in, up to that end. Its rows
/// are at hand so that each can be tested.
#[derive(Clone, Debug)]
pub struct OpenChunk {
    /// Which.
    pub id: ChunkId,
    /// Its rows in order of offsets, whether in the lake already or not.
    pub rows: Vec<TailBatch>,
    /// False where some of its rows are not at hand (evicted before a restart): then
    /// its identity is its end, and every new row changes it.
    pub complete: bool,
    /// How many of `rows` lie below the boundary and are no longer in the lake (a foreign
    /// commit removed them); 0 in ordinary life, and where `complete` is false.
    pub lost: u64,
    /// The end E of its partition.
    pub end: Offset,
}
