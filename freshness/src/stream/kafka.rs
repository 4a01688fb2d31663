//! Apache Kafka behind the trait of streams: assigned partitions from our own
//! offsets, no group commits, `read_committed`, and an offset out of range is
//! an error, never a jump. One transaction a produce.
//!
//! librdkafka's blocking calls run on blocking threads, its polling on a thread
//! of each reader. Nothing here knows tables, rows or the lake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::types::RDKafkaErrorCode;
use springtide_protocol::OffsetMap;
use springtide_protocol::limits::TOPIC_PARTITIONS;
use uuid::Uuid;

use super::{NewRecord, StreamError, StreamReader, StreamSource, TopicDescription, Watermarks};

mod attempt;
mod configuration;
mod context;
mod failure;
mod identity;
mod native;
mod produce;
mod query;
mod reader;

#[cfg(test)]
mod tests;

pub use produce::REMEMBERED_KEYS;

use attempt::Attempt;
use configuration::Configuration;
use context::Context;
use produce::Producers;
use query::Queries;

/// How long a broker's answer to one question is waited for.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a produce is waited for, unless set otherwise.
pub const PRODUCE_WAIT: Duration = Duration::from_secs(3);
/// How long an end that lies below what was read before is asked for again: a
/// broker that has just started may tell an older one.
const BEYOND_END_PATIENCE: Duration = Duration::from_secs(3);
const BEYOND_END_PAUSE: Duration = Duration::from_millis(200);

/// A cluster. Clones share its clients.
#[derive(Clone, Debug)]
pub struct Kafka {
    shared: Arc<Shared>,
    produce_wait: Duration,
}

#[derive(Debug)]
struct Shared {
    configuration: Configuration,
    queries: Queries,
    producers: Producers,
}

/// One topic of a cluster.
#[derive(Clone, Debug)]
pub struct KafkaTopic {
    shared: Arc<Shared>,
    topic: Arc<str>,
    produce_wait: Duration,
}

impl Kafka {
    /// A cluster at `bootstrap_servers` (`HOST:PORT`, several joined by commas)
    /// with librdkafka's `settings`. Nothing is asked of it yet: one that is
    /// down shows at the first call.
    ///
    /// # Errors
    /// [`StreamError::Setting`] for a setting that librdkafka does not know, or
    /// that this room decides.
    pub fn connect(
        bootstrap_servers: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Self, StreamError> {
        let configuration = Configuration::new(bootstrap_servers, settings)?;
        let queries = Queries::new(&configuration)?;
        let producers = Producers::new(&configuration);
        let shared = Arc::new(Shared { configuration, queries, producers });
        Ok(Self { shared, produce_wait: PRODUCE_WAIT })
    }

    /// The same cluster, waiting for each produce as long as this.
    #[must_use]
    pub fn with_produce_wait(self, produce_wait: Duration) -> Self {
        Self { produce_wait, ..self }
    }

    /// A topic; whether it exists shows at the first call.
    #[must_use]
    pub fn topic(&self, name: &str) -> KafkaTopic {
        let (shared, produce_wait) = (Arc::clone(&self.shared), self.produce_wait);
        KafkaTopic { shared, topic: name.into(), produce_wait }
    }

    /// Makes a topic with the broker's default replication; one that is there
    /// stays as it is. Returns whether it was made.
    ///
    /// # Errors
    /// [`StreamError::Unreachable`], [`StreamError::Refused`], [`StreamError::Internal`].
    pub async fn create_topic(&self, name: &str, partitions: i32) -> Result<bool, StreamError> {
        let failed = |source| failure::sorted("creating a topic", name, source);
        let admin: AdminClient<Context> = self
            .shared
            .configuration
            .admin()
            .create_with_context(Context::default())
            .map_err(failed)?;
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        let options = AdminOptions::new().request_timeout(Some(QUERY_TIMEOUT));
        let results = admin.create_topics([&topic], &options).await.map_err(failed)?;
        match results.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(failed(rdkafka::error::KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => Ok(true),
        }
    }
}

impl KafkaTopic {
    /// Runs a question to the broker on a blocking thread.
    async fn ask<T, F>(&self, question: F) -> Result<T, StreamError>
    where
        T: Send + 'static,
        F: FnOnce(&Queries, &str) -> Result<T, StreamError> + Send + 'static,
    {
        let (shared, topic) = (Arc::clone(&self.shared), Arc::clone(&self.topic));
        let asked = tokio::task::spawn_blocking(move || question(&shared.queries, &topic)).await;
        let doing = "asking the broker";
        asked.map_err(|source| StreamError::Internal { doing, source: source.into() })?
    }

    /// A reader at offsets that are there.
    async fn open(
        &self,
        topic_id: Option<Uuid>,
        start: OffsetMap,
    ) -> Result<Box<dyn StreamReader>, StreamError> {
        let (shared, topic) = (Arc::clone(&self.shared), Arc::clone(&self.topic));
        let opened = tokio::task::spawn_blocking(move || {
            reader::KafkaReader::open(shared, &topic, topic_id, start)
        });
        let doing = "starting a reader";
        let opened = opened
            .await
            .map_err(|source| StreamError::Internal { doing, source: source.into() })?;
        Ok(Box::new(opened?))
    }

    /// Where to begin, checked against what the broker holds.
    async fn start(&self, from: &OffsetMap) -> Result<OffsetMap, StreamError> {
        let patience = tokio::time::Instant::now() + BEYOND_END_PATIENCE;
        loop {
            let watermarks = self.ask(Queries::watermarks).await?;
            match start_within(&watermarks, from) {
                Err(StreamError::OffsetOutOfRange { asked, high, .. })
                    if asked > high && tokio::time::Instant::now() < patience =>
                {
                    tokio::time::sleep(BEYOND_END_PAUSE).await;
                }
                checked => return checked,
            }
        }
    }
}

/// An offset for every partition; an error where one lies outside its watermarks.
fn start_within(
    watermarks: &BTreeMap<springtide_protocol::PartitionId, Watermarks>,
    from: &OffsetMap,
) -> Result<OffsetMap, StreamError> {
    let mut start = OffsetMap::new();
    for (&partition, &Watermarks { low, high }) in watermarks {
        let asked = from.next(partition);
        if asked < low || asked > high {
            return Err(StreamError::OffsetOutOfRange { partition, asked, low, high });
        }
        start.set(partition, asked);
    }
    Ok(start)
}

#[async_trait]
impl StreamSource for KafkaTopic {
    /// The topic's own retention decides.
    async fn release(&self, _below: &OffsetMap) -> Result<(), StreamError> {
        Ok(())
    }

    async fn describe(&self) -> Result<TopicDescription, StreamError> {
        named(self.ask(Queries::describe).await?)
    }

    async fn high_watermarks(&self) -> Result<OffsetMap, StreamError> {
        self.ask(Queries::high_watermarks).await
    }

    async fn read_from(&self, from: &OffsetMap) -> Result<Box<dyn StreamReader>, StreamError> {
        let start = self.start(from).await?;
        self.open(None, start).await
    }

    async fn read_topic(
        &self,
        topic_id: Uuid,
        from: &OffsetMap,
    ) -> Result<Box<dyn StreamReader>, StreamError> {
        self.describe().await?.expect(topic_id)?;
        match self.start(from).await {
            Ok(start) => self.open(Some(topic_id), start).await,
            Err(error) => {
                // Offsets of a topic that took its place meanwhile are no finding.
                self.describe().await?.expect(topic_id)?;
                Err(error)
            }
        }
    }

    async fn is_compacted(&self) -> Result<bool, StreamError> {
        let failed = |source| failure::sorted("asking for a topic's settings", &self.topic, source);
        let admin: AdminClient<Context> = self
            .shared
            .configuration
            .admin()
            .create_with_context(Context::default())
            .map_err(failed)?;
        let options = AdminOptions::new().request_timeout(Some(QUERY_TIMEOUT));
        let topic = ResourceSpecifier::Topic(&self.topic);
        let told = admin.describe_configs([&topic], &options).await.map_err(failed)?;
        let told = told.into_iter().next().unwrap_or(Err(RDKafkaErrorCode::Fail));
        let told = told.map_err(|code| failed(rdkafka::error::KafkaError::AdminOp(code)))?;
        let policy = told.get("cleanup.policy").and_then(|entry| entry.value.as_deref());
        Ok(policy.is_some_and(|policy| policy.contains("compact")))
    }

    async fn produce(
        &self,
        records: Vec<NewRecord>,
        idempotency_key: Option<&str>,
    ) -> Result<OffsetMap, StreamError> {
        let key = idempotency_key.map(super::journal::checked_key).transpose()?;
        let (shared, topic) = (Arc::clone(&self.shared), Arc::clone(&self.topic));
        let attempt = Arc::new(Attempt::new(self.produce_wait, key.is_some()));
        let own = Arc::clone(&attempt);
        // Its own task: a caller that goes away must not leave the outcome to chance.
        let done =
            tokio::spawn(async move { shared.producers.produce(&topic, records, key, &own).await });
        let done = tokio::time::timeout_at(attempt.until(), done).await;
        let done = done.map_err(|_late| attempt.give_up())?;
        done.map_err(|source| StreamError::UnknownOutcome { source: source.into() })?
    }

    fn produce_wait(&self) -> Duration {
        self.produce_wait
    }
}

/// A topic whose version can be written down (rule 7 bounds its text).
fn named(described: TopicDescription) -> Result<TopicDescription, StreamError> {
    let (partitions, limit) = (described.watermarks.len(), TOPIC_PARTITIONS);
    if partitions > limit {
        let topic = described.topic;
        return Err(StreamError::TooManyPartitions { topic, partitions, limit });
    }
    Ok(described)
}
