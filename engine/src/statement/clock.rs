//! The frozen clock (rule 8): everything that reads it becomes a literal of T,
//! also where DuckDB's parse hides it. It must never read a clock itself.

use std::collections::BTreeSet;
use std::convert::Infallible;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::ast::{cast, class, constant, function_name, list, replace, rewrite, text, visit};
use super::functions::{Class, class_of};
use crate::error::EngineError;

/// Names that DuckDB turns into clock reads where no column has them.
const HIDDEN: [&str; 5] =
    ["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"];

/// Whether a column's name, lower case and alone, reads the clock.
pub(super) fn is_hidden_clock(name: &str) -> bool {
    HIDDEN.contains(&name)
}

/// Every name that a statement gives to a column or a relation, lower case.
pub(super) fn aliases(select: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    visit(select, &mut |node| {
        let lists = ["column_name_alias", "aliases", "using_columns"];
        let listed = lists.iter().flat_map(|key| list(node, key)).filter_map(Value::as_str);
        names.extend(listed.map(str::to_lowercase));
        names.insert(text(node, "alias").to_lowercase());
        for renamed in list(node, "rename_list") {
            names.insert(text(renamed, "value").to_lowercase());
        }
        if class(node) == "LAMBDA" {
            visit(&node["lhs"], &mut |lhs| {
                let parts = list(lhs, "column_names").iter().filter_map(Value::as_str);
                names.extend(parts.map(str::to_lowercase));
            });
        }
    });
    names
}

/// Replaces every clock read by T; whether there was one.
///
/// # Errors
/// Where T is out of the calendar.
pub(super) fn freeze(select: &mut Value, clock_micros: i64) -> Result<bool, EngineError> {
    let now = DateTime::<Utc>::from_timestamp_micros(clock_micros);
    let now = now.ok_or_else(|| EngineError::InvalidSql {
        detail: "the clock is out of the calendar".to_owned(),
        position: None,
    })?;
    let mut used = false;
    let Ok(()) = rewrite(select, &mut |node| {
        if let Some(literal) = frozen(node, now) {
            used = true;
            replace(node, literal);
        }
        Ok::<(), Infallible>(())
    });
    Ok(used)
}

/// Whether an expression itself reads the clock.
pub(super) fn is_clock(node: &Value) -> bool {
    match (class(node), list(node, "column_names")) {
        ("COLUMN_REF", [Value::String(name)]) => is_hidden_clock(&name.to_lowercase()),
        ("FUNCTION", _) => {
            let name = function_name(node);
            let aged = name == "age" && list(node, "children").len() == 1;
            aged || class_of(&name) == Some(Class::Clock)
        }
        _ => false,
    }
}

/// What stands for a node that reads the clock.
fn frozen(node: &Value, now: DateTime<Utc>) -> Option<Value> {
    if !is_clock(node) {
        return None;
    }
    let hidden = list(node, "column_names").first().and_then(Value::as_str);
    let name = hidden.map_or_else(|| function_name(node), str::to_lowercase);
    Some(if name == "age" { aged(node, now) } else { literal(&name, now) })
}

/// `age(x)` counts from midnight of today.
fn aged(node: &Value, now: DateTime<Utc>) -> Value {
    let mut call = node.clone();
    let midnight = now.format("%Y-%m-%d 00:00:00").to_string();
    if let Some(children) = call["children"].as_array_mut() {
        children.insert(0, cast(constant("VARCHAR", midnight), "TIMESTAMP"));
    }
    call
}

fn literal(name: &str, now: DateTime<Utc>) -> Value {
    let (format, id) = match name {
        "current_date" | "today" => ("%Y-%m-%d", "DATE"),
        "current_time" | "get_current_time" => ("%H:%M:%S%.6f+00", "TIME WITH TIME ZONE"),
        "localtime" | "current_localtime" => ("%H:%M:%S%.6f", "TIME"),
        "localtimestamp" | "current_localtimestamp" => ("%Y-%m-%d %H:%M:%S%.6f", "TIMESTAMP"),
        _ => ("%Y-%m-%d %H:%M:%S%.6f+00", "TIMESTAMP WITH TIME ZONE"),
    };
    cast(constant("VARCHAR", now.format(format).to_string()), id)
}
