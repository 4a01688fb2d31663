//! From a snapshot to its files and chunks: its manifest list, the manifests
//! that are not known yet, and which rows of the files are deleted.
//!
//! It must never know statements; what they prune is not decided here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use iceberg::spec::{ManifestFile, SnapshotRef};
use iceberg::table::Table;
use springtide_relation::{ChunkId, ColumnStatistics, DataFile, DeadRows};

use super::LakeError;
use super::deletes::Deletes;
use super::manifests::{Columns, ManifestCache, Planned, PlannedPiece};
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
    deletes: &Arc<Deletes>,
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
            None => cache.read(file_io, &manifest, columns).await,
        }
    };
    let live: Vec<ManifestFile> = list.consume_entries().into_iter().filter(is_live).collect();
    let manifests: Vec<Arc<Planned>> =
        futures::stream::iter(live).map(read).buffered(READS).try_collect().await?;
    let dead = deletes.resolve(table.metadata(), &manifests).await?;
    Ok(joined(&manifests, &dead))
}

/// Whether a manifest can name a live file; counts that are missing count as some.
fn is_live(manifest: &ManifestFile) -> bool {
    let some = |count: Option<u32>| count != Some(0);
    some(manifest.added_files_count) || some(manifest.existing_files_count)
}

/// All manifests together; `dead`: deleted rows by data file, in the manifests' order.
fn joined(manifests: &[Arc<Planned>], dead: &HashMap<usize, Arc<DeadRows>>) -> Plan {
    let mut files = Vec::new();
    let mut chunks: BTreeMap<ChunkId, Arc<[ColumnStatistics]>> = BTreeMap::new();
    for planned in manifests.iter().flat_map(|manifest| &manifest.files) {
        let dead = dead.get(&files.len()).cloned();
        let mut start = 0;
        for piece in &planned.pieces {
            let positions = start..start + piece.rows;
            start = positions.end;
            let gone =
                dead.as_ref().map_or(0, |dead| dead.positions().range_cardinality(positions));
            let Some(columns) = living(piece, gone) else { continue };
            chunks
                .entry(piece.chunk)
                .and_modify(|before| *before = union(before, &columns).into())
                .or_insert(columns);
        }
        files.push(DataFile { dead, ..planned.file.clone() });
    }
    Plan { files: files.into(), chunks: Arc::new(chunks) }
}

/// The statistics of a piece of which `gone` rows are deleted; `None` where none is left. The
/// bounds stay; how many NULLs and NaNs are left is known only where there was none.
fn living(piece: &PlannedPiece, gone: u64) -> Option<Arc<[ColumnStatistics]>> {
    if gone == 0 {
        return Some(piece.columns.clone());
    }
    let rows = piece.rows.checked_sub(gone).filter(|rows| *rows > 0)?;
    let none = |count: Option<u64>| count.filter(|count| *count == 0);
    let column = |column: &ColumnStatistics| ColumnStatistics {
        nulls: none(column.nulls),
        nans: none(column.nans),
        rows,
        ..column.clone()
    };
    Some(piece.columns.iter().map(column).collect())
}
