//! From a snapshot to its files and chunks: its manifest list, then the
//! manifests that are not known yet.
//!
//! It must never know statements; what they prune is not decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use iceberg::spec::{ManifestFile, SnapshotRef};
use iceberg::table::Table;
use springtide_relation::{ChunkId, ColumnStatistics, DataFile};

use super::LakeError;
use super::manifests::{Columns, ManifestCache, Planned};
use crate::statistics::union;

/// Manifests that are read at a time.
const READS: usize = 8;

/// Files and chunks of a snapshot.
#[derive(Clone, Default)]
pub(super) struct Plan {
    pub(super) files: Arc<[DataFile]>,
    pub(super) chunks: Arc<BTreeMap<ChunkId, Arc<[ColumnStatistics]>>>,
}

pub(super) async fn plan(
    table: &Table,
    snapshot: &SnapshotRef,
    columns: &Columns,
    cache: &ManifestCache,
) -> Result<Plan, LakeError> {
    let list = table
        .manifest_list_reader(snapshot)
        .load()
        .await
        .map_err(LakeError::catalog("cannot read the snapshot's list of manifests"))?;
    let file_io = table.file_io();
    let read = |manifest: ManifestFile| async move {
        match cache.cached(&manifest.manifest_path, columns) {
            Some(planned) => Ok(planned),
            None => cache.read(file_io, &manifest.manifest_path, columns).await,
        }
    };
    let live: Vec<ManifestFile> = list.consume_entries().into_iter().filter(is_live).collect();
    let manifests: Vec<Arc<Planned>> =
        futures::stream::iter(live).map(read).buffered(READS).try_collect().await?;
    if let Some(path) = manifests.iter().find_map(|planned| planned.deletes.clone()) {
        return Err(LakeError::DeletesNotSupported { path });
    }
    Ok(joined(&manifests))
}

/// Whether a manifest can name a live file; counts that are missing count as some.
fn is_live(manifest: &ManifestFile) -> bool {
    let some = |count: Option<u32>| count != Some(0);
    some(manifest.added_files_count) || some(manifest.existing_files_count)
}

fn joined(manifests: &[Arc<Planned>]) -> Plan {
    let files = manifests.iter().flat_map(|planned| planned.files.iter().cloned()).collect();
    let mut chunks: BTreeMap<ChunkId, Arc<[ColumnStatistics]>> = BTreeMap::new();
    for (chunk, columns) in manifests.iter().flat_map(|planned| &planned.pieces) {
        chunks
            .entry(*chunk)
            .and_modify(|before| *before = union(before, columns).into())
            .or_insert_with(|| columns.clone());
    }
    Plan { files, chunks: Arc::new(chunks) }
}
