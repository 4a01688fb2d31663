//! A statement's text with gaps where it names tables, so that each run fills
//! in the union of the state it pinned: no view to create, bind and drop.
//! It must never change what the statement says.

use std::collections::BTreeSet;

use duckdb::Connection;
use serde_json::Value;
use springtide_protocol::TableName;
use uuid::Uuid;

use crate::error::EngineError;
use crate::statement::ast::{self, parse_select, text_of};

/// A statement's text.
pub(super) enum Template {
    /// Text and, after each piece but the last, a table.
    Gaps { pieces: Vec<String>, tables: Vec<TableName> },
    /// A name in WITH hides a table's, or a table is named in a way not foreseen:
    /// the tables must be views.
    Views,
}

impl Template {
    /// Finds the tables in `text`, a SELECT as DuckDB writes it.
    ///
    /// # Errors
    /// DuckDB's own; the text was parsed before.
    pub(super) fn of(
        connection: &Connection,
        text: &str,
        tables: &BTreeSet<TableName>,
    ) -> Result<Self, EngineError> {
        let mut select = parse_select(connection, text)?;
        // Random, so that no literal of a client holds it.
        let mut marking = Marking {
            tables,
            mark: format!("__springtide_{}_", Uuid::new_v4().simple()),
            odd: false,
        };
        marking.node(&mut select);
        if marking.odd {
            return Ok(Self::Views);
        }
        let marked = text_of(connection, &select)?;
        let mut parts = marked.split(&marking.mark);
        let mut pieces = vec![parts.next().unwrap_or_default().to_owned()];
        let mut found = Vec::new();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, rest) = part.split_at(end.unwrap_or(part.len()));
            let Ok(table) = name.parse() else { return Ok(Self::Views) };
            found.push(table);
            pieces.push(rest.to_owned());
        }
        let all = found.iter().collect::<BTreeSet<_>>() == tables.iter().collect();
        Ok(if all { Self::Gaps { pieces, tables: found } } else { Self::Views })
    }

    /// The text with each gap filled; `None` where the tables must be views.
    pub(super) fn fill(&self, union: impl Fn(&TableName) -> String) -> Option<String> {
        let Self::Gaps { pieces, tables } = self else { return None };
        let mut pieces = pieces.iter();
        let mut text = pieces.next()?.clone();
        for (table, piece) in tables.iter().zip(pieces) {
            text.push_str(&union(table));
            text.push_str(piece);
        }
        Some(text)
    }
}

struct Marking<'a> {
    tables: &'a BTreeSet<TableName>,
    mark: String,
    odd: bool,
}

impl Marking<'_> {
    fn node(&mut self, node: &mut Value) {
        match node {
            Value::Object(fields) => {
                if fields.get("type").and_then(Value::as_str) == Some("BASE_TABLE") {
                    return self.table(node);
                }
                if let Some(ctes) = fields.get("cte_map") {
                    self.odd |= ast::list(ctes, "map")
                        .iter()
                        .any(|cte| self.known(ast::text(cte, "key")).is_some());
                }
                fields.values_mut().for_each(|value| self.node(value));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.node(item)),
            _ => {}
        }
    }

    fn known(&self, name: &str) -> Option<TableName> {
        let name = name.to_ascii_lowercase().parse().ok()?;
        self.tables.get(&name).cloned()
    }

    fn table(&mut self, node: &mut Value) {
        let own = ast::text(node, "table_name").to_owned();
        let Some(table) = self.known(&own) else { return };
        let qualified = ["schema_name", "catalog_name"];
        self.odd |= qualified.iter().any(|key| !ast::text(node, key).is_empty());
        if ast::text(node, "alias").is_empty() {
            node["alias"] = Value::from(own);
        }
        node["table_name"] = Value::from(format!("{}{table}", self.mark));
    }
}
