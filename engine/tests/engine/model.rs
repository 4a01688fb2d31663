//! A table as a list of rows with their places in a stream, and relations that
//! hold the same rows in different ways.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use springtide_protocol::{Offset, OffsetMap, PartitionId, TableVersion};
use springtide_relation::{
    Coverage, DataFile, FileOrigin, Relation, Segment, SegmentData, SegmentFile, TailBatch, hidden,
};

/// One row and its place; partition −1 is a row that never was in the stream.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: i64,
    pub(crate) text: Option<String>,
    pub(crate) number: f64,
}

fn field(name: &str, data_type: DataType, id: i32) -> Field {
    let metadata = [("PARQUET:field_id".to_owned(), id.to_string())];
    Field::new(name, data_type, true).with_metadata(metadata.into())
}

/// key BIGINT, text VARCHAR, number DOUBLE, moment TIMESTAMP.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        field("key", DataType::Int64, 1),
        field("text", DataType::Utf8, 2),
        field("number", DataType::Float64, 3),
        field("moment", DataType::Timestamp(TimeUnit::Microsecond, None), 4),
    ]))
}

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.key).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.text.clone()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.number).collect::<Float64Array>()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(
            rows.iter().map(|r| r.key * 1_000_003),
        )),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub(crate) fn write_parquet(path: &Path, batch: &RecordBatch) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A data file with these rows.
pub(crate) fn data_file(path: &Path, batch: &RecordBatch) -> DataFile {
    write_parquet(path, batch);
    DataFile {
        path: path.to_path_buf(),
        origin: FileOrigin::Foreign(path.display().to_string().into()),
        rows: batch.num_rows() as u64,
        bytes: std::fs::metadata(path).unwrap().len(),
        columns: Arc::from([]),
        dead: None,
    }
}

/// The rows, partition by partition.
pub(crate) fn tail_batches(rows: &[Row]) -> Vec<TailBatch> {
    let mut partitions: Vec<i32> = rows.iter().map(|r| r.partition).collect();
    partitions.dedup();
    let one = |partition: &i32| {
        let own: Vec<Row> = rows.iter().filter(|r| r.partition == *partition).cloned().collect();
        TailBatch {
            partition: PartitionId(*partition),
            offsets: own.iter().map(|r| r.offset).collect::<Int64Array>(),
            rows: batch(&own),
        }
    };
    partitions.iter().map(one).collect()
}

/// A sealed segment's file: the columns, then the hidden two.
pub(crate) fn segment_file(path: &Path, rows: &[Row]) -> Arc<SegmentFile> {
    let plain = batch(rows);
    let mut fields: Vec<_> = plain.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(hidden::PARTITION, DataType::Int32, false)));
    fields.push(Arc::new(Field::new(hidden::OFFSET, DataType::Int64, false)));
    let mut columns = plain.columns().to_vec();
    columns.push(Arc::new(rows.iter().map(|r| r.partition).collect::<Int32Array>()));
    columns.push(Arc::new(rows.iter().map(|r| r.offset).collect::<Int64Array>()));
    let whole = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    write_parquet(path, &whole);
    Arc::new(SegmentFile::new(path.to_path_buf()))
}

pub(crate) fn offsets(entries: &[(i32, i64)]) -> OffsetMap {
    entries.iter().map(|(p, o)| (PartitionId(*p), Offset(*o))).collect()
}

/// A segment that covers `[start, end)` of one partition.
pub(crate) fn segment(
    partition: i32,
    start: i64,
    end: i64,
    rows: usize,
    data: SegmentData,
) -> Segment {
    Segment {
        start: offsets(&[(partition, start)]),
        end: offsets(&[(partition, end)]),
        rows: rows as u64,
        data,
    }
}

/// A relation `t` of these parts.
pub(crate) fn relation(
    boundary: OffsetMap,
    end: OffsetMap,
    files: Vec<DataFile>,
    segments: Vec<Segment>,
) -> Relation {
    Relation {
        table: "t".parse().unwrap(),
        schema: schema(),
        version: TableVersion {
            table_uuid: uuid::Uuid::from_u128(1),
            topic_id: Some(uuid::Uuid::from_u128(2)),
            schema_id: 0,
            decode_epoch: 0,
            foreign_sequence: 1,
            offsets: end,
        },
        boundary,
        files: files.into(),
        sealed: Vec::new(),
        open: Vec::new(),
        segments,
        coverage: Coverage::Whole,
        row_filter: None,
        guard: Arc::new(()),
    }
}
