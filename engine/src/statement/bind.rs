//! Parameters: each `$name` becomes a typed constant of the parse, so that no
//! value is ever text of the statement. It must never know where values came from.

use std::collections::BTreeSet;
use std::convert::Infallible;

use serde_json::Value;
use springtide_protocol::parameter::ParameterValue;

use super::ast::{cast, class, constant, replace, rewrite, text, visit};
use crate::error::EngineError;

/// Replaces every parameter of `select`.
///
/// # Errors
/// A parameter without a value, a value without a parameter, text with a NUL.
pub(super) fn bind(
    select: &mut Value,
    parameters: &[(String, ParameterValue)],
) -> Result<(), EngineError> {
    let mut used = BTreeSet::new();
    visit(select, &mut |node| {
        if class(node) == "PARAMETER" {
            used.insert(text(node, "identifier").to_lowercase());
        }
    });
    for (name, _) in parameters {
        if !used.contains(&name.to_lowercase()) {
            return Err(invalid(format!(
                "parameter `{name}` is not used: write `${name}` where its value belongs"
            )));
        }
    }
    rewrite(select, &mut |node| {
        if class(node) != "PARAMETER" {
            return Ok(());
        }
        let name = text(node, "identifier").to_owned();
        if name.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid(format!("parameter {name} has no name: write `$name`")));
        }
        let given = parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(&name));
        let (_, value) =
            given.ok_or_else(|| invalid(format!("parameter `{name}` has no value")))?;
        replace(node, typed(&name, value)?);
        Ok(())
    })?;
    select["named_param_map"] = Value::Array(Vec::new());
    Ok(())
}

fn typed(name: &str, value: &ParameterValue) -> Result<Value, EngineError> {
    let through_text = |text: String, id: &str| cast(constant("VARCHAR", text), id);
    Ok(match value {
        ParameterValue::Integer(n) => cast(constant("BIGINT", *n), "BIGINT"),
        ParameterValue::Double(n) => through_text(n.to_string(), "DOUBLE"),
        ParameterValue::Boolean(b) => through_text(b.to_string(), "BOOLEAN"),
        ParameterValue::String(text) if text.contains('\0') => {
            return Err(invalid(format!("parameter `{name}` holds a NUL character: leave it out")));
        }
        ParameterValue::String(text) => constant("VARCHAR", text.as_str()),
        ParameterValue::Date(date) => through_text(date.to_string(), "DATE"),
        ParameterValue::Timestamp(time) => {
            through_text(time.format("%Y-%m-%d %H:%M:%S%.6f").to_string(), "TIMESTAMP")
        }
    })
}

/// Gives DOUBLE constants their numbers back, as DuckDB's own text has them.
pub(super) fn numbers(node: &mut Value) {
    let Ok(()) = rewrite(node, &mut |node| {
        let number = node["value"]["value"].as_str().and_then(|text| text.parse::<f64>().ok());
        // JSON has no infinity.
        if let (true, Some(number)) = (is_double(node), number.filter(|n| n.is_finite())) {
            node["value"]["value"] = Value::from(number);
        }
        Ok::<(), Infallible>(())
    });
    keep_doubles(node);
}

/// Whether a node is a DOUBLE constant.
pub(super) fn is_double(node: &Value) -> bool {
    class(node) == "CONSTANT" && node["value"]["type"]["id"] == "DOUBLE"
}

/// Keeps the type of DOUBLE constants through the statement's text: DuckDB writes
/// `1e0` as `1.0`, which is a DECIMAL when it is read again.
pub(super) fn keep_doubles(select: &mut Value) {
    let keep = &mut |node: &mut Value| {
        // What is a number already is for show.
        if let (true, Some(number)) = (is_double(node), node["value"]["value"].as_str()) {
            let number = number.to_owned();
            replace(node, cast(constant("VARCHAR", number), "DOUBLE"));
        }
        Ok::<(), Infallible>(())
    };
    let Ok(()) = rewrite(select, keep);
}

fn invalid(detail: String) -> EngineError {
    EngineError::InvalidSql { detail, position: None }
}
