//! The intake of one table: reads the stream from an offset on, decodes,
//! keeps what is no row aside durably, and only then hands rows and positions
//! on. It starts over by itself when the stream cannot be reached; it must
//! never decide where to read from.

use std::sync::Arc;
use std::time::Duration;

use springtide_protocol::{Offset, OffsetMap, PartitionId, TableName};
use springtide_relation::TailBatch;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::backoff::Backoff;
use super::core::Arrival;
use super::health::describe;
use crate::dead_letters::{DeadLetters, LetterTopic};
use crate::decode::{Decoded, Decoder, Rejected};
use crate::stream::{Polled, Record, StreamError, StreamReader, StreamSource};

/// Decoded polls that may wait to be taken in.
pub(super) const WAITING_ARRIVALS: usize = 4;
/// How long a poll waits for something new.
const POLL_WAIT: Duration = Duration::from_millis(250);
/// More records than this are decoded off the async threads.
const INLINE_RECORDS: usize = 256;

/// What the intake tells.
#[derive(Debug)]
pub(super) enum IntakeEvent {
    /// Rows and positions; the stream works. With how many dead letters are new.
    Arrived(Arrival, u64),
    /// The stream no longer holds what is next.
    OutOfRange(PartitionId, Offset, Offset),
    /// Something fails and is tried again.
    Trouble(String),
}

/// One run through a topic, from one place on.
pub(super) struct Intake {
    pub(super) table: TableName,
    pub(super) source: Arc<dyn StreamSource>,
    pub(super) topic: (String, Uuid),
    pub(super) decoder: Decoder,
    pub(super) letters: DeadLetters,
    pub(super) position: OffsetMap,
    /// What lies below is in the lake, its dead letters were dealt with before.
    pub(super) boundary: OffsetMap,
    pub(super) poll_rows: usize,
    pub(super) events: mpsc::Sender<IntakeEvent>,
}

/// Nobody takes what the intake brings any more.
struct Closed;

impl Intake {
    /// Reads until the stream has moved away or nobody listens.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.source.read_topic(self.topic.1, &self.position).await {
                Ok(reader) => match self.drain(reader, &mut backoff).await {
                    Ok(error) => error,
                    Err(Closed) => return,
                },
                Err(error) => error,
            };
            let event = match &error {
                StreamError::OffsetOutOfRange { partition, low, high, .. } => {
                    IntakeEvent::OutOfRange(*partition, *low, *high)
                }
                other => IntakeEvent::Trouble(describe(other)),
            };
            let is_last = matches!(event, IntakeEvent::OutOfRange(..));
            if self.events.send(event).await.is_err() || is_last {
                return;
            }
            backoff.wait().await;
        }
    }

    /// Polls until the reader fails.
    async fn drain(
        &mut self,
        mut reader: Box<dyn StreamReader>,
        backoff: &mut Backoff,
    ) -> Result<StreamError, Closed> {
        loop {
            match reader.poll(self.poll_rows, POLL_WAIT).await {
                Ok(polled) => {
                    backoff.reset();
                    self.take(polled).await?;
                }
                Err(error) if error.is_transient() => {
                    let trouble = IntakeEvent::Trouble(describe(&error));
                    self.events.send(trouble).await.map_err(|_| Closed)?;
                    backoff.wait().await;
                }
                Err(error) => return Ok(error),
            }
        }
    }

    async fn take(&mut self, polled: Polled) -> Result<(), Closed> {
        let Polled { records, positions } = polled;
        let mut decoded = self.decode(records).await?;
        let boundary = &self.boundary;
        decoded.rejected.retain(|r| r.offset >= boundary.next(r.partition));
        let Some((stop, reason)) = self.first_stop(&decoded.rejected) else {
            return self.hand_on(decoded, positions).await;
        };
        // What comes before it counts, in its partition and in the others.
        let (partition, offset) = stop;
        let below = |p: PartitionId| if p == partition { offset } else { Offset(i64::MAX) };
        decoded.rejected.retain(|r| r.offset < below(r.partition));
        let cut = |batch: &TailBatch| batch.window(Offset::ZERO, below(batch.partition));
        decoded.batches = decoded.batches.iter().filter_map(cut).collect();
        let mut positions = positions;
        positions.set(partition, offset);
        self.hand_on(decoded, positions).await?;
        self.stop(reason).await
    }

    /// The first record that must not be passed, and why.
    fn first_stop(&self, rejected: &[Rejected]) -> Option<((PartitionId, Offset), String)> {
        let stop = rejected.iter().find(|r| self.decoder.stops_at(&r.reason))?;
        let Rejected { partition, offset, reason, .. } = stop;
        let reason = format!("the record at {partition}:{offset}: {}", reason.detail());
        Some(((*partition, *offset), reason))
    }

    /// Dead letters are durable before rows and positions go on.
    async fn hand_on(&mut self, decoded: Decoded, positions: OffsetMap) -> Result<(), Closed> {
        let kept = self.keep(&decoded.rejected).await?;
        self.position = self.position.max(&positions);
        let arrival = Arrival { batches: decoded.batches, positions };
        self.events.send(IntakeEvent::Arrived(arrival, kept)).await.map_err(|_| Closed)
    }

    async fn decode(&mut self, records: Vec<Record>) -> Result<Decoded, Closed> {
        if records.len() <= INLINE_RECORDS {
            return Ok(self.decoder.decode(&records));
        }
        let mut decoder = self.decoder.clone();
        let work = tokio::task::spawn_blocking(move || {
            let decoded = decoder.decode(&records);
            (decoder, decoded)
        });
        // A worker that panicked ends the intake; the table starts it anew.
        let (decoder, decoded) = work.await.map_err(|_| Closed)?;
        self.decoder = decoder;
        Ok(decoded)
    }

    /// Stays where it is, and says why, until someone starts it anew.
    async fn stop(&self, reason: String) -> Result<(), Closed> {
        let mut backoff = Backoff::default();
        loop {
            let trouble = IntakeEvent::Trouble(reason.clone());
            self.events.send(trouble).await.map_err(|_| Closed)?;
            backoff.wait().await;
        }
    }

    /// Keeps dead letters durably before positions pass them (rule 19); how many are new.
    async fn keep(&self, rejected: &[Rejected]) -> Result<u64, Closed> {
        let (name, id) = &self.topic;
        let mut backoff = Backoff::default();
        loop {
            let topic = LetterTopic { name, id: *id };
            let error = match self.letters.keep(&self.table, topic, rejected).await {
                Ok(kept) => return Ok(kept),
                Err(error) => error,
            };
            let trouble = IntakeEvent::Trouble(describe(&error));
            self.events.send(trouble).await.map_err(|_| Closed)?;
            backoff.wait().await;
        }
    }
}
