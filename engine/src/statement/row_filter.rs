//! Row filters (rule 16): text of an access policy that joins every read of a
//! table. Each is vetted when it arrives: one scalar predicate over the table's
//! own columns, of pure functions. It must never know whose it is.

use std::collections::{BTreeMap, BTreeSet};

use duckdb::Connection;
use serde_json::Value;
use springtide_protocol::TableName;

use super::ast::{class, function_name, list, parse_select, same, text, visit};
use super::functions::{Class, class_of};
use super::{TableSchema, clock, growth, sized, vet};
use crate::error::EngineError;

/// Checks the row filter of `table`, if it has one.
///
/// # Errors
/// What is wrong with it, as a setting's mistake: it is not the client's.
pub(super) fn check(
    connection: &Connection,
    table: &TableName,
    schema: &TableSchema,
) -> Result<(), EngineError> {
    let Some(filter) = schema.row_filter.as_deref() else { return Ok(()) };
    let checked = || {
        // As it joins a read, and alone: what closes a parenthesis of others reads differently.
        let joined = parsed(connection, &format!("SELECT 1 WHERE (\n{filter}\n)"))?;
        let alone = parsed(connection, &format!("SELECT 1 WHERE {filter}\n"))?;
        if !same(&joined, &alone) {
            return Err("is more than one expression".to_owned());
        }
        let tables = BTreeMap::from([(table.clone(), schema.clone())]);
        vet::vet(&joined, &tables).map_err(|error| format!("cannot be used: {error}"))?;
        predicate(&joined["node"]["where_clause"], table, schema, &clock::aliases(&joined))?;
        sized::check(&joined)
            .and_then(|()| growth::check(&joined))
            .map_err(|error| format!("cannot be used: {error}"))
    };
    checked().map_err(|why| invalid(table, &why))
}

/// A mistake in the row filter of `table`.
pub(super) fn invalid(table: &TableName, why: &str) -> EngineError {
    EngineError::InvalidSettings {
        detail: format!(
            "the row filter of `{table}` {why}; write one condition over the table's own columns"
        ),
    }
}

/// The parse of a SELECT that has a WHERE and nothing else.
fn parsed(connection: &Connection, sql: &str) -> Result<Value, String> {
    if sql.contains('\0') {
        return Err("holds a NUL character".to_owned());
    }
    let select =
        parse_select(connection, sql).map_err(|error| format!("does not parse: {error}"))?;
    let node = &select["node"];
    let bare = text(node, "type") == "SELECT_NODE"
        && list(node, "select_list").len() == 1
        && text(&node["from_table"], "type") == "EMPTY"
        && ["modifiers", "group_expressions", "group_sets"]
            .iter()
            .all(|k| list(node, k).is_empty())
        && ["having", "qualify", "sample"].iter().all(|key| node[*key].is_null())
        && text(node, "aggregate_handling") == "STANDARD_HANDLING"
        && node["where_clause"].is_object();
    if bare { Ok(select) } else { Err("is more than one expression".to_owned()) }
}

fn predicate(
    node: &Value,
    table: &TableName,
    schema: &TableSchema,
    given: &BTreeSet<String>,
) -> Result<(), String> {
    let mut fault = None;
    visit(node, &mut |part| {
        if fault.is_none() {
            fault = self::fault(part, table, schema, given);
        }
    });
    fault.map_or(Ok(()), Err)
}

/// What is wrong with one expression.
fn fault(
    node: &Value,
    table: &TableName,
    schema: &TableSchema,
    given: &BTreeSet<String>,
) -> Option<String> {
    if clock::is_clock(node) {
        return Some("reads the clock".to_owned());
    }
    match class(node) {
        "SUBQUERY" => Some("has a subquery".to_owned()),
        "WINDOW" => Some("has a window function".to_owned()),
        "STAR" => Some("has a `*`".to_owned()),
        "PARAMETER" => Some(format!("has a parameter `${}`", text(node, "identifier"))),
        "POSITIONAL_REFERENCE" => Some("names a column by its number".to_owned()),
        "FUNCTION" => {
            let name = function_name(node);
            let scalar = matches!(class_of(&name), Some(Class::Pure | Class::PureFloat));
            let plain = scalar && name != "unnest" && node["filter"].is_null();
            (!plain).then(|| format!("calls `{name}()`, which is not a function of one row"))
        }
        "COLUMN_REF" => {
            let parts: Vec<_> =
                list(node, "column_names").iter().filter_map(Value::as_str).collect();
            let own = |name: &&str| {
                let mut fields = schema.schema.fields().iter();
                fields.any(|field| field.name().eq_ignore_ascii_case(name))
                    || given.contains(&name.to_lowercase())
            };
            let qualified = parts.first().is_some_and(|first| {
                first.eq_ignore_ascii_case(table.as_str()) && parts.get(1).is_some_and(own)
            });
            let known = qualified || parts.first().is_some_and(own);
            (!known).then(|| format!("names `{}`, which is no column of it", parts.join(".")))
        }
        _ => None,
    }
}
