//! Rows of several partitions in few batches: what arrives in driblets is
//! merged as it grows (each row is copied a logarithmic number of times), so
//! that a scan meets batches and not single rows.

use std::collections::BTreeMap;

use arrow::array::{Array as _, Int64Array};
use arrow::compute::{concat, concat_batches};
use springtide_protocol::PartitionId;
use springtide_relation::{ColumnStatistics, TailBatch};

use crate::statistics::column_statistics;

/// Batches are merged up to this many rows.
const MERGED_ROWS: usize = 8192;

/// Rows by partition, in order of offsets within each.
#[derive(Clone, Debug, Default)]
pub(super) struct Batches {
    by_partition: BTreeMap<PartitionId, Vec<TailBatch>>,
    rows: u64,
    bytes: u64,
}

impl Batches {
    /// Adds rows that lie above all of their partition.
    pub(super) fn push(&mut self, batch: TailBatch) {
        self.rows += batch.len() as u64;
        self.bytes += bytes(&batch);
        let list = self.by_partition.entry(batch.partition).or_default();
        list.push(batch);
        while let [.., before, last] = list.as_slice() {
            let (a, b) = (before.len(), last.len());
            if a >= 2 * b || a + b > MERGED_ROWS {
                break;
            }
            let Some(merged) = merge(before, last) else { break };
            list.truncate(list.len() - 2);
            list.push(merged);
        }
    }

    /// All batches, partition after partition. No copy of rows.
    pub(super) fn list(&self) -> Vec<TailBatch> {
        self.by_partition.values().flatten().cloned().collect()
    }

    /// How many rows.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of their arrays.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Exact bounds over all rows.
    pub(super) fn statistics(&self) -> Vec<ColumnStatistics> {
        let mut all = self.by_partition.values().flatten().map(|b| column_statistics(&b.rows));
        let Some(first) = all.next() else { return Vec::new() };
        all.fold(first, |sum, piece| sum.iter().zip(&piece).map(|(a, b)| a.union(b)).collect())
    }
}

/// Two neighbours as one; `None` where Arrow cannot (a column over 2 GiB).
fn merge(a: &TailBatch, b: &TailBatch) -> Option<TailBatch> {
    let rows = concat_batches(a.rows.schema_ref(), [&a.rows, &b.rows]).ok()?;
    let offsets = concat(&[&a.offsets, &b.offsets]).ok()?;
    let offsets = offsets.as_any().downcast_ref::<Int64Array>()?.clone();
    Some(TailBatch { partition: a.partition, offsets, rows })
}

/// Bytes of a batch's own rows (of a slice: not of what it is a slice of).
pub(super) fn bytes(batch: &TailBatch) -> u64 {
    let columns = batch.rows.columns().iter();
    let sizes = columns.map(|c| c.to_data().get_slice_memory_size().unwrap_or(0));
    (sizes.sum::<usize>() + batch.len() * size_of::<i64>()) as u64
}
