//! What a change touches (rule 11): the table partitions of new rows, by the
//! table's tag partition, until they are more than 16; from then on the table.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Date32Array, PrimitiveArray, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimeUnit};
use springtide_protocol::limits::PARTITION_TAGS;
use springtide_protocol::{TableName, Tag};
use springtide_relation::{ColumnStatistics, DataFile, Scalar, TagPartition};

/// The partition of rows whose value is NULL.
pub const NULL_PARTITION: &str = "__null";

/// Table partitions, or all of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    /// These; may be none.
    Partitions(BTreeSet<String>),
    /// Any part of it.
    Table,
}

impl Default for Touched {
    fn default() -> Self {
        Self::Partitions(BTreeSet::new())
    }
}

impl Touched {
    /// Whether nothing was touched.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Partitions(values) if values.is_empty())
    }

    /// Takes in what another touched.
    pub(crate) fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Table, _) => {}
            (Self::Partitions(own), Self::Partitions(values)) => {
                own.extend(values);
                if own.len() > PARTITION_TAGS {
                    *self = Self::Table;
                }
            }
            (Self::Partitions(_), Self::Table) => *self = Self::Table,
        }
    }

    /// The tags: each partition's, and always the table's.
    pub(crate) fn tags(&self, table: &TableName) -> Vec<Tag> {
        let mut tags = vec![Tag::Table(table.clone())];
        if let Self::Partitions(values) = self {
            tags.extend(values.iter().map(|value| Tag::partition(table, value)));
        }
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// The partitions of files that are in one list only, or of which other rows are
    /// deleted: rows that came or went without passing through the tail.
    pub(crate) fn of_files(
        (before, after): (&[DataFile], &[DataFile]),
        schema: &SchemaRef,
        partition: Option<&TagPartition>,
    ) -> Self {
        let column = partition.and_then(|p| Some((p, column_index(schema, &p.column)?)));
        let Some((partition, index)) = column else { return Self::Table };
        let (old, new) = (states(before), states(after));
        let came = after.iter().filter(|file| !old.contains(&state(file)));
        let went = before.iter().filter(|file| !new.contains(&state(file)));
        let mut touched = Self::default();
        for file in came.chain(went) {
            let values = file.columns.get(index).and_then(|c| bounded(c, partition));
            touched.join(values.map_or(Self::Table, Self::Partitions));
        }
        touched
    }

    /// The partitions of some rows.
    pub(crate) fn of_rows(rows: &RecordBatch, partition: Option<&TagPartition>) -> Self {
        let column = partition
            .and_then(|p| Some((p, rows.column(column_index(&rows.schema(), &p.column)?))));
        let Some((partition, column)) = column else { return Self::Table };
        values(column, partition).map_or(Self::Table, Self::Partitions)
    }
}

/// What decides a file's rows: its path and what deleted some of them.
type State<'a> = (&'a Path, Option<&'a [Arc<str>]>);

fn state(file: &DataFile) -> State<'_> {
    (&file.path, file.dead.as_ref().map(|dead| &dead.deletes()[..]))
}

fn states(files: &[DataFile]) -> HashSet<State<'_>> {
    files.iter().map(state).collect()
}

/// The partitions between a column's bounds; `None` where they are not known or too many.
fn bounded(column: &ColumnStatistics, partition: &TagPartition) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    if column.nulls? > 0 {
        found.insert(NULL_PARTITION.to_owned());
    }
    if column.nulls? < column.rows {
        found.extend(partition.range(column.lower.as_ref()?, column.upper.as_ref()?)?);
    }
    Some(found)
}

/// The index of a column, whose name SQL does not tell upper from lower case of.
fn column_index(schema: &SchemaRef, name: &str) -> Option<usize> {
    schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name))
}

/// The distinct partitions of a column; `None` where they are too many or the
/// type has none.
fn values(column: &ArrayRef, partition: &TagPartition) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    if column.null_count() > 0 {
        found.insert(NULL_PARTITION.to_owned());
    }
    match column.data_type() {
        DataType::Timestamp(_, zone) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let column = cast(column, &micros).ok()?;
            let column = column.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
            collect(primitive(column), Scalar::Timestamp, partition, &mut found)?;
        }
        DataType::Date32 => {
            let column = column.as_any().downcast_ref::<Date32Array>()?;
            collect(primitive(column), Scalar::Date, partition, &mut found)?;
        }
        DataType::Boolean => {
            let column = column.as_any().downcast_ref::<BooleanArray>()?;
            collect(column.iter().flatten(), Scalar::Boolean, partition, &mut found)?;
        }
        DataType::Utf8 => {
            let texts = column.as_string::<i32>().iter().flatten();
            collect(texts, |v| Scalar::Text(v.into()), partition, &mut found)?;
        }
        kind if kind.is_integer() => {
            let column = cast(column, &DataType::Int64).ok()?;
            let column = column.as_primitive::<Int64Type>();
            collect(primitive(column), |v| Scalar::Integer(v.into()), partition, &mut found)?;
        }
        _ => return None,
    }
    (found.len() <= PARTITION_TAGS).then_some(found)
}

fn primitive<T: arrow::datatypes::ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
) -> impl Iterator<Item = T::Native> + '_ {
    array.iter().flatten()
}

/// Adds the partitions of values, each distinct value converted once; `None`
/// where they are too many.
fn collect<V: Copy + Eq + std::hash::Hash>(
    values: impl Iterator<Item = V>,
    scalar: impl Fn(V) -> Scalar,
    partition: &TagPartition,
    found: &mut BTreeSet<String>,
) -> Option<()> {
    let mut seen = HashSet::new();
    for value in values {
        if seen.insert(value) {
            let text = partition.value(&scalar(value))?;
            if !found.contains(&text) {
                found.insert(text);
            }
            if found.len() > PARTITION_TAGS {
                return None;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests;
