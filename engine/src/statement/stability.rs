//! Whether equal data give equal bytes (rule 9): what DuckDB leaves to the
//! order of rows, each with what to write instead. Runs after `order.rs`.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use serde_json::Value;

use super::ast::{class, function_name, list, same, text};
use super::cover::{covers, has_limit, is_all, order_keys, order_of};
use super::float::Floats;
use super::functions::{Class, class_of};
use super::order::{chooses, distinct_on, width};
use super::{OutputColumn, Stability, interval, spelling};

/// What was found.
pub(super) struct Judgement {
    pub(super) stability: Stability,
    /// Whether float columns must be read in one spelling.
    pub(super) one_spelling: bool,
}

/// Judges a whole statement over tables of these schemas, whose answer has `columns`.
pub(super) fn judge<'a>(
    select: &Value,
    columns: &[OutputColumn],
    schemas: impl Iterator<Item = &'a SchemaRef>,
) -> Judgement {
    let mut judge = Judge { floats: Floats::new(select, schemas), reasons: BTreeSet::new() };
    if interval::is_shown(columns) {
        judge.say(interval::REASON);
    }
    let spelling = spelling::look(select, &judge.floats);
    if spelling.computed {
        judge.say(spelling::REASON);
    }
    judge.query(&select["node"], true);
    judge.inside(&select["node"], &select["node"]);
    let stability = if judge.reasons.is_empty() {
        Stability::Stable
    } else {
        Stability::Unstable(judge.reasons.into_iter().collect())
    };
    Judgement { stability, one_spelling: spelling.matters }
}

struct Judge {
    floats: Floats,
    reasons: BTreeSet<String>,
}

impl Judge {
    fn say(&mut self, reason: impl Into<String>) {
        self.reasons.insert(reason.into());
    }

    /// Judges everything in `node`; `select` is the query node around it.
    fn inside(&mut self, node: &Value, select: &Value) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item, select)),
            Value::Object(fields) => {
                fields.values().for_each(|value| self.visit(value, select));
            }
            _ => {}
        }
    }

    fn visit(&mut self, node: &Value, select: &Value) {
        let select = if node.get("modifiers").is_some() {
            self.query(node, false);
            node
        } else {
            select
        };
        match class(node) {
            "FUNCTION" => {
                if let Some(sorted) = sorted_list(node) {
                    let keys: Vec<_> = list(sorted, "children").iter().collect();
                    self.aggregate(sorted, &keys);
                    return self.inside(&sorted["children"], select);
                }
                self.call(node);
            }
            "WINDOW" => self.window(node, select),
            "" if text(node, "type") == "JOIN" => self.join(node),
            "" if interval::is_listed(node) => self.say(interval::REASON),
            _ => {}
        }
        self.inside(node, select);
    }

    fn query(&mut self, node: &Value, outermost: bool) {
        if interval::is_listed(node) {
            self.say(interval::REASON);
        }
        if chooses(node) {
            match order_of(node) {
                None if has_limit(node) => {
                    self.say("LIMIT or OFFSET without ORDER BY takes any rows: add ORDER BY");
                }
                None => {}
                Some(orders) if outermost || is_all(orders) || width(node).is_some() => {}
                Some(_) => self.say(
                    "LIMIT or DISTINCT ON in a subquery that selects `*` takes any of the rows that \
                     tie: name its columns, or write ORDER BY ALL",
                ),
            }
            if distinct_on(node).is_some() && order_of(node).is_none() {
                self.say("DISTINCT ON without ORDER BY keeps any row: add ORDER BY");
            }
        }
        let shown = [&node["select_list"], &node["group_expressions"], &node["modifiers"]];
        if shown.iter().any(|part| shows_collated(part)) {
            self.say(
                "a column under COLLATE shows any of the texts that count as equal: use lower() or \
                 strip_accents(), or COLLATE only in comparisons and ORDER BY",
            );
        }
    }

    fn join(&mut self, node: &Value) {
        match text(node, "ref_type") {
            "POSITIONAL" => self.say("POSITIONAL JOIN pairs rows by chance: join on columns"),
            "ASOF" => self.say(
                "ASOF JOIN takes any of the rows that tie: join on a range and aggregate instead",
            ),
            _ => {}
        }
    }

    fn call(&mut self, node: &Value) {
        let keys = order_keys(list(&node["order_bys"], "orders"));
        self.aggregate(node, &keys);
    }

    /// An aggregate, called over a group or a window's frame, in the order of `keys`.
    fn aggregate(&mut self, node: &Value, keys: &[&Value]) {
        if interval::is_chosen(node) {
            self.say(interval::REASON);
        }
        let (name, children) = (function_name(node), list(node, "children"));
        match class_of(&name) {
            Some(Class::Sum) if children.iter().any(|child| self.floats.may_be(child)) => {
                self.say(format!(
                    "{name}() of floats varies in its last digits: cast its argument to DECIMAL"
                ));
            }
            Some(Class::FloatSum) => self.say(format!(
                "{name}() sums floats, which varies in the last digits: build it from sums of \
                 DECIMAL, or round and accept a weak ETag"
            )),
            Some(Class::Ordered) => {
                let total = children.iter().all(|child| {
                    class(child) == "CONSTANT" || keys.iter().any(|key| same(key, child))
                });
                let floats = children.iter().any(|child| self.floats.may_be(child));
                if !total || floats || keys.is_empty() {
                    self.say(format!(
                        "{name}() depends on the order of rows: give it an ORDER BY that ends with \
                         its own arguments, or use min() or max()"
                    ));
                }
            }
            _ => {}
        }
    }

    fn window(&mut self, node: &Value, select: &Value) {
        let name = function_name(node);
        let orders = list(node, "orders");
        let mut keys = order_keys(orders);
        keys.extend(list(node, "partitions"));
        let total = covers(&keys, select) && shows_only_keys(&keys, node);
        let by_rows = ["start", "end"].iter().any(|bound| text(node, bound).ends_with("ROWS"));
        let class = class_of(&name);
        if class == Some(Class::Ranking) || total {
            // Float sums still depend on the order of addition.
            keys.extend(list(node, "children"));
            return self.aggregate(node, &keys);
        }
        if by_rows || class == Some(Class::Ordered) {
            return self.say(format!(
                "{name}() OVER depends on how rows that tie are ordered: let the window's ORDER BY \
                 (with PARTITION BY) name every column that the SELECT shows, or use rank()"
            ));
        }
        self.aggregate(node, &order_keys(list(node, "arg_orders")));
    }
}

/// The aggregate of `list_sort(list(x))`, which is how DuckDB parses `list(x ORDER BY x)`.
fn sorted_list(node: &Value) -> Option<&Value> {
    let sorts = matches!(function_name(node).as_str(), "list_sort" | "list_reverse_sort");
    let child = list(node, "children").first()?;
    let lists = matches!(function_name(child).as_str(), "list" | "array_agg");
    (sorts && lists && class(child) == "FUNCTION").then_some(child)
}

/// Whether a window's own arguments are columns of its keys or constants.
fn shows_only_keys(keys: &[&Value], window: &Value) -> bool {
    let parts = [&window["children"], &window["filter_expr"], &window["default_expr"]];
    parts.iter().all(|part| {
        let shown = serde_json::json!({ "select_list": part, "qualify": null, "modifiers": [] });
        covers(keys, &shown)
    })
}

/// Whether a collated value reaches a column or a group: not through a comparison, and
/// not as a sort key.
fn shows_collated(node: &Value) -> bool {
    match node {
        Value::Array(items) => items.iter().any(shows_collated),
        Value::Object(fields) => match class(node) {
            "COLLATE" => true,
            "COMPARISON" | "BETWEEN" | "SUBQUERY" => false,
            _ if text(node, "type") == "ORDER_MODIFIER" => false,
            _ => fields.values().any(shows_collated),
        },
        _ => false,
    }
}
