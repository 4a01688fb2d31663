//! What columns a Parquet file has, by field id and name, so that files of
//! older schemas are read by field id. Footers are read once and kept in a
//! bounded cache. It must never know a table's schema.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use quick_cache::sync::Cache;

use crate::error::{EngineError, Source};

/// Files whose columns are remembered.
const REMEMBERED_FILES: usize = 65_536;
/// Distinct lists of columns that are shared between files.
const REMEMBERED_SHAPES: usize = 1_024;

/// Top-level columns of a file in order: field id where the file has one, and name.
pub(crate) type FileColumns = Arc<[(Option<i32>, String)]>;

/// Which paths may name other bytes later.
#[derive(Clone, Copy)]
pub(super) enum Naming {
    /// None: a lake's data files.
    Unique,
    /// Numbered afresh in each life of a table: a tail's segments.
    Reused,
}

/// Size and time of change of a file whose name may be used again.
type Stamp = Option<(u64, SystemTime)>;

/// The columns of files.
pub(crate) struct Footers {
    files: Cache<PathBuf, (Stamp, FileColumns)>,
    shapes: Cache<FileColumns, FileColumns>,
}

impl Footers {
    pub(crate) fn new() -> Self {
        Self { files: Cache::new(REMEMBERED_FILES), shapes: Cache::new(REMEMBERED_SHAPES) }
    }

    /// The columns of the file at `path`; files of one writer share one list.
    ///
    /// # Errors
    /// A file that cannot be read or is no Parquet.
    pub(super) fn columns(&self, path: &Path, naming: Naming) -> Result<FileColumns, EngineError> {
        let failed = |error: Source| {
            tracing::error!(path = %path.display(), %error, "cannot read a data file's footer");
            EngineError::internal("read a data file's footer")(error)
        };
        let stamp = stamp(path, naming).map_err(|e| failed(Box::new(e)))?;
        if let Some((_, columns)) = self.files.get(path).filter(|(known, _)| *known == stamp) {
            return Ok(columns);
        }
        let columns = read(path).map_err(|e| failed(Box::new(e)))?;
        let shared = self.shapes.get(&columns).unwrap_or_else(|| {
            self.shapes.insert(Arc::clone(&columns), Arc::clone(&columns));
            columns
        });
        self.files.insert(path.to_path_buf(), (stamp, Arc::clone(&shared)));
        Ok(shared)
    }
}

fn stamp(path: &Path, naming: Naming) -> io::Result<Stamp> {
    match naming {
        Naming::Unique => Ok(None),
        Naming::Reused => {
            let metadata = std::fs::metadata(path)?;
            Ok(Some((metadata.len(), metadata.modified()?)))
        }
    }
}

fn read(path: &Path) -> Result<FileColumns, ParquetError> {
    let file = File::open(path).map_err(|e: io::Error| ParquetError::External(Box::new(e)))?;
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
    let metadata = reader.parse_and_finish(&file)?;
    let fields = metadata.file_metadata().schema().get_fields();
    let column = |field: &parquet::schema::types::TypePtr| {
        let info = field.get_basic_info();
        (info.has_id().then(|| info.id()), info.name().to_owned())
    };
    Ok(fields.iter().map(column).collect())
}
