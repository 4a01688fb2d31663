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
/// Functions that write each byte as several.
const ENCODERS: [(&str, u64); 14] = [
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
    ("to_base64", 2),
    ("regexp_escape", 2),
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
    /// Aliases of the same SELECT and parameters of lambdas, lower case.
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
                self.query(&node["right"], second.max(first))
            }
            _ => self.query(&node["left"], column).max(self.query(&node["right"], column)),
        };
        self.all(&node["modifiers"], &Names::of(size));
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
                names.known.insert(alias.to_lowercase(), own);
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
            _ => self.children(node, names),
        }
    }

    fn children(&mut self, node: &Value, names: &Names<'_>) -> u64 {
        let Value::Object(fields) = node else { return 1 };
        fields.values().map(|value| self.all(value, names)).max().unwrap_or(1)
    }

    fn call(&mut self, node: &Value, names: &Names<'_>) -> u64 {
        let (name, arguments) = (function_name(node), list(node, "children"));
        if let Some(lambda) = arguments.iter().find(|argument| class(argument) == "LAMBDA") {
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
            "replace" | "regexp_replace" => size(0).saturating_mul(size(2)),
            "array_to_string" | "list_string_agg" => size(0).saturating_mul(size(1) + 1),
            "concat_ws" => sum.saturating_add(size(0).saturating_mul(sizes.len() as u64)),
            "greatest" | "least" | "nullif" => sizes.iter().copied().max().unwrap_or(1),
            "format" | "printf" => sum.saturating_add(widths(arguments.first())),
            _ if aggregate => sizes.iter().copied().max().unwrap_or(1),
            _ if is_flat(&name) => 1,
            _ => sum,
        }
    }

    /// A function that calls a lambda for each item of a list.
    fn each(&mut self, name: &str, arguments: &[Value], lambda: &Value, names: &Names<'_>) -> u64 {
        let others = arguments.iter().filter(|argument| class(argument) != "LAMBDA");
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
            inner.known.values_mut().for_each(|size| *size = 0);
            inner.known.insert(round, MOST / 2);
            let twice = self.expression(&lambda["expr"], &inner) >= MOST;
            return if twice { u64::MAX } else { whole.saturating_mul(body) };
        }
        whole.saturating_mul(body)
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
mod tests {
    use duckdb::Connection;

    use super::*;
    use crate::statement::parse_select;

    fn allowed(sql: &str) -> bool {
        let connection = Connection::open_in_memory().unwrap();
        check(&parse_select(&connection, sql).unwrap()).is_ok()
    }

    /// Ways to multiply, one inside another.
    const OVER: [&str; 20] = [
        "SELECT repeat(repeat('x', 100000), 100000)",
        "SELECT length(repeat(s, 100000)) FROM (SELECT repeat('x', 100000) AS s)",
        "SELECT repeat(s, 2000) FROM (SELECT s FROM (SELECT repeat('x', 1000) AS s))",
        "WITH a AS (SELECT repeat('x', 1000) AS s), b AS (SELECT repeat(s, 2000) AS t FROM a) FROM b",
        "SELECT (SELECT repeat(s, 2000)) FROM (SELECT repeat('x', 1000) AS s)",
        "SELECT repeat('x', 1000) AS a, repeat(a, 2000) AS b",
        "SELECT 1 FROM (SELECT repeat('x', 1000) AS s) WHERE length(repeat(s, 2000)) > 1",
        "SELECT 1 FROM (SELECT repeat('x', 1000) AS s) a JOIN b ON repeat(a.s, 2000) = b.t",
        "SELECT replace(s, 'x', s) FROM (SELECT repeat('x', 2000) AS s)",
        "SELECT replace(lpad('x', 2000), ' ', rpad('x', 2000))",
        "SELECT regexp_replace(s, 'x', s, 'g') FROM (SELECT repeat('x', 2000) AS s)",
        "SELECT repeat(s, 2000) FROM (SELECT unnest([repeat('x', 1000)]) AS s)",
        "SELECT repeat(s, 2000) FROM (VALUES (repeat('x', 1000))) v(s)",
        "SELECT repeat(s, 2000) FROM (SELECT 'x' AS s UNION ALL SELECT repeat('x', 1000))",
        "SELECT repeat(max(s), 2000) FROM (SELECT repeat('x', 1000) AS s)",
        "SELECT list_transform(range(10000), x -> repeat('x', 1000))",
        "SELECT array_to_string(list_transform(range(1000), x -> 'x'), repeat('y', 2000))",
        "SELECT list_reduce(['a', 'b'], lambda a, b: a || a)",
        "SELECT bin(bin(bin(bin(bin(bin(bin('x')))))))",
        "SELECT format('{:>300000000}', 'x')",
    ];

    #[test]
    fn what_multiplies_itself_is_refused_however_it_is_nested() {
        for sql in OVER {
            assert!(!allowed(sql), "{sql}");
        }
        let ten = (0..10).fold("SELECT 'x' AS s".to_owned(), |inner, _| {
            format!("SELECT repeat(s, 5) AS s FROM ({inner})")
        });
        assert!(!allowed(&ten), "5^10");
        let doubled = (1..25).fold("SELECT 'x' AS a0".to_owned(), |sql, n| {
            format!("{sql}, a{0} || a{0} AS a{n}", n - 1)
        });
        assert!(!allowed(&doubled), "2^24");
        assert!(!allowed("SELECT printf('%*d', n, 1) FROM t"));
        assert!(!allowed("SELECT printf(f, 1) FROM t") && !allowed("SELECT format('{:{}}', 1, n)"));
    }

    #[test]
    fn what_reports_are_made_of_is_allowed() {
        for sql in [
            "SELECT repeat('x', 100000), lpad('a', 20), lpad('b', 20), lpad('c', 100000)",
            "SELECT replace(replace(replace(t, '&', '&amp;'), '<', '&lt;'), '>', '&gt;') FROM q",
            "SELECT list_transform(range(100000), x -> x + 1)",
            "SELECT list_reduce(range(100000), lambda a, b: a + b), list_filter(l, x -> x > 1) FROM t",
            "SELECT list_reduce(['a', 'b'], lambda a, b: a || b)",
            "WITH RECURSIVE r(p) AS (SELECT n FROM t UNION ALL SELECT r.p || '/' || t.n FROM r JOIN t ON true) FROM r",
            "WITH a AS (SELECT x || y || z AS s FROM t), b AS (SELECT s || s AS s FROM a) SELECT s || '!' FROM b",
            "SELECT format('{:>20} {:05d}', t, n), printf('%10.3f', f) FROM q",
            "SELECT repeat(s, 1000) FROM (SELECT repeat('x', 1000) AS s)",
            "SELECT to_json({'a': hex(t), 'b': [1, 2, 3]}) FROM q",
            "SELECT string_agg(rpad(t, 10), ', ' ORDER BY t) FROM q",
        ] {
            assert!(allowed(sql), "{sql}");
        }
        let sums = format!("SELECT {}", vec!["a"; 20].join(" + "));
        let nested = (0..3).fold("t".to_owned(), |inner, _| format!("({sums} AS a FROM {inner})"));
        assert!(allowed(&format!("SELECT a FROM {nested}")));
    }
}
