//! Opens DuckDB instances and locks them: what a statement could still try
//! below the vetting ends here. It must never run a client's statement itself.

use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};

use crate::error::{EngineError, Source};
use crate::settings::EngineSettings;
use crate::sql_type::literal;
use crate::statement::DISABLED_OPTIMIZERS;

/// Memory of the instance that binds statements over empty tables.
const PLANNER_MEMORY_BYTES: u64 = 256 * 1024 * 1024;
/// What spilling statements may take on disk, as a multiple of the memory.
const SCRATCH_FACTOR: u64 = 8;

/// The instance that runs statements: it may read the readable folders, spill
/// into the scratch folder, and nothing else. `extend` registers functions before the lock.
///
/// # Errors
/// Settings that cannot be used; DuckDB's own.
pub(crate) fn open_executor(
    settings: &EngineSettings,
    extend: impl FnOnce(&Connection) -> duckdb::Result<()>,
) -> Result<Connection, EngineError> {
    let scratch = existing(&settings.scratch_folder)?;
    let readable = settings.readable_folders.iter().map(|f| existing(f));
    let mut allowed = readable.collect::<Result<Vec<_>, _>>()?;
    allowed.push(scratch.clone());
    let allowed: Vec<String> = allowed.iter().map(|folder| literal(folder)).collect();
    let connection = open(settings.memory_bytes, settings.threads)?;
    extend(&connection).map_err(|e| EngineError::internal("extend DuckDB")(Box::new(e)))?;
    let lock = [
        format!("SET GLOBAL temp_directory = {}", literal(&scratch)),
        format!(
            "SET GLOBAL max_temp_directory_size = '{}B'",
            settings.memory_bytes.saturating_mul(SCRATCH_FACTOR)
        ),
        "SET GLOBAL parquet_metadata_cache = true".to_owned(),
        format!("SET GLOBAL allowed_directories = [{}]", allowed.join(", ")),
    ];
    close_doors(&connection, &lock)?;
    Ok(connection)
}

/// The instance that parses, binds and explains statements over empty tables:
/// no files at all, and no optimizer that empty tables would mislead.
///
/// # Errors
/// DuckDB's own.
pub(crate) fn open_planner() -> Result<Connection, EngineError> {
    let connection = open(PLANNER_MEMORY_BYTES, 1)?;
    let plan = [
        "SET GLOBAL temp_directory = ''".to_owned(),
        format!("SET GLOBAL disabled_optimizers = {}", literal(DISABLED_OPTIMIZERS)),
    ];
    close_doors(&connection, &plan)?;
    Ok(connection)
}

fn open(memory_bytes: u64, threads: usize) -> Result<Connection, EngineError> {
    let open = || {
        let config = Config::default()
            .with("memory_limit", format!("{memory_bytes}B"))?
            .with("threads", threads.to_string())?
            .with("autoinstall_known_extensions", "false")?
            .with("autoload_known_extensions", "false")?
            .with("allow_community_extensions", "false")?;
        Connection::open_in_memory_with_flags(config)
    };
    open().map_err(|e| EngineError::internal("open DuckDB")(Box::new(e)))
}

/// In this order: what is set after the lock is refused, and the lists of
/// folders freeze once external access is off.
fn close_doors(connection: &Connection, settings: &[String]) -> Result<(), EngineError> {
    let common = ["SET GLOBAL TimeZone = 'UTC'", "SET GLOBAL errors_as_json = true"];
    let last =
        ["SET GLOBAL enable_external_access = false", "SET GLOBAL lock_configuration = true"];
    for statement in common.into_iter().chain(settings.iter().map(String::as_str)).chain(last) {
        connection
            .execute_batch(statement)
            .map_err(|e| EngineError::internal("lock DuckDB")(Box::new(e) as Source))?;
    }
    Ok(())
}

/// The folder's real path with a slash at its end; made if absent.
fn existing(folder: &Path) -> Result<String, EngineError> {
    let real = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
    let real: PathBuf = real.map_err(|e| {
        tracing::error!(folder = %folder.display(), error = %e, "cannot use the folder");
        EngineError::Internal { what: "open a folder of its settings", source: Box::new(e) }
    })?;
    let text = real.to_str().ok_or_else(|| EngineError::InvalidSettings {
        detail: format!("the folder {} is not UTF-8: choose another", folder.display()),
    })?;
    Ok(format!("{}/", text.trim_end_matches('/')))
}
