//! Manifests as lists of data files and delete files: read once, for they never
//! change, and kept in a bounded cache by path.
//!
//! It must never know snapshots or boundaries.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use iceberg::io::FileIO;
use iceberg::spec::{self, DataContentType, DataFileFormat, Manifest, ManifestFile};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use springtide_relation::{ChunkId, ColumnStatistics, DataFile, FileOrigin};

use super::LakeError;
use super::bounds::{End, scalar};
use super::columns::field_ids;
use super::deletes::{DeleteFile, Scope};
use super::record::{self, Piece, STREAM_FILE};
use crate::statistics::absent;

/// Data files and pieces of chunks that a table's cache holds together; the least used go first.
const CACHED_ENTRIES: u64 = 2_000_000;
/// Manifests that the cache expects.
const EXPECTED_MANIFESTS: usize = 1_000;

/// The columns that statistics are given for: those of the table's current schema.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    schema_id: i32,
    schema: SchemaRef,
    ids: Vec<i32>,
    /// Ids of columns whose values, where a file lacks them, are not NULL.
    defaults: Vec<i32>,
}

/// What a manifest adds to a table.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) files: Vec<PlannedFile>,
    pub(super) deletes: Vec<Arc<DeleteFile>>,
}

/// A live data file.
#[derive(Debug)]
pub(super) struct PlannedFile {
    pub(super) file: DataFile,
    /// Its path in the lake.
    pub(super) location: Arc<str>,
    /// Which deletes may apply to it.
    pub(super) scope: Scope,
    /// The pieces of chunks that its rows are, in order of position, if it is from the stream.
    pub(super) pieces: Vec<PlannedPiece>,
}

/// Rows of one chunk, next to each other in one file.
#[derive(Debug)]
pub(super) struct PlannedPiece {
    pub(super) chunk: ChunkId,
    pub(super) rows: u64,
    pub(super) columns: Arc<[ColumnStatistics]>,
}

/// Manifests that were read.
pub(super) struct ManifestCache {
    cache: Cache<Key, Arc<Planned>, ByEntries>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    path: String,
    schema_id: i32,
}

#[derive(Clone)]
struct ByEntries;

impl Weighter<Key, Arc<Planned>> for ByEntries {
    fn weight(&self, _: &Key, planned: &Arc<Planned>) -> u64 {
        let pieces: usize = planned.files.iter().map(|file| file.pieces.len()).sum();
        1 + (planned.files.len() + pieces + planned.deletes.len()) as u64
    }
}

impl Columns {
    pub(super) fn new(schema: &spec::Schema, arrow: SchemaRef) -> Self {
        let fields = schema.as_struct().fields().iter();
        let defaults = fields.filter(|field| field.initial_default.is_some());
        Self {
            schema_id: schema.schema_id(),
            ids: field_ids(&arrow),
            schema: arrow,
            defaults: defaults.map(|field| field.id).collect(),
        }
    }
}

impl ManifestCache {
    pub(super) fn new() -> Self {
        Self { cache: Cache::with_weighter(EXPECTED_MANIFESTS, CACHED_ENTRIES, ByEntries) }
    }

    pub(super) fn cached(&self, path: &str, columns: &Columns) -> Option<Arc<Planned>> {
        self.cache.get(&Key { path: path.to_owned(), schema_id: columns.schema_id })
    }

    /// Reads a manifest, and the footers of the stream's files that it names.
    pub(super) async fn read(
        &self,
        file_io: &FileIO,
        file: &ManifestFile,
        columns: &Columns,
    ) -> Result<Arc<Planned>, LakeError> {
        let (path, sequence) = (&file.manifest_path, file.sequence_number);
        let failed = || LakeError::catalog(format!("cannot read manifest {path}"));
        let input = file_io.new_input(path).map_err(failed())?;
        let bytes = input.read().await.map_err(failed())?;
        let given = columns.clone();
        let work = tokio::task::spawn_blocking(move || {
            let manifest = Manifest::parse_avro(&bytes)
                .map_err(LakeError::catalog("a manifest cannot be understood"))?;
            plan(&manifest, sequence, &given)
        });
        let planned = Arc::new(work.await??);
        let key = Key { path: path.to_owned(), schema_id: columns.schema_id };
        self.cache.insert(key, planned.clone());
        Ok(planned)
    }
}

/// A local path of a `file:` URL or an absolute path.
pub(super) fn local_path(path: &str) -> Result<PathBuf, LakeError> {
    let local = path.strip_prefix("file://").or_else(|| path.strip_prefix("file:"));
    match local.unwrap_or(path) {
        absolute if absolute.starts_with('/') => Ok(PathBuf::from(absolute)),
        _ => Err(LakeError::NotLocal { path: path.to_owned() }),
    }
}

fn plan(manifest: &Manifest, sequence: i64, columns: &Columns) -> Result<Planned, LakeError> {
    let mut planned = Planned::default();
    let spec = manifest.metadata().partition_spec();
    for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
        let scope = Scope::of(entry, sequence, spec)?;
        if entry.content_type() == DataContentType::Data {
            planned.files.push(data_file(entry.data_file(), scope, columns)?);
        } else {
            planned.deletes.push(Arc::new(DeleteFile::new(entry.data_file(), scope)?));
        }
    }
    Ok(planned)
}

fn data_file(
    file: &spec::DataFile,
    scope: Scope,
    columns: &Columns,
) -> Result<PlannedFile, LakeError> {
    if file.file_format() != DataFileFormat::Parquet {
        return Err(LakeError::NotParquet {
            path: file.file_path().to_owned(),
            format: file.file_format().to_string(),
        });
    }
    let location: Arc<str> = file.file_path().into();
    let path = local_path(&location)?;
    let (origin, pieces) = match stream_pieces(&path)? {
        None => (FileOrigin::Foreign(location.clone()), Vec::new()),
        Some(pieces) => {
            let piece = |piece: &Piece| PlannedPiece {
                chunk: piece.chunk,
                rows: piece.rows,
                columns: chunk_columns(piece, columns),
            };
            let chunks = pieces.iter().map(|piece| piece.chunk).collect();
            (FileOrigin::Stream(chunks), pieces.iter().map(piece).collect())
        }
    };
    let file = DataFile {
        path,
        origin,
        rows: file.record_count(),
        bytes: file.file_size_in_bytes(),
        columns: file_columns(file, columns),
        dead: None,
    };
    Ok(PlannedFile { file, location, scope, pieces })
}

/// The record of a file that our committer wrote; `None`: it is someone else's.
fn stream_pieces(path: &Path) -> Result<Option<Vec<Piece>>, LakeError> {
    let name = path.file_name().and_then(|name| name.to_str());
    if name.is_some_and(|name| name.starts_with(STREAM_FILE)) {
        record::read(path)
    } else {
        Ok(None)
    }
}

fn chunk_columns(piece: &Piece, columns: &Columns) -> Arc<[ColumnStatistics]> {
    let recorded: HashMap<i32, &ColumnStatistics> =
        piece.columns.iter().map(|(id, column)| (*id, column)).collect();
    let fields = columns.ids.iter().zip(columns.schema.fields());
    let column = |(id, field): (&i32, &Arc<arrow::datatypes::Field>)| match recorded.get(id) {
        Some(column) => (*column).clone(),
        // The column was added after the file was written.
        None if !columns.defaults.contains(id) => absent(piece.rows, field.data_type()),
        None => ColumnStatistics { rows: piece.rows, ..ColumnStatistics::default() },
    };
    fields.map(column).collect()
}

/// The manifest's bounds: good for pruning, they may be cut short.
fn file_columns(file: &spec::DataFile, columns: &Columns) -> Arc<[ColumnStatistics]> {
    let column = |id: &i32| ColumnStatistics {
        lower: file.lower_bounds().get(id).and_then(|bound| scalar(bound, End::Lower)),
        upper: file.upper_bounds().get(id).and_then(|bound| scalar(bound, End::Upper)),
        nulls: file.null_value_counts().get(id).copied(),
        nans: file.nan_value_counts().get(id).copied(),
        rows: file.record_count(),
    };
    columns.ids.iter().map(column).collect()
}
