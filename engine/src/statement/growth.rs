//! How large a value may become by what a statement says alone (a column of a
//! table counts as one): texts and lists that multiply each other, also from
//! subquery to subquery. DuckDB folds constants while it plans and keeps texts
//! of a vector outside its memory limit, so this is bounded here. It must never
//! resolve a name: a column counts as the largest value below it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ast::{class, function_name, list, text};
use super::functions::{Class, class_of, is_flat};
use super::vet::forbidden;
use crate::error::EngineError;

/// The largest growth of one value.
const MOST: u64 = 1_000_000;
/// What a value counts as that rows come together in: texts and lists that aggregates make of
/// them, and what goes round and grows. More only where its input counts as more.
const COLLECTED: u64 = 4_000;
/// What goes round in a recursive query counts as this where its growth is looked at: it may
/// come to 16 times as much in each round.
const ROUND: u64 = MOST / 16;
/// The least that a text to replace others by counts as, where it is not written out: where
/// replacements stand inside one another, they multiply.
const REPLACEMENT: u64 = 16;
/// Functions that write each byte as several.
const ENCODERS: [(&str, u64); 15] = [
    ("bin", 8),
    ("to_binary", 8),
    ("to_json", 6),
    ("json_quote", 6),
    ("json_object", 6),
    ("json_array", 6),
    ("row_to_json", 6),
    ("array_to_json", 6),
    ("json_pretty", 4),
    ("url_encode", 3),
    ("hex", 2),
    ("to_hex", 2),
    ("base64", 2),
    ("to_base64", 2),
    ("regexp_escape", 2),
];

/// Functions that call a lambda, which is their second argument. Anywhere else DuckDB reads
/// the arrow as an access to JSON.
const LAMBDAS: [&str; 11] = [
    "apply",
    "array_apply",
    "array_filter",
    "array_reduce",
    "array_transform",
    "filter",
    "list_apply",
    "list_filter",
    "list_reduce",
    "list_transform",
    "reduce",
];
/// Aggregates that keep all rows in one value; others do so where they are told how many.
const COLLECTING: [&str; 11] = [
    "approx_top_k",
    "array_agg",
    "group_concat",
    "histogram",
    "histogram_exact",
    "json_group_array",
    "json_group_object",
    "json_group_structure",
    "list",
    "listagg",
    "string_agg",
];

/// Refuses statements that may multiply a value beyond the bound.
pub(super) fn check(select: &Value) -> Result<(), EngineError> {
    let mut growth = Growth { over: None };
    growth.query(&select["node"], 1);
    growth.over.map_or(Ok(()), |what| {
        Err(forbidden(
            format!("{what} that may grow to more than {MOST} times its input"),
            "use smaller sizes, and fewer functions that repeat, replace or join texts inside one \
             another (subqueries count)",
        ))
    })
}

struct Growth {
    /// The first part that is over the bound.
    over: Option<String>,
}

/// What names stand for.
struct Names<'a> {
    /// Aliases of the same SELECT (or columns of these names) and parameters of lambdas, lower case.
    known: BTreeMap<String, u64>,
    /// Any other column.
    column: u64,
    around: Option<&'a Self>,
}

impl<'a> Names<'a> {
    const fn of(column: u64) -> Self {
        Self { known: BTreeMap::new(), column, around: None }
    }

    fn inside(around: &'a Self) -> Self {
        Self { known: BTreeMap::new(), column: around.column, around: Some(around) }
    }

    fn size(&self, name: &str) -> u64 {
        let known = self.known.get(name).copied();
        known.unwrap_or_else(|| self.around.map_or(self.column, |around| around.size(name)))
    }

    /// The largest of all.
    fn any(&self) -> u64 {
        let around = self.around.map_or(self.column, Self::any);
        self.known.values().copied().fold(around, u64::max)
    }
}

impl Growth {
    /// The largest value of a query node's columns; columns around it are up to `column`.
    fn query(&mut self, node: &Value, column: u64) -> u64 {
        let mut column = column;
        for cte in list(&node["cte_map"], "map") {
            column = column.max(self.query(&cte["value"]["query"]["node"], column));
        }
        let size = match text(node, "type") {
            "SELECT_NODE" => return self.select(node, column),
            "RECURSIVE_CTE_NODE" => {
                let first = self.query(&node["left"], column).max(column);
                let second = self.query(&node["right"], first);
                // What grows once more in the next round; each round is stored within the limit.
                let third = self.query(&node["right"], second.max(first));
                let grows = self.query(&node["right"], ROUND) > ROUND;
                if grows { third.max(COLLECTED) } else { third }
            }
            _ => self.query(&node["left"], column).max(self.query(&node["right"], column)),
        };
        self.all(&node["modifiers"], &Names::of(size.max(column)));
        size
    }

    fn select(&mut self, node: &Value, column: u64) -> u64 {
        let column = column.max(self.from(&node["from_table"], column));
        let mut names = Names::of(column);
        let mut size = 1;
        for item in list(node, "select_list") {
            let own = self.expression(item, &names);
            size = size.max(own);
            let alias = text(item, "alias");
            if !alias.is_empty() {
                // DuckDB takes a column of this name first; of several aliases it takes one.
                let known = names.known.entry(alias.to_lowercase()).or_insert(column);
                *known = own.max(*known);
            }
        }
        for part in ["where_clause", "group_expressions", "having", "qualify", "modifiers"] {
            self.all(&node[part], &names);
        }
        size
    }

    fn from(&mut self, node: &Value, column: u64) -> u64 {
        let names = Names::of(column);
        match text(node, "type") {
            "SUBQUERY" => self.query(&node["subquery"]["node"], column),
            "JOIN" => {
                let left = self.from(&node["left"], column);
                let right = self.from(&node["right"], column.max(left));
                self.all(&node["condition"], &Names::of(column.max(left).max(right)));
                left.max(right)
            }
            "TABLE_FUNCTION" if function_name(&node["function"]) != "unnest" => {
                self.all(&node["function"]["children"], &names);
                1
            }
            "TABLE_FUNCTION" => self.all(&node["function"]["children"], &names),
            "EXPRESSION_LIST" => self.all(&node["values"], &names),
            _ => 1,
        }
    }

    /// The largest value of the expressions in `node`, however deep they hang.
    fn all(&mut self, node: &Value, names: &Names<'_>) -> u64 {
        match node {
            Value::Array(items) => {
                items.iter().map(|item| self.all(item, names)).max().unwrap_or(1)
            }
            Value::Object(_) if node.get("class").is_some() => self.expression(node, names),
            Value::Object(fields) => {
                fields.values().map(|value| self.all(value, names)).max().unwrap_or(1)
            }
            _ => 1,
        }
    }

    fn expression(&mut self, node: &Value, names: &Names<'_>) -> u64 {
        match class(node) {
            "CONSTANT" => {
                node["value"]["value"].as_str().map_or(1, |text| text.len() as u64).max(1)
            }
            "PARAMETER" => 1,
            "COLUMN_REF" => match list(node, "column_names") {
                [Value::String(name)] => names.size(&name.to_lowercase()),
                _ => names.any(),
            },
            "STAR" => names.any().max(self.all(&node["replace_list"], names)),
            "SUBQUERY" => {
                self.all(&node["child"], names);
                self.query(&node["subquery"]["node"], names.any())
            }
            "FUNCTION" | "WINDOW" => {
                let size = self.call(node, names);
                if size > MOST && self.over.is_none() {
                    self.over = Some(format!("`{}()`", function_name(node)));
                }
                size
            }
            "OPERATOR" if text(node, "type") == "ARRAY_CONSTRUCTOR" => {
                let items = list(node, "children").iter();
                items.fold(0, |sum: u64, item| sum.saturating_add(self.expression(item, names)))
            }
            "COMPARISON" | "CONJUNCTION" | "BETWEEN" => {
                self.children(node, names);
                1
            }
            // Texts inside lists are quoted where these become text.
            "CAST" if class(&node["child"]) != "CONSTANT" => {
                self.children(node, names).saturating_mul(2)
            }
            "OPERATOR" | "CAST" | "CASE" | "COLLATE" | "LAMBDA" => self.children(node, names),
            // A column by its number, and what is not known here.
            _ => self.children(node, names).max(names.any()),
        }
    }

    fn children(&mut self, node: &Value, names: &Names<'_>) -> u64 {
        let Value::Object(fields) = node else { return 1 };
        fields.values().map(|value| self.all(value, names)).max().unwrap_or(1)
    }

    fn call(&mut self, node: &Value, names: &Names<'_>) -> u64 {
        let (name, arguments) = (function_name(node), list(node, "children"));
        let lambda = arguments.get(1).filter(|argument| class(argument) == "LAMBDA");
        if let Some(lambda) = lambda.filter(|_| LAMBDAS.contains(&name.as_str())) {
            return self.each(&name, arguments, lambda, names);
        }
        for part in ["filter", "order_bys", "partitions", "orders", "filter_expr", "arg_orders"] {
            self.all(&node[part], names);
        }
        let sizes: Vec<u64> = arguments.iter().map(|a| self.expression(a, names)).collect();
        let size = |at: usize| sizes.get(at).copied().unwrap_or(1);
        let number = |at: usize| arguments.get(at).map_or(1, number);
        let sum = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)).max(1);
        if let Some((_, factor)) = ENCODERS.iter().find(|(encoder, _)| *encoder == name) {
            return sum.saturating_mul(*factor);
        }
        let aggregate = !matches!(class_of(&name), Some(Class::Pure | Class::PureFloat));
        match name.as_str() {
            "repeat" => size(0).saturating_mul(number(1)),
            "lpad" | "rpad" | "bitstring" => number(1),
            "bar" => number(3),
            "range" | "generate_series" => (0..3).map(number).max().unwrap_or(1),
            "equi_width_bins" => number(2),
            "list_resize" | "array_resize" => {
                size(0).saturating_add(number(1).saturating_mul(size(2)))
            }
            "replace" => size(0).saturating_mul(replacement(arguments.get(2), size(2))),
            // What matches the empty text is replaced between all others.
            "regexp_replace" => {
                let replacement = replacement(arguments.get(2), size(2)).saturating_add(1);
                size(0).saturating_add(1).saturating_mul(replacement)
            }
            "array_to_string" | "list_string_agg" => {
                size(0).saturating_mul(replacement(arguments.get(1), size(1)).saturating_add(1))
            }
            "md5" => 32,
            "sha1" => 40,
            "sha256" => 64,
            "concat" => sum.saturating_mul(2),
            "concat_ws" => {
                sum.saturating_mul(2).saturating_add(size(0).saturating_mul(sizes.len() as u64))
            }
            "greatest" | "least" | "nullif" => sizes.iter().copied().max().unwrap_or(1),
            "format" | "printf" => sum.saturating_mul(2).saturating_add(widths(arguments.first())),
            "bitstring_agg" => arguments.iter().skip(1).map(bound).fold(1, u64::saturating_add),
            _ if aggregate && collects(&name, arguments.len()) => sum.max(COLLECTED),
            _ if aggregate => sizes.iter().copied().max().unwrap_or(1),
            _ if is_flat(&name) => 1,
            _ => sum,
        }
    }

    /// A function that calls a lambda for each item of a list.
    fn each(&mut self, name: &str, arguments: &[Value], lambda: &Value, names: &Names<'_>) -> u64 {
        let others = arguments.iter().filter(|argument| !std::ptr::eq(*argument, lambda));
        let whole = others.map(|other| self.expression(other, names)).max().unwrap_or(1);
        let first = arguments.first().map(function_name).unwrap_or_default();
        let numbers = matches!(first.as_str(), "range" | "generate_series");
        let item = if numbers { 1 } else { whole };
        let mut inner = Names::inside(names);
        let mut parameters = Vec::new();
        super::ast::visit(&lambda["lhs"], &mut |part| {
            parameters.extend(list(part, "column_names").iter().filter_map(Value::as_str));
        });
        for parameter in &parameters {
            inner.known.insert(parameter.to_lowercase(), item);
        }
        let body = self.expression(&lambda["expr"], &inner);
        if name.ends_with("filter") {
            return whole;
        }
        if name.ends_with("reduce") {
            // The result goes round: where it is there twice, it doubles with each item.
            let round = parameters.first().map(|name| name.to_lowercase()).unwrap_or_default();
            inner.known.values_mut().for_each(|size| *size = 2);
            inner.known.insert(round, MOST / 2);
            let twice = self.expression(&lambda["expr"], &inner) >= MOST;
            return if twice { u64::MAX } else { whole.saturating_mul(body) };
        }
        // Items share the size of the whole: each has its part of what grows with an item, and
        // all of what does not.
        inner.known.values_mut().for_each(|size| *size = 0);
        let fixed = self.expression(&lambda["expr"], &inner);
        body.saturating_add(whole.saturating_mul(fixed))
    }
}

/// Whether an aggregate makes one value of many rows.
fn collects(name: &str, arguments: usize) -> bool {
    let least = match name {
        "max" | "min" => 2,
        "arg_max" | "arg_max_null" | "arg_max_nulls_last" | "arg_min" | "arg_min_null"
        | "arg_min_nulls_last" | "argmax" | "argmin" | "max_by" | "min_by" => 3,
        _ => return COLLECTING.contains(&name),
    };
    arguments >= least
}

/// What a text of this size counts as that stands in the place of many others.
fn replacement(node: Option<&Value>, size: u64) -> u64 {
    let text = node.filter(|node| class(node) == "CONSTANT");
    let written = text.is_some_and(|text| text["value"]["value"].is_string());
    if written { size } else { size.max(REPLACEMENT) }
}

/// A size as [`number`] has it; unbounded where it is computed.
fn bound(node: &Value) -> u64 {
    match class(node) {
        "CAST" => bound(&node["child"]),
        "FUNCTION" if function_name(node) == "-" && list(node, "children").len() == 1 => {
            list(node, "children").first().map_or(1, bound)
        }
        "CONSTANT" | "PARAMETER" => number(node),
        _ => u64::MAX,
    }
}

/// A size as it is written; sizes that are not constants are refused elsewhere.
fn number(node: &Value) -> u64 {
    match class(node) {
        "CONSTANT" => {
            let value = &node["value"]["value"];
            let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            number.map_or(1, i64::unsigned_abs).max(1)
        }
        "CAST" => number(&node["child"]),
        "FUNCTION" => list(node, "children").first().map_or(1, number),
        _ => 1,
    }
}

/// All widths that a format's text asks for; unbounded where it is not written out, or
/// takes a width from an argument.
fn widths(format: Option<&Value>) -> u64 {
    let Some(format) = format.filter(|format| class(format) == "CONSTANT") else { return MOST };
    let format = text(&format["value"], "value");
    if format.contains(":{") || format.contains('*') || format.contains(".{") {
        return MOST;
    }
    let digits = format.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    digits.fold(0, |sum: u64, digits| sum.saturating_add(digits.parse().unwrap_or(MOST)))
}

#[cfg(test)]
mod tests;
