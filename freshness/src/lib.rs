//! What a table is now: an Iceberg snapshot plus the tail of a stream, pinned
//! together at one version. Streams, decoding, the tail, the boundary, the
//! lake, the committer and the change feed live here.
//!
//! It makes relations and runs no query: it must never know SQL, HTTP, or what
//! an answer is cached as.
//!
//! Two one-way streets meet in [`Freshness::pin`]: stream → decode → tail →
//! change feed, and tail → committer → snapshot → eviction. What is promised:
//!
//! - a pin is one state (snapshot, offsets) for each table of a statement, with
//!   no row twice and none missing; across tables, and across the partitions of
//!   a topic, there is no atomicity;
//! - pins of one table only grow, component by component, but for a declared
//!   rollback of the lake that the stream can no longer make good;
//! - while a table catches up its answers are whole up to the end that their
//!   version names, and their as-of is unknown (or old) until it has caught up;
//! - a restart forgets superseded snapshots: versions that need one are gone.

pub mod audit;
pub mod boundary;
pub mod commit;
pub mod dead_letters;
pub mod decode;
pub mod feed;
mod ingest;
mod invariants;
pub mod lake;
mod pin;
pub mod ports;
mod registry;
pub mod settings;
#[cfg(test)]
mod simulation;
pub mod statistics;
pub mod status;
pub mod stream;
mod table;
mod tail;

pub use feed::FeedReader;
pub use ingest::{IngestError, Receipt};
pub use pin::{PinAt, PinError, PinRequest, Pinned, WAIT as PIN_WAIT};
pub use registry::{CommitError, Freshness, StartError, TableDescription};
pub use settings::{FreshnessSettings, InvalidSettings};
pub use status::{CAUSES, Readiness, TableState, TableStatus};
pub use table::committing::CommitFailure;
pub use table::touched::NULL_PARTITION;
pub use tail::file::SegmentFileError;
