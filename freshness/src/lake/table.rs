//! One table of the lake: its current snapshot, kept until the catalog names
//! another, and the ways to add to it.
//!
//! It must never know the tail.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use futures::{StreamExt as _, TryStreamExt as _};
use iceberg::io::FileIO;
use iceberg::spec::{DataFile, SnapshotRef, TableMetadata};
use iceberg::table::Table;
use iceberg::{Catalog, TableIdent};
use parking_lot::Mutex;

use super::ancestry::{Ancestor, content_sequence, former, resolve};
use super::catalog::Connection;
use super::data_file::WrittenFile;
use super::deletes::Deletes;
use super::manifests::{Columns, ManifestCache};
use super::plan::{Plan, plan};
use super::{LakeError, LakeSnapshot, columns, decode_epoch};

/// Data files that are stored at a time.
const STORES: usize = 4;

/// A table. Cheap to clone.
#[derive(Clone)]
pub struct LakeTable {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Connection,
    ident: TableIdent,
    foreign_commits: bool,
    manifests: ManifestCache,
    deletes: Arc<Deletes>,
    state: Mutex<Option<State>>,
    /// One at a time asks the catalog; the others get what it found.
    refreshing: tokio::sync::Mutex<()>,
    /// The decode epoch of this process, once it was made sure of.
    own_epoch: OnceLock<u32>,
    /// One commit at a time in this process.
    committing: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct State {
    location: String,
    snapshot: Arc<LakeSnapshot>,
}

impl LakeTable {
    pub(super) async fn open(
        connection: Connection,
        ident: TableIdent,
        foreign_commits: bool,
    ) -> Result<Self, LakeError> {
        let inner = Inner {
            connection,
            ident,
            foreign_commits,
            manifests: ManifestCache::new(),
            deletes: Arc::default(),
            state: Mutex::new(None),
            refreshing: tokio::sync::Mutex::new(()),
            own_epoch: OnceLock::new(),
            committing: tokio::sync::Mutex::new(()),
        };
        let table = Self { inner: Arc::new(inner) };
        table.base().await?;
        Ok(table)
    }

    /// `namespace.table`.
    #[must_use]
    pub fn identifier(&self) -> String {
        self.inner.ident.to_string()
    }

    /// The table's current snapshot. Where the catalog still names the metadata that is
    /// known, one indexed row is read; else what changed is planned.
    ///
    /// # Errors
    /// [`LakeError::TableMissing`], [`LakeError::DeleteFile`] and others where the
    /// snapshot cannot be read rightly; the catalog's and storage's failures.
    pub async fn refresh(&self) -> Result<Arc<LakeSnapshot>, LakeError> {
        let _one = self.inner.refreshing.lock().await;
        let ident = &self.inner.ident;
        let location = self.inner.connection.metadata_location(ident).await?;
        let location =
            location.ok_or_else(|| LakeError::TableMissing { identifier: self.identifier() })?;
        let known = self.inner.state.lock().clone();
        if let Some(state) = known.as_ref().filter(|state| state.location == location) {
            return Ok(state.snapshot.clone());
        }
        let table = self.base().await?;
        let location = table.metadata_location().unwrap_or_default().to_owned();
        let current = table.metadata().current_snapshot();
        let snapshot =
            Arc::new(self.read(&table, current, known.map(|state| state.snapshot)).await?);
        let state = State { location, snapshot: snapshot.clone() };
        *self.inner.state.lock() = Some(state);
        Ok(snapshot)
    }

    pub(crate) async fn base(&self) -> Result<Table, LakeError> {
        let loaded = self.inner.connection.catalog.load_table(&self.inner.ident).await;
        loaded.map_err(LakeError::catalog("cannot load the table's metadata"))
    }

    pub(crate) fn catalog(&self) -> &dyn Catalog {
        self.inner.connection.catalog.as_ref()
    }

    pub(crate) fn ident(&self) -> &TableIdent {
        &self.inner.ident
    }

    /// The decode epoch that this process decodes in; `None`: it decodes nothing.
    pub(crate) fn own_epoch(&self) -> Option<u32> {
        self.inner.own_epoch.get().copied()
    }

    pub(super) fn set_own_epoch(&self, epoch: u32) {
        // It is the same each time: the fingerprint of a process does not change.
        let _ = self.inner.own_epoch.set(epoch);
    }

    pub(crate) fn foreign_commits(&self) -> bool {
        self.inner.foreign_commits
    }

    pub(crate) async fn one_commit(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.committing.lock().await
    }

    /// The same table seen through `wrap(catalog)`.
    #[cfg(test)]
    pub(crate) async fn wrapped(
        &self,
        wrap: impl FnOnce(Arc<dyn Catalog>) -> Arc<dyn Catalog>,
    ) -> Self {
        let connection = self.inner.connection.wrapped(wrap);
        let opened = Self::open(connection, self.inner.ident.clone(), self.inner.foreign_commits);
        opened.await.expect("the table exists")
    }

    /// The oldest ancestor of the current snapshot that was current after `since_micros` and
    /// that only commits of the stream followed, of at most `most_offsets` offsets.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub async fn former(
        &self,
        since_micros: i64,
        most_offsets: i64,
    ) -> Result<Option<Arc<LakeSnapshot>>, LakeError> {
        let table = self.base().await?;
        let metadata = table.metadata();
        let epoch = decode_epoch::recorded(metadata)?;
        let decided = (epoch, self.inner.foreign_commits);
        match former(metadata, decided, since_micros, most_offsets) {
            Some(snapshot) => Ok(Some(Arc::new(self.read(&table, Some(snapshot), None).await?))),
            None => Ok(None),
        }
    }

    /// A snapshot of the table, in the table's present schema.
    async fn read(
        &self,
        table: &Table,
        snapshot: Option<&SnapshotRef>,
        before: Option<Arc<LakeSnapshot>>,
    ) -> Result<LakeSnapshot, LakeError> {
        let metadata = table.metadata();
        let schema = columns::arrow(metadata.current_schema())?;
        let snapshot_id = snapshot.map(|snapshot| snapshot.snapshot_id());
        let schema_id = metadata.current_schema_id();
        let same = before.filter(|before| {
            before.snapshot_id == snapshot_id
                && before.schema_id == schema_id
                && before.table_uuid == metadata.uuid()
        });
        let plan = match (same, snapshot) {
            (Some(same), _) => Plan { files: same.files.clone(), chunks: same.chunks.clone() },
            (None, None) => Plan::default(),
            (None, Some(snapshot)) => {
                let columns = Columns::new(metadata.current_schema(), schema.clone());
                plan(table, snapshot, &columns, &self.inner.manifests, &self.inner.deletes).await?
            }
        };
        let chain = || Ancestor::chain_of(metadata, snapshot);
        let (boundary, marker) = resolve(chain(), self.inner.foreign_commits);
        Ok(LakeSnapshot {
            snapshot_id,
            table_uuid: metadata.uuid(),
            schema_id,
            schema,
            foreign_sequence: content_sequence(&boundary, chain()),
            boundary,
            topic_id: marker.map(|marker| marker.topic_id),
            sequence: snapshot.map_or(0, |snapshot| snapshot.sequence_number()),
            decode_epoch: decode_epoch::recorded(metadata)?,
            files: plan.files,
            chunks: plan.chunks,
        })
    }
}

/// Stores files where their entries say.
pub(crate) async fn store(
    file_io: &FileIO,
    files: Vec<WrittenFile>,
) -> Result<Vec<DataFile>, LakeError> {
    let one = |file: WrittenFile| async move {
        let path = file.entry.file_path();
        let failed = || LakeError::catalog(format!("cannot store data file {path}"));
        let output = file_io.new_output(path).map_err(failed())?;
        output.write(file.bytes).await.map_err(failed())?;
        Ok(file.entry)
    };
    futures::stream::iter(files).map(one).buffered(STORES).try_collect().await
}

/// Removes files that nothing names any more. What cannot be removed is left: an orphan
/// costs space, never a row.
pub(crate) async fn discard(file_io: &FileIO, paths: impl IntoIterator<Item = String>) {
    for path in paths {
        if let Err(error) = file_io.delete(&path).await {
            tracing::warn!(path, %error, "a file that nothing names is left behind");
        }
    }
}

/// Metadata files that have dropped out of the table's log between two states and
/// that the table asks to be deleted: each commit writes one, and without it they pile up.
pub(crate) fn superseded(before: &TableMetadata, after: &TableMetadata) -> Vec<String> {
    const DELETE: &str = "write.metadata.delete-after-commit.enabled";
    if after.properties().get(DELETE).is_none_or(|value| value != "true") {
        return Vec::new();
    }
    let kept: HashSet<&str> =
        after.metadata_log().iter().map(|entry| entry.metadata_file.as_str()).collect();
    let dropped = before.metadata_log().iter().map(|entry| &entry.metadata_file);
    dropped.filter(|file| !kept.contains(file.as_str())).cloned().collect()
}
