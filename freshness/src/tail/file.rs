//! A sealed segment as a small local Parquet file: the table's columns with
//! their field ids, then the row's partition and offset, in that order of rows.
//! Blocking: call it off the async threads.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{SegmentFile, TailBatch, hidden};

/// Rows of one row group: what a scan can skip at a time.
const ROW_GROUP_ROWS: usize = 16 * 1024;
/// Rows that are decoded at a time when a file is read back.
const READ_ROWS: usize = 8 * 1024;

/// Why a segment file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentFileError {
    /// The file system.
    #[error("segment file {path}: is the disk full, or not writable?")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Parquet.
    #[error("segment file {path} cannot be written or read as Parquet")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ParquetError,
    },
    /// The work was cut off by a panic.
    #[error("writing the segment file was cut off")]
    CutOff(#[source] tokio::task::JoinError),
    /// Arrow.
    #[error("segment file {path} does not hold what was written to it")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ArrowError,
    },
}

/// Writes `batches` (partition by partition, in order of offsets) to `path`.
/// The file is complete when it has its name. Returns it with its size.
///
/// # Errors
/// Where the disk or Parquet refuses; nothing is left behind then.
pub(crate) fn write(
    path: &Path,
    schema: &SchemaRef,
    batches: &[TailBatch],
) -> Result<(Arc<SegmentFile>, u64), SegmentFileError> {
    let partial = path.with_extension("partial");
    let written = write_to(&partial, schema, batches)
        .and_then(|()| std::fs::rename(&partial, path).map_err(|e| io(path, e)))
        .and_then(|()| std::fs::metadata(path).map_err(|e| io(path, e)));
    match written {
        Ok(metadata) => Ok((Arc::new(SegmentFile::new(path.to_owned())), metadata.len())),
        Err(error) => {
            let _ = std::fs::remove_file(&partial);
            Err(error)
        }
    }
}

fn write_to(
    path: &Path,
    schema: &SchemaRef,
    batches: &[TailBatch],
) -> Result<(), SegmentFileError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| io(path, e))?;
    }
    let file = File::create(path).map_err(|e| io(path, e))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build();
    let schema = with_hidden(schema);
    let parquet = |source| SegmentFileError::Parquet { path: path.to_owned(), source };
    let mut writer =
        ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(parquet)?;
    for batch in batches {
        let mut columns = batch.rows.columns().to_vec();
        let partitions = Int32Array::from_value(batch.partition.0, batch.len());
        columns.push(Arc::new(partitions) as ArrayRef);
        columns.push(Arc::new(batch.offsets.clone()) as ArrayRef);
        let rows = RecordBatch::try_new(schema.clone(), columns)
            .map_err(|source| SegmentFileError::Arrow { path: path.to_owned(), source })?;
        writer.write(&rows).map_err(parquet)?;
    }
    writer.close().map_err(parquet)?;
    Ok(())
}

/// Reads a segment file back, in `schema`.
///
/// # Errors
/// Where it cannot be read or is not what was written.
pub(crate) fn read(path: &Path, schema: &SchemaRef) -> Result<Vec<TailBatch>, SegmentFileError> {
    let arrow = |source| SegmentFileError::Arrow { path: path.to_owned(), source };
    let file = File::open(path).map_err(|e| io(path, e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(READ_ROWS).build())
        .map_err(|source| SegmentFileError::Parquet { path: path.to_owned(), source })?;
    let mut batches = Vec::new();
    for rows in reader {
        split(&rows.map_err(arrow)?, schema, &mut batches).map_err(arrow)?;
    }
    Ok(batches)
}

/// Splits rows with hidden columns into batches of one partition each.
fn split(
    rows: &RecordBatch,
    schema: &SchemaRef,
    batches: &mut Vec<TailBatch>,
) -> Result<(), ArrowError> {
    let (visible, hidden) = rows.columns().split_at(schema.fields().len());
    let foreign = || ArrowError::SchemaError("the hidden columns are missing".to_owned());
    let [partitions, offsets] = hidden else { return Err(foreign()) };
    let partitions = partitions.as_any().downcast_ref::<Int32Array>().ok_or_else(foreign)?;
    let offsets = offsets.as_any().downcast_ref::<Int64Array>().ok_or_else(foreign)?;
    let visible = RecordBatch::try_new(schema.clone(), visible.to_vec())?;
    let mut from = 0;
    while from < visible.num_rows() {
        let partition = partitions.value(from);
        let to = from + partitions.values()[from..].partition_point(|p| *p == partition);
        batches.push(TailBatch {
            partition: PartitionId(partition),
            offsets: offsets.slice(from, to - from),
            rows: visible.slice(from, to - from),
        });
        from = to;
    }
    Ok(())
}

/// Rows of one partition in `[start, end)` of a segment file.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_window(
    path: &Path,
    schema: &SchemaRef,
    partition: PartitionId,
    (start, end): (Offset, Offset),
) -> Result<Vec<TailBatch>, SegmentFileError> {
    let batches = read(path, schema)?;
    let own = batches.iter().filter(|batch| batch.partition == partition);
    Ok(own.filter_map(|batch| batch.window(start, end)).collect())
}

fn with_hidden(schema: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(hidden::PARTITION, DataType::Int32, false)));
    fields.push(Arc::new(Field::new(hidden::OFFSET, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

fn io(path: &Path, source: std::io::Error) -> SegmentFileError {
    SegmentFileError::Io { path: path.to_owned(), source }
}

/// Removes what an earlier life left in `folder`.
///
/// # Errors
/// Where the folder cannot be made or listed.
pub(crate) fn sweep(folder: &Path) -> Result<(), SegmentFileError> {
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    let entries = std::fs::read_dir(folder).map_err(|e| io(folder, e))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = path.extension().is_some_and(|e| e == "parquet" || e == "partial");
        if ours {
            std::fs::remove_file(&path).map_err(|e| io(&path, e))?;
        }
    }
    Ok(())
}
