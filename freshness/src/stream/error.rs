//! What can go wrong with a stream, sorted by what the caller should do.
//! It knows neither Kafka's error codes nor SQLite's; those are sources.

use springtide_protocol::{Offset, PartitionId};
use uuid::Uuid;

/// A library's error, kept as the source.
pub type BoxedSource = Box<dyn std::error::Error + Send + Sync>;

/// A stream's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// It cannot be reached now; trying again later may help.
    #[error("the stream cannot be reached: is the broker up and `bootstrap_servers` right?")]
    Unreachable {
        /// Why.
        #[source]
        source: BoxedSource,
    },
    /// Records that were asked for are gone, or the offset lies beyond the end.
    #[error("partition {partition} holds offsets from {low} to {high}, but {asked} was asked for")]
    OffsetOutOfRange {
        /// The partition.
        partition: PartitionId,
        /// The offset that was asked for.
        asked: Offset,
        /// The first offset still there.
        low: Offset,
        /// The first offset not yet there.
        high: Offset,
    },
    /// There is no such topic.
    #[error(
        "topic `{topic}` does not exist: create it (or set `create_topics = true` under [stream]), or correct the table's `topic`"
    )]
    TopicMissing {
        /// Its name.
        topic: String,
    },
    /// The topic was deleted and made again: offsets mean something else now.
    #[error("topic `{topic}` was made anew: its id is {found}, the table was fed from {expected}")]
    TopicRecreated {
        /// Its name.
        topic: String,
        /// The id recorded before.
        expected: Uuid,
        /// The id found now.
        found: Uuid,
    },
    /// An idempotency key came again with other records.
    #[error("Idempotency-Key `{key}` was used before with another body: use a new key")]
    IdempotencyConflict {
        /// The key.
        key: String,
    },
    /// An idempotency key that cannot be kept.
    #[error("an Idempotency-Key has 1 to {limit_bytes} bytes, this one {bytes}")]
    IdempotencyKeySize {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit_bytes: usize,
    },
    /// Records may or may not have been added.
    #[error("whether the rows were added is not known: read before you send them again")]
    UnknownOutcome {
        /// Why.
        #[source]
        source: BoxedSource,
    },
    /// A record is larger than the stream takes.
    #[error("a record of {bytes} bytes is larger than the stream takes")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// Why, where a broker said so.
        #[source]
        source: Option<BoxedSource>,
    },
    /// A record names a partition that the topic does not have.
    #[error("topic `{topic}` has no partition {partition}")]
    PartitionMissing {
        /// The topic.
        topic: String,
        /// The partition.
        partition: PartitionId,
    },
    /// A version cannot name so many partitions.
    #[error(
        "topic `{topic}` has {partitions} partitions: a table's version names the offset of each, \
         which is bounded to {limit}"
    )]
    TooManyPartitions {
        /// The topic.
        topic: String,
        /// Its partitions.
        partitions: usize,
        /// The bound.
        limit: usize,
    },
    /// The disk is full; nothing of the request was written.
    #[error("the disk that holds the journal is full: free some space, nothing was written")]
    StorageFull {
        /// Why.
        #[source]
        source: BoxedSource,
    },
    /// The stream refuses us: authentication, authorisation.
    #[error(
        "the stream refuses access: check credentials and certificates under [stream.settings]"
    )]
    Refused {
        /// Why.
        #[source]
        source: BoxedSource,
    },
    /// A setting that is not known, or that would break correctness.
    #[error("stream setting `{name}`: {reason}")]
    Setting {
        /// Its name.
        name: String,
        /// What to change.
        reason: String,
    },
    /// A journal file of another layout than this program's.
    #[error(
        "the journal has layout {found}, this program reads {known}: use the program that made it"
    )]
    JournalLayout {
        /// The layout found.
        found: i64,
        /// The layout known.
        known: i64,
    },
    /// Anything else.
    #[error("the stream failed: {doing}")]
    Internal {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: BoxedSource,
    },
}

impl StreamError {
    /// Whether the same call may succeed later without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::StorageFull { .. })
    }
}
