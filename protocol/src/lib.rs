//! The words that edge, origin and programs share: query URLs in canonical
//! form, versions, validators, tags, changes, header names and limits.
//!
//! Pure: no I/O, no clock, no randomness; it builds for wasm32. It must never
//! know how a table is stored, how a query runs or how bytes travel.

pub mod canonical;
pub mod change;
pub mod clock;
pub mod etag;
pub mod format;
pub mod headers;
pub mod ids;
pub mod limits;
pub mod offsets;
pub mod parameter;
pub mod problem;
pub mod signing;
pub mod tag;
pub mod version;

pub use change::{Change, ChangeId, FeedEvent};
pub use etag::ETag;
pub use format::Format;
pub use ids::{Offset, PartitionId, TableName};
pub use offsets::OffsetMap;
pub use tag::Tag;
pub use version::{MinVersion, TableVersion, Version};
