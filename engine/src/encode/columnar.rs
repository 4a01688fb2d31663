//! Arrow IPC stream and Parquet, in batches of a fixed size by one writer, so
//! that equal rows give equal bytes (rule 9).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::compute::{BatchCoalescer, cast};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::Encoder;
use super::value::Values;
use crate::error::EngineError;

/// Rows of one batch, whatever DuckDB delivered.
const BATCH_ROWS: usize = 8_192;
/// Rows of one row group.
const ROW_GROUP_ROWS: usize = 122_880;
/// Fixed, so that a file does not change with the library that writes it.
const CREATED_BY: &str = "springtide";

/// Batches of a fixed size under distinct names.
struct Batches {
    schema: SchemaRef,
    coalescer: BatchCoalescer,
}

impl Batches {
    fn new(names: &[String], delivered: &Schema, kind: fn(&DataType) -> DataType) -> Self {
        let fields = delivered.fields().iter().zip(names);
        let fields = fields.map(|(field, name)| Field::new(name, kind(field.data_type()), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let coalescer = BatchCoalescer::new(Arc::clone(&schema), BATCH_ROWS);
        Self { schema, coalescer }
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| convert(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        batch.and_then(|b| self.coalescer.push_batch(b)).map_err(failure)
    }

    fn next(&mut self) -> Option<RecordBatch> {
        self.coalescer.next_completed_batch()
    }

    fn rest(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.coalescer.finish_buffered_batch().map_err(failure)?;
        Ok(self.coalescer.next_completed_batch())
    }
}

fn convert(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, EngineError> {
    match column.data_type() {
        own if own == wanted => crate::nulls::settle(column).map_err(failure),
        DataType::Dictionary(..) => cast(column, wanted).map_err(failure),
        _ => {
            let values = Values::new(column.as_ref(), false)?;
            let mut texts = StringBuilder::new();
            let mut text = Vec::new();
            for row in 0..column.len() {
                text.clear();
                values.write_text(row, &mut text);
                let text = (!values.is_null(row)).then(|| String::from_utf8_lossy(&text));
                texts.append_option(text);
            }
            Ok(Arc::new(texts.finish()))
        }
    }
}

/// Enumerations are text: their dictionaries differ from batch to batch.
fn arrow_type(own: &DataType) -> DataType {
    match own {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    }
}

/// Parquet has no type for these.
fn parquet_type(own: &DataType) -> DataType {
    match own {
        DataType::Interval(_) | DataType::Union(..) | DataType::Null => DataType::Utf8,
        other => arrow_type(other),
    }
}

/// Whether Parquet has the type and all that it is made of.
fn is_storable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_) | DataType::Union(..) | DataType::Null => false,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            is_storable(item.data_type())
        }
        DataType::Map(entries, _) => is_storable(entries.data_type()),
        DataType::Struct(fields) => {
            !fields.is_empty() && fields.iter().all(|field| is_storable(field.data_type()))
        }
        _ => true,
    }
}

fn failure(error: ArrowError) -> EngineError {
    EngineError::internal("encode the answer")(Box::new(error))
}

/// An Arrow IPC stream.
pub(super) struct ArrowStream {
    batches: Batches,
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowStream {
    pub(super) fn new(names: &[String], delivered: &Schema) -> Result<Self, EngineError> {
        let batches = Batches::new(names, delivered, arrow_type);
        let writer = StreamWriter::try_new(Vec::new(), &batches.schema).map_err(failure)?;
        Ok(Self { batches, writer })
    }
}

impl Encoder for ArrowStream {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.batches.push(batch)?;
        while let Some(batch) = self.batches.next() {
            self.writer.write(&batch).map_err(failure)?;
        }
        out.append(self.writer.get_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EngineError> {
        if let Some(batch) = self.batches.rest()? {
            self.writer.write(&batch).map_err(failure)?;
        }
        self.writer.finish().map_err(failure)?;
        out.append(self.writer.get_mut());
        Ok(())
    }
}

/// A Parquet file.
pub(super) struct Parquet {
    batches: Batches,
    writer: ArrowWriter<Vec<u8>>,
}

impl Parquet {
    pub(super) fn new(names: &[String], delivered: &Schema) -> Result<Self, EngineError> {
        let batches = Batches::new(names, delivered, parquet_type);
        let fields = batches.schema.fields();
        if let Some(field) = fields.iter().find(|field| !is_storable(field.data_type())) {
            let detail = format!(
                "Parquet cannot hold the nested type of column `{}`: cast it to VARCHAR",
                field.name()
            );
            return Err(EngineError::InvalidSql { detail, position: None });
        }
        let properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.to_owned())
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let schema = Arc::clone(&batches.schema);
        let writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties));
        let writer = writer.map_err(|e| EngineError::internal("begin a file")(Box::new(e)))?;
        Ok(Self { batches, writer })
    }

    fn store(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let written = self.writer.write(batch);
        written.map_err(|e| EngineError::internal("encode the answer")(Box::new(e)))
    }
}

impl Encoder for Parquet {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.batches.push(batch)?;
        while let Some(batch) = self.batches.next() {
            self.store(&batch)?;
        }
        out.append(self.writer.inner_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EngineError> {
        if let Some(batch) = self.batches.rest()? {
            self.store(&batch)?;
        }
        let finished = self.writer.finish();
        finished.map_err(|e| EngineError::internal("encode the answer")(Box::new(e)))?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}
