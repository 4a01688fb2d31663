//! The connection to the catalog: Iceberg's SQL catalog on SQLite, local
//! storage, and a cheap question for "did anything change?".
//!
//! It must never know what a table holds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use iceberg::{Catalog, CatalogBuilder as _, TableIdent};
use iceberg_catalog_sql::{
    SQL_CATALOG_PROP_BIND_STYLE, SQL_CATALOG_PROP_URI, SQL_CATALOG_PROP_WAREHOUSE, SqlBindStyle,
    SqlCatalogBuilder,
};
use iceberg_storage_opendal::OpenDalStorageFactory;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

use super::LakeError;
use crate::settings::{CatalogKind, CatalogSettings};

/// The catalog's database where the settings name none.
const DATABASE_FILE: &str = "catalog.sqlite";
/// The folder of tables where the settings name none.
const WAREHOUSE_FOLDER: &str = "warehouse";
/// Connections that ask for a table's state; the catalog itself has its own.
const POINTER_CONNECTIONS: u32 = 2;

/// A catalog and the database behind it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) catalog: Arc<dyn Catalog>,
    database: SqlitePool,
    name: Arc<str>,
}

impl Connection {
    pub(super) async fn open(settings: &CatalogSettings, folder: &Path) -> Result<Self, LakeError> {
        match settings.kind {
            CatalogKind::Sql => {}
            CatalogKind::Rest => return Err(not_yet("rest")),
            CatalogKind::Glue => return Err(not_yet("glue")),
        }
        let uri = match &settings.uri {
            Some(uri) => writable(uri)?,
            None => own_database(folder).await?,
        };
        let warehouse = match &settings.warehouse {
            Some(warehouse) => warehouse_url(warehouse)?,
            None => warehouse_url(&absolute(&folder.join(WAREHOUSE_FOLDER))?.to_string_lossy())?,
        };
        let properties = HashMap::from([
            (SQL_CATALOG_PROP_URI.to_owned(), uri.clone()),
            (SQL_CATALOG_PROP_WAREHOUSE.to_owned(), warehouse),
            (SQL_CATALOG_PROP_BIND_STYLE.to_owned(), SqlBindStyle::QMark.to_string()),
        ]);
        let catalog = SqlCatalogBuilder::default()
            .with_storage_factory(Arc::new(OpenDalStorageFactory::Fs))
            .load(settings.name.as_str(), properties)
            .await
            .map_err(LakeError::catalog(format!("cannot open the catalog {uri}")))?;
        let options = options(&uri)?;
        let database = SqlitePoolOptions::new()
            .max_connections(POINTER_CONNECTIONS)
            .connect_lazy_with(options);
        Ok(Self { catalog: Arc::new(catalog), database, name: settings.name.as_str().into() })
    }

    /// Where the table's current metadata lies: one indexed row, no file is read.
    pub(super) async fn metadata_location(
        &self,
        table: &TableIdent,
    ) -> Result<Option<String>, LakeError> {
        const STATEMENT: &str = "SELECT metadata_location FROM iceberg_tables \
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?";
        sqlx::query_scalar(STATEMENT)
            .bind(self.name.as_ref())
            .bind(table.namespace().join("."))
            .bind(table.name())
            .fetch_optional(&self.database)
            .await
            .map(Option::flatten)
            .map_err(|source| LakeError::Database { source })
    }

    /// The same connection with its catalog replaced by `wrap(catalog)`.
    #[cfg(test)]
    pub(crate) fn wrapped(&self, wrap: impl FnOnce(Arc<dyn Catalog>) -> Arc<dyn Catalog>) -> Self {
        Self { catalog: wrap(self.catalog.clone()), ..self.clone() }
    }
}

fn not_yet(kind: &str) -> LakeError {
    let what = format!("type = \"{kind}\" is not in this version; use type = \"sql\"");
    LakeError::Settings { what }
}

/// Makes our own database: with a write-ahead log, so that readers do not wait for commits.
async fn own_database(folder: &Path) -> Result<String, LakeError> {
    let folder = absolute(folder)?;
    make_folder(&folder)?;
    let uri = format!("sqlite://{}?mode=rwc", folder.join(DATABASE_FILE).display());
    let options = options(&uri)?.journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .map_err(|source| LakeError::Database { source })?;
    pool.close().await;
    Ok(uri)
}

/// SQLite opens a database for writing, and makes it, only where its URI says so.
fn writable(uri: &str) -> Result<String, LakeError> {
    if !uri.starts_with("sqlite:") {
        let what = format!(
            "uri = \"{uri}\": the sql catalog of this version lives in SQLite; write \"sqlite:///absolute/path\""
        );
        return Err(LakeError::Settings { what });
    }
    if uri.contains("mode=") {
        return Ok(uri.to_owned());
    }
    let joint = if uri.contains('?') { '&' } else { '?' };
    Ok(format!("{uri}{joint}mode=rwc"))
}

fn options(uri: &str) -> Result<SqliteConnectOptions, LakeError> {
    SqliteConnectOptions::from_str(uri).map_err(|source| LakeError::Database { source })
}

/// A `file://` URL of an absolute path, without a slash at its end.
fn warehouse_url(warehouse: &str) -> Result<String, LakeError> {
    let path = warehouse.strip_prefix("file://").unwrap_or(warehouse);
    if path.contains("://") {
        let what = format!(
            "warehouse = \"{warehouse}\": only a local folder is supported in this version; write an absolute path or file://"
        );
        return Err(LakeError::Settings { what });
    }
    if !path.starts_with('/') {
        let what = format!("warehouse = \"{warehouse}\" must be an absolute path or a file:// URL");
        return Err(LakeError::Settings { what });
    }
    make_folder(Path::new(path))?;
    Ok(format!("file://{}", path.trim_end_matches('/')))
}

fn make_folder(path: &Path) -> Result<(), LakeError> {
    std::fs::create_dir_all(path)
        .map_err(|source| LakeError::File { path: path.to_owned(), source })
}

fn absolute(path: &Path) -> Result<PathBuf, LakeError> {
    std::path::absolute(path).map_err(|source| LakeError::File { path: path.to_owned(), source })
}
