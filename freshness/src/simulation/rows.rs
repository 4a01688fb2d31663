//! Rows of the model, and as batches: each row is known by its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{ChunkId, ColumnStatistics, TailBatch};

use crate::statistics::{column_statistics, union};

/// Where a row comes from: which topic (or [`FOREIGN`]), partition, offset.
pub(super) type Row = (u128, i32, i64);
/// Rows that did not come through a stream.
pub(super) const FOREIGN: u128 = 0;

/// A value that no other row has.
pub(super) fn value((source, partition, offset): Row) -> i64 {
    i64::try_from(source).unwrap() * 1_000_000_000_000
        + i64::from(partition) * 1_000_000_000
        + offset
}

/// The columns of a schema: the value, the decode epoch, and one more each time it changes.
pub(super) fn schema(schema_id: i32) -> SchemaRef {
    let more = (0..schema_id).map(|n| format!("more{n}"));
    let names = ["id".to_owned(), "decoded".to_owned()].into_iter().chain(more);
    let fields: Vec<_> = names.map(|name| Field::new(name, DataType::Int64, true)).collect();
    Arc::new(Schema::new(fields))
}

/// Rows of one partition as they are decoded.
pub(super) fn batch(
    schema: &SchemaRef,
    epoch: u32,
    source: u128,
    partition: i32,
    offsets: &[i64],
) -> TailBatch {
    let ids = offsets.iter().map(|offset| value((source, partition, *offset)));
    let ids: arrow::array::ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    let decoded = Arc::new(Int64Array::from_value(i64::from(epoch), offsets.len()));
    let mut columns = vec![ids.clone(), decoded];
    columns.resize_with(schema.fields().len(), || ids.clone());
    TailBatch {
        partition: PartitionId(partition),
        offsets: Int64Array::from(offsets.to_vec()),
        rows: RecordBatch::try_new(schema.clone(), columns).unwrap(),
    }
}

/// The places of a batch's rows, where its values and epoch are those of `source`.
pub(super) fn read(batch: &TailBatch, source: u128, epoch: u32) -> Vec<Row> {
    let values = batch.rows.column(0).as_primitive::<Int64Type>().values();
    let decoded = batch.rows.column(1).as_primitive::<Int64Type>().values();
    let rows = batch.offsets.values().iter().zip(values).zip(decoded);
    let rows = rows.map(|((offset, found), decoded)| {
        let row = (source, batch.partition.0, *offset);
        let right = *found == value(row) && *decoded == i64::from(epoch);
        // A row of another topic or decoding is none that was expected.
        if right { row } else { (u128::MAX, batch.partition.0, *offset) }
    });
    rows.collect()
}

/// The pieces of chunks that a file of these rows records.
pub(super) fn pieces(batches: &[TailBatch]) -> Vec<(ChunkId, Arc<[ColumnStatistics]>)> {
    let mut pieces: BTreeMap<ChunkId, Arc<[ColumnStatistics]>> = BTreeMap::new();
    for batch in batches {
        let mut rest = Some(batch.clone());
        while let Some(first) = rest.as_ref().and_then(|b| b.offsets.values().first().copied()) {
            let id = ChunkId::containing(batch.partition, Offset(first));
            let own = rest.as_ref().and_then(|b| b.window(id.start(), id.end())).unwrap();
            let columns = column_statistics(&own.rows);
            pieces
                .entry(id)
                .and_modify(|before| *before = union(before, &columns).into())
                .or_insert_with(|| columns.into());
            rest = rest.and_then(|b| b.window(id.end(), Offset(i64::MAX)));
        }
    }
    pieces.into_iter().collect()
}
