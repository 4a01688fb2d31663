//! Dead letters: records that did not decode, kept aside with their place in
//! the stream and the reason, so that the rest can go on. They are durable
//! before [`DeadLetters::keep`] returns, so that a boundary may pass them
//! (rule 19), and keeping one twice keeps it once.
//!
//! Nothing is ever dropped silently: at a table's bound `keep` fails, the table
//! stops at that record and says why, until letters are discarded on purpose.
//! It must never know why a record is no row, nor what happens to a table.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use springtide_protocol::{Offset, PartitionId, TableName};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Executor as _, Row as _, Sqlite, Transaction};
use uuid::Uuid;

use crate::decode::Rejected;
use crate::stream::journal::whole;

#[cfg(test)]
mod tests;

/// Keys, values and reasons of one table's letters, unless set otherwise.
pub const TABLE_BYTES: u64 = 1 << 30;

/// The most letters of one page.
pub const PAGE_LETTERS: u32 = 100;
/// Keys and values of one page; a larger letter comes alone.
pub const PAGE_BYTES: usize = 8 * 1024 * 1024;

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
    /// Its number: it grows with each letter of any table and never comes again.
    pub number: i64,
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

/// Some letters of a table, newest kept first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterPage {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// Whether there are older ones; the next page is before the last of these.
    pub has_more: bool,
}

/// What was thrown away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Letters.
    pub letters: u64,
    /// Bytes of their keys, values and reasons.
    pub bytes: u64,
}

/// Why letters could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The table's bound is reached.
    #[error(
        "table `{table}` has dead letters of more than {limit_bytes} bytes: correct the producer, then discard them with POST /v1/admin/dead-letters/{table}/discard"
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
        let pool = whole(SqlitePoolOptions::new()).max_connections(1);
        let opened = pool.connect_with(options).await;
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
    /// (same topic id, partition and offset) stays as it is. Returns how many are new.
    ///
    /// # Errors
    /// [`DeadLetterError::Full`] at the table's bound; [`DeadLetterError::Storage`].
    pub async fn keep(
        &self,
        table: &TableName,
        topic: LetterTopic<'_>,
        rejected: &[Rejected],
    ) -> Result<u64, DeadLetterError> {
        if rejected.is_empty() {
            return Ok(0);
        }
        let storage = |source| self.storage(source);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(storage)?;
        let (mut added, mut letters) = (0, 0);
        for letter in rejected {
            if let Some(bytes) =
                insert(&mut transaction, table, topic, letter).await.map_err(storage)?
            {
                added += bytes;
                letters += 1;
            }
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
        transaction.commit().await.map_err(storage)?;
        Ok(letters)
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

    /// How many letters a table has of a topic's partition, by their offsets.
    ///
    /// # Errors
    /// [`DeadLetterError::Storage`].
    pub async fn count_in(
        &self,
        table: &TableName,
        (topic_id, partition): (Uuid, PartitionId),
        offsets: Range<Offset>,
    ) -> Result<u64, DeadLetterError> {
        let count: i64 = sqlx::query_scalar(COUNT_IN)
            .bind(topic_id.as_bytes().as_slice())
            .bind(partition.0)
            .bind(offsets.start.0)
            .bind(offsets.end.0)
            .bind(table.as_str())
            .fetch_one(&self.pool)
            .await
            .map_err(|source| self.storage(source))?;
        Ok(count.unsigned_abs())
    }

    /// Letters of a table below a number, at most `most` of them, [`PAGE_LETTERS`] and
    /// [`PAGE_BYTES`].
    ///
    /// # Errors
    /// [`DeadLetterError::Storage`].
    pub async fn page(
        &self,
        table: &TableName,
        before: Option<i64>,
        most: u32,
    ) -> Result<LetterPage, DeadLetterError> {
        let most = most.min(PAGE_LETTERS);
        let mut rows = sqlx::query(LIST)
            .bind(table.as_str())
            .bind(before.unwrap_or(i64::MAX))
            .bind(most + 1)
            .try_map(|row| letter(&row))
            .fetch(&self.pool);
        let (mut page, mut bytes) = (LetterPage::default(), 0);
        while let Some(letter) = rows.try_next().await.map_err(|source| self.storage(source))? {
            bytes += size(letter.key.as_ref()) + size(letter.value.as_ref());
            let over = !page.letters.is_empty() && bytes > PAGE_BYTES;
            if over || page.letters.len() == most as usize {
                page.has_more = true;
                break;
            }
            page.letters.push(letter);
        }
        Ok(page)
    }

    /// Throws a table's letters away, up to the one of this number.
    ///
    /// # Errors
    /// [`DeadLetterError::Storage`].
    pub async fn discard(
        &self,
        table: &TableName,
        up_to: i64,
    ) -> Result<Discarded, DeadLetterError> {
        let storage = |source| self.storage(source);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(storage)?;
        let (letters, bytes): (i64, i64) = sqlx::query_as(WEIGH)
            .bind(table.as_str())
            .bind(up_to)
            .fetch_one(&mut *transaction)
            .await
            .map_err(storage)?;
        for (statement, number) in [(DELETE, up_to), (SUBTRACT, bytes)] {
            sqlx::query(statement)
                .bind(table.as_str())
                .bind(number)
                .execute(&mut *transaction)
                .await
                .map_err(storage)?;
        }
        transaction.commit().await.map_err(storage)?;
        Ok(Discarded { letters: letters.unsigned_abs(), bytes: bytes.unsigned_abs() })
    }

    fn storage(&self, source: sqlx::Error) -> DeadLetterError {
        DeadLetterError::Storage { path: self.path.clone(), source }
    }
}

const LAYOUT: &str = "
CREATE TABLE IF NOT EXISTS letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
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
SELECT number, topic, topic_id, partition, offset, timestamp_ms, key, value, reason
FROM letters WHERE of_table = ? AND number < ? ORDER BY number DESC LIMIT ?";

/// Counts bytes as they were counted when the letters were kept.
const WEIGH: &str = "
SELECT count(*), coalesce(sum(coalesce(length(key), 0) + coalesce(length(value), 0)
    + length(CAST(reason AS BLOB))), 0)
FROM letters WHERE of_table = ? AND number <= ?";

const COUNT_IN: &str = "
SELECT count(*) FROM letters
WHERE topic_id = ? AND partition = ? AND offset >= ? AND offset < ? AND of_table = ?";

const DELETE: &str = "DELETE FROM letters WHERE of_table = ? AND number <= ?";

const SUBTRACT: &str = "UPDATE held SET bytes = bytes - ?2 WHERE of_table = ?1";

/// Bytes added; `None` where the letter is there already.
async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    table: &TableName,
    topic: LetterTopic<'_>,
    letter: &Rejected,
) -> Result<Option<i64>, sqlx::Error> {
    let reason = letter.reason.detail();
    let bytes = size(letter.key.as_ref()) + size(letter.value.as_ref()) + reason.len();
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
    Ok((done.rows_affected() > 0).then(|| i64::try_from(bytes).unwrap_or(i64::MAX)))
}

fn size(bytes: Option<&Bytes>) -> usize {
    bytes.map_or(0, Bytes::len)
}

fn letter(row: &SqliteRow) -> Result<DeadLetter, sqlx::Error> {
    let id: Vec<u8> = row.try_get("topic_id")?;
    let topic_id = Uuid::from_slice(&id).map_err(|source| sqlx::Error::Decode(source.into()))?;
    Ok(DeadLetter {
        number: row.try_get("number")?,
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
