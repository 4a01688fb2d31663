//! DuckDB as it comes: in process, no sandbox, no union, no encoding. The peer
//! that statements are measured against; nothing that answers users may use it.

use std::path::Path;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use duckdb::Connection;

use crate::error::EngineError;
use crate::sql_type::literal;

/// A DuckDB of its own.
#[derive(Debug)]
pub struct Peer {
    connection: Connection,
}

impl Peer {
    /// Opens one in memory.
    ///
    /// # Errors
    /// Where DuckDB cannot be opened.
    pub fn open(threads: usize) -> Result<Self, EngineError> {
        let open = || {
            let connection = Connection::open_in_memory()?;
            connection.execute_batch(&format!("SET threads = {threads}; SET TimeZone = 'UTC'"))?;
            Ok(Self { connection })
        };
        open().map_err(internal("open DuckDB"))
    }

    /// Makes `name` a view of Parquet files.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn view<'a>(
        &self,
        name: &str,
        files: impl Iterator<Item = &'a Path>,
    ) -> Result<(), EngineError> {
        let files: Vec<String> = files.map(|file| literal(&file.to_string_lossy())).collect();
        let files = files.join(", ");
        let sql = format!("CREATE OR REPLACE VIEW {name} AS FROM read_parquet([{files}])");
        self.execute(&sql)
    }

    /// Runs a statement for its effect.
    ///
    /// # Errors
    /// Where it fails.
    pub fn execute(&self, sql: &str) -> Result<(), EngineError> {
        self.connection.execute_batch(sql).map_err(internal("run a statement of the peer"))
    }

    /// Runs a SELECT and takes all its rows as Arrow; how long it took and how many there are.
    ///
    /// # Errors
    /// Where it fails.
    pub fn run(&self, sql: &str) -> Result<(Duration, u64), EngineError> {
        let begun = Instant::now();
        let run = || {
            let mut statement = self.connection.prepare(sql)?;
            let batches: Vec<RecordBatch> = statement.query_arrow([])?.collect();
            Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
        };
        let rows = run().map_err(internal("run a statement of the peer"))?;
        Ok((begun.elapsed(), rows))
    }
}

fn internal(what: &'static str) -> impl FnOnce(duckdb::Error) -> EngineError {
    move |error| EngineError::internal(what)(Box::new(error))
}
