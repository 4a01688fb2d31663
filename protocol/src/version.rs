//! The content version (rules 1 and 2): what an answer read, as a text that is
//! boundary, validator and read-your-writes token at once.
//!
//! Text: tables joined by `~`, components by `.`, only unreserved URL
//! characters, so that it stands in a header and in a query as it is:
//!
//! ```text
//! flights.u{table uuid}.t{topic id}.s{schema id}.d{decode epoch}.f{foreign sequence}.o{p}-{next}_{p}-{next}
//! T{frozen clock, µs since 1970}      once, where the statement read the clock
//! ```
//!
//! Uuids are base64url without padding. A minimum may leave components out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{Offset, PartitionId, TableName};
use crate::limits::VERSION_BYTES;
use crate::offsets::OffsetMap;

/// The content of one table (rule 1). The snapshot id is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableVersion {
    /// The Iceberg table's uuid.
    pub table_uuid: Uuid,
    /// The topic's id; a topic made again has another. `None`: the table has no stream.
    pub topic_id: Option<Uuid>,
    /// The Iceberg schema's id.
    pub schema_id: i32,
    /// Raised when columns, key or decoding policy change.
    pub decode_epoch: u32,
    /// Sequence number of the last commit that was not ours from the stream; 0: none.
    pub foreign_sequence: i64,
    /// End offsets E, exclusive.
    pub offsets: OffsetMap,
}

/// What one answer read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version {
    /// The tables, in the order of their names.
    pub tables: BTreeMap<TableName, TableVersion>,
    /// The frozen clock T in microseconds since 1970 UTC, where it was used.
    pub time_micros: Option<i64>,
}

/// The components of a table that a minimum names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PartialTableVersion {
    /// Must be equal where named.
    pub table_uuid: Option<Uuid>,
    /// Must be equal where named.
    pub topic_id: Option<Uuid>,
    /// The least schema id.
    pub schema_id: Option<i32>,
    /// The least decode epoch.
    pub decode_epoch: Option<u32>,
    /// The least foreign sequence number.
    pub foreign_sequence: Option<i64>,
    /// The least end offsets; only named partitions count.
    pub offsets: OffsetMap,
}

/// A minimum: a version of which any part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MinVersion {
    /// The tables that it names.
    pub tables: BTreeMap<TableName, PartialTableVersion>,
}

/// How a version stands to a minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtLeast {
    /// Every named component is reached.
    Reached,
    /// Some named component is not reached yet; waiting may help.
    Behind,
    /// Another table or topic: waiting cannot help (409).
    Incomparable,
}

impl AtLeast {
    /// The worse of two: incomparable before behind before reached.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Incomparable, _) | (_, Self::Incomparable) => Self::Incomparable,
            (Self::Behind, _) | (_, Self::Behind) => Self::Behind,
            _ => Self::Reached,
        }
    }
}

/// Why a text is not a version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidVersion {
    /// Over 2 KB.
    #[error("a version is at most {VERSION_BYTES} bytes; this one has {0}")]
    TooLong(usize),
    /// Not of the form.
    #[error("`{0}` is not part of a version; expected for example `flights.o0-1234`")]
    Malformed(String),
    /// A full version lacks a component.
    #[error("the version of table `{0}` lacks its {1}")]
    Incomplete(TableName, &'static str),
}

impl PartialTableVersion {
    /// Compares component by component, and only those that are named.
    #[must_use]
    pub fn reached_by(&self, version: &TableVersion) -> AtLeast {
        let differs =
            |named: Option<Uuid>, actual: Option<Uuid>| named.is_some() && named != actual;
        if differs(self.table_uuid, Some(version.table_uuid))
            || differs(self.topic_id, version.topic_id)
        {
            return AtLeast::Incomparable;
        }
        let reached = self.schema_id.is_none_or(|n| version.schema_id >= n)
            && self.decode_epoch.is_none_or(|n| version.decode_epoch >= n)
            && self.foreign_sequence.is_none_or(|n| version.foreign_sequence >= n)
            && version.offsets.covers(&self.offsets);
        if reached { AtLeast::Reached } else { AtLeast::Behind }
    }
}

impl MinVersion {
    /// Compares with what an answer read; tables that it did not read do not count.
    #[must_use]
    pub fn reached_by(&self, version: &Version) -> AtLeast {
        let tables = self.tables.iter();
        let named =
            tables.filter_map(|(name, min)| Some(min.reached_by(version.tables.get(name)?)));
        named.fold(AtLeast::Reached, AtLeast::and)
    }
}

impl From<&TableVersion> for PartialTableVersion {
    fn from(version: &TableVersion) -> Self {
        Self {
            table_uuid: Some(version.table_uuid),
            topic_id: version.topic_id,
            schema_id: Some(version.schema_id),
            decode_epoch: Some(version.decode_epoch),
            foreign_sequence: Some(version.foreign_sequence),
            offsets: version.offsets.clone(),
        }
    }
}

impl From<&Version> for MinVersion {
    fn from(version: &Version) -> Self {
        let tables = version.tables.iter();
        Self { tables: tables.map(|(n, v)| (n.clone(), v.into())).collect() }
    }
}

impl PartialTableVersion {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uuid = |u: Uuid| URL_SAFE_NO_PAD.encode(u.as_bytes());
        if let Some(u) = self.table_uuid {
            write!(f, ".u{}", uuid(u))?;
        }
        if let Some(t) = self.topic_id {
            write!(f, ".t{}", uuid(t))?;
        }
        if let Some(s) = self.schema_id {
            write!(f, ".s{s}")?;
        }
        if let Some(d) = self.decode_epoch {
            write!(f, ".d{d}")?;
        }
        if let Some(n) = self.foreign_sequence {
            write!(f, ".f{n}")?;
        }
        for (i, (partition, next)) in self.offsets.iter().enumerate() {
            write!(f, "{}{partition}-{next}", if i == 0 { ".o" } else { "_" })?;
        }
        Ok(())
    }

    fn read(&mut self, component: &str) -> Option<()> {
        let uuid = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            Uuid::from_slice(&bytes).ok()
        };
        let (kind, text) = component.split_at_checked(1)?;
        match kind {
            "u" if self.table_uuid.is_none() => self.table_uuid = Some(uuid(text)?),
            "t" if self.topic_id.is_none() => self.topic_id = Some(uuid(text)?),
            "s" if self.schema_id.is_none() => {
                self.schema_id = Some(number(text)?.try_into().ok()?)
            }
            "d" if self.decode_epoch.is_none() => {
                self.decode_epoch = Some(number(text)?.try_into().ok()?);
            }
            "f" if self.foreign_sequence.is_none() => self.foreign_sequence = Some(number(text)?),
            "o" if self.offsets.is_empty() => {
                for entry in text.split('_') {
                    let (partition, next) = entry.split_once('-')?;
                    let partition = PartitionId(number(partition)?.try_into().ok()?);
                    if self.offsets.named(partition).is_some() {
                        return None;
                    }
                    self.offsets.set(partition, Offset(number(next)?));
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// Digits only, without a leading zero, so that equal numbers have equal text.
fn number(text: &str) -> Option<i64> {
    let plain = text == "0" || !text.starts_with('0');
    (plain && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Reads tables and, where allowed, the clock.
fn parse(text: &str) -> Result<(MinVersion, Option<i64>), InvalidVersion> {
    if text.len() > VERSION_BYTES {
        return Err(InvalidVersion::TooLong(text.len()));
    }
    let mut min = MinVersion::default();
    let mut time = None;
    for piece in text.split('~').filter(|p| !p.is_empty()) {
        let malformed = || InvalidVersion::Malformed(piece.chars().take(80).collect());
        if let Some(micros) = piece.strip_prefix('T') {
            if time.replace(number(micros).ok_or_else(malformed)?).is_some() {
                return Err(malformed());
            }
            continue;
        }
        let mut parts = piece.split('.');
        let name = parts.next().unwrap_or_default();
        let name: TableName = name.parse().map_err(|_| malformed())?;
        let mut table = PartialTableVersion::default();
        for component in parts {
            table.read(component).ok_or_else(malformed)?;
        }
        // A name alone promises nothing: most likely it is no version at all.
        let empty = table == PartialTableVersion::default();
        if empty || min.tables.insert(name, table).is_some() {
            return Err(malformed());
        }
    }
    Ok((min, time))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        MinVersion::from(self).fmt(f)?;
        let Some(micros) = self.time_micros else { return Ok(()) };
        write!(f, "{}T{micros}", if self.tables.is_empty() { "" } else { "~" })
    }
}

impl fmt::Display for MinVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, table)) in self.tables.iter().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { "~" })?;
            table.write(f)?;
        }
        Ok(())
    }
}

impl FromStr for MinVersion {
    type Err = InvalidVersion;

    /// Reads a minimum; a whole version, signed or not, is one too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unsigned = text.split_once("~S").map_or(text, |(unsigned, _)| unsigned);
        Ok(parse(unsigned)?.0)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (min, time_micros) = parse(text)?;
        let tables = min.tables.into_iter().map(|(name, table)| {
            let lacks = |what| InvalidVersion::Incomplete(name.clone(), what);
            let version = TableVersion {
                table_uuid: table.table_uuid.ok_or_else(|| lacks("table uuid"))?,
                topic_id: table.topic_id,
                schema_id: table.schema_id.ok_or_else(|| lacks("schema id"))?,
                decode_epoch: table.decode_epoch.ok_or_else(|| lacks("decode epoch"))?,
                foreign_sequence: table
                    .foreign_sequence
                    .ok_or_else(|| lacks("foreign sequence"))?,
                offsets: table.offsets,
            };
            Ok((name, version))
        });
        Ok(Self { tables: tables.collect::<Result<_, _>>()?, time_micros })
    }
}

#[cfg(test)]
mod tests;
