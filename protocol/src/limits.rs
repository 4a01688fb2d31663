//! Bounds that all tiers keep. Each has its unit last; what is over a bound is
//! an error, never a cut.

/// A table's name.
pub const TABLE_NAME_BYTES: usize = 64;
/// A version's text, signature included (rule 7).
pub const VERSION_BYTES: usize = 2048;
/// One cache tag (CloudFront's bound).
pub const TAG_BYTES: usize = 256;
/// Partitions of one topic: all their offsets stand in a version's text.
pub const TOPIC_PARTITIONS: usize = 64;
/// Table partitions that an answer or a change names before it names the table instead (rule 11).
pub const PARTITION_TAGS: usize = 16;
/// A request's path and query together (CloudFront's bound is 8,192).
pub const URL_BYTES: usize = 8000;
/// Parameters in one query string.
pub const PARAMETERS: usize = 64;
/// SQL text of one statement.
pub const SQL_BYTES: usize = 7000;
/// Rows from the stream are identified in chunks of this many offsets (rule 5).
pub const CHUNK_OFFSETS: i64 = 1024;
/// A body up to this size is held in memory and has a Content-Length (rule 15).
pub const BUFFERED_BODY_BYTES: usize = 8 * 1024 * 1024;
/// The body of one ingest request.
pub const INGEST_BODY_BYTES: usize = 16 * 1024 * 1024;
