//! What a table is now: an Iceberg snapshot plus the tail of a stream, pinned
//! together at one version. Streams, decoding, the tail, the boundary, the
//! lake, the committer and the change feed live here.
//!
//! It makes relations and runs no query: it must never know SQL, HTTP, or what
//! an answer is cached as.

pub mod boundary;
pub mod commit;
pub mod dead_letters;
pub mod decode;
pub mod lake;
pub mod settings;
pub mod statistics;
pub mod stream;
