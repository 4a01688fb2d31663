//! Floats that count as equal but are spelled differently: 0.0 and −0.0, NaN and
//! NaN (rule 9). Where a statement merges such values and then shows which of
//! them was kept, columns must be read in one spelling, and floats that it
//! computes itself make it unstable. Errs towards "may".

use serde_json::Value;

use super::ast::{class, function_name, list, text, visit};
use super::float::Floats;
use super::functions::{Class, class_of};
use super::order::chooses;

/// What is said of a statement that shows which of equal floats was kept.
pub(super) const REASON: &str = "0.0 and -0.0 (and NaNs) count as equal where floats are grouped, \
    and a cast or a division tells them apart: cast the grouped value to DECIMAL";

/// What a statement does with floats that count as equal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spelling {
    /// It shows which of several was kept: columns must be read in one spelling.
    pub(super) matters: bool,
    /// Some of them it computes itself.
    pub(super) computed: bool,
}

/// Functions that give equal results for floats that count as equal, but for the
/// spelling of the result.
const BLIND: [&str; 48] = [
    "+",
    "-",
    "*",
    "abs",
    "add",
    "subtract",
    "multiply",
    "@",
    "round",
    "round_even",
    "floor",
    "ceil",
    "ceiling",
    "trunc",
    "even",
    "sqrt",
    "cbrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "exp",
    "ln",
    "log",
    "log2",
    "log10",
    "degrees",
    "radians",
    "isnan",
    "isinf",
    "isfinite",
    "sign",
    "greatest",
    "least",
    "min",
    "max",
    "sum",
    "avg",
    "mean",
    "median",
    "count",
    "nullif",
    "any_value",
];
/// Divisions and powers: the sign of a zero on their right changes the result.
const DIVISIONS: [&str; 7] = ["/", "//", "%", "divide", "fdiv", "mod", "fmod"];
const POWERS: [&str; 4] = ["**", "^", "pow", "power"];

/// Looks at a whole statement.
pub(super) fn look(select: &Value, floats: &Floats) -> Spelling {
    let (mut merged, mut derived, mut shown, mut made) = (false, false, false, false);
    let outermost = &raw const select["node"];
    visit(select, &mut |node| {
        for key in merges(node, std::ptr::eq(node, outermost)) {
            if floats.may_be(key) {
                merged = true;
                derived |= !floats.is_table_column(key);
            }
        }
        shown |= reveals(node, floats);
        made |= makes(node, floats);
    });
    let matters = merged && shown;
    Spelling { matters, computed: matters && derived && (made || floats.is_nested()) }
}

/// The expressions of which `node` keeps one of several that count as equal.
fn merges(node: &Value, outermost: bool) -> Vec<&Value> {
    let mut keys = Vec::new();
    match class(node) {
        "FUNCTION" if matches!(class_of(&function_name(node)), Some(Class::Aggregate)) => {
            keys.extend(list(node, "children"));
        }
        "WINDOW" => {
            keys.extend(list(node, "children"));
            keys.extend(list(node, "partitions"));
            keys.extend(list(node, "orders").iter().map(|order| &order["expression"]));
        }
        _ => {}
    }
    let items = list(node, "select_list");
    for key in list(node, "group_expressions") {
        keys.push(ordinal(key).and_then(|n| items.get(n)).unwrap_or(key));
    }
    let modifiers = list(node, "modifiers");
    let distinct = modifiers.iter().any(|m| text(m, "type") == "DISTINCT_MODIFIER");
    let by_all = text(node, "aggregate_handling") == "FORCE_AGGREGATES";
    let inner_choice = !outermost && node.get("modifiers").is_some() && chooses(node);
    if distinct || by_all || inner_choice {
        keys.extend(items);
        keys.extend(modifiers.iter().flat_map(|m| list(m, "distinct_on_targets")));
    }
    if matches!(text(node, "type"), "SET_OPERATION_NODE" | "RECURSIVE_CTE_NODE") {
        let all = node["setop_all"] == true || node["union_all"] == true;
        if !all || text(node, "setop_type") == "EXCEPT" || distinct || inner_choice {
            outputs(&node["left"], &mut keys);
            outputs(&node["right"], &mut keys);
        }
    }
    keys
}

fn outputs<'a>(node: &'a Value, keys: &mut Vec<&'a Value>) {
    keys.extend(list(node, "select_list"));
    for side in ["left", "right"] {
        if let Some(side) = node.get(side) {
            outputs(side, keys);
        }
    }
}

fn ordinal(key: &Value) -> Option<usize> {
    let number = (class(key) == "CONSTANT").then(|| key["value"]["value"].as_u64())??;
    usize::try_from(number).ok()?.checked_sub(1)
}

/// Whether `node` gives different values for floats that count as equal.
fn reveals(node: &Value, floats: &Floats) -> bool {
    let children = list(node, "children");
    let any = |nodes: &[Value]| nodes.iter().any(|child| floats.may_be(child));
    match class(node) {
        "CAST" => !is_number(&node["cast_type"]) && floats.may_be(&node["child"]),
        // Values of other types beside floats make them text.
        "CASE" => {
            let checks = list(node, "case_checks").iter().map(|check| &check["then_expr"]);
            mixed(checks.chain([&node["else_expr"]]), floats)
        }
        "OPERATOR" if text(node, "type") == "OPERATOR_COALESCE" => mixed(children.iter(), floats),
        "FUNCTION" | "WINDOW" => {
            let name = function_name(node);
            if name.starts_with("count") || BLIND.contains(&name.as_str()) {
                return false;
            }
            let right = children.get(1);
            if DIVISIONS.contains(&name.as_str()) {
                return right.is_some_and(|d| floats.may_be(d) && !is_above(d, 0.0));
            }
            if POWERS.contains(&name.as_str()) {
                let tame = right.is_some_and(|power| is_above(power, -f64::MIN_POSITIVE));
                return !tame && any(children);
            }
            any(children)
        }
        "" => text(node, "type") == "SET_OPERATION_NODE" && floats.any(),
        _ => false,
    }
}

fn mixed<'a>(values: impl Iterator<Item = &'a Value>, floats: &Floats) -> bool {
    let (mut float, mut other) = (false, false);
    for value in values.filter(|value| class(value) != "CONSTANT") {
        if floats.may_be(value) { float = true } else { other = true }
    }
    float && other
}

/// Whether `node` makes floats that no column has.
fn makes(node: &Value, floats: &Floats) -> bool {
    match class(node) {
        "FUNCTION" | "WINDOW" => {
            let picks = matches!(function_name(node).as_str(), "min" | "max" | "nullif");
            !picks && floats.may_be(node)
        }
        "CAST" => floats.may_be(node) && !is_written(&node["child"]),
        _ => false,
    }
}

/// Whether it is a constant without a minus.
fn is_written(node: &Value) -> bool {
    class(node) == "CONSTANT" && !node["value"]["value"].to_string().contains('-')
}

/// Whether it is a number that is written out and greater than `least`.
fn is_above(node: &Value, least: f64) -> bool {
    match class(node) {
        "CAST" => is_above(&node["child"], least),
        "CONSTANT" => {
            let value = &node["value"]["value"];
            // The unscaled digits of a DECIMAL have its sign.
            let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
            number.is_some_and(|number| number > least)
        }
        _ => false,
    }
}

fn is_number(cast_type: &Value) -> bool {
    matches!(
        text(cast_type, "id"),
        "BOOLEAN"
            | "TINYINT"
            | "SMALLINT"
            | "INTEGER"
            | "BIGINT"
            | "HUGEINT"
            | "UTINYINT"
            | "USMALLINT"
            | "UINTEGER"
            | "UBIGINT"
            | "UHUGEINT"
            | "FLOAT"
            | "DOUBLE"
            | "DECIMAL"
    ) || matches!(
        text(&cast_type["type_info"], "name"),
        "decimal" | "numeric" | "float8" | "float4"
    )
}
