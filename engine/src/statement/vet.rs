//! What a statement may say, default deny (the locked sandbox lies below): a
//! walk over every object of DuckDB's parse, whatever key it hangs under. It
//! must never change the parse.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use springtide_protocol::TableName;

use super::allowed::{COLLATIONS, EXPRESSIONS, HIDDEN_CALLS, OPERATORS, PARTS, logical_type};
use super::ast::{class, function_name, list, text};
use super::functions::{TABLE_FUNCTIONS, class_of, names};
use super::{TableSchema, clock};
use crate::error::EngineError;

/// Identifiers that begin so are the engine's own.
pub(crate) const RESERVED: &str = "__springtide";

/// Checks a whole parsed statement; returns the tables that it names.
///
/// # Errors
/// The first thing that is not on a list, or a table that is not known.
pub(super) fn vet(
    select: &Value,
    tables: &BTreeMap<TableName, TableSchema>,
) -> Result<BTreeSet<TableName>, EngineError> {
    let mut vetting = Vetting {
        tables,
        named: BTreeSet::new(),
        aliases: clock::aliases(select),
        clocks: BTreeSet::new(),
    };
    vetting.node(select, &[])?;
    let of_table = |clock: &String| {
        let mut named = vetting.named.iter().filter_map(|name| tables.get(name));
        named.any(|table| has_column(table, clock))
    };
    let both =
        vetting.clocks.iter().find(|clock| vetting.aliases.contains(*clock) || of_table(clock));
    both.map_or(Ok(()), |clock| Err(ambiguous(clock)))?;
    Ok(vetting.named)
}

struct Vetting<'a> {
    tables: &'a BTreeMap<TableName, TableSchema>,
    named: BTreeSet<TableName>,
    /// Every name that the statement gives to something, lower case.
    aliases: BTreeSet<String>,
    /// Names alone that read the clock unless a column has them, lower case.
    clocks: BTreeSet<String>,
}

impl Vetting<'_> {
    fn node(&mut self, node: &Value, scope: &[String]) -> Result<(), EngineError> {
        match node {
            Value::Object(fields) => self.object(node, fields, scope),
            Value::Array(items) => items.iter().try_for_each(|item| self.node(item, scope)),
            Value::String(text) => identifier(text),
            _ => Ok(()),
        }
    }

    fn object(
        &mut self,
        node: &Value,
        fields: &Map<String, Value>,
        scope: &[String],
    ) -> Result<(), EngineError> {
        if node.get("class").is_some() {
            self.expression(node)?;
            // A client's text is no identifier.
            if class(node) == "CONSTANT" {
                identifier(text(node, "alias"))?;
                return self.node(&node["value"]["type"], scope);
            }
        } else if node.get("type").is_some_and(Value::is_string) {
            self.part(node, scope)?;
        }
        if node.get("id").is_some() {
            logical_type(node)?;
        }
        let mut scope = scope.to_vec();
        if let Some(ctes) = node.get("cte_map") {
            for cte in list(ctes, "map") {
                self.cte(cte, &mut scope)?;
            }
        }
        let rest = fields.iter().filter(|(key, _)| key.as_str() != "cte_map");
        rest.map(|(_, value)| value).try_for_each(|value| self.node(value, &scope))
    }

    /// A CTE sees those before it, and itself only where it is recursive.
    fn cte(&mut self, cte: &Value, scope: &mut Vec<String>) -> Result<(), EngineError> {
        let name = text(cte, "key").to_lowercase();
        identifier(&name)?;
        if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Err(forbidden(
                format!("`{name}` as a name in WITH"),
                "use letters, digits and `_`",
            ));
        }
        let recursive = cte["value"]["query"]["node"]["type"] == "RECURSIVE_CTE_NODE";
        let mut inner = scope.clone();
        if recursive {
            inner.push(name.clone());
        }
        self.node(&cte["value"], &inner)?;
        scope.push(name);
        Ok(())
    }

    /// Anything with a `type` that is no expression: query nodes, FROM, modifiers.
    fn part(&mut self, node: &Value, scope: &[String]) -> Result<(), EngineError> {
        let kind = text(node, "type");
        if !PARTS.contains(&kind) {
            return Err(unknown_part(node));
        }
        let present = |key: &str| node.get(key).is_some_and(|value| !value.is_null());
        if present("sample") {
            return Err(forbidden("sampling", "filter on a hash of a column instead"));
        }
        if present("at_clause") {
            return Err(forbidden("`AT`", "pin a version with `?v=` instead"));
        }
        if !list(node, "key_targets").is_empty() {
            return Err(forbidden(
                "`USING KEY`",
                "write a plain WITH RECURSIVE and keep one row a key after it, with max_by() or \
                 DISTINCT ON",
            ));
        }
        match kind {
            "BASE_TABLE" => self.table(node, scope),
            "TABLE_FUNCTION" => table_function(node),
            _ => Ok(()),
        }
    }

    fn table(&mut self, node: &Value, scope: &[String]) -> Result<(), EngineError> {
        let name = text(node, "table_name");
        if !text(node, "schema_name").is_empty() || !text(node, "catalog_name").is_empty() {
            return Err(forbidden(
                format!("a schema before `{name}`"),
                "name the table alone; `/v1/tables` lists the tables",
            ));
        }
        let lower = name.to_lowercase();
        if scope.contains(&lower) {
            return Ok(());
        }
        match self.tables.keys().find(|table| table.as_str() == lower) {
            Some(table) => {
                self.named.insert(table.clone());
                Ok(())
            }
            None => Err(EngineError::UnknownTable {
                name: name.to_owned(),
                nearest: nearest(&lower, self.tables.keys().map(TableName::as_str)),
            }),
        }
    }

    fn expression(&mut self, node: &Value) -> Result<(), EngineError> {
        let (class, kind) = (class(node), text(node, "type"));
        if !EXPRESSIONS.contains(&class) {
            return Err(forbidden(format!("`{class}`"), "write a value or an expression"));
        }
        match class {
            "OPERATOR" if !OPERATORS.contains(&kind) => {
                let name = kind.to_lowercase().replace("operator_", "").replace('_', " ");
                Err(forbidden(format!("the operator `{name}`"), "write it in another way"))
            }
            "FUNCTION" | "WINDOW" => function(node),
            "COLUMN_REF" => self.column(node),
            "COLLATE" if !COLLATIONS.contains(&text(node, "collation").to_lowercase().as_str()) => {
                let name = text(node, "collation");
                let hint = format!("use one of {}", COLLATIONS.join(", "));
                Err(forbidden(format!("the collation `{name}`"), &hint))
            }
            _ => Ok(()),
        }
    }

    /// A name alone may be a call in disguise.
    fn column(&mut self, node: &Value) -> Result<(), EngineError> {
        let [Value::String(name)] = list(node, "column_names") else { return Ok(()) };
        let name = name.to_lowercase();
        let is_column = self.aliases.contains(&name)
            || self.tables.values().any(|table| has_column(table, &name));
        if HIDDEN_CALLS.contains(&name.as_str()) && !is_column {
            return Err(forbidden(format!("`{name}`"), "an answer may not depend on who asks"));
        }
        if clock::is_hidden_clock(&name) {
            self.clocks.insert(name);
        }
        Ok(())
    }
}

fn ambiguous(clock: &str) -> EngineError {
    forbidden(
        format!("`{clock}` alone, which is both a column and the clock"),
        "write `table.column` for the column or `now()` for the clock",
    )
}

fn has_column(table: &TableSchema, name: &str) -> bool {
    table.schema.fields().iter().any(|field| field.name().to_lowercase() == name)
}

fn function(node: &Value) -> Result<(), EngineError> {
    let name = function_name(node);
    let (schema, catalog) = (text(node, "schema"), text(node, "catalog"));
    if !matches!(schema, "" | "main") || !catalog.is_empty() {
        return Err(forbidden(
            format!("`{schema}.{name}()`"),
            "call functions by their names alone, with their first argument in the parentheses",
        ));
    }
    if class_of(&name).is_none() {
        let hint = "only functions that read nothing but their arguments can be called";
        let near = nearest(&name, names()).filter(|_| name.len() > 3);
        let hint = near.map_or(hint.to_owned(), |near| format!("did you mean `{near}`? {hint}"));
        return Err(forbidden(format!("the function `{name}`"), &hint));
    }
    Ok(())
}

/// What stands in FROM, or around a SELECT, and is no part of one.
fn unknown_part(node: &Value) -> EngineError {
    let columns = "`/v1/tables` lists the tables and their columns";
    match text(node, "type") {
        "SHOW_REF" => match text(node, "show_type") {
            "DESCRIBE" => forbidden("`DESCRIBE`", columns),
            "SUMMARY" => {
                forbidden("`SUMMARIZE`", "select count(*), min(…), max(…) of the columns instead")
            }
            _ => forbidden("`SHOW`", columns),
        },
        "PIVOT" if !list(node, "unpivot_names").is_empty() => {
            forbidden("`UNPIVOT`", "select each column by itself and join the rows with UNION ALL")
        }
        "PIVOT" => forbidden("`PIVOT`", "write an aggregate with FILTER or CASE a column"),
        kind => forbidden(
            format!("`{}`", kind.to_lowercase().replace('_', " ")),
            "read tables with SELECT, joins, WITH and subqueries",
        ),
    }
}

fn table_function(node: &Value) -> Result<(), EngineError> {
    let name = function_name(&node["function"]);
    if TABLE_FUNCTIONS.contains(&name.as_str()) {
        return Ok(());
    }
    let hint = format!("read a table; as table functions there are {}", TABLE_FUNCTIONS.join(", "));
    Err(forbidden(format!("the table function `{name}`"), &hint))
}

fn identifier(text: &str) -> Result<(), EngineError> {
    let start = text.as_bytes().get(..RESERVED.len());
    if start.is_some_and(|start| start.eq_ignore_ascii_case(RESERVED.as_bytes())) {
        return Err(forbidden(
            format!("the name `{text}`"),
            "names that begin with `__springtide` are reserved",
        ));
    }
    Ok(())
}

/// The candidate that looks most like `name`, if any does.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = candidates.map(|c| (strsim::damerau_levenshtein(name, c), c));
    let (distance, best) = scored.min()?;
    (distance <= 3 && distance < best.len()).then(|| best.to_owned())
}

pub(super) fn forbidden(what: impl Into<String>, hint: &str) -> EngineError {
    EngineError::Forbidden { what: what.into(), hint: hint.to_owned() }
}
