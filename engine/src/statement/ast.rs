//! DuckDB's parse as JSON: read, walked, built and turned back into text. It
//! must never know what is allowed or what anything means.

use duckdb::Connection;
use serde_json::{Value, json};

use crate::error::EngineError;
use crate::session::statement_error;

/// What precedes the number of a DOUBLE constant. Quotes inside JSON strings are
/// escaped, so no client's text can look like this.
const DOUBLE: &str = r#"{"id":"DOUBLE","type_info":null},"is_null":false,"value":"#;

/// DuckDB's parse of `sql`: `{"error": …, "statements": […]}`.
///
/// The numbers of DOUBLE constants become strings: they may be infinite, which JSON
/// cannot say, and must keep every bit.
pub(super) fn parse(connection: &Connection, sql: &str) -> Result<Value, EngineError> {
    let mut statement = connection
        .prepare_cached("SELECT json_serialize_sql(?::VARCHAR)")
        .map_err(statement_error)?;
    let text: String = statement.query_row([sql], |row| row.get(0)).map_err(statement_error)?;
    serde_json::from_str(&quote_doubles(&text)).map_err(|error| EngineError::InvalidSql {
        detail: if error.to_string().contains("recursion limit") {
            "the statement is nested too deeply: split it with WITH".to_owned()
        } else {
            format!("the statement cannot be read: {error}")
        },
        position: None,
    })
}

/// The only statement of a parse that must hold exactly one SELECT.
///
/// # Errors
/// Where it does not parse, or is anything else.
pub(crate) fn parse_select(connection: &Connection, sql: &str) -> Result<Value, EngineError> {
    let mut parsed = parse(connection, sql)?;
    if parsed["error"].as_bool() != Some(false) {
        return Err(refusal(&parsed, sql));
    }
    match parsed["statements"].as_array_mut().map(std::mem::take) {
        Some(mut statements) if statements.len() == 1 => Ok(statements.remove(0)),
        Some(statements) if statements.is_empty() => Err(EngineError::InvalidSql {
            detail: "there is no statement: write one SELECT".to_owned(),
            position: None,
        }),
        _ => Err(EngineError::Forbidden {
            what: "more than one statement".to_owned(),
            hint: "send one SELECT; use WITH for steps".to_owned(),
        }),
    }
}

fn refusal(parsed: &Value, sql: &str) -> EngineError {
    let message = parsed["error_message"].as_str().unwrap_or_default();
    let forbidden = |what: &str, hint: &str| EngineError::Forbidden {
        what: what.to_owned(),
        hint: hint.to_owned(),
    };
    if message.contains("A CTE needs a SELECT") {
        return forbidden("a step in WITH that is not a SELECT", "let each step be a SELECT");
    }
    if message.contains("SELECT INTO") {
        return forbidden("INTO", "leave it out: answers are sent, not stored");
    }
    if parsed["error_type"].as_str() == Some("not implemented") {
        if message.contains("Only SELECT") {
            return not_a_select(sql);
        }
        return forbidden(message, "write it in another way");
    }
    let position = parsed["position"].as_str().and_then(|text| text.parse().ok());
    EngineError::InvalidSql { detail: message.to_owned(), position }
}

/// Says by its first word what was written instead of a SELECT.
fn not_a_select(sql: &str) -> EngineError {
    let word = first_word(sql).to_ascii_uppercase();
    let (what, hint) = match word.as_str() {
        "SELECT" | "WITH" | "FROM" | "VALUES" | "TABLE" | "" => {
            ("more than one statement".to_owned(), "send one SELECT; use WITH for steps")
        }
        "PIVOT" => ("`PIVOT`".to_owned(), "write an aggregate with FILTER or CASE a column"),
        _ => (format!("`{word}`"), "tables are read with SELECT and nothing else"),
    };
    EngineError::Forbidden { what, hint: hint.to_owned() }
}

/// The first word after comments.
fn first_word(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = match rest.get(..2) {
            Some("--") => rest.split_once('\n'),
            Some("/*") => rest.split_once("*/"),
            _ => break,
        };
        rest = after.map_or("", |(_, after)| after.trim_start());
    }
    let end = rest.find(|c: char| !c.is_ascii_alphabetic());
    &rest[..end.unwrap_or(rest.len())]
}

/// The SQL text of a (changed) SELECT, as DuckDB writes it.
pub(crate) fn text_of(connection: &Connection, select: &Value) -> Result<String, EngineError> {
    let whole = json!({ "error": false, "statements": [select] }).to_string();
    let mut statement = connection
        .prepare_cached("SELECT json_deserialize_sql(?::VARCHAR::JSON)")
        .map_err(statement_error)?;
    statement.query_row([whole], |row| row.get(0)).map_err(statement_error)
}

fn quote_doubles(json: &str) -> String {
    let mut quoted = String::with_capacity(json.len() + 16);
    let mut pieces = json.split(DOUBLE);
    quoted.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find('}').unwrap_or(piece.len());
        let (number, rest) = piece.split_at(end);
        quoted.push_str(DOUBLE);
        quoted.push('"');
        quoted.push_str(number.trim());
        quoted.push('"');
        quoted.push_str(rest);
    }
    quoted
}

/// The text under `key`; empty where there is none.
pub(crate) fn text<'a>(node: &'a Value, key: &str) -> &'a str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The list under `key`; empty where there is none.
pub(crate) fn list<'a>(node: &'a Value, key: &str) -> &'a [Value] {
    node.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The class of an expression; empty where the node is none.
pub(crate) fn class(node: &Value) -> &str {
    text(node, "class")
}

/// A function's name, lower case; empty where the node calls none.
pub(crate) fn function_name(node: &Value) -> String {
    text(node, "function_name").to_ascii_lowercase()
}

/// Visits every JSON object in `node`, itself included, parents first.
pub(crate) fn visit<'a>(node: &'a Value, see: &mut impl FnMut(&'a Value)) {
    match node {
        Value::Object(fields) => {
            see(node);
            fields.values().for_each(|value| visit(value, see));
        }
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        _ => {}
    }
}

/// Lets `change` replace every expression in `node`, children first.
pub(crate) fn rewrite<E>(
    node: &mut Value,
    change: &mut impl FnMut(&mut Value) -> Result<(), E>,
) -> Result<(), E> {
    match node {
        Value::Object(fields) => {
            for value in fields.values_mut() {
                rewrite(value, change)?;
            }
            if node.get("class").is_some() { change(node) } else { Ok(()) }
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| rewrite(item, change)),
        _ => Ok(()),
    }
}

/// A constant of DuckDB type `id`.
pub(crate) fn constant(id: &str, value: impl Into<Value>) -> Value {
    json!({
        "class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": 0,
        "value": { "type": { "id": id, "type_info": null }, "is_null": false, "value": value.into() },
    })
}

/// `CAST(child AS id)`: keeps a constant's type through its text.
pub(crate) fn cast(child: Value, id: &str) -> Value {
    json!({
        "class": "CAST", "type": "OPERATOR_CAST", "alias": "", "query_location": 0,
        "child": child, "cast_type": { "id": id, "type_info": null }, "try_cast": false,
    })
}

/// Puts `new` in the place of `old` under `old`'s alias.
pub(crate) fn replace(old: &mut Value, mut new: Value) {
    new["alias"] = Value::from(text(old, "alias"));
    *old = new;
}

/// Whether two expressions say the same, wherever they stand and whatever they are called.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let counts = |key: &&String| !matches!(key.as_str(), "alias" | "query_location");
            let keys = || a.keys().chain(b.keys()).filter(counts);
            keys().all(|key| match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) => same(a, b),
                _ => false,
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::String(a), Value::String(b)) => a == b,
        _ => a == b,
    }
}
