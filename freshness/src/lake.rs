//! The lake: Apache Iceberg tables. What a snapshot holds (files, chunks,
//! boundary), how it is planned from manifests, and how rows get into it.
//!
//! It must never know a stream, the tail or a pin: it is told offsets and rows
//! and hands back snapshots.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use springtide_protocol::OffsetMap;
use springtide_relation::{ChunkId, ColumnStatistics, DataFile};
use uuid::Uuid;

use crate::settings::{CatalogSettings, TableSettings};
use catalog::Connection;

mod ancestry;
mod bounds;
mod catalog;
mod columns;
mod create;
mod data_file;
mod decode_epoch;
mod deletes;
mod error;
mod load;
mod manifests;
mod partition;
mod plan;
mod record;
mod rows;
mod table;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use crate::commit::{CommitError, CommitRequest};
pub use error::LakeError;
pub use load::LoadProgress;
pub use table::LakeTable;

pub(crate) use ancestry::{
    Ancestor, COMMIT_ID, DECODE_EPOCH, FOREIGN, FROM, LOAD, Marker, OFFSETS, foreign_sequence,
    has_commit, resolve,
};
#[cfg(test)]
pub(crate) use ancestry::{content_sequence, former};
pub(crate) use decode_epoch::{property as epoch_property, recorded as recorded_epoch};
pub(crate) use record::recorded_pieces;
pub(crate) use rows::FileWriter;
pub(crate) use table::{discard, store, superseded};

/// A connection to the catalog.
#[derive(Clone, Debug)]
pub struct Lake {
    connection: Connection,
}

/// Whether a snapshot says which offsets it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeBoundary {
    /// B(S): next offsets by stream partition; those not named stand at 0.
    Known(OffsetMap),
    /// It cannot be told: only the snapshot itself can be read, never with a tail.
    Unknown {
        /// Why, for people.
        reason: String,
    },
}

impl LakeBoundary {
    /// The map, where it is known.
    #[must_use]
    pub const fn known(&self) -> Option<&OffsetMap> {
        match self {
            Self::Known(map) => Some(map),
            Self::Unknown { .. } => None,
        }
    }
}

/// One state of a table in the lake. Immutable and shared.
#[derive(Clone, Debug)]
pub struct LakeSnapshot {
    /// Iceberg's snapshot id; `None` before the first commit. A hint, not content (rule 1).
    pub snapshot_id: Option<i64>,
    /// The table's uuid.
    pub table_uuid: Uuid,
    /// The id of the table's current schema.
    pub schema_id: i32,
    /// Its columns; each field carries `PARQUET:field_id` in its metadata.
    pub schema: SchemaRef,
    /// B(S).
    pub boundary: LakeBoundary,
    /// The topic id that the nearest commit from the stream recorded.
    pub topic_id: Option<Uuid>,
    /// The sequence number of the newest ancestor (or of itself) that is neither
    /// from our stream nor a `replace`; 0 where there is none.
    pub foreign_sequence: i64,
    /// The snapshot's own sequence number; 0 before the first commit.
    pub sequence: i64,
    /// The decode epoch that the table records; 0 where it records none.
    pub decode_epoch: u32,
    /// Its live data files.
    pub files: Arc<[DataFile]>,
    /// Chunks that our commits brought, their pieces merged over all files;
    /// statistics by column of `schema`.
    pub chunks: Arc<BTreeMap<ChunkId, Arc<[ColumnStatistics]>>>,
}

impl LakeSnapshot {
    /// Rows in all files, without those that are deleted.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(DataFile::live_rows).sum()
    }
}

/// The columns that a table's settings declare, as Arrow has them.
///
/// # Errors
/// Where they make no schema.
pub fn declared_schema(table: &TableSettings) -> Result<SchemaRef, LakeError> {
    columns::arrow(&columns::schema(&table.columns)?)
}

impl Lake {
    /// Connects to the catalog; its database and warehouse are made in `folder` where
    /// the settings name none.
    ///
    /// # Errors
    /// Where the settings name something that this version does not know, or the
    /// catalog cannot be reached (worth trying again: [`LakeError::is_transient`]).
    pub async fn connect(settings: &CatalogSettings, folder: &Path) -> Result<Self, LakeError> {
        Ok(Self { connection: Connection::open(settings, folder).await? })
    }

    /// Opens a table. Where it is absent and columns are given, it and its namespace are
    /// made; where it exists, columns that are given are held against its schema.
    ///
    /// # Errors
    /// [`LakeError::TableMissing`], [`LakeError::SchemaDiffers`], or the catalog's.
    pub async fn open_or_create(&self, table: &TableSettings) -> Result<LakeTable, LakeError> {
        let ident = create::ensure(&self.connection, table).await?;
        LakeTable::open(self.connection.clone(), ident, table.foreign_commits).await
    }
}
