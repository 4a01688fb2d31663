//! One produce to a journal's topic: all records or none, in one transaction.
//! It must never know how readers find them.

use std::collections::BTreeMap;
use std::sync::Arc;

use springtide_protocol::{Offset, OffsetMap, PartitionId};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::idempotency::{self, Keyed};
use super::store::{self, failed};
use super::{RECORD_BYTES, Shared, Topic};
use crate::stream::{NewRecord, StreamError, Watermarks};

/// Rows of one INSERT: six values each, well under SQLite's 32,766.
const INSERT_ROWS: usize = 1_000;

/// A produce, checked and ready to run.
pub(super) struct Append {
    shared: Arc<Shared>,
    topic: Topic,
    records: Vec<NewRecord>,
    keyed: Option<Keyed>,
}

impl Append {
    pub(super) fn new(
        shared: Arc<Shared>,
        topic: Topic,
        records: Vec<NewRecord>,
        key: Option<String>,
    ) -> Result<Self, StreamError> {
        let bytes = |r: &NewRecord| r.value.len() + r.key.as_ref().map_or(0, |key| key.len());
        if let Some(bytes) = records.iter().map(bytes).find(|bytes| *bytes > RECORD_BYTES) {
            return Err(StreamError::RecordTooLarge { bytes, source: None });
        }
        let keyed = key.map(|key| Keyed { key, digest: idempotency::digest(&records) });
        Ok(Self { shared, topic, records, keyed })
    }

    pub(super) async fn run(self) -> Result<OffsetMap, StreamError> {
        let failed = |source| failed("adding records", source);
        let now_micros = self.shared.clock.now_micros();
        let mut write = self.shared.store.write().await.map_err(failed)?;
        if let Some(keyed) = &self.keyed
            && let Some(result) = idempotency::recall(&mut write, &self.topic, keyed).await?
        {
            return Ok(result);
        }
        let watermarks = store::watermarks(&mut write, self.topic.row).await.map_err(failed)?;
        let places = places(&self.topic, &self.records, &watermarks)?;
        let next = places.next.clone();
        self.insert(&mut write, &places.of_records, now_micros / 1_000).await.map_err(failed)?;
        for (partition, next) in next.iter() {
            advance(&mut write, self.topic.row, partition, next).await.map_err(failed)?;
        }
        if let Some(keyed) = &self.keyed {
            idempotency::keep(&mut write, &self.topic, keyed, &next, now_micros).await?;
        }
        write.commit().await.map_err(failed)?;
        self.shared.written.notify_waiters();
        Ok(next)
    }

    async fn insert(
        &self,
        write: &mut Transaction<'_, Sqlite>,
        places: &[(PartitionId, Offset)],
        timestamp_ms: i64,
    ) -> Result<(), sqlx::Error> {
        for (records, places) in self.records.chunks(INSERT_ROWS).zip(places.chunks(INSERT_ROWS)) {
            let mut insert = QueryBuilder::new(
                "INSERT INTO records (topic, partition, offset, timestamp_ms, key, value) ",
            );
            insert.push_values(records.iter().zip(places), |mut row, (record, place)| {
                row.push_bind(self.topic.row)
                    .push_bind(place.0.0)
                    .push_bind(place.1.0)
                    .push_bind(timestamp_ms)
                    .push_bind(record.key.as_deref())
                    .push_bind(&record.value[..]);
            });
            // Full chunks share one statement's text, so it is prepared once.
            insert.build().execute(&mut **write).await?;
        }
        Ok(())
    }
}

/// Where each record goes, and where the partitions then end.
struct Places {
    of_records: Vec<(PartitionId, Offset)>,
    next: OffsetMap,
}

fn places(
    topic: &Topic,
    records: &[NewRecord],
    watermarks: &BTreeMap<PartitionId, Watermarks>,
) -> Result<Places, StreamError> {
    let missing = |partition| {
        let topic = topic.name.to_string();
        StreamError::PartitionMissing { topic, partition }
    };
    let partitions: Vec<PartitionId> = watermarks.keys().copied().collect();
    // Records without a key go together to the partition that has had the fewest.
    let fewest = watermarks.iter().min_by_key(|(_, marks)| marks.high);
    let Some((fewest, _)) = fewest else {
        return Err(StreamError::TopicMissing { topic: topic.name.to_string() });
    };
    let mut next = OffsetMap::new();
    let mut of_records = Vec::with_capacity(records.len());
    for record in records {
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partitions[by_key(key, partitions.len())],
            (None, None) => *fewest,
        };
        let marks = watermarks.get(&partition).ok_or_else(|| missing(partition))?;
        let offset = next.named(partition).unwrap_or(marks.high);
        of_records.push((partition, offset));
        next.set(partition, offset.next());
    }
    Ok(Places { of_records, next })
}

/// FNV-1a, so that a key stays in its partition for ever, on every machine.
fn by_key(key: &[u8], partitions: usize) -> usize {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash % partitions as u64).unwrap_or(0)
}

async fn advance(
    write: &mut Transaction<'_, Sqlite>,
    topic: i64,
    partition: PartitionId,
    high: Offset,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE partitions SET high = ? WHERE topic = ? AND partition = ?")
        .bind(high.0)
        .bind(topic)
        .bind(partition.0)
        .execute(&mut **write)
        .await
        .map(drop)
}
