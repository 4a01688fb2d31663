//! The table function over a statement's in-memory tail: batches that stay
//! Arrow until DuckDB asks for the columns it wants. A statement's rows are
//! found by an opaque random text, which is forgotten with the statement.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use duckdb::Connection;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vtab::{
    BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk,
    to_duckdb_logical_type_for_field,
};
use parking_lot::Mutex;
use uuid::Uuid;

/// Its name in SQL; no statement of a client may call it.
pub(super) const FUNCTION: &str = "springtide_tail";
/// DuckDB's vector size, the most rows of one chunk.
const CHUNK_ROWS: usize = 2048;
/// Rows that make another thread worth while.
const ROWS_PER_THREAD: usize = 32 * CHUNK_ROWS;

/// Rows of one table for one statement.
pub(super) struct TailRows {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
}

/// The rows of statements that run now.
#[derive(Clone, Default)]
pub(super) struct TailRegistry(Arc<Mutex<HashMap<String, Arc<TailRows>>>>);

impl TailRegistry {
    /// Makes rows known until the entry is dropped.
    pub(super) fn enter(&self, rows: TailRows) -> TailEntry {
        let id = Uuid::new_v4().simple().to_string();
        self.0.lock().insert(id.clone(), Arc::new(rows));
        TailEntry { registry: self.clone(), id }
    }
}

/// One statement's rows of one table.
pub(super) struct TailEntry {
    registry: TailRegistry,
    pub(super) id: String,
}

impl Drop for TailEntry {
    fn drop(&mut self) {
        self.registry.0.lock().remove(&self.id);
    }
}

/// Registers the table function with an instance, before its sessions are cloned.
///
/// # Errors
/// DuckDB's own.
pub(super) fn register(connection: &Connection, registry: &TailRegistry) -> duckdb::Result<()> {
    connection.register_table_function_with_extra_info::<Tail, _>(FUNCTION, registry)
}

struct Tail;

struct Scan {
    /// Per batch: the number of chunks before it.
    starts: Vec<usize>,
    chunks: usize,
    next: AtomicUsize,
    columns: Vec<usize>,
}

impl Scan {
    fn new(rows: &TailRows, columns: Vec<usize>) -> Self {
        let mut chunks = 0;
        let starts = rows.batches.iter().map(|batch| {
            let start = chunks;
            chunks += batch.num_rows().div_ceil(CHUNK_ROWS);
            start
        });
        let starts = starts.collect();
        Self { starts, chunks, next: AtomicUsize::new(0), columns }
    }

    /// The next chunk of rows, each given out once, whichever thread asks.
    fn next(&self, rows: &TailRows) -> Option<RecordBatch> {
        let chunk = self.next.fetch_add(1, Ordering::Relaxed);
        if chunk >= self.chunks {
            return None;
        }
        // The last batch that starts at or before it; empty batches hold no chunk.
        let index = self.starts.partition_point(|start| *start <= chunk) - 1;
        let batch = &rows.batches[index];
        let from = (chunk - self.starts[index]) * CHUNK_ROWS;
        Some(batch.slice(from, CHUNK_ROWS.min(batch.num_rows() - from)))
    }
}

impl VTab for Tail {
    type InitData = Scan;
    type BindData = Arc<TailRows>;

    fn bind(bind: &BindInfo) -> Result<Self::BindData, Box<dyn Error>> {
        let id = bind.get_parameter(0).to_string();
        #[expect(
            unsafe_code,
            reason = "`register` set a TailRegistry, which lives as the function"
        )]
        let registry = unsafe { bind.get_extra_info::<TailRegistry>().as_ref() };
        let known = registry.and_then(|r| r.0.lock().get(&id).cloned());
        let rows = known.ok_or("these rows belong to no statement")?;
        for field in rows.schema.fields() {
            bind.add_result_column(field.name(), to_duckdb_logical_type_for_field(field)?);
        }
        let count = rows.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        bind.set_cardinality(count as u64, true);
        Ok(rows)
    }

    fn init(init: &InitInfo) -> Result<Self::InitData, Box<dyn Error>> {
        #[expect(unsafe_code, reason = "DuckDB keeps the bind data for as long as the scan")]
        let rows = unsafe { init.get_bind_data::<Arc<TailRows>>().as_ref() };
        let rows = rows.ok_or("the scan has no bind data")?;
        let wanted = init.get_column_indices().into_iter();
        let columns = wanted.map(usize::try_from).collect::<Result<Vec<_>, _>>()?;
        let count = rows.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        init.set_max_threads((count / ROWS_PER_THREAD + 1) as u64);
        Ok(Scan::new(rows, columns))
    }

    fn func(
        func: &TableFunctionInfo<Self>,
        output: &mut DataChunkHandle,
    ) -> Result<(), Box<dyn Error>> {
        let (rows, scan) = (func.get_bind_data(), func.get_init_data());
        let Some(batch) = scan.next(rows) else {
            output.set_len(0);
            return Ok(());
        };
        // Where only the number of rows is asked for, DuckDB names a column that is not there.
        let known = scan.columns.iter().filter(|column| **column < batch.num_columns()).count();
        match (known, scan.columns.len()) {
            (0, _) => output.set_len(batch.num_rows()),
            (known, all) if known == all => {
                let batch = settled(&batch.project(&scan.columns)?)?;
                record_batch_to_duckdb_data_chunk(&batch, output)?;
            }
            _ => return Err("row ids of a stream's tail cannot be read".into()),
        }
        Ok(())
    }

    fn supports_pushdown() -> bool {
        true
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeHandle::from(LogicalTypeId::Varchar)])
    }
}

/// DuckDB takes it that the members of a NULL struct are NULL.
fn settled(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| {
        let nested = column.data_type().is_nested();
        if nested { crate::nulls::settle(column) } else { Ok(Arc::clone(column)) }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(batch.schema(), columns)
}
