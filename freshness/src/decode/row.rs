//! One JSON object against a schema. The outer shape is read by `serde_json`
//! (strict JSON, one value, nothing behind it); each member's text is kept raw
//! and handed to [`super::cell`], so digits survive whatever their number.
//!
//! It must never know what becomes of a row.

use std::borrow::Cow;
use std::fmt;

use arrow::datatypes::SchemaRef;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::cell::{self, Cell, InvalidCell};
use super::kind::{Kind, Member, UnsupportedColumn};
use crate::settings::UnknownColumns;

/// The most characters of an unknown column's name that are told.
const NAME_CHARS: usize = 100;

/// Why a record is no row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRow {
    /// A record without a value; an append-only table cannot take it.
    #[error("the record has no value (a tombstone), and the table is append-only")]
    Tombstone,
    /// Not text.
    #[error("not UTF-8 text")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// Not one JSON object.
    #[error("not one JSON object")]
    NotJson(#[source] serde_json::Error),
    /// A column that may not be NULL has no value.
    #[error("column `{column}` is required and has no value")]
    Missing {
        /// The column.
        column: String,
    },
    /// A column is there twice.
    #[error("column `{column}` is given twice")]
    Repeated {
        /// The column.
        column: String,
    },
    /// A member is no column, and the table does not ignore those.
    #[error("there is no column `{column}`{}", did_you_mean(.nearest.as_deref()))]
    UnknownColumn {
        /// The member's name.
        column: String,
        /// The column that looks most like it.
        nearest: Option<String>,
    },
    /// No member is a column: a row of NULLs alone that nobody meant.
    #[error("no member is a column of the table")]
    NoColumn,
    /// A value does not fit its column.
    #[error("column `{column}`: {source}")]
    Value {
        /// The column.
        column: String,
        /// Expected and found.
        source: InvalidCell,
    },
}

impl InvalidRow {
    /// The column that is to blame, with its place in nested columns (`a.b`).
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Missing { column }
            | Self::Repeated { column }
            | Self::UnknownColumn { column, .. }
            | Self::Value { column, .. } => Some(column),
            Self::Tombstone | Self::NotUtf8(_) | Self::NotJson(_) | Self::NoColumn => None,
        }
    }

    /// The whole reason in one line, with what lies beneath it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::NotJson(source) => format!("{self}: {source}"),
            Self::NotUtf8(source) => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }

    pub(super) fn within(mut self, outer: &str) -> Self {
        match &mut self {
            Self::Missing { column }
            | Self::Repeated { column }
            | Self::UnknownColumn { column, .. }
            | Self::Value { column, .. } => {
                column.insert(0, '.');
                column.insert_str(0, outer);
            }
            Self::Tombstone | Self::NotUtf8(_) | Self::NotJson(_) | Self::NoColumn => {}
        }
        self
    }
}

/// How rows of a schema are read.
#[derive(Clone, Debug)]
pub(super) struct RowPlan {
    schema: SchemaRef,
    columns: Vec<Member>,
    unknown: UnknownColumns,
}

impl RowPlan {
    pub(super) fn new(
        schema: SchemaRef,
        unknown: UnknownColumns,
    ) -> Result<Self, UnsupportedColumn> {
        let columns = schema.fields().iter().map(|f| Member::new(f)).collect::<Result<_, _>>()?;
        Ok(Self { schema, columns, unknown })
    }

    pub(super) const fn unknown(&self) -> UnknownColumns {
        self.unknown
    }

    pub(super) const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.columns.iter().map(|column| &column.kind)
    }

    /// Room for one row, to be used again for the next.
    pub(super) fn cells<'a>(&self) -> Vec<Cell<'a>> {
        vec![Cell::Null; self.columns.len()]
    }

    /// Reads one record's value into `cells`; what they hold after an error means nothing.
    pub(super) fn read<'a>(
        &self,
        value: Option<&'a [u8]>,
        cells: &mut Vec<Cell<'a>>,
    ) -> Result<(), InvalidRow> {
        let text = std::str::from_utf8(value.ok_or(InvalidRow::Tombstone)?)?;
        cells.clear();
        cells.resize(self.columns.len(), Cell::Null);
        let found = read_members(&self.columns, text, cells, self.unknown)?;
        if found { Ok(()) } else { Err(InvalidRow::NoColumn) }
    }
}

/// The members of a nested struct.
pub(super) fn read_struct<'a>(
    members: &[Member],
    raw: &'a str,
) -> Result<Vec<Cell<'a>>, InvalidRow> {
    let mut cells = vec![Cell::Null; members.len()];
    read_members(members, raw, &mut cells, UnknownColumns::Ignore)?;
    Ok(cells)
}

/// The elements of a list.
pub(super) fn read_list<'a>(element: &Member, raw: &'a str) -> Result<Vec<Cell<'a>>, InvalidRow> {
    let elements = parse(raw, RawElements)?;
    elements.into_iter().map(|raw| cell::read(element, raw)).collect()
}

/// The entries of a map; a key given twice is refused.
pub(super) fn read_map<'a>(
    value: &Member,
    raw: &'a str,
) -> Result<Vec<(Cow<'a, str>, Cell<'a>)>, InvalidRow> {
    let entries = parse(raw, RawEntries)?;
    let mut keys = std::collections::HashSet::with_capacity(entries.len());
    if let Some((key, _)) = entries.iter().find(|(key, _)| !keys.insert(key.as_ref())) {
        return Err(InvalidRow::Repeated { column: key.clone().into_owned() });
    }
    entries.into_iter().map(|(key, raw)| Ok((key, cell::read(value, raw)?))).collect()
}

/// Whether any member was there.
fn read_members<'a>(
    members: &[Member],
    text: &'a str,
    cells: &mut [Cell<'a>],
    unknown: UnknownColumns,
) -> Result<bool, InvalidRow> {
    let mut found = vec![false; members.len()];
    let mut first_fault = None;
    let fault = &mut first_fault;
    parse(text, Object { members, cells, unknown, found: &mut found, fault })?;
    if let Some(fault) = first_fault {
        return Err(fault);
    }
    let missing = members.iter().zip(&found).find(|(member, found)| member.required && !**found);
    match missing {
        Some((member, _)) => Err(InvalidRow::Missing { column: member.name.clone() }),
        None => Ok(found.contains(&true)),
    }
}

fn parse<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> Result<S::Value, InvalidRow> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer).map_err(InvalidRow::NotJson)?;
    deserializer.end().map_err(InvalidRow::NotJson)?;
    Ok(value)
}

/// Reads an object's members into cells. The first fault is kept and the rest
/// still read, so that broken JSON is told as such.
struct Object<'m, 'a> {
    members: &'m [Member],
    cells: &'m mut [Cell<'a>],
    unknown: UnknownColumns,
    found: &'m mut [bool],
    fault: &'m mut Option<InvalidRow>,
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut likely = 0;
        let names = self.unknown != UnknownColumns::Ignore;
        while let Some(name) = map.next_key_seed(Name { members: self.members, likely, names })? {
            let index = match name {
                Named::Column(index) => index,
                Named::Unknown(name) => {
                    map.next_value::<IgnoredAny>()?;
                    let fault = name.map(|name| unknown_column(name, self.members));
                    *self.fault = self.fault.take().or(fault);
                    continue;
                }
            };
            likely = index + 1;
            let raw: &'a RawValue = map.next_value()?;
            let member = &self.members[index];
            let cell = match std::mem::replace(&mut self.found[index], true) {
                true => Err(InvalidRow::Repeated { column: member.name.clone() }),
                false => cell::read(member, raw.get()),
            };
            match cell {
                Ok(cell) => self.cells[index] = cell,
                Err(fault) => *self.fault = self.fault.take().or(Some(fault)),
            }
        }
        Ok(())
    }
}

/// A member's name to its index. Producers write members in one order, so the
/// one after the last is tried first.
struct Name<'m> {
    members: &'m [Member],
    likely: usize,
    /// Whether the name of what is no column is wanted.
    names: bool,
}

/// A member by its name.
enum Named {
    Column(usize),
    Unknown(Option<String>),
}

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Named;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let likely = self.members.get(self.likely).filter(|member| member.name == name);
        let index = match likely {
            Some(_) => Some(self.likely),
            None => self.members.iter().position(|member| member.name == name),
        };
        Ok(match index {
            Some(index) => Named::Column(index),
            None => Named::Unknown(self.names.then(|| name.chars().take(NAME_CHARS).collect())),
        })
    }
}

fn unknown_column(column: String, members: &[Member]) -> InvalidRow {
    let lower = column.to_lowercase();
    let distance = |name: &&str| strsim::damerau_levenshtein(&lower, &name.to_lowercase());
    let most = (column.chars().count() / 3).clamp(1, 3);
    let names = members.iter().map(|member| member.name.as_str());
    let nearest = names.min_by_key(distance).filter(|name| distance(name) <= most);
    InvalidRow::UnknownColumn { nearest: nearest.map(str::to_owned), column }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

struct RawElements;

impl<'a> DeserializeSeed<'a> for RawElements {
    type Value = Vec<&'a str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for RawElements {
    type Value = Vec<&'a str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(raw) = seq.next_element::<&'a RawValue>()? {
            elements.push(raw.get());
        }
        Ok(elements)
    }
}

struct RawEntries;

impl<'a> DeserializeSeed<'a> for RawEntries {
    type Value = Vec<(Cow<'a, str>, &'a str)>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for RawEntries {
    type Value = Vec<(Cow<'a, str>, &'a str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let raw: &'a RawValue = map.next_value()?;
            entries.push((Cow::Owned(key), raw.get()));
        }
        Ok(entries)
    }
}
