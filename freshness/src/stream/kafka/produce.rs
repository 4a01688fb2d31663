//! Writing to Kafka: one transaction a request, on one of a few producers. A
//! transaction whose end is not known makes its producer start anew under the
//! same transactional id, which has the broker finish or abort what was open,
//! so that readers are not held up.
//!
//! It must never retry a transaction whose outcome is unknown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use springtide_protocol::OffsetMap;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::attempt::{Attempt, GivenUp};
use super::configuration::Configuration;
#[cfg(doc)]
use super::configuration::TRANSACTION_TIMEOUT_MS;
use super::context::{Context, Deliveries};
use super::failure;
use crate::stream::journal::digest;
use crate::stream::{NewRecord, StreamError};

/// Idempotency keys that this process remembers, over all topics.
pub const REMEMBERED_KEYS: usize = 10_000;
/// Transactions at the same time.
const PRODUCERS: usize = 4;
/// How long a new producer may take to be ready; one that its request did not
/// wait for is there for the next.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the records of one transaction may take into a full queue.
const SEND_TIMEOUT: Duration = Duration::from_secs(15);
/// How long ending a transaction may take, deliveries and retries included;
/// longer than a delivery's own limit ([`TRANSACTION_TIMEOUT_MS`]).
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a transaction that nobody waits for may take to be aborted; after
/// that its producer is given up, and the next of the same id has it aborted.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether all records are delivered.
const DELIVERY_PAUSE: Duration = Duration::from_micros(300);
/// How long a full queue is left to empty before the next try.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(2);

type Transactional = ThreadedProducer<Context>;

pub(super) struct Producers {
    configuration: Configuration,
    permits: Arc<Semaphore>,
    /// Taken in turn: a broker finishes a transaction shortly after its commit
    /// returns, and holds the next of the same id up until then.
    slots: Arc<Mutex<VecDeque<Slot>>>,
    remembered: quick_cache::sync::Cache<(Arc<str>, String), Remembered>,
}

/// What a key's first use came with and returned.
#[derive(Clone)]
struct Remembered {
    digest: [u8; 32],
    next: OffsetMap,
}

/// A transactional id, and its producer while that is usable.
struct Slot {
    transactional_id: String,
    producer: Option<Transactional>,
}

impl std::fmt::Debug for Producers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producers").finish_non_exhaustive()
    }
}

impl Producers {
    pub(super) fn new(configuration: &Configuration) -> Self {
        let process = Uuid::new_v4();
        let slot = |number| Slot {
            transactional_id: format!("springtide-{process}-{number}"),
            producer: None,
        };
        Self {
            configuration: configuration.clone(),
            permits: Arc::new(Semaphore::new(PRODUCERS)),
            slots: Arc::new(Mutex::new((0..PRODUCERS).map(slot).collect())),
            remembered: quick_cache::sync::Cache::new(REMEMBERED_KEYS),
        }
    }

    /// Adds records while their caller waits; after that at most ends what was begun.
    pub(super) async fn produce(
        &self,
        topic: &Arc<str>,
        records: Vec<NewRecord>,
        key: Option<String>,
        attempt: &Arc<Attempt>,
    ) -> Result<OffsetMap, StreamError> {
        let Some(key) = key else { return self.transact(topic, records, attempt).await };
        let digest = digest(&records);
        // Requests with one key wait for the first of them.
        let place = (Arc::clone(topic), key);
        let known = self.remembered.get_value_or_guard_async(&place);
        match timeout_at(attempt.until(), known).await.map_err(|_| attempt.give_up())? {
            Ok(known) if known.digest == digest => Ok(known.next),
            Ok(_) => Err(StreamError::IdempotencyConflict { key: place.1 }),
            Err(guard) => {
                attempt.joined().map_err(|GivenUp| attempt.give_up())?;
                let next = self.transact(topic, records, attempt).await?;
                let _ = guard.insert(Remembered { digest, next: next.clone() });
                Ok(next)
            }
        }
    }

    async fn transact(
        &self,
        topic: &Arc<str>,
        records: Vec<NewRecord>,
        attempt: &Arc<Attempt>,
    ) -> Result<OffsetMap, StreamError> {
        if records.is_empty() {
            return Ok(OffsetMap::new());
        }
        let closed = |source| StreamError::Internal { doing: "producing", source };
        let permit = timeout_at(attempt.until(), self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| attempt.give_up())?;
        let permit = permit.map_err(|source| closed(source.into()))?;
        let missing = || closed("a producer was lost to a panic".into());
        let mut slot = self.slots.lock().pop_front().ok_or_else(missing)?;
        let (configuration, topic) = (self.configuration.clone(), Arc::clone(topic));
        let (slots, own) = (Arc::clone(&self.slots), Arc::clone(attempt));
        let mut ran = tokio::task::spawn_blocking(move || {
            let outcome = slot.transact(&configuration, &topic, &records, &own);
            slots.lock().push_back(slot);
            drop(permit);
            outcome
        });
        let ended = match timeout_at(attempt.until(), &mut ran).await {
            Ok(ended) => ended,
            Err(_late) => match attempt.give_up() {
                // Its outcome is still waited for here, for the next with the same key.
                StreamError::UnknownOutcome { .. } => ran.await,
                surely_not => return Err(surely_not),
            },
        };
        ended.map_err(|source| StreamError::UnknownOutcome { source: source.into() })?
    }
}

impl Slot {
    /// One transaction from its begin to its end. Blocks.
    fn transact(
        &mut self,
        configuration: &Configuration,
        topic: &str,
        records: &[NewRecord],
        attempt: &Attempt,
    ) -> Result<OffsetMap, StreamError> {
        let failed = |source| failure::sorted("adding records", topic, source);
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => ready(configuration, &self.transactional_id).map_err(failed)?,
        };
        if attempt.is_given_up() {
            self.producer = Some(producer);
            return Err(attempt.give_up());
        }
        producer.begin_transaction().map_err(failed)?;
        let deliveries = Arc::new(Deliveries::default());
        let sent = send(&producer, topic, records, &deliveries).map_err(End::Abort);
        let ended = sent.and_then(|()| {
            await_deliveries(&producer, attempt);
            attempt.ending().map_err(|GivenUp| End::GivenUp)?;
            commit(&producer)
        });
        match ended.and_then(|()| deliveries.outcome().map_err(End::Unknown)) {
            Ok(next) => {
                self.producer = Some(producer);
                Ok(next)
            }
            Err(End::Unknown(source)) => Err(StreamError::UnknownOutcome { source: source.into() }),
            Err(End::GivenUp) => {
                if producer.abort_transaction(ABORT_TIMEOUT).is_ok() {
                    self.producer = Some(producer);
                }
                Err(attempt.give_up())
            }
            Err(End::Abort(source)) => {
                // What befell a record tells more than that the end was refused.
                let source = deliveries.outcome().err().unwrap_or(source);
                // Where even that fails, the next producer of this id has it aborted.
                if producer.abort_transaction(END_TIMEOUT).is_ok() {
                    self.producer = Some(producer);
                }
                Err(too_large(&source, records).unwrap_or_else(|| failed(source)))
            }
        }
    }
}

/// How a transaction did not end well.
enum End {
    /// It must be aborted; nothing was added.
    Abort(KafkaError),
    /// It may have been committed.
    Unknown(KafkaError),
    /// It must be aborted, since its caller was told that nothing is added.
    GivenUp,
}

fn ready(configuration: &Configuration, id: &str) -> Result<Transactional, KafkaError> {
    let producer: Transactional =
        configuration.writing(id).create_with_context(Context::default())?;
    producer.init_transactions(READY_TIMEOUT)?;
    Ok(producer)
}

fn send(
    producer: &Transactional,
    topic: &str,
    records: &[NewRecord],
    deliveries: &Arc<Deliveries>,
) -> Result<(), KafkaError> {
    let deadline = Instant::now() + SEND_TIMEOUT;
    for record in records {
        let mut message = BaseRecord::with_opaque_to(topic, Arc::clone(deliveries));
        message = message.payload(&record.value[..]);
        if let Some(key) = &record.key {
            message = message.key(&key[..]);
        }
        if let Some(partition) = record.partition {
            message = message.partition(partition.0);
        }
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match producer.send(message) {
                Ok(()) => {}
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                    if Instant::now() < deadline =>
                {
                    std::thread::sleep(QUEUE_FULL_PAUSE);
                    next = Some(again);
                }
                Err((source, _)) => return Err(source),
            }
        }
    }
    Ok(())
}

/// `rdkafka`'s flush, which a commit begins with, sleeps for 100 ms wherever it
/// finds a record under way; so it is made to find none.
fn await_deliveries(producer: &Transactional, attempt: &Attempt) {
    let deadline = Instant::now() + SEND_TIMEOUT;
    let waits = || Instant::now() < deadline && !attempt.is_given_up();
    while producer.in_flight_count() > 0 && waits() {
        std::thread::sleep(DELIVERY_PAUSE);
    }
}

fn commit(producer: &Transactional) -> Result<(), End> {
    let deadline = Instant::now() + END_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match producer.commit_transaction(left) {
            Ok(()) => return Ok(()),
            Err(KafkaError::Transaction(fault)) if fault.txn_requires_abort() => {
                return Err(End::Abort(KafkaError::Transaction(fault)));
            }
            // Not all is delivered: the end was not asked for yet.
            Err(source @ KafkaError::Flush(_)) => return Err(End::Abort(source)),
            // Asking again for the same end is safe: it is the same transaction.
            Err(KafkaError::Transaction(fault))
                if fault.is_retriable() && Instant::now() < deadline => {}
            Err(source) => return Err(End::Unknown(source)),
        }
    }
}

fn too_large(source: &KafkaError, records: &[NewRecord]) -> Option<StreamError> {
    let code = source.rdkafka_error_code()?;
    matches!(code, RDKafkaErrorCode::MessageSizeTooLarge).then(|| {
        let bytes = records.iter().map(|record| record.value.len()).max().unwrap_or(0);
        StreamError::RecordTooLarge { bytes, source: Some(source.clone().into()) }
    })
}
