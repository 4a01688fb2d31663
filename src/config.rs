//! `springtide.toml`: its keys, and what they hold once read. Where a value came
//! from and what an error says about it is `load`'s.
//!
//! It must never start anything: what is configured is opened in `wiring`.

mod load;
mod place;
mod print;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use springtide_freshness::settings::{
    CatalogSettings, FreshnessSettings, StreamSettings, TableSettings, TailSettings, units,
};
use springtide_origin::AccessSettings;

pub(crate) use load::{ConfigError, Loaded, Source, load};
pub(crate) use print::print_resolved;

/// The whole configuration, validated, its paths absolute.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// `dir`: everything local lives here.
    pub(crate) dir: PathBuf,
    /// `queries`: the folder of published queries.
    pub(crate) queries: PathBuf,
    /// `pin_window`.
    #[serde(with = "units::duration")]
    pub(crate) pin_window: Duration,
    /// `[server]`.
    pub(crate) server: ServerConfig,
    /// `[engine]`.
    pub(crate) engine: EngineConfig,
    /// `[sql]`.
    pub(crate) sql: SqlConfig,
    /// `[limits]`.
    pub(crate) limits: LimitsConfig,
    /// `[edge]`.
    pub(crate) edge: EdgeConfig,
    /// `[access]`.
    #[serde(default)]
    pub(crate) access: AccessSettings,
    /// `[catalog]`.
    pub(crate) catalog: CatalogSettings,
    /// `[stream]`.
    pub(crate) stream: StreamSettings,
    /// `[tail]`.
    pub(crate) tail: TailSettings,
    /// `[[table]]`.
    #[serde(default, rename = "table")]
    pub(crate) tables: Vec<TableSettings>,
}

/// `[server]`: listeners and their end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerConfig {
    /// `edge_listen`.
    pub(crate) edge_listen: SocketAddr,
    /// `origin_listen`.
    pub(crate) origin_listen: SocketAddr,
    /// `shutdown_timeout`: from SIGTERM to the end, whatever still runs.
    #[serde(with = "units::duration")]
    pub(crate) shutdown_timeout: Duration,
    /// `admin_token`: `/v1/admin` always wants it, and so do writes beyond loopback;
    /// where it is set, all writes do.
    pub(crate) admin_token: Option<String>,
}

/// `[engine]`: what DuckDB may use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngineConfig {
    /// `sessions`: statements that run at once.
    pub(crate) sessions: NonZeroUsize,
    /// `threads`: DuckDB's; as many as cores where it is left out.
    pub(crate) threads: Option<NonZeroUsize>,
    /// `memory`.
    #[serde(with = "units::bytes", rename = "memory")]
    pub(crate) memory_bytes: u64,
    /// `waiting_statements`: more are refused.
    pub(crate) waiting_statements: usize,
}

/// `[sql]`: statements.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlConfig {
    /// `adhoc`: whether `/v1/sql` answers.
    pub(crate) adhoc: bool,
    /// `clock_quantum`: the grain of `now()`.
    #[serde(with = "units::duration")]
    pub(crate) clock_quantum: Duration,
    /// `min_version_wait`.
    #[serde(with = "units::duration")]
    pub(crate) min_version_wait: Duration,
}

/// `[limits]`: of one answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsConfig {
    /// `rows`.
    pub(crate) rows: u64,
    /// `bytes`.
    #[serde(with = "units::bytes")]
    pub(crate) bytes: u64,
    /// `time`.
    #[serde(with = "units::duration")]
    pub(crate) time: Duration,
}

/// `[edge]`: the cache.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeConfig {
    /// `memory`.
    #[serde(with = "units::bytes", rename = "memory")]
    pub(crate) memory_bytes: u64,
    /// `upstream`: the origin of `springtide edge`.
    pub(crate) upstream: Option<String>,
    /// `upstream_kind`: `springtide`, or `http` for any other HTTP server.
    pub(crate) upstream_kind: UpstreamKind,
}

/// What stands behind an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UpstreamKind {
    /// An origin of ours: its URLs have a canonical form and it has a change feed.
    Springtide,
    /// Any HTTP server: URLs stay as they are, answers live as their headers say.
    Http,
}

impl Config {
    /// What the room of tables is told.
    pub(crate) fn freshness(&self) -> FreshnessSettings {
        FreshnessSettings {
            folder: self.tables_folder(),
            catalog: self.catalog.clone(),
            stream: self.stream.clone(),
            tables: self.tables.clone(),
            tail: self.tail.clone(),
            pin_window: self.pin_window,
        }
    }

    /// Where catalog, warehouse, journal and tail lie.
    pub(crate) fn tables_folder(&self) -> PathBuf {
        self.dir.join("tables")
    }

    /// The folder of a local warehouse that lies elsewhere.
    pub(crate) fn other_warehouse(&self) -> Option<PathBuf> {
        let warehouse = self.catalog.warehouse.as_deref()?;
        let path = warehouse.strip_prefix("file://").unwrap_or(warehouse);
        (!path.contains("://")).then(|| PathBuf::from(path))
    }

    /// Holds the keys against each other.
    fn validate(&self) -> Result<(), ConfigError> {
        let positive = [
            ("engine.memory", self.engine.memory_bytes > 0),
            ("sql.clock_quantum", !self.sql.clock_quantum.is_zero()),
            ("limits.rows", self.limits.rows > 0),
            ("limits.bytes", self.limits.bytes > 0),
            ("limits.time", !self.limits.time.is_zero()),
            ("edge.memory", self.edge.memory_bytes > 0),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, holds)| !holds) {
            let what = "must be greater than zero".to_owned();
            return Err(ConfigError::Key { key: (*key).to_owned(), what });
        }
        self.freshness().validate()?;
        Ok(())
    }
}
