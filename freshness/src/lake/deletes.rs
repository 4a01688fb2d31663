//! Deleted rows: position deletes, equality deletes and deletion vectors all
//! become the same thing, positions in data files. Delete files never change,
//! so what they say is read once and kept in bounded caches; the reading is
//! done on blocking threads.
//!
//! It must never know snapshots, chunks or statements.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use iceberg::spec::{
    self, DataContentType, DataFileFormat, Literal, ManifestEntry, ManifestStatus, PartitionSpec,
    PrimitiveLiteral, TableMetadata,
};
use roaring::RoaringTreemap;
use springtide_relation::DeadRows;

use super::LakeError;
use super::manifests::{Planned, PlannedFile, local_path};
use equality::{KeyColumns, Keys};
use index::Index;
use kept::Kept;
use position::Positions;

mod equality;
mod index;
mod kept;
mod position;
mod rows;
mod vector;

#[cfg(test)]
mod tests;

/// Data files whose deleted rows are found at a time.
const FILES_AT_A_TIME: usize = 4;
/// Positions that position deletes and deletion vectors name, in memory.
const POSITION_BYTES: u64 = 256 << 20;
/// Keys of equality deletes, in memory.
const KEY_BYTES: u64 = 256 << 20;
/// Positions that equality deletes come to, in memory.
const MATCH_BYTES: u64 = 128 << 20;

/// Why a delete file cannot be read; its path is added by the caller.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Which deletes may apply to a data file, or to which data files a delete.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The data sequence number.
    sequence: i64,
    partition: TablePartition,
    /// The partition spec has no fields.
    unpartitioned: bool,
}

/// A spec and its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TablePartition {
    spec_id: i32,
    values: Vec<Option<Literal>>,
}

/// A live delete file, or one deletion vector of a file.
#[derive(Debug)]
pub(super) struct DeleteFile {
    /// Identifies it: the path in the lake and, for a deletion vector, where it begins.
    name: Arc<str>,
    path: PathBuf,
    scope: Scope,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Paths and positions; of one data file alone, where that is said.
    Positions { of: Option<PathBuf> },
    /// Positions of one data file, in a part of a Puffin file.
    Vector { of: PathBuf, start: u64, bytes: u64, rows: u64 },
    /// Values of these columns, by field id, rising.
    Equality { ids: Arc<[i32]> },
}

/// A data file in which rows are looked for.
struct Target {
    /// Its place among all data files.
    index: usize,
    location: Arc<str>,
    path: PathBuf,
    rows: u64,
    deletes: Vec<Arc<DeleteFile>>,
}

/// A data file's location and a delete file's name.
type Pair = (Arc<str>, Arc<str>);
/// A delete file's name and the types that its keys are read in, which may be widened.
type Typed = (Arc<str>, Arc<str>);

/// An equality delete and the rows that it matches in one data file.
type Matched<'a> = (&'a Arc<DeleteFile>, Arc<RoaringTreemap>);

/// What delete files say, read once.
pub(super) struct Deletes {
    positions: Kept<Arc<str>, Positions>,
    keys: Kept<Typed, Keys>,
    matches: Kept<Pair, RoaringTreemap>,
}

impl Default for Deletes {
    fn default() -> Self {
        Self {
            positions: Kept::new(POSITION_BYTES),
            keys: Kept::new(KEY_BYTES),
            matches: Kept::new(MATCH_BYTES),
        }
    }
}

impl Scope {
    /// `inherited`: the sequence number of the manifest, which new entries take over.
    pub(super) fn of(
        entry: &ManifestEntry,
        inherited: i64,
        spec: &PartitionSpec,
    ) -> Result<Self, LakeError> {
        let inherits = entry.status() == ManifestStatus::Added || inherited == 0;
        let sequence = entry.sequence_number().or(inherits.then_some(inherited));
        let sequence = sequence.ok_or_else(|| LakeError::Record {
            what: "the sequence number",
            place: entry.file_path().to_owned(),
        })?;
        // A column's type may have been widened between two manifests.
        let wide = |value: &Option<Literal>| match value {
            Some(Literal::Primitive(PrimitiveLiteral::Int(n))) => Some(Literal::long(*n)),
            Some(Literal::Primitive(PrimitiveLiteral::Float(n))) => {
                Some(Literal::double(f64::from(n.0)))
            }
            other => other.clone(),
        };
        let values = entry.data_file().partition().fields().iter().map(wide).collect();
        let partition = TablePartition { spec_id: spec.spec_id(), values };
        Ok(Self { sequence, partition, unpartitioned: spec.is_unpartitioned() })
    }
}

impl DeleteFile {
    pub(super) fn new(file: &spec::DataFile, scope: Scope) -> Result<Self, LakeError> {
        let location = file.file_path();
        let missing = |what: &str| LakeError::delete_file(location)(format!("it has no {what}"));
        let referenced = file.referenced_data_file().map(|path| local_path(&path)).transpose()?;
        let mut name: Arc<str> = location.into();
        let kind = match (file.content_type(), file.file_format()) {
            (DataContentType::PositionDeletes, DataFileFormat::Puffin) => {
                let number = |number: Option<i64>| u64::try_from(number?).ok();
                let start = number(file.content_offset());
                let bytes = number(file.content_size_in_bytes());
                let start = start.ok_or_else(|| missing("offset of its deletion vector"))?;
                name = format!("{location}#{start}").into();
                Kind::Vector {
                    of: referenced.ok_or_else(|| missing("data file that it is of"))?,
                    start,
                    bytes: bytes.ok_or_else(|| missing("size of its deletion vector"))?,
                    rows: file.record_count(),
                }
            }
            (DataContentType::PositionDeletes, DataFileFormat::Parquet) => {
                Kind::Positions { of: referenced }
            }
            (DataContentType::EqualityDeletes, DataFileFormat::Parquet) => {
                let mut ids = file.equality_ids().unwrap_or_default();
                ids.sort_unstable();
                ids.dedup();
                if ids.is_empty() {
                    return Err(missing("columns to compare"));
                }
                Kind::Equality { ids: ids.into() }
            }
            (_, format) => {
                let (path, format) = (location.to_owned(), format.to_string());
                return Err(LakeError::NotParquet { path, format });
            }
        };
        Ok(Self { name, path: local_path(location)?, scope, kind })
    }

    fn failed<E: Into<Source>>(&self, source: E) -> LakeError {
        LakeError::delete_file(&self.path.to_string_lossy())(source)
    }
}

impl Deletes {
    /// The deleted rows of each data file that has some, by the file's place among all of
    /// the manifests' data files.
    ///
    /// # Errors
    /// [`LakeError::DeleteFile`] where one cannot be read; then no rows are known.
    pub(super) async fn resolve(
        self: &Arc<Self>,
        metadata: &TableMetadata,
        manifests: &[Arc<Planned>],
    ) -> Result<HashMap<usize, Arc<DeadRows>>, LakeError> {
        let deletes: Vec<&Arc<DeleteFile>> =
            manifests.iter().flat_map(|manifest| &manifest.deletes).collect();
        if deletes.is_empty() {
            return Ok(HashMap::new());
        }
        let columns = Arc::new(KeyColumns::new(metadata, &deletes)?);
        let index = Index::new(&deletes)?;
        let files = manifests.iter().flat_map(|manifest| &manifest.files).enumerate();
        let targets = files.filter_map(|(at, file)| Target::new(at, file, index.applying(file)));
        let look = |target: Target| {
            let (deletes, columns) = (self.clone(), columns.clone());
            async move {
                let work = move || deletes.dead(&target, &columns).map(|dead| (target.index, dead));
                tokio::task::spawn_blocking(work).await?
            }
        };
        let targets: Vec<Target> = targets.collect();
        let found = futures::stream::iter(targets).map(look).buffer_unordered(FILES_AT_A_TIME);
        let some = |(index, dead): (usize, Option<_>)| async move {
            Ok(dead.map(|dead| (index, Arc::new(dead))))
        };
        found.try_filter_map(some).try_collect().await
    }

    /// The deleted rows of one data file. Blocks.
    fn dead(&self, target: &Target, columns: &KeyColumns) -> Result<Option<DeadRows>, LakeError> {
        let (mut names, mut dead) = (Vec::new(), RoaringTreemap::new());
        let mut add = |delete: &DeleteFile, positions: &RoaringTreemap| {
            // Of rows that are not there none can be deleted.
            let inside = positions.range_cardinality(0..target.rows);
            if inside > 0 {
                dead |= positions;
                names.push(delete.name.clone());
            }
        };
        let mut equality = Vec::new();
        for delete in &target.deletes {
            if matches!(delete.kind, Kind::Equality { .. }) {
                equality.push(delete);
                continue;
            }
            let positions = self.positions.get(&delete.name, || Positions::read(delete))?;
            if let Some(positions) = positions.of(&target.path) {
                add(delete, positions);
            }
        }
        for (delete, positions) in self.equal(target, &equality, columns)? {
            add(delete, &positions);
        }
        dead.remove_range(target.rows..);
        let any = !dead.is_empty();
        Ok(any.then(|| DeadRows::new(target.location.clone(), names, dead)))
    }

    /// The rows that each equality delete matches; what is not known is looked for in one
    /// pass over the data file for each set of columns.
    fn equal<'a>(
        &self,
        target: &Target,
        deletes: &[&'a Arc<DeleteFile>],
        columns: &KeyColumns,
    ) -> Result<Vec<Matched<'a>>, LakeError> {
        let pair = |delete: &DeleteFile| (target.location.clone(), delete.name.clone());
        let mut found = Vec::with_capacity(deletes.len());
        let mut unknown: HashMap<&Arc<[i32]>, Vec<&Arc<DeleteFile>>> = HashMap::new();
        for delete in deletes {
            let Kind::Equality { ids } = &delete.kind else { continue };
            match self.matches.known(&pair(delete)) {
                Some(positions) => found.push((*delete, positions)),
                None => unknown.entry(ids).or_default().push(delete),
            }
        }
        for (ids, deletes) in unknown {
            let columns = columns.of(ids);
            let types: Arc<str> = equality::types(&columns).into();
            let keys = deletes.iter().map(|delete| {
                let key = (delete.name.clone(), types.clone());
                self.keys.get(&key, || Keys::read(delete, &columns))
            });
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            let matches = equality::matches(&target.path, &columns, &keys)?;
            for (delete, positions) in deletes.into_iter().zip(matches) {
                let positions = self.matches.keep(pair(delete), positions);
                found.push((delete, positions));
            }
        }
        Ok(found)
    }
}

impl Target {
    fn new(index: usize, file: &PlannedFile, deletes: Vec<Arc<DeleteFile>>) -> Option<Self> {
        (!deletes.is_empty()).then(|| Self {
            index,
            location: file.location.clone(),
            path: file.file.path.clone(),
            rows: file.file.rows,
            deletes,
        })
    }
}
