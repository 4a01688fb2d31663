//! What an engine may use: sessions, threads, memory, folders. It must never
//! know where the numbers come from (configuration is the programs').

use std::path::PathBuf;
use std::time::Duration;

/// Sizes and folders of one engine.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Statements that run at once; each has a session on a thread of its own.
    pub sessions: usize,
    /// DuckDB's threads, shared by all statements.
    pub threads: usize,
    /// DuckDB's memory in all, in bytes.
    pub memory_bytes: u64,
    /// Folders whose Parquet files relations may name; nothing else can be read.
    pub readable_folders: Vec<PathBuf>,
    /// Where DuckDB may spill; made if absent.
    pub scratch_folder: PathBuf,
    /// Statements that may wait for a session; more are refused.
    pub waiting_statements: usize,
}

/// Bounds of one statement's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows of the answer.
    pub rows: u64,
    /// Encoded bytes of the answer.
    pub bytes: u64,
    /// From admission to the last byte.
    pub time: Duration,
}
