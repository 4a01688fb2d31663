//! Writes the SQL of the views: one SELECT per group of files with equal
//! columns, files with deleted rows apart; one per segment that straddles the
//! window; one over the rows in memory; all cast to the relation's types.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use springtide_protocol::TableName;
use springtide_relation::segment::Overlap;
use springtide_relation::{ColumnStatistics, DeadRows, Relation, Segment, SegmentData, hidden};

use super::Registries;
use super::dead::{self, DeadEntry, DeadRegistry};
use super::footer::{FileColumns, Footers, Naming};
use super::tail::{FUNCTION, TailEntry, TailRegistry, TailRows};
use crate::error::EngineError;
use crate::plan::TableScan;
use crate::sql_type::{holds_float, literal, quoted, sql_type};

/// Written by every Iceberg reader and writer into Arrow field metadata.
const FIELD_ID: &str = "PARQUET:field_id";

/// What one statement reads, by table; its rows in memory are known while it lives.
pub(crate) struct Unions {
    /// One SELECT a table.
    pub(crate) selects: BTreeMap<TableName, String>,
    _tails: Vec<TailEntry>,
    _dead: Vec<DeadEntry>,
}

impl Unions {
    /// Writes the unions of a statement's tables, with one spelling of zero and NaN where
    /// the statement would show which was kept.
    ///
    /// # Errors
    /// A file whose footer cannot be read; a column of a type that SQL has no name for.
    pub(crate) fn new(
        scans: &[TableScan],
        one_spelling: bool,
        footers: &Footers,
        registries: &Registries,
    ) -> Result<Self, EngineError> {
        let mut unions = Self { selects: BTreeMap::new(), _tails: Vec::new(), _dead: Vec::new() };
        for scan in scans {
            let relation = &*scan.relation;
            let columns = columns(&relation.table, &relation.schema, one_spelling)?;
            let (mut selects, dead) = file_selects(scan, &columns, footers, &registries.dead)?;
            unions._dead.extend(dead);
            if let Some(entry) = memory(scan, &registries.tails) {
                let call = format!("{FUNCTION}({})", literal(&entry.id));
                selects.push(format!("SELECT {} FROM {call}", list(&columns, |c| c.cast(&c.name))));
                unions._tails.push(entry);
            }
            if selects.is_empty() {
                selects.push(format!("SELECT {} WHERE false", list(&columns, Column::cast_null)));
            }
            let mut select = selects.join(" UNION ALL ");
            if let Some(filter) = &relation.row_filter {
                let names = list(&columns, |c| quoted(&c.name));
                let table = quoted(relation.table.as_str());
                // The filter may end in a comment.
                select = format!("SELECT {names} FROM ({select}) AS {table} WHERE ({filter}\n)");
            }
            unions.selects.insert(relation.table.clone(), select);
        }
        Ok(unions)
    }

    /// Creates the tables as views.
    pub(crate) fn views(&self) -> String {
        let view = |(table, select): (&TableName, &String)| {
            format!("CREATE OR REPLACE TEMP VIEW {} AS {select};\n", quoted(table.as_str()))
        };
        self.selects.iter().map(view).collect()
    }

    /// A table as it stands in FROM.
    pub(crate) fn subquery(&self, table: &TableName) -> String {
        self.selects.get(table).map_or_else(String::new, |select| format!("({select})"))
    }
}

/// A column of the relation.
struct Column {
    name: String,
    id: Option<i32>,
    sql_type: String,
    /// Where it holds floats.
    float: Option<FloatIn>,
    /// Whether floats are read in one spelling.
    one_spelling: bool,
}

/// Where a column holds floats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FloatIn {
    /// It is one.
    Column,
    /// Inside a nested type.
    Nested,
}

impl Column {
    fn cast(&self, source: &str) -> String {
        format!("{} AS {}", self.spelled(self.typed(source)), quoted(&self.name))
    }

    /// As it is read from a Parquet file. DuckDB takes the bounds in a file's footer for
    /// all of its values, but NaN is above them and left out; so they are hidden.
    fn cast_beyond_bounds(&self, source: &str) -> String {
        let value = self.typed(source);
        let hidden = match self.float {
            Some(FloatIn::Column) => format!("{value} - CAST(0 AS {})", self.sql_type),
            Some(FloatIn::Nested) => {
                format!("CASE WHEN {value} IS NULL THEN NULL ELSE {value} END")
            }
            None => value,
        };
        format!("{} AS {}", self.spelled(hidden), quoted(&self.name))
    }

    fn typed(&self, source: &str) -> String {
        format!("CAST({} AS {})", quoted(source), self.sql_type)
    }

    /// With one spelling of zero and NaN where that is asked for; −0.0 + 0 is 0.0.
    fn spelled(&self, value: String) -> String {
        if !self.one_spelling || self.float != Some(FloatIn::Column) {
            return value;
        }
        let kind = &self.sql_type;
        format!(
            "CASE WHEN isnan({value}) THEN CAST('nan' AS {kind}) ELSE {value} + CAST(0 AS {kind}) END"
        )
    }

    fn cast_null(&self) -> String {
        format!("CAST(NULL AS {}) AS {}", self.sql_type, quoted(&self.name))
    }

    /// What it is called in a file: by field id where file and table have them, else by name.
    fn in_file<'a>(&self, file: &'a FileColumns) -> Option<&'a str> {
        let has_ids = file.iter().any(|(id, name)| id.is_some() && !name.starts_with("__"));
        let found = match self.id.filter(|_| has_ids) {
            Some(id) => file.iter().find(|(other, _)| *other == Some(id)),
            None => file.iter().find(|(_, name)| *name == self.name),
        };
        found.map(|(_, name)| name.as_str())
    }
}

fn columns(
    table: &TableName,
    schema: &Schema,
    one_spelling: bool,
) -> Result<Vec<Column>, EngineError> {
    let column = |field: &Arc<Field>| {
        let sql_type = sql_type(field).ok_or_else(|| EngineError::InvalidSql {
            detail: format!(
                "column `{}` of `{table}` has the type {}, which statements cannot read",
                field.name(),
                field.data_type()
            ),
            position: None,
        })?;
        let id = field.metadata().get(FIELD_ID).and_then(|id| id.parse().ok());
        let float = match field.data_type() {
            kind if kind.is_floating() => Some(FloatIn::Column),
            kind if kind.is_nested() && holds_float(kind) => Some(FloatIn::Nested),
            _ => None,
        };
        Ok(Column { name: field.name().clone(), id, sql_type, float, one_spelling })
    };
    schema.fields().iter().map(column).collect()
}

fn list(columns: &[Column], text: impl Fn(&Column) -> String) -> String {
    columns.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// What each column is called in a group of files, and whether it may hold NaN there.
type Shape = Vec<Option<(String, bool)>>;

/// Files with equal columns that have deleted rows.
#[derive(Default)]
struct Thinned {
    paths: Vec<String>,
    dead: Vec<Arc<DeadRows>>,
}

fn file_selects(
    scan: &TableScan,
    columns: &[Column],
    footers: &Footers,
    registry: &DeadRegistry,
) -> Result<(Vec<String>, Vec<DeadEntry>), EngineError> {
    let relation = &*scan.relation;
    let (boundary, end) = (&relation.boundary, &relation.version.offsets);
    let shape = |path: &Path, naming, known: &[ColumnStatistics]| -> Result<Shape, EngineError> {
        let file = footers.columns(path, naming)?;
        let named = columns.iter().enumerate().map(|(index, column)| {
            let nan = known.get(index).is_none_or(|column| column.nans != Some(0));
            let nan = column.float == Some(FloatIn::Nested) || column.float.is_some() && nan;
            column.in_file(&file).map(|name| (name.to_owned(), nan))
        });
        Ok(named.collect())
    };
    // Lake files come first in each group: DuckDB takes a group's columns from its first
    // file, and segments have the hidden columns besides.
    let mut groups: BTreeMap<Shape, Vec<String>> = BTreeMap::new();
    let mut thinned: BTreeMap<Shape, Thinned> = BTreeMap::new();
    for file in scan.files.iter().filter_map(|index| relation.files.get(*index)) {
        let shape = shape(&file.path, Naming::Unique, &file.columns)?;
        let path = path_literal(&file.path)?;
        let Some(dead) = &file.dead else {
            groups.entry(shape).or_default().push(path);
            continue;
        };
        footers.columns(&file.path, Naming::Unique).and_then(|file| dead::check(&file))?;
        let group = thinned.entry(shape).or_default();
        group.paths.push(path);
        group.dead.push(Arc::clone(dead));
    }
    let mut straddling = Vec::new();
    for segment in segments(scan) {
        let SegmentData::Parquet(file) = &segment.data else { continue };
        let overlap = segment.overlap(boundary, end);
        if overlap == Overlap::None || segment.rows == 0 {
            continue;
        }
        let (shape, path) = (shape(file.path(), Naming::Reused, &[])?, path_literal(file.path())?);
        if overlap == Overlap::Whole {
            groups.entry(shape).or_default().push(path);
        } else {
            straddling.push((shape, path, window(segment, relation)));
        }
    }
    let (mut thin, mut entries) = (Vec::new(), Vec::new());
    for (shape, Thinned { paths, dead }) in thinned {
        let entry = registry.enter(dead);
        thin.push(select(columns, &shape, &paths, Some(&entry.filter())));
        entries.push(entry);
    }
    let whole = groups.into_iter().map(|(shape, paths)| select(columns, &shape, &paths, None));
    let partly = straddling
        .iter()
        .map(|(s, path, w)| select(columns, s, std::slice::from_ref(path), Some(w.as_str())));
    Ok((whole.chain(thin).chain(partly).collect(), entries))
}

/// Hive partitions are off: a path must never lend a column its value.
fn select(columns: &[Column], shape: &Shape, paths: &[String], filter: Option<&str>) -> String {
    let mut named = columns.iter().zip(shape);
    let items = named.by_ref().map(|(column, name)| match name {
        Some((name, true)) => column.cast_beyond_bounds(name),
        Some((name, false)) => column.cast(name),
        None => column.cast_null(),
    });
    let items = items.collect::<Vec<_>>().join(", ");
    let files = paths.join(", ");
    let filter = filter.map_or(String::new(), |f| format!(" WHERE {f}"));
    format!("SELECT {items} FROM read_parquet([{files}], hive_partitioning = false){filter}")
}

fn path_literal(path: &Path) -> Result<String, EngineError> {
    let text = path.to_str().filter(|text| !text.contains(['*', '?', '[']));
    text.map(literal).ok_or_else(|| EngineError::Internal {
        what: "name a data file",
        source: format!("{} is not UTF-8, or has one of `*?[`", path.display()).into(),
    })
}

/// `boundary ≤ offset < end` for each partition of a segment, by its hidden columns.
fn window(segment: &Segment, relation: &Relation) -> String {
    let (p, o) = (quoted(hidden::PARTITION), quoted(hidden::OFFSET));
    let spans = segment.start.iter().map(|(partition, start)| {
        let from = relation.boundary.next(partition).max(start);
        let to = relation.version.offsets.next(partition).min(segment.end.next(partition));
        (partition, from, to)
    });
    let spans = spans.filter(|(_, from, to)| from < to).map(|(partition, from, to)| {
        format!("({p} = {partition} AND {o} >= {from} AND {o} < {to})")
    });
    let spans = spans.collect::<Vec<_>>();
    if spans.is_empty() { "false".to_owned() } else { spans.join(" OR ") }
}

fn segments(scan: &TableScan) -> impl Iterator<Item = &Segment> {
    scan.segments.iter().filter_map(|index| scan.relation.segments.get(*index))
}

/// The rows in memory that count, sliced, not copied.
fn memory(scan: &TableScan, registry: &TailRegistry) -> Option<TailEntry> {
    let relation = &*scan.relation;
    let (boundary, end) = (&relation.boundary, &relation.version.offsets);
    let batches = segments(scan).filter_map(|segment| match &segment.data {
        SegmentData::Memory(batches) => Some(batches),
        SegmentData::Parquet(_) => None,
    });
    let inside = batches.flatten().filter_map(|batch| {
        batch.window(boundary.next(batch.partition), end.next(batch.partition))
    });
    let batches: Vec<_> = inside.map(|batch| batch.rows).collect();
    let schema = Arc::clone(&relation.schema);
    (!batches.is_empty()).then(|| registry.enter(TailRows { schema, batches }))
}
