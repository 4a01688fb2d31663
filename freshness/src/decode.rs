//! Decoding: JSON records of a stream to Arrow rows of a table's schema. A
//! record either becomes exactly one row at its own offset or is rejected with
//! a reason; a poison record never shifts another's offset.
//!
//! The rule, column by column, is in [`cell`]. In general: a record is one JSON
//! object in UTF-8 with at least one column of the table; names match exactly; a
//! column without a member is NULL; a member that is no column makes it no row
//! unless the table ignores those; a member given twice is refused; nothing is
//! rounded, wrapped or parsed out of text silently.
//!
//! It must never know where records come from or where rows go.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::TailBatch;

use crate::settings::UnknownColumns;
use crate::stream::Record;

mod build;
mod cell;
mod kind;
mod ndjson;
mod row;
mod text;

#[cfg(test)]
mod tests;

pub use cell::InvalidCell;
pub use kind::UnsupportedColumn;
pub use ndjson::{BODY_ROWS, InvalidBody, validate_ndjson};
pub use row::InvalidRow;

use build::RowBuilder;
use row::RowPlan;

/// What the decoder's rules are, as a number: it is raised when the same record
/// may give another row (part of a table's decode epoch).
pub const POLICY: u32 = 2;

/// Rows of one schema out of records.
#[derive(Clone, Debug)]
pub struct Decoder {
    plan: RowPlan,
}

/// What became of some records.
#[derive(Debug, Default)]
pub struct Decoded {
    /// One batch for each partition that has accepted records; as many rows as those.
    pub batches: Vec<TailBatch>,
    /// The others, in the order of the records.
    pub rejected: Vec<Rejected>,
}

/// A record that is no row.
#[derive(Debug)]
pub struct Rejected {
    /// Its partition.
    pub partition: PartitionId,
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Why.
    pub reason: InvalidRow,
}

impl Decoder {
    /// A decoder for rows of `schema`.
    ///
    /// # Errors
    /// A column's type that JSON rows cannot carry.
    pub fn new(schema: SchemaRef, unknown: UnknownColumns) -> Result<Self, UnsupportedColumn> {
        Ok(Self { plan: RowPlan::new(schema, unknown)? })
    }

    /// Whether the stream is to stop at a record that was rejected for this.
    #[must_use]
    pub const fn stops_at(&self, reason: &InvalidRow) -> bool {
        let strict = matches!(self.plan.unknown(), UnknownColumns::Error);
        strict && matches!(reason, InvalidRow::UnknownColumn { .. })
    }

    /// The schema of its rows.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.plan.schema()
    }

    /// Decodes records; those of one partition are in order of offsets.
    #[must_use]
    pub fn decode(&mut self, records: &[Record]) -> Decoded {
        let mut partitions: Vec<PartitionRows> = Vec::new();
        let mut rejected = Vec::new();
        let mut cells = self.plan.cells();
        for record in records {
            match self.plan.read(record.value.as_deref(), &mut cells) {
                Ok(()) => {
                    let rows = rows_of(&mut partitions, record.partition, &self.plan);
                    rows.offsets.push(record.offset.0);
                    rows.builder.append(&cells);
                }
                Err(reason) => rejected.push(Rejected::new(record, reason)),
            }
        }
        let batches = partitions.into_iter().map(PartitionRows::finish).collect();
        Decoded { batches, rejected }
    }
}

impl Rejected {
    fn new(record: &Record, reason: InvalidRow) -> Self {
        Self {
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.clone(),
            value: record.value.clone(),
            reason,
        }
    }
}

/// The rows of one partition so far.
struct PartitionRows {
    partition: PartitionId,
    offsets: Vec<i64>,
    builder: RowBuilder,
}

impl PartitionRows {
    fn finish(self) -> TailBatch {
        let rows: RecordBatch = self.builder.finish();
        TailBatch { partition: self.partition, offsets: Int64Array::from(self.offsets), rows }
    }
}

/// Polls bring few partitions in long runs, so the last one is looked at first.
fn rows_of<'a>(
    partitions: &'a mut Vec<PartitionRows>,
    partition: PartitionId,
    plan: &RowPlan,
) -> &'a mut PartitionRows {
    let found = partitions.iter().rposition(|rows| rows.partition == partition);
    let index = found.unwrap_or_else(|| {
        let builder = RowBuilder::new(Arc::clone(plan.schema()), plan.kinds());
        partitions.push(PartitionRows { partition, offsets: Vec::new(), builder });
        partitions.len() - 1
    });
    &mut partitions[index]
}
