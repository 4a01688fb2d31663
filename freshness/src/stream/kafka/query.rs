//! Questions to the broker: what a topic is, where its partitions begin and
//! end. Every call blocks for at most [`QUERY_TIMEOUT`]: blocking threads only.
//!
//! It must never read or write a record.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use sha2::{Digest as _, Sha256};
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use uuid::Uuid;

use super::configuration::Configuration;
use super::context::Context;
use super::{QUERY_TIMEOUT, failure, native};
use crate::stream::{StreamError, TopicDescription, Watermarks};

/// Events that are served before and after a question.
const SERVED_EVENTS: usize = 32;

/// The client that asks.
pub(super) struct Queries {
    client: BaseConsumer<Context>,
}

impl std::fmt::Debug for Queries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queries").finish_non_exhaustive()
    }
}

impl Queries {
    pub(super) fn new(configuration: &Configuration) -> Result<Self, StreamError> {
        let created = configuration.asking().create_with_context(Context::default());
        let client = created.map_err(|source| failure::sorted("creating a client", "", source))?;
        Ok(Self { client })
    }

    /// The client; its connections wait for no records, so that an answer comes at once.
    pub(super) fn client(&self) -> &Client<Context> {
        self.client.client()
    }

    pub(super) fn describe(&self, topic: &str) -> Result<TopicDescription, StreamError> {
        self.told(|| self.try_describe(topic))
    }

    pub(super) fn high_watermarks(&self, topic: &str) -> Result<OffsetMap, StreamError> {
        self.told(|| self.ends(topic, &self.partitions(topic)?, KafkaOffset::End))
    }

    pub(super) fn watermarks(
        &self,
        topic: &str,
    ) -> Result<BTreeMap<PartitionId, Watermarks>, StreamError> {
        self.told(|| self.between(topic, &self.partitions(topic)?))
    }

    /// An answer, or why there is none: a broker that refuses us looks like one that is
    /// down, but for what it told meanwhile.
    fn told<T>(&self, ask: impl FnOnce() -> Result<T, StreamError>) -> Result<T, StreamError> {
        self.drain();
        let told = ask();
        if !told.as_ref().is_err_and(StreamError::is_transient) {
            self.client.context().answered();
            return told;
        }
        self.drain();
        match self.client.context().refusal() {
            Some(reason) => Err(StreamError::Refused { source: reason.into() }),
            None => told,
        }
    }

    fn try_describe(&self, topic: &str) -> Result<TopicDescription, StreamError> {
        let described = native::describe_topic(self.client.client(), topic, QUERY_TIMEOUT);
        let failed = |source| failure::sorted("describing a topic", topic, source);
        let described = described.map_err(|code| failed(KafkaError::AdminOp(code)))?;
        let cluster = self.client.client().fetch_cluster_id(QUERY_TIMEOUT);
        // Not told in time is no other cluster: the stand-in id would change.
        let silent = RDKafkaErrorCode::OperationTimedOut;
        let cluster = cluster.ok_or_else(|| failed(KafkaError::MetadataFetch(silent)))?;
        let topic_id = match described.id {
            id if id.is_nil() => stand_in_id(&cluster, topic),
            id => id,
        };
        let watermarks = self.between(topic, &described.partitions)?;
        Ok(TopicDescription { topic: topic.to_owned(), topic_id, cluster, watermarks })
    }

    fn between(
        &self,
        topic: &str,
        partitions: &[PartitionId],
    ) -> Result<BTreeMap<PartitionId, Watermarks>, StreamError> {
        let low = self.ends(topic, partitions, KafkaOffset::Beginning)?;
        let high = self.ends(topic, partitions, KafkaOffset::End)?;
        let marks = |p: &PartitionId| (*p, Watermarks { low: low.next(*p), high: high.next(*p) });
        Ok(partitions.iter().map(marks).collect())
    }

    fn partitions(&self, topic: &str) -> Result<Vec<PartitionId>, StreamError> {
        let failed = |source| failure::sorted("listing partitions", topic, source);
        let metadata = self.client.fetch_metadata(Some(topic), QUERY_TIMEOUT).map_err(failed)?;
        let missing = || StreamError::TopicMissing { topic: topic.to_owned() };
        let found = metadata.topics().iter().find(|t| t.name() == topic).ok_or_else(missing)?;
        if let Some(code) = found.error() {
            return Err(failed(KafkaError::MetadataFetch(code.into())));
        }
        let mut partitions: Vec<_> =
            found.partitions().iter().map(|p| PartitionId(p.id())).collect();
        partitions.sort_unstable();
        if partitions.is_empty() { Err(missing()) } else { Ok(partitions) }
    }

    /// One end of every partition, one request a broker. The latest is the high
    /// watermark, whatever transactions are open below it.
    fn ends(
        &self,
        topic: &str,
        partitions: &[PartitionId],
        end: KafkaOffset,
    ) -> Result<OffsetMap, StreamError> {
        let failed = |source| failure::sorted("asking for watermarks", topic, source);
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            asked.add_partition_offset(topic, partition.0, end).map_err(failed)?;
        }
        let told = self.client.offsets_for_times(asked, QUERY_TIMEOUT).map_err(failed)?;
        let mut ends = OffsetMap::new();
        for element in told.elements() {
            element.error().map_err(failed)?;
            let KafkaOffset::Offset(offset) = element.offset() else {
                return Err(failed(KafkaError::NoMessageReceived));
            };
            ends.set(PartitionId(element.partition()), Offset(offset));
        }
        Ok(ends)
    }

    /// Serves what the client queued for us (errors of connections), so that
    /// nothing piles up. A poll that served a line of its log returns nothing too.
    fn drain(&self) {
        for _ in 0..SERVED_EVENTS {
            let _served = self.client.poll(Duration::ZERO);
        }
    }
}

/// For brokers that have no topic ids: made from names, so a topic that was
/// made anew cannot be told from the old one there.
fn stand_in_id(cluster: &str, topic: &str) -> Uuid {
    let digest = Sha256::new().chain_update(cluster).chain_update([0]).chain_update(topic);
    let digest: [u8; 32] = digest.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
