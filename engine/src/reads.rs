//! What a statement reads (rule 10): DuckDB's plan over empty stand-ins tells,
//! after its own binding, CTE inlining and filter pushdown, which tables are
//! scanned, which columns, and under which filters. Several scans of one table
//! are OR-ed. It must never know what the tables hold.

use std::collections::{BTreeMap, BTreeSet};

use duckdb::Connection;
use serde_json::Value;
use springtide_protocol::TableName;

use crate::error::EngineError;
use crate::prune::Predicate;
use crate::session::statement_error;
use crate::statement::{TableRead, TableSchema, stub};

mod filter;
mod literal;

/// One scan of a stub in a plan.
struct Scan {
    columns: BTreeSet<usize>,
    predicate: Predicate,
}

/// What `text` reads of each table of `schemas`.
///
/// # Errors
/// Where DuckDB does not plan it.
pub(crate) fn reads(
    connection: &Connection,
    text: &str,
    schemas: &BTreeMap<TableName, TableSchema>,
) -> Result<Vec<TableRead>, EngineError> {
    if schemas.is_empty() {
        return Ok(Vec::new());
    }
    let explain = format!("EXPLAIN (FORMAT JSON) {text}");
    let mut statement = connection.prepare(&explain).map_err(statement_error)?;
    let plan: String = statement.query_row([], |row| row.get(1)).map_err(statement_error)?;
    let plan: Value = serde_json::from_str(&plan)
        .map_err(|error| EngineError::internal("read a plan")(Box::new(error)))?;
    let mut scans: BTreeMap<String, Vec<Scan>> = BTreeMap::new();
    let mut found = Found { connection, schemas, scans: &mut scans, empty: false };
    found.walk(&plan, None)?;
    let folded = found.empty;
    let read = |(table, schema): (&TableName, &TableSchema)| {
        let every = || (0..schema.schema.fields().len()).collect();
        let (columns, predicate) = match scans.remove(table.as_str()) {
            Some(scans) => join(scans),
            // No scan is left because no row can matter.
            None if folded => (BTreeSet::new(), Predicate::False),
            None => (every(), Predicate::Unknown),
        };
        TableRead { table: table.clone(), columns: columns.into_iter().collect(), predicate }
    };
    Ok(schemas.iter().map(read).collect())
}

/// Several scans of one table: a row matters if it matters to any.
fn join(scans: Vec<Scan>) -> (BTreeSet<usize>, Predicate) {
    let mut columns = BTreeSet::new();
    let mut predicates = Vec::with_capacity(scans.len());
    for scan in scans {
        columns.extend(scan.columns);
        predicates.push(scan.predicate);
    }
    (columns, Predicate::or(predicates))
}

struct Found<'a> {
    connection: &'a Connection,
    schemas: &'a BTreeMap<TableName, TableSchema>,
    scans: &'a mut BTreeMap<String, Vec<Scan>>,
    /// Whether a part of the plan was folded to nothing.
    empty: bool,
}

impl Found<'_> {
    /// `above`: the filter that stands directly over `node`.
    fn walk(&mut self, node: &Value, above: Option<&Value>) -> Result<(), EngineError> {
        if let Value::Array(nodes) = node {
            return nodes.iter().try_for_each(|node| self.walk(node, None));
        }
        let name = node["name"].as_str().unwrap_or_default().trim();
        self.empty |= name == "EMPTY_RESULT";
        let extra = &node["extra_info"];
        if let Some(table) = extra["Table"].as_str().and_then(stub::table_of) {
            self.scan(table, extra, above)?;
        }
        let expression = (name == "FILTER").then(|| &extra["Expression"]);
        let children = node["children"].as_array().map_or(&[][..], Vec::as_slice);
        children.iter().try_for_each(|child| self.walk(child, expression))
    }

    fn scan(
        &mut self,
        table: &str,
        extra: &Value,
        above: Option<&Value>,
    ) -> Result<(), EngineError> {
        let Some((_, schema)) = self.schemas.iter().find(|(name, _)| name.as_str() == table) else {
            return Ok(());
        };
        let schema = &schema.schema;
        let texts = [Some(&extra["Filters"]), above];
        let mut columns: BTreeSet<usize> =
            pieces(&extra["Projections"]).filter_map(stub::column_of).collect();
        let mut parts = Vec::new();
        for text in texts.into_iter().flatten() {
            let pieces: Vec<&str> = pieces(text).collect();
            parts.push(filter::predicate(self.connection, &pieces, schema)?);
        }
        let predicate = Predicate::and(parts).relaxed();
        predicate.columns(&mut columns);
        self.scans.entry(table.to_owned()).or_default().push(Scan { columns, predicate });
        Ok(())
    }
}

/// An entry of a plan: one text, or its lines as a list.
fn pieces(entry: &Value) -> impl Iterator<Item = &str> {
    let one = entry.as_str().into_iter();
    let many = entry.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.chain(many).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests;
