//! The hidden columns of a segment's Parquet file: a row's place in the stream.
//! Statements can never name them (table columns may not begin with `__`).

/// INT: the stream partition.
pub const PARTITION: &str = "__springtide_partition";
/// BIGINT: the offset.
pub const OFFSET: &str = "__springtide_offset";
