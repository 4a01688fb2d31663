//! What can go wrong in the lake. Each message says what to change; sources
//! are kept, never turned into text.

use std::path::PathBuf;

/// Why the lake could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The settings name something that cannot be used.
    #[error("catalog: {what}")]
    Settings {
        /// What to change.
        what: String,
    },
    /// The catalog or its storage failed.
    #[error("{action}")]
    Catalog {
        /// What was being done.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// The catalog's database failed.
    #[error("cannot ask the catalog's database for the table's state")]
    Database {
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// No such table, and no columns to make it with.
    #[error("table `{identifier}` does not exist; give `columns` to have it made")]
    TableMissing {
        /// `namespace.table`.
        identifier: String,
    },
    /// The columns that are configured are not the table's.
    #[error("table `{identifier}` differs from its `columns`: {difference}")]
    SchemaDiffers {
        /// `namespace.table`.
        identifier: String,
        /// The first difference.
        difference: String,
    },
    /// The configured partition does not fit the columns.
    #[error("partition `{partition}` does not fit the table's columns")]
    Partition {
        /// As configured.
        partition: String,
        /// Why.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// A delete file or deletion vector cannot be read, so that deleted rows would come back.
    #[error("delete file {path} cannot be read")]
    DeleteFile {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A data file is not Parquet.
    #[error("data file {path} is {format}; only Parquet can be read")]
    NotParquet {
        /// The file.
        path: String,
        /// Its format.
        format: String,
    },
    /// A data file does not lie on this machine.
    #[error("{path} does not lie in a local folder; only file:// is supported in this version")]
    NotLocal {
        /// The file.
        path: String,
    },
    /// A Parquet file cannot be read or written.
    #[error("Parquet file {path}")]
    Parquet {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A local file cannot be read or written.
    #[error("{path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Rows do not have the table's shape.
    #[error("rows do not fit the table: {what}")]
    Rows {
        /// What does not fit.
        what: String,
    },
    /// Arrow refused.
    #[error("rows cannot be rearranged")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A record of ours (chunks, offsets, epoch) cannot be understood.
    #[error("{what} of {place} cannot be read; was it written by a newer version?")]
    Record {
        /// Which record.
        what: &'static str,
        /// Where.
        place: String,
    },
    /// Others kept committing, so that ours never found its base unchanged.
    #[error("others committed to the table {attempts} times in a row; try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// Whether a commit happened cannot be told now.
    #[error("whether the commit happened cannot be told")]
    OutcomeUnknown {
        /// What hid it.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// A worker thread ended before its work.
    #[error("the work was cut off")]
    CutOff(#[from] tokio::task::JoinError),
}

impl LakeError {
    /// Wraps a catalog's error with what was being done.
    pub(crate) fn catalog(action: impl Into<String>) -> impl FnOnce(iceberg::Error) -> Self {
        let action = action.into();
        move |source| Self::Catalog { action, source: Box::new(source) }
    }

    /// Wraps what keeps a delete file from being read.
    pub(crate) fn delete_file<E>(path: &str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = path.to_owned();
        move |source| Self::DeleteFile { path, source: source.into() }
    }

    /// Whether the same call may succeed later without anything being changed here.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Catalog { .. }
                | Self::Database { .. }
                | Self::File { .. }
                | Self::Contended { .. }
                | Self::OutcomeUnknown { .. }
                | Self::CutOff(_)
        )
    }
}
