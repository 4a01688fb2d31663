//! The journal's file: its layout, its connections, and what is read and
//! written in single steps. Records lie in one table ordered by topic,
//! partition and offset; a partition's row holds both of its watermarks.
//!
//! It must never know who waits for records.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use springtide_protocol::{Offset, PartitionId};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Row as _};
use sqlx::{Executor as _, Sqlite, Transaction};
use uuid::Uuid;

use super::Topic;
use crate::stream::{StreamError, Watermarks};

/// The layout that this program reads and writes.
const LAYOUT_VERSION: i64 = 1;

/// How long a writer waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read at the same time.
const READERS: u32 = 8;
/// Rows that one step of trimming deletes, so that writers get between.
const TRIM_ROWS: i64 = 10_000;
/// Records that are looked at for their age at a time.
const EXPIRED_ROWS: i64 = 200_000;
/// The write-ahead log's file is cut back to this after a checkpoint.
const WAL_BYTES: &str = "67108864";

const LAYOUT: &str = "
CREATE TABLE IF NOT EXISTS journal (id BLOB NOT NULL, layout INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS topics (
    topic INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    id BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS partitions (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    key BLOB,
    value BLOB NOT NULL,
    PRIMARY KEY (topic, partition, offset)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency (
    topic INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    result TEXT NOT NULL,
    at_micros INTEGER NOT NULL,
    number INTEGER PRIMARY KEY,
    UNIQUE (topic, key)
) STRICT;
";

#[derive(Debug)]
pub(super) struct Store {
    /// One connection: writers of this process queue here, in order.
    writer: SqlitePool,
    readers: SqlitePool,
    id: Uuid,
}

impl Store {
    pub(super) async fn open(path: &Path) -> Result<Self, StreamError> {
        let failed = |source| failed("opening the journal", source);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .page_size(8192)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", WAL_BYTES)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = whole(SqlitePoolOptions::new())
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(60));
        let writer = writer.connect_with(options.clone()).await.map_err(failed)?;
        let id = prepare(&writer).await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS);
        let readers = readers.connect_with(options).await.map_err(failed)?;
        Ok(Self { writer, readers, id })
    }

    /// The journal's own id.
    pub(super) const fn id(&self) -> Uuid {
        self.id
    }

    /// A write transaction; it holds the file's lock from its start.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// A connection to read with.
    pub(super) async fn read(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.readers.acquire().await
    }

    /// The topic's row and id; it is made where it is missing.
    pub(super) async fn topic(
        &self,
        name: &str,
        new_id: Uuid,
        partitions: i32,
    ) -> Result<(i64, Uuid), StreamError> {
        let failed = |source| failed("opening a topic", source);
        let mut write = self.write().await.map_err(failed)?;
        let found = sqlx::query("SELECT topic, id FROM topics WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *write)
            .await
            .map_err(failed)?;
        if let Some(row) = found {
            let id = uuid_of(row.try_get("id").map_err(failed)?)?;
            return Ok((row.try_get("topic").map_err(failed)?, id));
        }
        let made = sqlx::query("INSERT INTO topics (name, id) VALUES (?, ?)")
            .bind(name)
            .bind(new_id.as_bytes().as_slice())
            .execute(&mut *write)
            .await
            .map_err(failed)?;
        let topic = made.last_insert_rowid();
        for partition in 0..partitions.max(1) {
            sqlx::query("INSERT INTO partitions VALUES (?, ?, 0, 0)")
                .bind(topic)
                .bind(partition)
                .execute(&mut *write)
                .await
                .map_err(failed)?;
        }
        write.commit().await.map_err(failed)?;
        Ok((topic, new_id))
    }

    /// By partition; empty where the topic is gone.
    pub(super) async fn watermarks(
        &self,
        topic: i64,
    ) -> Result<BTreeMap<PartitionId, Watermarks>, StreamError> {
        let failed = |source| failed("reading watermarks", source);
        let mut connection = self.read().await.map_err(failed)?;
        watermarks(&mut connection, topic).await.map_err(failed)
    }

    /// The first offset of a partition that is to be kept: `below`, or the first record
    /// since `before_ms`, whichever comes first; `None` where nothing can go. Looks at a
    /// bounded number of records.
    pub(super) async fn expired(
        &self,
        topic: i64,
        partition: PartitionId,
        below: Offset,
        before_ms: i64,
    ) -> Result<Option<Offset>, StreamError> {
        let failed = |source| failed("looking for what can be trimmed", source);
        let mut connection = self.read().await.map_err(failed)?;
        let first: Option<i64> = sqlx::query_scalar(FIRST)
            .bind(topic)
            .bind(partition.0)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        if first.is_none_or(|timestamp| timestamp >= before_ms) {
            return Ok(None);
        }
        let oldest = sqlx::query(OLDEST)
            .bind(topic)
            .bind(partition.0)
            .bind(below.0)
            .bind(EXPIRED_ROWS)
            .try_map(|row: sqlx::sqlite::SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?)))
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        let old = oldest.iter().take_while(|(_, timestamp): &&(i64, i64)| *timestamp < before_ms);
        Ok(old.last().map(|(offset, _)| Offset(*offset).next()))
    }

    pub(super) async fn trim(
        &self,
        topic: &Topic,
        partition: PartitionId,
        before: Offset,
    ) -> Result<(), StreamError> {
        let failed = |source| failed("trimming", source);
        // First the watermark: readers are told before a record is missing.
        let mut write = self.write().await.map_err(failed)?;
        let moved = sqlx::query(
            "UPDATE partitions SET low = max(low, min(?, high)) WHERE topic = ? AND partition = ?",
        )
        .bind(before.0)
        .bind(topic.row)
        .bind(partition.0)
        .execute(&mut *write)
        .await
        .map_err(failed)?;
        write.commit().await.map_err(failed)?;
        if moved.rows_affected() == 0 {
            let topic = topic.name.to_string();
            return Err(StreamError::PartitionMissing { topic, partition });
        }
        loop {
            let gone = sqlx::query(TRIM)
                .bind(topic.row)
                .bind(partition.0)
                .bind(TRIM_ROWS)
                .execute(&self.writer)
                .await
                .map_err(failed)?;
            if gone.rows_affected() == 0 {
                break;
            }
        }
        let freed = sqlx::query("PRAGMA incremental_vacuum").execute(&self.writer).await;
        freed.map(drop).map_err(failed)
    }
}

/// Connections that SQLite itself has rolled back (a full disk does that) still count as
/// in a transaction and could begin none: they are closed, and others take their place.
pub(crate) fn whole(options: SqlitePoolOptions) -> SqlitePoolOptions {
    options.before_acquire(|connection, _| {
        let whole = !connection.is_in_transaction();
        Box::pin(async move { Ok(whole) })
    })
}

const FIRST: &str = "
SELECT timestamp_ms FROM records WHERE topic = ? AND partition = ? ORDER BY offset LIMIT 1";

const OLDEST: &str = "
SELECT offset, timestamp_ms FROM records
WHERE topic = ? AND partition = ? AND offset < ? ORDER BY offset LIMIT ?";

const TRIM: &str = "
DELETE FROM records WHERE (topic, partition, offset) IN (
    SELECT r.topic, r.partition, r.offset FROM records r
    JOIN partitions p ON p.topic = r.topic AND p.partition = r.partition
    WHERE r.topic = ? AND r.partition = ? AND r.offset < p.low
    ORDER BY r.offset LIMIT ?
)";

pub(super) async fn watermarks(
    connection: &mut sqlx::SqliteConnection,
    topic: i64,
) -> Result<BTreeMap<PartitionId, Watermarks>, sqlx::Error> {
    sqlx::query("SELECT partition, low, high FROM partitions WHERE topic = ? ORDER BY partition")
        .bind(topic)
        .try_map(|row: sqlx::sqlite::SqliteRow| {
            let (low, high) = (Offset(row.try_get("low")?), Offset(row.try_get("high")?));
            Ok((PartitionId(row.try_get("partition")?), Watermarks { low, high }))
        })
        .fetch_all(connection)
        .await
        .map(|rows| rows.into_iter().collect())
}

/// Makes the layout where the file is new; the journal's id.
async fn prepare(writer: &SqlitePool) -> Result<Uuid, StreamError> {
    let failed = |source| failed("opening the journal", source);
    let mut write = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    write.execute(LAYOUT).await.map_err(failed)?;
    let found = sqlx::query("SELECT id, layout FROM journal")
        .fetch_optional(&mut *write)
        .await
        .map_err(failed)?;
    if let Some(row) = found {
        let layout: i64 = row.try_get("layout").map_err(failed)?;
        if layout != LAYOUT_VERSION {
            return Err(StreamError::JournalLayout { found: layout, known: LAYOUT_VERSION });
        }
        return uuid_of(row.try_get("id").map_err(failed)?);
    }
    let id = Uuid::new_v4();
    sqlx::query("INSERT INTO journal VALUES (?, ?)")
        .bind(id.as_bytes().as_slice())
        .bind(LAYOUT_VERSION)
        .execute(&mut *write)
        .await
        .map_err(failed)?;
    write.commit().await.map_err(failed)?;
    Ok(id)
}

fn uuid_of(bytes: Vec<u8>) -> Result<Uuid, StreamError> {
    Uuid::from_slice(&bytes)
        .map_err(|source| StreamError::Internal { doing: "reading an id", source: source.into() })
}

/// SQLite's error by what the caller should do.
pub(super) fn failed(doing: &'static str, source: sqlx::Error) -> StreamError {
    /// SQLITE_FULL; and SQLITE_IOERR_WRITE and _FSYNC, as a full disk shows
    /// where the file system reports it late.
    const FULL: [&str; 3] = ["13", "778", "1034"];
    const BUSY: [&str; 4] = ["5", "261", "517", "773"];
    let code = match &source {
        sqlx::Error::Database(error) => error.code().map(|code| code.into_owned()),
        _ => None,
    };
    match code.as_deref() {
        Some(code) if FULL.contains(&code) => StreamError::StorageFull { source: source.into() },
        Some(code) if BUSY.contains(&code) => StreamError::Unreachable { source: source.into() },
        _ => StreamError::Internal { doing, source: source.into() },
    }
}
