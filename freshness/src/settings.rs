//! Configuration of this room: where the catalog is, where the stream is,
//! which tables there are, and the bounds of the tail. Serde types in the
//! shape of `springtide.toml`; what is omitted has its default here.
//!
//! It must never read a file or the environment: the program hands it over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use springtide_protocol::limits::TOPIC_PARTITIONS;

use crate::stream::journal::RETENTION;
use crate::stream::kafka::PRODUCE_WAIT;

mod column;
mod table;
pub mod units;

#[cfg(test)]
mod tests;

pub use column::{ColumnSettings, ColumnType, InvalidColumn};
pub use table::{CommitSettings, RowFormat, TableSettings, UnknownColumns};

/// Everything that this room is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshnessSettings {
    /// The folder of all local state of this room: journal, catalog, warehouse,
    /// dead letters, tail. The program derives it from `dir`.
    pub folder: PathBuf,
    /// `[catalog]`: where the lake's tables are found.
    #[serde(default)]
    pub catalog: CatalogSettings,
    /// `[stream]`: where the newest rows come from.
    #[serde(default)]
    pub stream: StreamSettings,
    /// `[[table]]`: the tables.
    #[serde(default, rename = "table")]
    pub tables: Vec<TableSettings>,
    /// `[tail]`: bounds of what is held between stream and lake.
    #[serde(default)]
    pub tail: TailSettings,
    /// `pin_window`: for how long a version that was issued can be asked for again
    /// with `?v=` (rule 7). It holds back eviction and snapshot expiry. Default `1h`.
    #[serde(default = "pin_window", with = "units::duration")]
    pub pin_window: Duration,
}

/// `[catalog]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogSettings {
    /// `type`: only `sql` so far. Default `sql`.
    #[serde(rename = "type")]
    pub kind: CatalogKind,
    /// `uri`: the catalog's database, `sqlite:/absolute/path?mode=rwc`. Default: a file in the folder.
    pub uri: Option<String>,
    /// `warehouse`: the root of data and metadata, an absolute path or a `file://` URL.
    /// Default: a folder in the folder.
    pub warehouse: Option<String>,
    /// `name`: the catalog's name within its database, so that several programs
    /// that share one database see the same tables. Default `springtide`.
    pub name: String,
    /// `refresh`: how often the catalog is asked for commits by others. Default `1s`.
    #[serde(with = "units::duration")]
    pub refresh: Duration,
}

/// The kinds of catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogKind {
    /// Iceberg's SQL catalog, on SQLite.
    Sql,
    /// A REST catalog: not in this version, refused when it is opened.
    Rest,
    /// AWS Glue: not in this version, refused when it is opened.
    Glue,
}

/// `[stream]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamSettings {
    /// `type`: `journal` (embedded) or `kafka`. Default `journal`.
    #[serde(rename = "type")]
    pub kind: StreamKind,
    /// `bootstrap_servers`: `HOST:PORT`, several joined by commas; Kafka only, required there.
    pub bootstrap_servers: Option<String>,
    /// `partitions`: how many partitions a topic gets that does not exist yet
    /// (the journal, or Kafka where `create_topics` is on). Default 1.
    pub partitions: i32,
    /// `create_topics`: whether a missing Kafka topic is made; the journal's always is. Default false.
    pub create_topics: bool,
    /// `retention`: how long the journal keeps records at least; older ones go once they are
    /// in the lake and no version in the pin window needs them. Kafka's topics have their own. Default `24h`.
    #[serde(with = "units::duration")]
    pub retention: Duration,
    /// `produce_wait`: how long an ingest waits for a Kafka broker that does not
    /// answer; then it is told whether rows may have been added. Default `3s`.
    #[serde(with = "units::duration")]
    pub produce_wait: Duration,
    /// `[stream.settings]`: any librdkafka setting, as text. What decides about
    /// correctness (offset reset, commits, isolation) cannot be set here.
    pub settings: BTreeMap<String, String>,
}

/// The kinds of stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// The embedded journal, a SQLite file in the folder.
    Journal,
    /// Apache Kafka.
    Kafka,
}

/// `[tail]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TailSettings {
    /// `segment_rows`: rows after which a segment is sealed and written to a local file.
    /// Default 32,768.
    pub segment_rows: u64,
    /// `memory`: bytes that a table's unwritten segments may take; at the bound the
    /// stream is not read on until files are written. Default `256MiB`.
    #[serde(with = "units::bytes")]
    pub memory: u64,
    /// `disk`: bytes that a table's segment files may take. Over it, segments that only
    /// the pin window holds are given up early (versions that need them are gone);
    /// what is not in the lake yet is never given up: then the stream is not read on.
    /// Default `4GiB`.
    #[serde(with = "units::bytes")]
    pub disk: u64,
    /// `poll_rows`: most records taken from the stream at a time. Default 20,000.
    pub poll_rows: usize,
    /// `round`: how often it is checked that every partition is read up to its
    /// high watermark (as-of, rule 14). Default `50ms`.
    #[serde(with = "units::duration")]
    pub round: Duration,
}

/// What in a configuration does not hold together. Each names the key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidSettings {
    /// Two tables of one name.
    #[error("[[table]] name = \"{0}\" is given twice; each table needs a name of its own")]
    RepeatedTable(String),
    /// A key is missing or does not fit another.
    #[error("{key}: {what}")]
    Key {
        /// The key's path.
        key: String,
        /// What to change.
        what: String,
    },
}

impl InvalidSettings {
    fn key(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Key { key: key.into(), what: what.into() }
    }
}

impl Default for CatalogSettings {
    fn default() -> Self {
        Self {
            kind: CatalogKind::Sql,
            uri: None,
            warehouse: None,
            name: "springtide".to_owned(),
            refresh: Duration::from_secs(1),
        }
    }
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            kind: StreamKind::Journal,
            bootstrap_servers: None,
            partitions: 1,
            create_topics: false,
            retention: RETENTION,
            produce_wait: PRODUCE_WAIT,
            settings: BTreeMap::new(),
        }
    }
}

impl Default for TailSettings {
    fn default() -> Self {
        Self {
            segment_rows: 32 * 1024,
            memory: 256 << 20,
            disk: 4 << 30,
            poll_rows: 20_000,
            round: Duration::from_millis(50),
        }
    }
}

impl FreshnessSettings {
    /// Settings with defaults and no table, for the state in `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            catalog: CatalogSettings::default(),
            stream: StreamSettings::default(),
            tables: Vec::new(),
            tail: TailSettings::default(),
            pin_window: pin_window(),
        }
    }

    /// Holds the keys against each other.
    ///
    /// # Errors
    /// The first that does not fit, with what to change.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        let mut names = std::collections::BTreeSet::new();
        for table in &self.tables {
            if !names.insert(table.name.clone()) {
                return Err(InvalidSettings::RepeatedTable(table.name.to_string()));
            }
            table.validate()?;
        }
        self.validate_topics()?;
        self.validate_bounds()?;
        if self.stream.kind == StreamKind::Kafka && self.stream.bootstrap_servers.is_none() {
            let what = "is required where type = \"kafka\", for example \"127.0.0.1:9092\"";
            return Err(InvalidSettings::key("stream.bootstrap_servers", what));
        }
        Ok(())
    }

    /// One topic feeds one table: its offsets are that table's version.
    fn validate_topics(&self) -> Result<(), InvalidSettings> {
        let mut topics = BTreeMap::new();
        for table in &self.tables {
            let Some(topic) = &table.topic else { continue };
            if let Some(first) = topics.insert(topic.clone(), table.name.clone()) {
                let key = format!("table.{}.topic", table.name);
                let what = format!("topic `{topic}` already feeds table `{first}`");
                return Err(InvalidSettings::key(key, what));
            }
        }
        Ok(())
    }

    fn validate_bounds(&self) -> Result<(), InvalidSettings> {
        let positive = [
            ("tail.segment_rows", self.tail.segment_rows > 0),
            ("tail.memory", self.tail.memory > 0),
            ("tail.disk", self.tail.disk > 0),
            ("tail.poll_rows", self.tail.poll_rows > 0),
            ("tail.round", !self.tail.round.is_zero()),
            ("catalog.refresh", !self.catalog.refresh.is_zero()),
            ("stream.partitions", self.stream.partitions > 0),
            ("stream.produce_wait", !self.stream.produce_wait.is_zero()),
        ];
        if usize::try_from(self.stream.partitions).is_ok_and(|p| p > TOPIC_PARTITIONS) {
            let what = format!("must be at most {TOPIC_PARTITIONS}: versions name each of them");
            return Err(InvalidSettings::key("stream.partitions", what));
        }
        match positive.iter().find(|(_, holds)| !holds) {
            Some((key, _)) => Err(InvalidSettings::key(*key, "must be greater than zero")),
            None => Ok(()),
        }
    }
}

const fn pin_window() -> Duration {
    Duration::from_secs(3600)
}
