//! A reader of one journal topic: all partitions, from given positions. It
//! sleeps until a writer of this process wakes it and looks by itself, at short
//! intervals, for what other processes wrote.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::time::Instant;

use super::store::{self, failed};
use super::{POLL_INTERVAL, Shared};
use crate::stream::{POLL_BYTES, Polled, Record, StreamError, StreamReader, Watermarks};

pub(super) struct JournalReader {
    shared: Arc<Shared>,
    topic: i64,
    positions: OffsetMap,
}

impl JournalReader {
    pub(super) const fn new(shared: Arc<Shared>, topic: i64, positions: OffsetMap) -> Self {
        Self { shared, topic, positions }
    }

    /// What there is now, without waiting.
    async fn take(&mut self, most_records: usize) -> Result<Vec<Record>, StreamError> {
        let failed = |source| failed("reading records", source);
        let mut connection = self.shared.store.read().await.map_err(failed)?;
        // One transaction: watermarks and records are of one state of the file.
        let mut read = connection.begin().await.map_err(failed)?;
        let watermarks = store::watermarks(&mut read, self.topic).await.map_err(failed)?;
        let behind = self.behind(&watermarks)?;
        let mut batch = Batch { records: Vec::new(), bytes: 0, most_records };
        let mut positions = self.positions.clone();
        for (index, (partition, from)) in behind.iter().enumerate() {
            // An equal share for each that is still to come: none starves.
            let share = batch.room().div_ceil(behind.len() - index);
            if share > 0 {
                let next = batch.fill(&mut read, self.topic, (*partition, *from), share).await;
                positions.set(*partition, next.map_err(failed)?);
            }
        }
        self.positions = positions;
        Ok(batch.records)
    }

    /// Partitions with something to read, those furthest behind last, so that
    /// what others leave of their share is theirs.
    fn behind(
        &self,
        watermarks: &BTreeMap<PartitionId, Watermarks>,
    ) -> Result<Vec<(PartitionId, Offset)>, StreamError> {
        let mut behind = Vec::new();
        for (partition, from) in self.positions.iter() {
            let Some(Watermarks { low, high }) = watermarks.get(&partition).copied() else {
                let topic = self.topic.to_string();
                return Err(StreamError::PartitionMissing { topic, partition });
            };
            if from < low || from > high {
                return Err(StreamError::OffsetOutOfRange { partition, asked: from, low, high });
            }
            if from < high {
                behind.push((high.0 - from.0, partition, from));
            }
        }
        behind.sort_unstable();
        Ok(behind.into_iter().map(|(_, partition, from)| (partition, from)).collect())
    }
}

#[async_trait]
impl StreamReader for JournalReader {
    async fn poll(&mut self, most_records: usize, wait: Duration) -> Result<Polled, StreamError> {
        let shared = Arc::clone(&self.shared);
        let deadline = Instant::now() + wait;
        loop {
            // Enrolled before looking, so that no write falls between.
            let written = shared.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            let records = self.take(most_records.max(1)).await?;
            if !records.is_empty() || Instant::now() >= deadline {
                return Ok(Polled { records, positions: self.positions.clone() });
            }
            let look_again = deadline.min(Instant::now() + POLL_INTERVAL);
            let _ = tokio::time::timeout_at(look_again, written).await;
        }
    }
}

/// Records of one poll, up to its bounds.
struct Batch {
    records: Vec<Record>,
    bytes: usize,
    most_records: usize,
}

impl Batch {
    /// How many more records it takes.
    fn room(&self) -> usize {
        if self.bytes >= POLL_BYTES { 0 } else { self.most_records - self.records.len() }
    }

    /// Takes at most `share` records of one partition; returns where it stopped.
    async fn fill(
        &mut self,
        read: &mut SqliteConnection,
        topic: i64,
        (partition, from): (PartitionId, Offset),
        share: usize,
    ) -> Result<Offset, sqlx::Error> {
        let limit = i64::try_from(share).unwrap_or(i64::MAX);
        let mut rows =
            sqlx::query(READ).bind(topic).bind(partition.0).bind(from.0).bind(limit).fetch(read);
        let mut next = from;
        while let Some(row) = rows.try_next().await? {
            let record = record(partition, &row)?;
            if !self.records.is_empty() && self.bytes + record.bytes() > POLL_BYTES {
                self.bytes = POLL_BYTES;
                break;
            }
            next = record.offset.next();
            self.bytes += record.bytes();
            self.records.push(record);
        }
        Ok(next)
    }
}

const READ: &str = "
SELECT offset, timestamp_ms, key, value FROM records
WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?";

fn record(partition: PartitionId, row: &SqliteRow) -> Result<Record, sqlx::Error> {
    Ok(Record {
        partition,
        offset: Offset(row.try_get(0)?),
        timestamp_ms: Some(row.try_get(1)?),
        key: row.try_get::<Option<&[u8]>, _>(2)?.map(Bytes::copy_from_slice),
        value: Some(Bytes::copy_from_slice(row.try_get(3)?)),
    })
}
