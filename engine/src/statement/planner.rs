//! From SQL text to a [`Statement`]: parse, vet, bind, freeze, order, judge,
//! describe, explain, in this order. Synchronous: it belongs on a session's
//! thread. It must never see data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duckdb::Connection;
use serde_json::{Value, json};
use springtide_protocol::TableName;
use springtide_protocol::limits::SQL_BYTES;

use super::ast::{class, list, parse_select, text, text_of, visit};
use super::{
    OutputColumn, Statement, StatementRequest, TableSchema, bind, clock, growth, order, row_filter,
    sized, stability, stub, vet,
};
use crate::error::EngineError;
use crate::reads;
use crate::session::statement_error;

/// Optimizers that would fold empty tables away or hide a scan's filters.
pub(crate) const DISABLED_OPTIMIZERS: &str = "statistics_propagation,late_materialization,\
    common_subplan,in_clause,join_filter_pushdown,top_n,top_n_window_elimination,\
    window_self_join,row_group_pruner,build_side_probe_side,compressed_materialization,\
    sampling_pushdown,reorder_filter,duplicate_groups,common_aggregate,common_subexpressions,\
    column_lifetime,limit_pushdown,join_order";

/// Prepares statements in a DuckDB instance of its own that holds no data.
pub struct Planner {
    connection: Connection,
    /// The tables whose stubs stand, and what they were made for.
    stubs: BTreeMap<TableName, TableSchema>,
}

impl Planner {
    /// Takes over a connection to an instance with [`DISABLED_OPTIMIZERS`] and `TimeZone = UTC`.
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection, stubs: BTreeMap::new() }
    }

    /// Prepares one statement.
    ///
    /// # Errors
    /// Whatever is wrong with it, in the client's words; see [`EngineError`].
    pub fn prepare(&mut self, request: &StatementRequest) -> Result<Statement, EngineError> {
        if request.sql.len() > SQL_BYTES {
            return Err(EngineError::InvalidSql {
                detail: format!(
                    "the statement has {} bytes; at most {SQL_BYTES} are read",
                    request.sql.len()
                ),
                position: None,
            });
        }
        if request.sql.contains('\0') {
            return Err(vet::forbidden("a NUL character", "leave it out"));
        }
        let mut select = parse_select(&self.connection, &request.sql)?;
        let tables = vet::vet(&select, &request.tables)?;
        sized::check(&select)?;
        growth::check(&select)?;
        self.stubs(&tables, &request.tables)?;
        self.name_items(&mut select)?;
        bind::bind(&mut select, &request.parameters)?;
        bind::keep_doubles(&mut select);
        let clock_used = clock::freeze(&mut select, request.clock_micros)?;
        order::settle_inner(&mut select["node"]);
        let (text, columns) = self.settle(&mut select)?;
        self.check(&text, &tables, request)?;
        let schemas: BTreeMap<_, _> = tables
            .iter()
            .filter_map(|table| Some((table.clone(), request.tables.get(table)?.clone())))
            .collect();
        let of_tables = schemas.values().map(|table| &table.schema);
        let judged = stability::judge(&select, &columns, of_tables);
        let reads = reads::reads(&self.connection, &text, &schemas)?;
        Ok(Statement {
            text,
            tables,
            schemas,
            clock_micros: clock_used.then_some(request.clock_micros),
            stability: judged.stability,
            one_spelling: judged.one_spelling,
            columns,
            reads,
        })
    }

    /// Makes the stubs that are missing or stale.
    fn stubs(
        &mut self,
        named: &BTreeSet<TableName>,
        tables: &BTreeMap<TableName, TableSchema>,
    ) -> Result<(), EngineError> {
        for (name, schema) in named.iter().filter_map(|name| Some((name, tables.get(name)?))) {
            let current = self.stubs.get(name).is_some_and(|made| {
                let same = Arc::ptr_eq(&made.schema, &schema.schema);
                (same || made.schema == schema.schema) && made.row_filter == schema.row_filter
            });
            if !current {
                self.stubs.remove(name);
                row_filter::check(&self.connection, name, schema)?;
                stub::create(&self.connection, name, schema)?;
                self.stubs.insert(name.clone(), schema.clone());
            }
        }
        Ok(())
    }

    /// Columns without a name are called by their text; it is kept where binding
    /// or the clock would change it.
    fn name_items(&self, select: &mut Value) -> Result<(), EngineError> {
        let Some(items) = select["node"]["select_list"].as_array_mut() else { return Ok(()) };
        for item in items {
            let mut changes = false;
            visit(item, &mut |node| {
                let bound = bind::is_double(node) || class(node) == "PARAMETER";
                changes |= bound || clock::is_clock(node);
            });
            if !changes || !text(item, "alias").is_empty() || class(item) == "STAR" {
                continue;
            }
            let own = match (class(item), list(item, "column_names")) {
                ("COLUMN_REF", [Value::String(name)]) => name.clone(),
                _ => item_text(&self.connection, item)?,
            };
            item["alias"] = Value::from(own);
        }
        Ok(())
    }

    /// Settles the outermost order, which needs the number of columns; returns the
    /// text and the columns.
    fn settle(&self, select: &mut Value) -> Result<(String, Vec<OutputColumn>), EngineError> {
        let unsettled = select.clone();
        if let Some(width) = order::width(&select["node"]) {
            order::settle(select, width);
            let text = text_of(&self.connection, select)?;
            let columns = self.describe(&text)?;
            if columns.len() == width {
                return Ok((text, columns));
            }
            *select = unsettled;
        }
        let columns = self.describe(&text_of(&self.connection, select)?)?;
        order::settle(select, columns.len());
        Ok((text_of(&self.connection, select)?, columns))
    }

    fn describe(&self, text: &str) -> Result<Vec<OutputColumn>, EngineError> {
        let describe = format!("DESCRIBE {text}");
        let mut statement = self.connection.prepare(&describe).map_err(statement_error)?;
        let columns = statement
            .query_map([], |row| Ok(OutputColumn { name: row.get(0)?, sql_type: row.get(1)? }))
            .map_err(statement_error)?;
        columns.collect::<Result<_, _>>().map_err(statement_error)
    }

    /// The text that will run is vetted once more: it must say what was vetted.
    fn check(
        &self,
        text: &str,
        tables: &BTreeSet<TableName>,
        request: &StatementRequest,
    ) -> Result<(), EngineError> {
        let again = parse_select(&self.connection, text)?;
        let named = vet::vet(&again, &request.tables)?;
        sized::check(&again)?;
        growth::check(&again)?;
        if named == *tables {
            return Ok(());
        }
        Err(vet::forbidden("this statement", "its text reads differently a second time"))
    }
}

/// DuckDB's text of one expression.
fn item_text(connection: &Connection, item: &Value) -> Result<String, EngineError> {
    let mut item = item.clone();
    bind::numbers(&mut item);
    let select = json!({
        "node": {
            "type": "SELECT_NODE", "modifiers": [], "cte_map": { "map": [] },
            "select_list": [item],
            "from_table": { "type": "EMPTY", "alias": "", "sample": null, "query_location": 0 },
            "where_clause": null, "group_expressions": [], "group_sets": [],
            "aggregate_handling": "STANDARD_HANDLING", "having": null, "sample": null,
            "qualify": null,
        },
        "named_param_map": [],
    });
    let text = text_of(connection, &select)?;
    Ok(text.strip_prefix("SELECT ").unwrap_or(&text).to_owned())
}
