//! A reader of one Kafka topic. A thread polls librdkafka and hands batches
//! over a bounded channel; positions travel with the records, so that a
//! batch's position never runs ahead of its records.
//!
//! Records that follow each other are gathered without waiting, so a batch is
//! as large as the stream is fast. It must never know what is done with them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::context::Context;
use super::failure::Class;
use super::identity::Identity;
use super::native::{self, Event};
use super::{QUERY_TIMEOUT, Shared, failure};
use crate::stream::{POLL_BYTES, Polled, Record, StreamError, StreamReader};

/// Batches between the polling thread and the reader.
const QUEUED_BATCHES: usize = 8;
/// Records of one batch.
const BATCH_RECORDS: usize = 4_096;
/// Bytes of one batch; a larger record comes alone.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// How long a poll waits for the first record; also how late a position that
/// moved without a record is seen, and a reader that went away.
const IDLE_WAIT: Duration = Duration::from_millis(20);

pub(super) struct KafkaReader {
    batches: mpsc::Receiver<Result<Polled, StreamError>>,
    /// Records that were received and not yet returned.
    left: VecDeque<Record>,
    /// Positions after all that was received.
    received: OffsetMap,
    /// An error that waits until the records before it are returned.
    fault: Option<StreamError>,
    /// It was returned: the polling thread has gone.
    ended: bool,
}

impl KafkaReader {
    /// Starts reading; blocks shortly.
    pub(super) fn open(
        shared: Arc<Shared>,
        topic: &str,
        topic_id: Option<Uuid>,
        start: OffsetMap,
    ) -> Result<Self, StreamError> {
        let failed = |source| failure::sorted("starting a reader", topic, source);
        let mut reading = shared.configuration.reading();
        // Polled natively, it would print its log to standard error; the client
        // that asks for watermarks tells the same of the connection.
        reading.set_log_level(RDKafkaLogLevel::Emerg);
        let consumer: BaseConsumer<Context> =
            reading.create_with_context(Context::default()).map_err(failed)?;
        let mut assignment = TopicPartitionList::with_capacity(start.len());
        for (partition, offset) in start.iter() {
            let offset = KafkaOffset::Offset(offset.0);
            assignment.add_partition_offset(topic, partition.0, offset).map_err(failed)?;
        }
        consumer.assign(&assignment).map_err(failed)?;
        let (sender, batches) = mpsc::channel(QUEUED_BATCHES);
        let poller = Poller {
            consumer,
            shared,
            topic: topic.to_owned(),
            identity: Identity::new(topic, topic_id),
            positions: start.clone(),
            sent: OffsetMap::new(),
            sender,
        };
        let doing = "starting a reader's thread";
        std::thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || poller.run())
            .map_err(|source| StreamError::Internal { doing, source: source.into() })?;
        Ok(Self::over(batches, start))
    }

    /// A reader of what comes over a channel.
    pub(super) const fn over(
        batches: mpsc::Receiver<Result<Polled, StreamError>>,
        start: OffsetMap,
    ) -> Self {
        Self { batches, left: VecDeque::new(), received: start, fault: None, ended: false }
    }

    fn receive(&mut self, batch: Result<Polled, StreamError>) {
        match batch {
            Ok(batch) => {
                self.left.extend(batch.records);
                self.received = batch.positions;
            }
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// Returns up to the bounds; positions stop at the first record left.
    fn give(&mut self, most_records: usize) -> Polled {
        let mut bytes = 0;
        let fits = self.left.iter().take(most_records).enumerate().take_while(|(index, record)| {
            bytes += record.bytes();
            *index == 0 || bytes <= POLL_BYTES
        });
        let count = fits.count();
        let records: Vec<Record> = self.left.drain(..count).collect();
        let mut positions = self.received.clone();
        for record in self.left.iter().rev() {
            positions.set(record.partition, record.offset);
        }
        Polled { records, positions }
    }
}

#[async_trait]
impl StreamReader for KafkaReader {
    async fn poll(&mut self, most_records: usize, wait: Duration) -> Result<Polled, StreamError> {
        if self.ended {
            return Err(ended());
        }
        let deadline = Instant::now() + wait;
        while self.left.is_empty() && self.fault.is_none() {
            match tokio::time::timeout_at(deadline, self.batches.recv()).await {
                Ok(Some(batch)) => self.receive(batch),
                Ok(None) => return Err(ended()),
                Err(_elapsed) => break,
            }
        }
        while self.left.len() < most_records && self.fault.is_none() {
            let Ok(batch) = self.batches.try_recv() else { break };
            self.receive(batch);
        }
        match self.fault.take() {
            Some(fault) if self.left.is_empty() => {
                self.ended = true;
                Err(fault)
            }
            fault => {
                self.fault = fault;
                Ok(self.give(most_records.max(1)))
            }
        }
    }
}

fn ended() -> StreamError {
    let source = "it reported an error before; start another".into();
    StreamError::Internal { doing: "polling a reader that has ended", source }
}

/// The thread's side.
struct Poller {
    consumer: BaseConsumer<Context>,
    /// Whose asking client tells identities: behind the reader's own connection, which
    /// waits for records, each answer would come late.
    shared: Arc<Shared>,
    topic: String,
    identity: Identity,
    /// After all records gathered so far.
    positions: OffsetMap,
    /// As they were last handed over.
    sent: OffsetMap,
    sender: mpsc::Sender<Result<Polled, StreamError>>,
}

impl Poller {
    fn run(mut self) {
        while !self.sender.is_closed() {
            let mut records = Vec::new();
            let gathered = self.gather(&mut records);
            self.update_positions();
            if !records.is_empty() || self.positions != self.sent {
                if let Err(other) = self.confirm() {
                    let _ = self.sender.blocking_send(Err(other));
                    return;
                }
                self.sent = self.positions.clone();
                let batch = Polled { records, positions: self.positions.clone() };
                if self.sender.blocking_send(Ok(batch)).is_err() {
                    return;
                }
            }
            if let Err(fault) = gathered {
                // Whoever does not listen any more need not know.
                let _ = self.sender.blocking_send(Err(fault));
                return;
            }
        }
    }

    /// Waits for one event, then takes what is there. An error ends the reader.
    fn gather(&mut self, records: &mut Vec<Record>) -> Result<(), StreamError> {
        let mut bytes = 0;
        let mut wait = IDLE_WAIT;
        while records.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            let Some(event) = native::poll(&self.consumer, wait) else { break };
            match event {
                Event::Record(record) => {
                    bytes += record.bytes();
                    self.pass(record.partition, record.offset.next());
                    records.push(record);
                }
                Event::End { partition, next } => self.pass(partition, next),
                Event::Fault { partition, code } => self.fault(partition, code)?,
            }
            wait = self.identity.pause();
        }
        Ok(())
    }

    /// Whether what was gathered is of the topic that is to be read.
    fn confirm(&mut self) -> Result<(), StreamError> {
        let sender = &self.sender;
        self.identity.confirm(self.shared.queries.client(), || sender.is_closed())
    }

    /// The consumer's own positions pass control records, which no event tells.
    fn update_positions(&mut self) {
        let Ok(told) = self.consumer.position() else { return };
        for element in told.elements() {
            if let KafkaOffset::Offset(offset) = element.offset() {
                self.pass(PartitionId(element.partition()), Offset(offset));
            }
        }
    }

    fn pass(&mut self, partition: PartitionId, next: Offset) {
        if next > self.positions.next(partition) {
            self.positions.set(partition, next);
        }
    }

    fn fault(&mut self, partition: PartitionId, code: RDKafkaErrorCode) -> Result<(), StreamError> {
        if matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) {
            // An offset of another topic says nothing of this one.
            return Err(self.confirm().err().unwrap_or_else(|| self.out_of_range(partition)));
        }
        match failure::class(code) {
            Class::Unreachable => {
                // librdkafka goes on trying and resumes where it was.
                tracing::debug!(target: "kafka", topic = self.topic, %partition, %code, "retrying");
                Ok(())
            }
            _ => {
                let source = rdkafka::error::KafkaError::MessageConsumption(code);
                Err(failure::sorted("reading records", &self.topic, source))
            }
        }
    }

    fn out_of_range(&self, partition: PartitionId) -> StreamError {
        let asked = self.positions.next(partition);
        match self.consumer.fetch_watermarks(&self.topic, partition.0, QUERY_TIMEOUT) {
            Ok((low, high)) => StreamError::OffsetOutOfRange {
                partition,
                asked,
                low: Offset(low),
                high: Offset(high),
            },
            Err(source) => failure::sorted("asking for watermarks", &self.topic, source),
        }
    }
}
