//! Dead letters: records that did not decode, kept aside with their place in
//! the stream and the reason, so that the rest can go on. They are durable
//! before [`DeadLetters::keep`] returns, so that a boundary may pass them
//! (rule 19), and keeping one twice keeps it once.
//!
//! Nothing is ever dropped silently: at a table's bound `keep` fails, the table
//! stops at that record and says why, until letters are discarded on purpose.
//! It must never know why a record is no row, nor what happens to a table.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use springtide_protocol::{Offset, PartitionId, TableName};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Executor as _, Row as _, Sqlite, Transaction};
use uuid::Uuid;

use crate::decode::Rejected;

#[cfg(test)]
mod tests;

/// Keys, values and reasons of one table's letters, unless set otherwise.
pub const TABLE_BYTES: u64 = 1 << 30;

/// How long a write waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The file of dead letters. Clones share it.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    pool: SqlitePool,
    path: PathBuf,
    table_bytes: u64,
}

/// The topic that records came from.
#[derive(Clone, Copy, Debug)]
pub struct LetterTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id: a topic made anew has letters of its own.
    pub id: Uuid,
}

/// One record that was kept aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic's name.
    pub topic: String,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: PartitionId,
    /// The offset.
    pub offset: Offset,
    /// The record's timestamp, milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// The record's key.
    pub key: Option<Bytes>,
    /// The record's value.
    pub value: Option<Bytes>,
    /// Why it is no row.
    pub reason: String,
}

/// Why letters could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The table's bound is reached.
    #[error(
        "table `{table}` has dead letters of more than {limit_bytes} bytes: correct the producer, then discard them"
    )]
    Full {
        /// The table.
        table: TableName,
        /// The bound.
        limit_bytes: u64,
    },
    /// The file cannot be opened.
    #[error("the dead letters in {path} cannot be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The file cannot be read or written (a full disk, for example).
    #[error("the dead letters in {path} cannot be read or written: is the disk full?")]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
}

impl DeadLetters {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`DeadLetterError::Open`].
    pub async fn open(path: &Path) -> Result<Self, DeadLetterError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let opened = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let open = |source| DeadLetterError::Open { path: path.to_owned(), source };
        let pool = opened.map_err(open)?;
        pool.execute(LAYOUT).await.map_err(open)?;
        Ok(Self { pool, path: path.to_owned(), table_bytes: TABLE_BYTES })
    }

    /// The same file with another bound for each table.
    #[must_use]
    pub fn with_table_bytes(self, table_bytes: u64) -> Self {
        Self { table_bytes, ..self }
    }

    /// Keeps all of `rejected`, durably, or none. A record that is kept already
    /// (same topic id, partition and offset) stays as it is.
    ///
    /// # Errors
    /// [`DeadLetterError::Full`] at the table's bound; [`DeadLetterError::Storage`].
    pub async fn keep(
        &self,
        table: &TableName,
        topic: LetterTopic<'_>,
        rejected: &[Rejected],
    ) -> Result<(), DeadLetterError> {
        if rejected.is_empty() {
            return Ok(());
        }
        let storage = |source| self.storage(source);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(storage)?;
        let mut added = 0;
        for letter in rejected {
            added += insert(&mut transaction, table, topic, letter).await.map_err(storage)?;
        }
        let held: i64 = sqlx::query_scalar(ADD_BYTES)
            .bind(table.as_str())
            .bind(added)
            .fetch_one(&mut *transaction)
            .await
            .map_err(storage)?;
        if added > 0 && u64::try_from(held).is_ok_and(|held| held > self.table_bytes) {
            return Err(DeadLetterError::Full {
                table: table.clone(),
                limit_bytes: self.table_bytes,
            });
        }
        transaction.commit().await.map_err(storage)
    }

    /// How many letters a table has.
    ///
    /// # Errors
    /// [`DeadLetterError::Storage`].
    pub async fn count(&self, table: &TableName) -> Result<u64, DeadLetterError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM letters WHERE of_table = ?")
            .bind(table.as_str())
            .fetch_one(&self.pool)
            .await
            .map_err(|source| self.storage(source))?;
        Ok(count.unsigned_abs())
    }

    /// The last `most` letters of a table, newest kept first.
    ///
    /// # Errors
    /// [`DeadLetterError::Storage`].
    pub async fn list(
        &self,
        table: &TableName,
        most: u32,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        sqlx::query(LIST)
            .bind(table.as_str())
            .bind(most)
            .try_map(|row| letter(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.storage(source))
    }

    /// Throws a table's letters away; returns how many there were.
    ///
    /// # Errors
    /// [`DeadLetterError::Storage`].
    pub async fn discard(&self, table: &TableName) -> Result<u64, DeadLetterError> {
        let storage = |source| self.storage(source);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(storage)?;
        let gone = sqlx::query("DELETE FROM letters WHERE of_table = ?")
            .bind(table.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(storage)?;
        sqlx::query("DELETE FROM held WHERE of_table = ?")
            .bind(table.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(storage)?;
        transaction.commit().await.map_err(storage)?;
        Ok(gone.rows_affected())
    }

    fn storage(&self, source: sqlx::Error) -> DeadLetterError {
        DeadLetterError::Storage { path: self.path.clone(), source }
    }
}

const LAYOUT: &str = "
CREATE TABLE IF NOT EXISTS letters (
    number INTEGER PRIMARY KEY,
    of_table TEXT NOT NULL,
    topic TEXT NOT NULL,
    topic_id BLOB NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    timestamp_ms INTEGER,
    key BLOB,
    value BLOB,
    reason TEXT NOT NULL,
    UNIQUE (topic_id, partition, offset, of_table)
) STRICT;
CREATE INDEX IF NOT EXISTS letters_of_table ON letters (of_table);
CREATE TABLE IF NOT EXISTS held (of_table TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;
";

const INSERT: &str = "
INSERT INTO letters (of_table, topic, topic_id, partition, offset, timestamp_ms, key, value, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

const ADD_BYTES: &str = "
INSERT INTO held (of_table, bytes) VALUES (?, ?)
ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes RETURNING bytes";

const LIST: &str = "
SELECT topic, topic_id, partition, offset, timestamp_ms, key, value, reason
FROM letters WHERE of_table = ? ORDER BY number DESC LIMIT ?";

/// Bytes added: none where the letter is there already.
async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    table: &TableName,
    topic: LetterTopic<'_>,
    letter: &Rejected,
) -> Result<i64, sqlx::Error> {
    let reason = letter.reason.detail();
    let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let bytes = size(&letter.key) + size(&letter.value) + reason.len();
    let done = sqlx::query(INSERT)
        .bind(table.as_str())
        .bind(topic.name)
        .bind(topic.id.as_bytes().as_slice())
        .bind(letter.partition.0)
        .bind(letter.offset.0)
        .bind(letter.timestamp_ms)
        .bind(letter.key.as_deref())
        .bind(letter.value.as_deref())
        .bind(&reason)
        .execute(&mut **transaction)
        .await?;
    Ok(if done.rows_affected() == 0 { 0 } else { i64::try_from(bytes).unwrap_or(i64::MAX) })
}

fn letter(row: &SqliteRow) -> Result<DeadLetter, sqlx::Error> {
    let id: Vec<u8> = row.try_get("topic_id")?;
    let topic_id = Uuid::from_slice(&id).map_err(|source| sqlx::Error::Decode(source.into()))?;
    Ok(DeadLetter {
        topic: row.try_get("topic")?,
        topic_id,
        partition: PartitionId(row.try_get("partition")?),
        offset: Offset(row.try_get("offset")?),
        timestamp_ms: row.try_get("timestamp_ms")?,
        key: row.try_get::<Option<Vec<u8>>, _>("key")?.map(Bytes::from),
        value: row.try_get::<Option<Vec<u8>>, _>("value")?.map(Bytes::from),
        reason: row.try_get("reason")?,
    })
}
