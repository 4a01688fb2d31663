//! One data file while it is written: Parquet in memory, exact statistics, and
//! the entry that Iceberg's manifest gets.
//!
//! It must never know which rows come together in it, or where it is stored.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Schema, Struct, Type,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use springtide_relation::ColumnStatistics;

use super::LakeError;
use super::bounds::{End, datum};
use super::record::{CHUNKS, Piece, encode};
use crate::statistics::{column_statistics, union};

/// Rows of a row group: DuckDB's own, so that its threads divide a file evenly.
const ROW_GROUP_ROWS: usize = 122_880;

/// A finished data file that is not stored yet.
#[derive(Debug)]
pub(crate) struct WrittenFile {
    /// The manifest's entry; its path is where the bytes belong.
    pub(crate) entry: DataFile,
    /// The file.
    pub(crate) bytes: Bytes,
}

/// A data file that takes rows.
pub(super) struct OpenFile {
    path: String,
    partition: Struct,
    writer: ArrowWriter<Vec<u8>>,
    statistics: Option<Vec<ColumnStatistics>>,
    rows: u64,
}

impl OpenFile {
    pub(super) fn new(
        path: String,
        partition: Struct,
        schema: SchemaRef,
    ) -> Result<Self, LakeError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("springtide".to_owned())
            .build();
        let options =
            ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options)
            .map_err(|source| LakeError::Parquet { path: path.clone(), source })?;
        Ok(Self { path, partition, writer, statistics: None, rows: 0 })
    }

    /// Appends rows, which have exactly the file's schema.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let added = column_statistics(batch);
        self.statistics = Some(match &self.statistics {
            Some(before) => union(before, &added),
            None => added,
        });
        self.rows += batch.num_rows() as u64;
        self.writer
            .write(batch)
            .map_err(|source| LakeError::Parquet { path: self.path.clone(), source })
    }

    /// Bytes that it holds in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.writer.memory_size() + self.writer.inner().len()
    }

    /// Bytes that the finished file will have, about.
    pub(super) fn file_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Ends the file. `pieces`: the record of chunks that it carries, if it is from the stream.
    pub(super) fn finish(
        mut self,
        schema: &Schema,
        spec_id: i32,
        ids: &[i32],
        pieces: Option<&[Piece]>,
    ) -> Result<WrittenFile, LakeError> {
        if let Some(pieces) = pieces {
            let record = KeyValue::new(CHUNKS.to_owned(), encode(pieces));
            self.writer.append_key_value_metadata(record);
        }
        let failed = |source| LakeError::Parquet { path: self.path.clone(), source };
        let metadata = self.writer.finish().map_err(failed)?;
        let bytes: Bytes = std::mem::take(self.writer.inner_mut()).into();
        let statistics = self.statistics.unwrap_or_default();
        let counted = Counted::new(schema, ids, &statistics);
        let offsets = metadata.row_groups().iter().filter_map(|group| group.file_offset());
        let entry = DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(self.path.clone())
            .file_format(DataFileFormat::Parquet)
            .partition(self.partition)
            .partition_spec_id(spec_id)
            .record_count(self.rows)
            .file_size_in_bytes(bytes.len() as u64)
            .column_sizes(column_sizes(&metadata, schema))
            .value_counts(counted.values)
            .null_value_counts(counted.nulls)
            .nan_value_counts(counted.nans)
            .lower_bounds(counted.lower)
            .upper_bounds(counted.upper)
            .split_offsets(Some(offsets.collect()))
            .build();
        let entry = entry.map_err(|e| LakeError::Rows { what: format!("{}: {e}", self.path) })?;
        Ok(WrittenFile { entry, bytes })
    }
}

/// What a manifest says about columns, by field id; plain top-level columns only.
#[derive(Default)]
struct Counted {
    values: HashMap<i32, u64>,
    nulls: HashMap<i32, u64>,
    nans: HashMap<i32, u64>,
    lower: HashMap<i32, Datum>,
    upper: HashMap<i32, Datum>,
}

impl Counted {
    fn new(schema: &Schema, ids: &[i32], statistics: &[ColumnStatistics]) -> Self {
        let mut counted = Self::default();
        for (id, column) in ids.iter().zip(statistics) {
            let Some(field) = schema.field_by_id(*id) else { continue };
            let Type::Primitive(kind) = field.field_type.as_ref() else { continue };
            counted.values.insert(*id, column.rows);
            counted.nulls.extend(column.nulls.map(|nulls| (*id, nulls)));
            counted.nans.extend(column.nans.map(|nans| (*id, nans)));
            let bound = |scalar: &Option<_>, end| datum(scalar.as_ref()?, kind, end);
            counted.lower.extend(bound(&column.lower, End::Lower).map(|datum| (*id, datum)));
            counted.upper.extend(bound(&column.upper, End::Upper).map(|datum| (*id, datum)));
        }
        counted
    }
}

fn column_sizes(metadata: &ParquetMetaData, schema: &Schema) -> HashMap<i32, u64> {
    let mut sizes = HashMap::new();
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let [name] = column.column_path().parts() else { continue };
        let Some(field) = schema.field_by_name(name) else { continue };
        let size = u64::try_from(column.compressed_size()).unwrap_or(0);
        *sizes.entry(field.id).or_insert(0) += size;
    }
    sizes
}
