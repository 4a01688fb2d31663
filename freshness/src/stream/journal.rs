//! The embedded journal: durable topics in one SQLite file, in the place of a
//! broker. Offsets are contiguous within a partition; a produce is one
//! transaction, on disk (WAL, `synchronous=FULL`) before it returns; several
//! processes may write to and read from one file.
//!
//! It must never know tables, rows or the lake.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use springtide_protocol::clock::Clock;
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{NewRecord, StreamError, StreamReader, StreamSource, TopicDescription, Watermarks};

mod append;
mod idempotency;
mod reader;
mod store;

#[cfg(test)]
mod tests;

pub use idempotency::{IDEMPOTENCY_AGE, IDEMPOTENCY_KEY_BYTES, IDEMPOTENCY_KEYS};
pub(super) use idempotency::{checked as checked_key, digest};

use append::Append;
use reader::JournalReader;
use store::Store;
pub(crate) use store::whole;

/// One record's key and value together.
pub const RECORD_BYTES: usize = 16 * 1024 * 1024;

/// How often a reader looks for what other processes wrote. Writers in this
/// process wake it at once.
pub const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// How long records are kept at least where nothing else is set.
pub const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// A journal file. Clones share it; open one per process and file, so that
/// readers are woken by writers.
#[derive(Clone, Debug)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Told after every commit.
    written: Notify,
}

/// One topic of a journal.
#[derive(Clone, Debug)]
pub struct JournalTopic {
    shared: Arc<Shared>,
    topic: Topic,
    /// Records are kept at least this long, needed or not.
    retention: Duration,
}

/// A topic as the file knows it.
#[derive(Clone, Debug)]
struct Topic {
    row: i64,
    name: Arc<str>,
    id: Uuid,
}

impl Journal {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StreamError::JournalLayout`] where another program's file lies there;
    /// [`StreamError::StorageFull`]; [`StreamError::Internal`] where it cannot be opened.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StreamError> {
        let store = Store::open(path).await?;
        Ok(Self { shared: Arc::new(Shared { store, clock, written: Notify::new() }) })
    }

    /// The topic of that name; where there is none it is made, with a new id and
    /// `partitions` partitions. One that is there keeps what it has.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn topic(&self, name: &str, partitions: i32) -> Result<JournalTopic, StreamError> {
        let new_id = Uuid::new_v4();
        let (row, id) = self.shared.store.topic(name, new_id, partitions).await?;
        let topic = Topic { row, name: name.into(), id };
        Ok(JournalTopic { shared: Arc::clone(&self.shared), topic, retention: RETENTION })
    }
}

impl JournalTopic {
    /// The same topic, whose records are kept for at least `retention`.
    #[must_use]
    pub const fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Forgets the records of `partition` below `before`. Whoever asks for them
    /// later is told so ([`StreamError::OffsetOutOfRange`]).
    ///
    /// # Errors
    /// [`StreamError::TopicMissing`], [`StreamError::Internal`].
    pub async fn trim(&self, partition: PartitionId, before: Offset) -> Result<(), StreamError> {
        self.shared.store.trim(&self.topic, partition, before).await
    }

    async fn watermarks(&self) -> Result<BTreeMap<PartitionId, Watermarks>, StreamError> {
        let watermarks = self.shared.store.watermarks(self.topic.row).await?;
        if watermarks.is_empty() {
            return Err(StreamError::TopicMissing { topic: self.topic.name.to_string() });
        }
        Ok(watermarks)
    }
}

#[async_trait]
impl StreamSource for JournalTopic {
    async fn describe(&self) -> Result<TopicDescription, StreamError> {
        Ok(TopicDescription {
            topic: self.topic.name.to_string(),
            topic_id: self.topic.id,
            cluster: self.shared.store.id().to_string(),
            watermarks: self.watermarks().await?,
        })
    }

    async fn high_watermarks(&self) -> Result<OffsetMap, StreamError> {
        Ok(self.watermarks().await?.into_iter().map(|(p, marks)| (p, marks.high)).collect())
    }

    async fn read_from(&self, from: &OffsetMap) -> Result<Box<dyn StreamReader>, StreamError> {
        let watermarks = self.watermarks().await?;
        let mut positions = OffsetMap::new();
        for (partition, marks) in watermarks {
            let asked = from.next(partition);
            if asked < marks.low || asked > marks.high {
                let Watermarks { low, high } = marks;
                return Err(StreamError::OffsetOutOfRange { partition, asked, low, high });
            }
            positions.set(partition, asked);
        }
        Ok(Box::new(JournalReader::new(Arc::clone(&self.shared), self.topic.row, positions)))
    }

    /// Records below are let go of once they are older than the retention.
    async fn release(&self, below: &OffsetMap) -> Result<(), StreamError> {
        let retention = i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX);
        let before_ms = (self.shared.clock.now_micros() / 1000).saturating_sub(retention);
        for (partition, below) in below.iter() {
            let store = &self.shared.store;
            while let Some(before) =
                store.expired(self.topic.row, partition, below, before_ms).await?
            {
                self.trim(partition, before).await?;
            }
        }
        Ok(())
    }

    async fn produce(
        &self,
        records: Vec<NewRecord>,
        idempotency_key: Option<&str>,
    ) -> Result<OffsetMap, StreamError> {
        let key = idempotency_key.map(idempotency::checked).transpose()?;
        let append = Append::new(Arc::clone(&self.shared), self.topic.clone(), records, key)?;
        // Its own task: a caller that goes away must not leave the outcome to chance.
        let done = tokio::spawn(append.run()).await;
        done.map_err(|source| StreamError::UnknownOutcome { source: source.into() })?
    }
}
