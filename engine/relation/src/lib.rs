//! What a table is for one statement: its schema, its lake files, the chunks
//! and segments of its stream's tail, and the boundary between them.
//!
//! Types over Arrow, no execution and no I/O. It must never know where a file
//! came from (Iceberg, Kafka) or who reads it (DuckDB, HTTP).

pub mod calendar;
pub mod chunk;
pub mod file;
pub mod hidden;
pub mod partitioning;
pub mod scalar;
pub mod segment;
pub mod statistics;
pub mod table;

pub use chunk::{ChunkId, OpenChunk, SealedChunk};
pub use file::{DataFile, DeadRows, FileOrigin};
pub use partitioning::{TagPartition, Transform};
pub use scalar::Scalar;
pub use segment::{Segment, SegmentData, SegmentFile, TailBatch};
pub use statistics::ColumnStatistics;
pub use table::{Coverage, Relation};
