//! The tail's rows in `[B, E)`, counted by offset, in memory and in segment
//! files; and the rows that the relation's chunks speak of. Blocking.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array as _, Int32Array, Int64Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{OpenChunk, Relation, SegmentData, hidden};

use super::AuditError;

/// Rows that are decoded at a time.
const READ_ROWS: usize = 64 * 1024;

/// The tail's rows of one partition.
#[derive(Debug, Default)]
pub(super) struct TailCount {
    /// Their offsets, rising, each once.
    pub(super) offsets: Vec<i64>,
    /// Rows at an offset that came before.
    pub(super) repeated: u64,
}

/// Counts the rows that a statement takes from the tail.
pub(super) fn count(relation: &Relation) -> Result<BTreeMap<PartitionId, TailCount>, AuditError> {
    let mut offsets: BTreeMap<PartitionId, Vec<i64>> = BTreeMap::new();
    let mut take = |partition: PartitionId, offset: i64| {
        let (from, to) =
            (relation.boundary.next(partition), relation.version.offsets.next(partition));
        if from.0 <= offset && offset < to.0 {
            offsets.entry(partition).or_default().push(offset);
        }
    };
    for segment in &relation.segments {
        match &segment.data {
            SegmentData::Memory(batches) => {
                for batch in batches {
                    batch.offsets.values().iter().for_each(|offset| take(batch.partition, *offset));
                }
            }
            SegmentData::Parquet(file) => places(file.path(), &mut take)?,
        }
    }
    let counted = offsets.into_iter().map(|(partition, mut offsets)| {
        let rows = offsets.len();
        offsets.sort_unstable();
        offsets.dedup();
        let repeated = (rows - offsets.len()) as u64;
        (partition, TailCount { offsets, repeated })
    });
    Ok(counted.collect())
}

/// The hidden columns of a segment's file.
fn places(path: &Path, take: &mut impl FnMut(PartitionId, i64)) -> Result<(), AuditError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| AuditError::Segment(source);
    let file = File::open(path).map_err(|source| failed(source.into()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|source| failed(source.into()))?
        .with_batch_size(READ_ROWS);
    let names = [hidden::PARTITION, hidden::OFFSET];
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let reader = builder.with_projection(mask).build().map_err(|source| failed(source.into()))?;
    for rows in reader {
        let rows = rows.map_err(|source| failed(source.into()))?;
        let (partitions, offsets) =
            hidden_columns(&rows).ok_or_else(|| failed("the hidden columns are missing".into()))?;
        let pairs = partitions.values().iter().zip(offsets.values().iter());
        pairs.for_each(|(partition, offset)| take(PartitionId(*partition), *offset));
    }
    Ok(())
}

fn hidden_columns(rows: &RecordBatch) -> Option<(&Int32Array, &Int64Array)> {
    let partitions = rows.column_by_name(hidden::PARTITION)?.as_any().downcast_ref()?;
    let offsets = rows.column_by_name(hidden::OFFSET)?.as_any().downcast_ref()?;
    Some((partitions, offsets))
}

/// Rows of a partition by the chunks that validators are made from; `None` where
/// a chunk does not tell.
pub(super) fn validator_rows(relation: &Relation, partition: PartitionId) -> Option<u64> {
    let sealed = relation.sealed.iter().flat_map(|list| list.iter());
    let mut rows = 0;
    for chunk in sealed.filter(|chunk| chunk.id.partition == partition) {
        rows += chunk.rows?;
    }
    for open in relation.open.iter().filter(|open| open.id.partition == partition) {
        rows += open_rows(open)?;
    }
    Some(rows)
}

fn open_rows(open: &OpenChunk) -> Option<u64> {
    let end: Offset = open.end;
    let inside = |offset: &&i64| open.id.start().0 <= **offset && **offset < end.0;
    let rows = open.rows.iter().flat_map(|batch| batch.offsets.values().iter());
    open.complete.then(|| rows.filter(inside).count() as u64).map(|rows| rows - open.lost.min(rows))
}
