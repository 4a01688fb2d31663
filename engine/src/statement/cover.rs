//! Whether an order is total for what a SELECT shows: rows that tie in it are
//! alike in every column shown, so it does not matter which comes first.

use serde_json::Value;

use super::ast::{class, list, same, text};

/// Whether every column that `select` shows, outside its windows, is one of `keys`.
pub(super) fn covers(keys: &[&Value], select: &Value) -> bool {
    let shown = [&select["select_list"], &select["qualify"], &select["modifiers"]];
    shown.iter().all(|node| covered(keys, node))
}

fn covered(keys: &[&Value], node: &Value) -> bool {
    match node {
        Value::Array(items) => items.iter().all(|item| covered(keys, item)),
        Value::Object(fields) => match class(node) {
            "WINDOW" | "CONSTANT" => true,
            "STAR" | "POSITIONAL_REFERENCE" | "SUBQUERY" => false,
            "COLUMN_REF" => keys.iter().any(|key| same(key, node)),
            _ => fields.values().all(|value| covered(keys, value)),
        },
        _ => true,
    }
}

/// The expressions of a list of orders.
pub(super) fn order_keys(orders: &[Value]) -> Vec<&Value> {
    orders.iter().map(|order| &order["expression"]).collect()
}

/// The ORDER BY of a query node, if it has one.
pub(super) fn order_of(node: &Value) -> Option<&[Value]> {
    let modifier = list(node, "modifiers").iter().find(|m| text(m, "type") == "ORDER_MODIFIER")?;
    Some(list(modifier, "orders"))
}

/// Whether an order is `ORDER BY ALL`.
pub(super) fn is_all(orders: &[Value]) -> bool {
    orders.iter().any(|o| class(&o["expression"]) == "STAR" && o["expression"]["columns"] == true)
}

/// Whether a query node has LIMIT or OFFSET.
pub(super) fn has_limit(node: &Value) -> bool {
    list(node, "modifiers").iter().any(|m| text(m, "type").starts_with("LIMIT"))
}
