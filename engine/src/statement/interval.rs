//! INTERVALs that reach an answer (rule 9): `30 days` and `1 month` count as
//! equal but print differently, so groups, DISTINCT, max() and the order of
//! rows may show either. It must never resolve a name.

use serde_json::Value;

use super::OutputColumn;
use super::ast::{class, function_name, list, text};
use super::functions::{Class, class_of};

/// What is said of a statement that shows one.
pub(super) const REASON: &str = "INTERVALs that count as equal print differently: show numbers \
    instead, such as epoch(…) or date_diff('day', …)";

/// Functions of two moments, or of an INTERVAL and a moment, that give no INTERVAL.
const MOMENTS: [&str; 4] = ["date_add", "date_sub", "date_diff", "time_bucket"];
/// Functions that are called like those that make INTERVALs.
const LOOK_ALIKES: [&str; 6] =
    ["to_timestamp", "to_base", "to_base64", "to_binary", "to_hex", "to_json"];

/// Whether an answer has a column that is or holds an INTERVAL.
pub(super) fn is_shown(columns: &[OutputColumn]) -> bool {
    columns.iter().any(|column| column.sql_type.contains("INTERVAL"))
}

/// Whether a query node, or a row of VALUES, lists, groups or sorts by one.
pub(super) fn is_listed(node: &Value) -> bool {
    let groups = list(node, "group_expressions").iter();
    let orders = list(node, "modifiers").iter().flat_map(|m| list(m, "orders"));
    let keys = groups.chain(orders.map(|order| &order["expression"]));
    let targets = list(node, "modifiers").iter().flat_map(|m| list(m, "distinct_on_targets"));
    let values = list(node, "values").iter().filter_map(Value::as_array).flatten();
    let items = list(node, "select_list").iter();
    items.chain(keys).chain(targets).chain(values).any(may_be)
}

/// Whether a call chooses among several of them.
pub(super) fn is_chosen(call: &Value) -> bool {
    let aggregates = matches!(
        class_of(&function_name(call)),
        Some(Class::Aggregate | Class::Ordered | Class::Sum)
    );
    aggregates && list(call, "children").iter().any(may_be)
}

/// Whether an expression's value may be or hold one. Differences of timestamps are not
/// meant: they are always spelled alike.
fn may_be(node: &Value) -> bool {
    let children = || list(node, "children").iter();
    match class(node) {
        "CONSTANT" => node["value"]["type"]["id"] == "INTERVAL",
        "CAST" => node["cast_type"].to_string().to_uppercase().contains("INTERVAL"),
        "CASE" => {
            let checks = list(node, "case_checks").iter().map(|check| &check["then_expr"]);
            checks.chain([&node["else_expr"]]).any(may_be)
        }
        "OPERATOR" => {
            let kind = text(node, "type");
            let passes = matches!(kind, "OPERATOR_COALESCE" | "OPERATOR_TRY" | "STRUCT_EXTRACT");
            (passes || kind.starts_with("ARRAY")) && children().any(may_be)
        }
        "LAMBDA" => may_be(&node["expr"]),
        "FUNCTION" | "WINDOW" => call_may_be(node),
        _ => false,
    }
}

fn call_may_be(node: &Value) -> bool {
    let (name, children) = (function_name(node), list(node, "children"));
    match name.as_str() {
        // With a timestamp on one side it is a timestamp.
        "+" | "-" => !children.is_empty() && children.iter().all(may_be),
        "age" => true,
        name if LOOK_ALIKES.contains(&name) || MOMENTS.contains(&name) => false,
        name if name.starts_with("to_") => true,
        name if name.starts_with("count") => false,
        _ => {
            matches!(class_of(&name), Some(Class::Aggregate | Class::Ordered | Class::Sum))
                && is_chosen(node)
                || passes(&name) && children.iter().any(may_be)
        }
    }
}

/// Scalars and lists of the values that they are given.
fn passes(name: &str) -> bool {
    let nested = ["list_", "array_", "struct_", "map", "union_"];
    nested.iter().any(|start| name.starts_with(start))
        || matches!(
            name,
            "*" | "/"
                | "greatest"
                | "least"
                | "nullif"
                | "row"
                | "apply"
                | "filter"
                | "reduce"
                | "unnest"
                | "element_at"
                | "constant_or_null"
        )
}
