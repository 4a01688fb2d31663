//! Streams: what a topic is, how it is read and how rows are added to it,
//! behind one trait for Kafka and the embedded journal.
//!
//! Offsets are half-open throughout and coverage comes from positions, never
//! from counts: control records, aborted and compacted offsets are passed
//! without a record. Nothing here knows what a record's bytes mean, what a
//! table is or where the lake stands.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use uuid::Uuid;

mod error;
pub mod journal;
pub mod kafka;
pub(crate) mod throttle;

pub use error::{BoxedSource, StreamError};
pub use journal::{Journal, JournalTopic};
pub use kafka::{Kafka, KafkaTopic};

/// The most bytes of keys and values that one [`StreamReader::poll`] returns
/// (one record may be larger and then comes alone).
pub const POLL_BYTES: usize = 16 * 1024 * 1024;

/// The first offset that is still there and the first that is not yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// Records below are gone (retention, deletion).
    pub low: Offset,
    /// Nothing at or above is there yet. A reader of committed records may stop short of
    /// it for as long as a transaction is open (rule 14).
    pub high: Offset,
}

/// A topic as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub topic: String,
    /// Its identity: a topic that was deleted and made again has another.
    pub topic_id: Uuid,
    /// The cluster (or the journal) that it lives in.
    pub cluster: String,
    /// All its partitions.
    pub watermarks: BTreeMap<PartitionId, Watermarks>,
}

impl TopicDescription {
    /// # Errors
    /// [`StreamError::TopicRecreated`] where it is another topic than that.
    pub fn expect(&self, topic_id: Uuid) -> Result<(), StreamError> {
        if self.topic_id == topic_id {
            return Ok(());
        }
        let (topic, found) = (self.topic.clone(), self.topic_id);
        Err(StreamError::TopicRecreated { topic, expected: topic_id, found })
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: PartitionId,
    /// Its offset.
    pub offset: Offset,
    /// Milliseconds since 1970 as the stream tells; not to be trusted for freshness (rule 14).
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

impl Record {
    /// Bytes of key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// A record to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Where to; `None`: by its key, else wherever the stream likes.
    pub partition: Option<PartitionId>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Bytes,
}

/// What one poll brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Records in order of offsets within each partition.
    pub records: Vec<Record>,
    /// The reader's next offset in every partition that it reads: every record
    /// below has been returned by this reader (or lay below its start), whether
    /// or not an offset had a record.
    pub positions: OffsetMap,
}

/// One topic of a stream.
#[async_trait]
pub trait StreamSource: Send + Sync + 'static {
    /// The topic as it is now, with all its partitions.
    ///
    /// # Errors
    /// [`StreamError::TopicMissing`] where there is none; transient ones where
    /// the stream cannot be reached.
    async fn describe(&self) -> Result<TopicDescription, StreamError>;

    /// The high watermark of every partition, new ones included, asked afresh.
    ///
    /// # Errors
    /// As [`Self::describe`].
    async fn high_watermarks(&self) -> Result<OffsetMap, StreamError>;

    /// Reads every partition from the offset named in `from`, from 0 where none is.
    /// Partitions that appear later are not read: start anew with them.
    ///
    /// # Errors
    /// [`StreamError::OffsetOutOfRange`] where records between the offset and the
    /// low watermark are gone, or the offset is beyond the end.
    async fn read_from(&self, from: &OffsetMap) -> Result<Box<dyn StreamReader>, StreamError>;

    /// [`Self::read_from`], of the topic with this id and of no other, however often one of
    /// its name is made anew: neither at the start nor later is a record of another returned.
    ///
    /// # Errors
    /// As [`Self::read_from`]; [`StreamError::TopicRecreated`] where the name stands for
    /// another topic, then or while it is read.
    async fn read_topic(
        &self,
        topic_id: Uuid,
        from: &OffsetMap,
    ) -> Result<Box<dyn StreamReader>, StreamError> {
        let described = self.describe().await?;
        described.expect(topic_id)?;
        self.read_from(from).await
    }

    /// Whether records that later ones supersede may go from the stream.
    ///
    /// # Errors
    /// As [`Self::describe`].
    async fn is_compacted(&self) -> Result<bool, StreamError> {
        Ok(false)
    }

    /// The table needs no records below `below` any more. Where the stream lives by a
    /// retention of its own this changes nothing.
    ///
    /// # Errors
    /// Where it keeps them and cannot let go of them now.
    async fn release(&self, below: &OffsetMap) -> Result<(), StreamError>;

    /// Adds all records or none, in one transaction, durably. Returns the next
    /// offset after the last of them for each partition written.
    ///
    /// The journal keeps idempotency keys with their result (see
    /// [`journal::IDEMPOTENCY_AGE`]): the same key and records add nothing and
    /// return the same offsets, also after a restart. Kafka has nowhere to keep
    /// them with the records: there a key is remembered by this process only,
    /// among the last [`kafka::REMEMBERED_KEYS`], and not where the outcome was unknown.
    ///
    /// # Errors
    /// [`StreamError::IdempotencyConflict`] where the key came before with other
    /// records; [`StreamError::Unreachable`] where the stream does not answer
    /// within [`Self::produce_wait`]; [`StreamError::UnknownOutcome`] where they may or may not have
    /// been added; after any other error nothing was added.
    async fn produce(
        &self,
        records: Vec<NewRecord>,
        idempotency_key: Option<&str>,
    ) -> Result<OffsetMap, StreamError>;

    /// How long [`Self::produce`] takes at most before it says that it could not
    /// be done in time; whoever asks something before it waits no longer.
    fn produce_wait(&self) -> Duration {
        kafka::PRODUCE_WAIT
    }
}

/// One reader's way through a topic.
#[async_trait]
pub trait StreamReader: Send {
    /// Waits up to `wait` for something new, then returns at most
    /// `most_records` records and [`POLL_BYTES`]. Nothing new is no error:
    /// positions are returned all the same. Dropping the future loses nothing.
    ///
    /// # Errors
    /// After a transient error ([`StreamError::is_transient`]) polling may go on;
    /// after another the reader is at its end and returns the like again.
    async fn poll(&mut self, most_records: usize, wait: Duration) -> Result<Polled, StreamError>;
}
