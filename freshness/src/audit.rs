//! The audit of one pinned state: what lake, tail and stream hold is counted by
//! offset, and the counts are held against each other, against what a statement
//! sees, and against the audit before.
//!
//! Counting reads footers, segments and, within bounds, the stream once more;
//! judging is pure. It must never know SQL: how many rows a statement saw is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use springtide_protocol::{Offset, OffsetMap, PartitionId, TableName, TableVersion};
use springtide_relation::{Coverage, Relation};

mod again;
mod judge;
mod lake;
mod tail;

#[cfg(test)]
mod tests;

use crate::dead_letters::DeadLetterError;
use crate::registry::Freshness;

pub use again::{AGAIN_OFFSETS, AGAIN_TIME};
pub use judge::judge;
pub use lake::{AUDITED_FILES, LakeCount, Stretch};

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Not a configured table.
    #[error("there is no table `{0}`")]
    UnknownTable(TableName),
    /// The dead letters cannot be counted.
    #[error("the dead letters cannot be counted")]
    DeadLetters(#[from] DeadLetterError),
    /// A segment of the tail cannot be read.
    #[error("a segment of the tail cannot be counted")]
    Segment(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Counting was cut off.
    #[error("counting was cut off")]
    CutOff(#[from] tokio::task::JoinError),
}

/// One pinned state, counted.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The table.
    pub table: TableName,
    /// The state.
    pub version: TableVersion,
    /// The columns of its key; none for a table of appends.
    pub key: Vec<String>,
    /// Whether snapshot and tail meet.
    pub is_whole: bool,
    /// The files.
    pub lake: LakeCount,
    /// By partition of the stream.
    pub partitions: BTreeMap<PartitionId, PartitionCount>,
    /// Whether the stream was read once more, and if not, why.
    pub again: Result<(), String>,
    /// Whether the stream drops records that others supersede.
    pub is_compacted: bool,
}

/// What one partition has, between 0, its boundary B and its end E.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionCount {
    /// The partition.
    pub partition: PartitionId,
    /// B: the first offset that the lake does not hold.
    pub boundary: Offset,
    /// E: the first offset that the state does not hold.
    pub end: Offset,
    /// Rows that the lake's files record of its chunks.
    pub lake_rows: u64,
    /// Dead letters below B.
    pub lake_dead_letters: u64,
    /// Rows of the tail in `[B, E)`.
    pub tail_rows: u64,
    /// Rows of the tail at an offset that another row has too.
    pub tail_repeated: u64,
    /// Dead letters in `[B, E)`.
    pub tail_dead_letters: u64,
    /// Offsets of `[B, E)` without a record: control records, aborted, compacted, or
    /// records whose letter was discarded.
    pub gaps: i64,
    /// Rows that validators are made from; `None`: they name no number here.
    pub validator_rows: Option<u64>,
    /// What the stream told when it was read once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<AgainCount>,
    /// The offsets of the tail's rows, rising.
    #[serde(skip)]
    pub offsets: Vec<i64>,
}

/// What `[B, E)` of a partition was when the stream was read once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgainCount {
    /// Records that are rows.
    pub rows: u64,
    /// Records that are no rows.
    pub rejected: u64,
    /// Offsets without a record.
    pub gaps: i64,
    /// Rows of the stream that the tail does not have.
    pub missing: u64,
    /// Rows of the tail that the stream does not have.
    pub extra: u64,
}

/// What a statement saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `count(*)` at the state itself, or why there is none.
    pub now: Result<u64, String>,
    /// `count(*)` at the state of the audit before, asked again now; `None`: there is none before.
    pub before: Option<Result<u64, String>>,
    /// For a table with a key: how many different keys there are.
    pub keys: Option<Result<u64, String>>,
}

/// What an audit leaves for the next one.
#[derive(Clone, Debug)]
pub struct Past {
    /// The state that was counted.
    pub version: TableVersion,
    /// All its rows.
    pub rows: u64,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was compared.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What it should be.
    pub expected: Value,
    /// What it is.
    pub found: Value,
}

/// Something that could not be compared this time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotCompared {
    /// What.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// An audit's findings.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// Whether every comparison holds.
    pub ok: bool,
    /// The comparisons.
    pub checks: Vec<Check>,
    /// What was left out, and why.
    pub not_compared: Vec<NotCompared>,
    /// The counts by partition.
    pub partitions: Vec<PartitionCount>,
    /// For the next audit.
    #[serde(skip)]
    pub past: Past,
}

impl PartitionCount {
    const fn new(partition: PartitionId, boundary: Offset, end: Offset) -> Self {
        Self {
            partition,
            boundary,
            end,
            lake_rows: 0,
            lake_dead_letters: 0,
            tail_rows: 0,
            tail_repeated: 0,
            tail_dead_letters: 0,
            gaps: 0,
            validator_rows: None,
            again: None,
            offsets: Vec::new(),
        }
    }
}

impl Freshness {
    /// Counts a pinned state: files by their footers, the tail by offset, dead letters,
    /// and the stream itself where that is within [`AGAIN_OFFSETS`] and [`AGAIN_TIME`].
    ///
    /// # Errors
    /// Where dead letters or segments cannot be read; a file of the lake that cannot be
    /// read is a finding.
    pub async fn count(&self, relation: &Arc<Relation>) -> Result<Counted, AuditError> {
        let table = &relation.table;
        let shared = self.table(table).ok_or_else(|| AuditError::UnknownTable(table.clone()))?;
        let own = relation.clone();
        let counting = move || Ok::<_, AuditError>((lake::count(&own), tail::count(&own)?));
        let (lake, tail) = tokio::task::spawn_blocking(counting).await??;
        let mut partitions = by_partition(relation, &lake, tail);
        if let Some(topic_id) = relation.version.topic_id {
            for count in partitions.values_mut() {
                let all = Offset::ZERO..count.end;
                let tail = count.boundary..count.end;
                let of = (topic_id, count.partition);
                count.tail_dead_letters = self.letters().count_in(table, of, tail).await?;
                let letters = self.letters().count_in(table, of, all).await?;
                count.lake_dead_letters = letters - count.tail_dead_letters;
            }
        }
        for count in partitions.values_mut() {
            let records = count.tail_rows + count.tail_dead_letters;
            count.gaps = count.end.0 - count.boundary.0 - records.cast_signed();
        }
        let (again, is_compacted) = match relation.coverage {
            Coverage::Whole => again::read(shared, relation, &mut partitions).await,
            Coverage::SnapshotOnly => (Err("the snapshot alone answers".to_owned()), false),
        };
        Ok(Counted {
            table: table.clone(),
            version: relation.version.clone(),
            key: shared.settings.key.clone(),
            is_whole: relation.coverage == Coverage::Whole,
            lake,
            partitions,
            again,
            is_compacted,
        })
    }
}

/// Every partition that boundary, end, files or tail name.
fn by_partition(
    relation: &Relation,
    lake: &LakeCount,
    tail: BTreeMap<PartitionId, tail::TailCount>,
) -> BTreeMap<PartitionId, PartitionCount> {
    let ends: &OffsetMap = &relation.version.offsets;
    let named = ends.iter().chain(relation.boundary.iter()).map(|(partition, _)| partition);
    let named = named.chain(tail.keys().copied()).chain(lake.stretches.iter().map(|s| s.partition));
    let mut partitions: BTreeMap<PartitionId, PartitionCount> = named
        .map(|partition| {
            let (boundary, end) = (relation.boundary.next(partition), ends.next(partition));
            (partition, PartitionCount::new(partition, boundary, end))
        })
        .collect();
    for stretch in &lake.stretches {
        if let Some(count) = partitions.get_mut(&stretch.partition) {
            count.lake_rows += stretch.rows;
        }
    }
    for (partition, rows) in tail {
        let Some(count) = partitions.get_mut(&partition) else { continue };
        count.tail_rows = rows.offsets.len() as u64;
        count.tail_repeated = rows.repeated;
        count.offsets = rows.offsets;
    }
    for (partition, count) in &mut partitions {
        count.validator_rows = tail::validator_rows(relation, *partition);
    }
    partitions
}
