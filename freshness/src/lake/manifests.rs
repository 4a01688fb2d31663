//! Manifests as lists of data files: read once, for they never change, and kept
//! in a bounded cache by path.
//!
//! It must never know snapshots or boundaries.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use iceberg::io::FileIO;
use iceberg::spec::{self, DataContentType, DataFileFormat, Manifest};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use springtide_relation::{ChunkId, ColumnStatistics, DataFile, FileOrigin};

use super::LakeError;
use super::bounds::{End, scalar};
use super::columns::field_ids;
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
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) files: Vec<DataFile>,
    pub(super) pieces: Vec<(ChunkId, Arc<[ColumnStatistics]>)>,
    /// A delete file that is live, if there is one.
    pub(super) deletes: Option<String>,
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
        1 + (planned.files.len() + planned.pieces.len()) as u64
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
        path: &str,
        columns: &Columns,
    ) -> Result<Arc<Planned>, LakeError> {
        let failed = || LakeError::catalog(format!("cannot read manifest {path}"));
        let input = file_io.new_input(path).map_err(failed())?;
        let bytes = input.read().await.map_err(failed())?;
        let given = columns.clone();
        let work = tokio::task::spawn_blocking(move || {
            let manifest = Manifest::parse_avro(&bytes)
                .map_err(LakeError::catalog("a manifest cannot be understood"))?;
            plan(&manifest, &given)
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

fn plan(manifest: &Manifest, columns: &Columns) -> Result<Planned, LakeError> {
    let mut planned = Planned { files: Vec::new(), pieces: Vec::new(), deletes: None };
    for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
        let file = entry.data_file();
        if file.content_type() != DataContentType::Data {
            planned.deletes = Some(file.file_path().to_owned());
            break;
        }
        if file.file_format() != DataFileFormat::Parquet {
            return Err(LakeError::NotParquet {
                path: file.file_path().to_owned(),
                format: file.file_format().to_string(),
            });
        }
        let path = local_path(file.file_path())?;
        let origin = match stream_pieces(&path)? {
            None => FileOrigin::Foreign(file.file_path().into()),
            Some(pieces) => {
                let chunks = pieces.iter().map(|piece| piece.chunk).collect();
                planned.pieces.extend(pieces.iter().map(|p| (p.chunk, chunk_columns(p, columns))));
                FileOrigin::Stream(chunks)
            }
        };
        planned.files.push(DataFile {
            path,
            origin,
            rows: file.record_count(),
            bytes: file.file_size_in_bytes(),
            columns: file_columns(file, columns),
        });
    }
    Ok(planned)
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
