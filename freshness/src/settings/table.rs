//! One `[[table]]`: its name, its place in the catalog, its topic, its columns
//! and when its rows are committed.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use springtide_protocol::TableName;
use springtide_relation::TagPartition;

use super::column::ColumnSettings;
use super::{InvalidSettings, units};

/// `[[table]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSettings {
    /// `name`: its name in SQL and URLs.
    pub name: TableName,
    /// `identifier`: `namespace.table` in the catalog; made when absent and `columns` are given.
    pub identifier: String,
    /// `topic`: the stream of its newest rows. Without one the table is its snapshot.
    #[serde(default)]
    pub topic: Option<String>,
    /// `format`: how a message holds a row. Default `json`.
    #[serde(default)]
    pub format: RowFormat,
    /// `unknown_columns`: what becomes of a row with a member that is no column:
    /// `collect` (a record of the stream becomes a dead letter, an ingest is refused
    /// and names line and column), `ignore` (the member is passed over) or `error` (as
    /// `collect` for an ingest; the stream is not read past such a record until the
    /// table has the column or this key is changed). Members within a nested column
    /// are not looked at. A row without any column of the table is never taken.
    /// Default `collect`.
    #[serde(default)]
    pub unknown_columns: UnknownColumns,
    /// `columns`: for a table that does not exist yet.
    #[serde(default)]
    pub columns: Vec<ColumnSettings>,
    /// `partition_by`: the Iceberg partition spec of a table that does not exist
    /// yet: columns, `year(c)`, `month(c)`, `day(c)`, `hour(c)`.
    #[serde(default, deserialize_with = "partitions")]
    pub partition_by: Vec<TagPartition>,
    /// `tag_partition`: what cache tags name (rule 11). Default: the first of `partition_by`.
    #[serde(default, deserialize_with = "partition")]
    pub tag_partition: Option<TagPartition>,
    /// `commit`: when rows of the tail are committed to the lake.
    #[serde(default)]
    pub commit: CommitSettings,
    /// `foreign_commits`: whether others may append, overwrite or delete too. Then their
    /// commits carry the boundary of the nearest commit of ours; without it, such a
    /// commit makes the boundary unknown and the snapshot alone answers. Default false.
    #[serde(default)]
    pub foreign_commits: bool,
    /// `key`: columns of an upsert table. Not supported yet: must be absent.
    #[serde(default)]
    pub key: Vec<String>,
}

/// How a message holds a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowFormat {
    /// One JSON object.
    #[default]
    Json,
}

/// What becomes of a row with a member that is no column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownColumns {
    /// It is no row, and the stream is not read past it.
    Error,
    /// The member is passed over.
    Ignore,
    /// It is no row: kept aside, or refused.
    #[default]
    Collect,
}

impl UnknownColumns {
    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Ignore => "ignore",
            Self::Collect => "collect",
        }
    }
}

/// `commit = { every = "10s", rows = 100_000, bytes = "64MiB" }`: the first that is reached.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommitSettings {
    /// `enabled`: whether this program commits at all. Default true.
    pub enabled: bool,
    /// `every`: how old the oldest row that is not in the lake may get. Default `10s`.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// `rows`: how many rows may wait. Default 100,000.
    pub rows: u64,
    /// `bytes`: how many bytes (as Arrow arrays) may wait. Default `64MiB`.
    #[serde(with = "units::bytes")]
    pub bytes: u64,
}

impl Default for CommitSettings {
    fn default() -> Self {
        Self { enabled: true, every: Duration::from_secs(10), rows: 100_000, bytes: 64 << 20 }
    }
}

impl TableSettings {
    /// The namespace's parts and the table's name in the catalog.
    ///
    /// # Errors
    /// Where the identifier has no namespace or an empty part.
    pub fn parts(&self) -> Result<(Vec<String>, String), InvalidSettings> {
        let mut parts: Vec<String> = self.identifier.split('.').map(str::to_owned).collect();
        let whole = parts.len() >= 2 && parts.iter().all(|p| !p.is_empty());
        match parts.pop() {
            Some(name) if whole => Ok((parts, name)),
            _ => Err(self.invalid("identifier", "write `namespace.table`")),
        }
    }

    /// The partition that cache tags name.
    #[must_use]
    pub fn tag_partition(&self) -> Option<&TagPartition> {
        self.tag_partition.as_ref().or_else(|| self.partition_by.first())
    }

    pub(super) fn validate(&self) -> Result<(), InvalidSettings> {
        self.parts()?;
        if !self.key.is_empty() {
            let what = "keyed tables are not supported yet; leave `key` out for an append table";
            return Err(self.invalid("key", what));
        }
        if self.topic.as_ref().is_some_and(String::is_empty) {
            return Err(self.invalid("topic", "name a topic or leave the key out"));
        }
        let mut names = std::collections::BTreeSet::new();
        for column in &self.columns {
            // DuckDB's names do not tell upper from lower case.
            if !names.insert(column.name.to_lowercase()) {
                let what = format!("column `{}` is given twice", column.name);
                return Err(self.invalid("columns", what));
            }
        }
        let partitions = self.partition_by.iter().chain(&self.tag_partition);
        for partition in partitions {
            if !names.is_empty() && !names.contains(&partition.column.to_lowercase()) {
                let what = format!("`{partition}` names a column that `columns` does not have");
                return Err(self.invalid("partition_by", what));
            }
        }
        if self.commit.rows == 0 || self.commit.bytes == 0 || self.commit.every.is_zero() {
            return Err(self.invalid("commit", "every, rows and bytes must be above zero"));
        }
        Ok(())
    }

    fn invalid(&self, key: &str, what: impl Into<String>) -> InvalidSettings {
        InvalidSettings::key(format!("table.{}.{key}", self.name), what)
    }
}

fn partitions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TagPartition>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

fn partition<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TagPartition>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}
