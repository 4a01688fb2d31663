//! Definite order (rule 9): the remaining output columns become tie-breakers,
//! and an answer without ORDER BY and LIMIT is ordered by all its columns.
//! Inside, a subquery that orders and limits gets tie-breakers too.

use serde_json::{Value, json};

use super::ast::{class, constant, function_name, list, text, visit};
use super::cover::{has_limit, is_all, order_of};

/// How many columns a query node gives, where its text alone tells.
pub(super) fn width(node: &Value) -> Option<usize> {
    match text(node, "type") {
        "SELECT_NODE" => {
            let items = list(node, "select_list");
            let mut plain = true;
            visit(&node["select_list"], &mut |part| {
                plain &= class(part) != "STAR" && function_name(part) != "unnest";
            });
            plain.then_some(items.len())
        }
        "SET_OPERATION_NODE" if text(node, "setop_type") != "UNION_BY_NAME" => width(&node["left"]),
        _ => None,
    }
}

/// Completes the order of the outermost query node, whose answer has `columns` columns.
pub(super) fn settle(select: &mut Value, columns: usize) {
    let node = &mut select["node"];
    if order_of(node).is_some() {
        complete(node, columns);
    } else if !has_limit(node) {
        let orders: Vec<_> = (1..=columns).map(ordinal).collect();
        if let Some(modifiers) = node["modifiers"].as_array_mut() {
            modifiers.push(json!({ "type": "ORDER_MODIFIER", "orders": orders }));
        }
    }
}

/// Completes the orders of query nodes inside `node` (not itself) that choose rows by them.
pub(super) fn settle_inner(node: &mut Value) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(settle_node),
        Value::Object(fields) => fields.values_mut().for_each(settle_node),
        _ => {}
    }
}

fn settle_node(node: &mut Value) {
    if node.get("modifiers").is_some()
        && chooses(node)
        && order_of(node).is_some()
        && let Some(columns) = width(node)
    {
        complete(node, columns);
    }
    settle_inner(node);
}

/// Whether the order of a query node decides which rows it gives.
pub(super) fn chooses(node: &Value) -> bool {
    has_limit(node) || distinct_on(node).is_some()
}

/// The targets of DISTINCT ON.
pub(super) fn distinct_on(node: &Value) -> Option<&[Value]> {
    let modifiers = list(node, "modifiers").iter();
    let targets = modifiers
        .filter(|m| text(m, "type") == "DISTINCT_MODIFIER")
        .map(|m| list(m, "distinct_on_targets"));
    targets.into_iter().find(|targets| !targets.is_empty())
}

/// Appends the columns that an ORDER BY does not name by their numbers.
fn complete(node: &mut Value, columns: usize) {
    let modifiers = node["modifiers"].as_array_mut();
    let order = modifiers.and_then(|m| m.iter_mut().find(|m| m["type"] == "ORDER_MODIFIER"));
    let Some(orders) = order.and_then(|order| order["orders"].as_array_mut()) else { return };
    if is_all(orders) {
        return;
    }
    let named = |n: &usize| orders.iter().any(|o| o["expression"]["value"]["value"] == *n as u64);
    let rest: Vec<_> = (1..=columns).filter(|n| !named(n)).map(ordinal).collect();
    orders.extend(rest);
}

fn ordinal(number: usize) -> Value {
    json!({
        "type": "ORDER_DEFAULT", "null_order": "ORDER_DEFAULT",
        "expression": constant("INTEGER", number as u64),
    })
}
