//! Idempotency keys: kept in the same transaction as the records that they
//! stand for, with a digest of those and the offsets that they got, so that a
//! retry adds nothing and learns the same.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use springtide_protocol::OffsetMap;
use sqlx::{Row as _, Sqlite, Transaction};

use super::Topic;
use super::store::failed;
use crate::stream::{NewRecord, StreamError};

/// How long a key is remembered.
pub const IDEMPOTENCY_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How many keys of one topic are remembered; beyond it the oldest are forgotten.
pub const IDEMPOTENCY_KEYS: i64 = 100_000;
/// A key's size.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;

/// A key with the digest of the records that it came with.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) key: String,
    pub(super) digest: [u8; 32],
}

pub(in crate::stream) fn checked(key: &str) -> Result<String, StreamError> {
    let limit_bytes = IDEMPOTENCY_KEY_BYTES;
    if key.is_empty() || key.len() > limit_bytes {
        return Err(StreamError::IdempotencyKeySize { bytes: key.len(), limit_bytes });
    }
    Ok(key.to_owned())
}

/// Partition, key and value of every record, each with its length, so that
/// no two lists of records read alike.
pub(in crate::stream) fn digest(records: &[NewRecord]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for record in records {
        let partition = record.partition.map_or(-1, |partition| partition.0);
        hash.update(partition.to_le_bytes());
        hash.update([u8::from(record.key.is_some())]);
        for part in [record.key.as_deref().unwrap_or_default(), &record.value] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

/// What the key's first use returned; `None` where this is the first.
pub(super) async fn recall(
    write: &mut Transaction<'_, Sqlite>,
    topic: &Topic,
    keyed: &Keyed,
) -> Result<Option<OffsetMap>, StreamError> {
    let failed = |source| failed("looking up an idempotency key", source);
    let found = sqlx::query("SELECT digest, result FROM idempotency WHERE topic = ? AND key = ?")
        .bind(topic.row)
        .bind(&keyed.key)
        .fetch_optional(&mut **write)
        .await
        .map_err(failed)?;
    let Some(row) = found else { return Ok(None) };
    let digest: Vec<u8> = row.try_get("digest").map_err(failed)?;
    if digest != keyed.digest {
        return Err(StreamError::IdempotencyConflict { key: keyed.key.clone() });
    }
    let result: String = row.try_get("result").map_err(failed)?;
    let doing = "reading an idempotency key's result";
    serde_json::from_str(&result)
        .map(Some)
        .map_err(|source| StreamError::Internal { doing, source: source.into() })
}

/// Keeps the key, and forgets those that are too old or too many.
pub(super) async fn keep(
    write: &mut Transaction<'_, Sqlite>,
    topic: &Topic,
    keyed: &Keyed,
    result: &OffsetMap,
    now_micros: i64,
) -> Result<(), StreamError> {
    let failed = |source| failed("keeping an idempotency key", source);
    let doing = "writing an idempotency key's result";
    let result = serde_json::to_string(result)
        .map_err(|source| StreamError::Internal { doing, source: source.into() })?;
    sqlx::query(
        "INSERT INTO idempotency (topic, key, digest, result, at_micros) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(topic.row)
    .bind(&keyed.key)
    .bind(keyed.digest.as_slice())
    .bind(result)
    .bind(now_micros)
    .execute(&mut **write)
    .await
    .map_err(failed)?;
    let age = i64::try_from(IDEMPOTENCY_AGE.as_micros()).unwrap_or(i64::MAX);
    sqlx::query(FORGET)
        .bind(topic.row)
        .bind(now_micros.saturating_sub(age))
        .bind(IDEMPOTENCY_KEYS)
        .execute(&mut **write)
        .await
        .map(drop)
        .map_err(failed)
}

/// Keys are numbered in the order that they came in over the whole file, so
/// the bound by number is exact for one topic and generous for several.
const FORGET: &str = "
DELETE FROM idempotency WHERE topic = ?1 AND number IN (
    SELECT number FROM idempotency
    WHERE topic = ?1
      AND (at_micros < ?2 OR number <= (SELECT max(number) FROM idempotency) - ?3)
    ORDER BY number LIMIT 1000
)";
