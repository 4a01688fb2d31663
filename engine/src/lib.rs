//! Runs vetted SQL over relations that it is handed: prepares a statement
//! (what it may do, what it reads, what is definite about it), plans it (what
//! is left to read after pruning), and executes it in a locked DuckDB as one
//! union of lake files and stream tail, encoded as the client asked.
//!
//! It must never know Kafka, Iceberg or HTTP, and never reads a clock but to
//! measure time: origin and edge run the same engine.
//!
//! ```text
//! StatementRequest ─prepare→ Statement ─Plan::new(relations)→ Plan ─execute→ Answer
//!                                                              └─etag, tags (no execution)
//! ```

pub mod encode;
pub mod engine;
pub mod error;
pub mod execute;
pub mod fingerprint;
mod nulls;
pub mod peer;
pub mod plan;
pub mod prune;
pub mod reads;
pub mod scan_set;
mod session;
pub mod settings;
mod sql_type;
pub mod statement;
pub mod tags;
mod union;
mod zero;

pub use encode::Encoding;
pub use engine::Engine;
pub use error::{EngineError, ResultLimit};
pub use execute::Answer;
pub use fingerprint::etag;
pub use plan::Plan;
pub use scan_set::ScanSet;
pub use settings::{EngineSettings, Limits};
pub use sql_type::sql_type;
pub use statement::{OutputColumn, Stability, Statement, StatementRequest, TableRead, TableSchema};
pub use tags::tags;

/// Rule 3's number: part of every validator, raised by hand when the same
/// statement over the same rows may give other bytes than before. The golden
/// files of `tests/` guard it, DuckDB's version included.
pub const SEMANTICS: u32 = 2;
