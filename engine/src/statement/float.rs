//! Which expressions may hold floats, whose sums depend on the order of rows
//! (rule 9). Errs towards "may": names are not resolved, only compared.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;
use serde_json::Value;

use super::ast::{class, function_name, list, text, visit};
use super::functions::{Class, class_of};
use crate::sql_type::holds_float;

/// What a statement knows of floats.
pub(super) struct Floats {
    /// Columns of the tables that it reads, lower case, and whether one is a float.
    columns: BTreeMap<String, bool>,
    /// Names that it gives to columns, lower case.
    renamed: BTreeSet<String>,
    /// Whether any table or expression makes floats at all.
    any: bool,
    /// Whether a column's name says nothing about its type: set operations and
    /// nested types give names to other types, and COLUMNS(…) keeps them.
    opaque: bool,
    /// Whether a table has floats inside a nested column.
    nested: bool,
}

impl Floats {
    pub(super) fn new<'a>(select: &Value, schemas: impl Iterator<Item = &'a SchemaRef>) -> Self {
        let mut columns = BTreeMap::new();
        let (mut opaque, mut nested) = (false, false);
        for field in schemas.flat_map(|schema| schema.fields().iter()) {
            let float = holds_float(field.data_type());
            nested |= float && field.data_type().is_nested();
            *columns.entry(field.name().to_lowercase()).or_insert(false) |= float;
        }
        let mut renamed = BTreeSet::new();
        visit(select, &mut |node| {
            opaque |= matches!(text(node, "type"), "SET_OPERATION_NODE" | "RECURSIVE_CTE_NODE");
            opaque |= class(node) == "STAR" && node["columns"] == true;
            if node.get("class").is_some() {
                renamed.insert(text(node, "alias").to_lowercase());
            }
            let lists = ["column_name_alias", "aliases"].iter().flat_map(|key| list(node, key));
            renamed.extend(lists.filter_map(Value::as_str).map(str::to_lowercase));
            renamed
                .extend(list(node, "replace_list").iter().map(|r| text(r, "key").to_lowercase()));
            renamed
                .extend(list(node, "rename_list").iter().map(|r| text(r, "value").to_lowercase()));
        });
        let any = columns.values().any(|float| *float) || makes_float(select, false);
        Self { columns, renamed, any, opaque: opaque || nested, nested }
    }

    /// Whether the statement has floats at all.
    pub(super) const fn any(&self) -> bool {
        self.any
    }

    /// Whether a table has floats inside a nested column.
    pub(super) const fn is_nested(&self) -> bool {
        self.nested
    }

    /// Whether an expression is certainly a table's own column, as it is read.
    pub(super) fn is_table_column(&self, node: &Value) -> bool {
        let name = list(node, "column_names").last().and_then(Value::as_str);
        let name = name.unwrap_or_default().to_lowercase();
        let known = !self.opaque && !self.renamed.contains(&name);
        class(node) == "COLUMN_REF" && known && self.columns.contains_key(&name)
    }

    /// Whether an expression's value may be (or hold) a float.
    pub(super) fn may_be(&self, node: &Value) -> bool {
        match class(node) {
            "CONSTANT" => is_float_type(&node["value"]["type"]),
            "CAST" => is_float_type(&node["cast_type"]),
            "COLUMN_REF" => self.column(node),
            "COMPARISON" | "CONJUNCTION" | "BETWEEN" => false,
            "OPERATOR" => match text(node, "type") {
                "OPERATOR_COALESCE" | "OPERATOR_TRY" | "ARRAY_EXTRACT" | "ARRAY_SLICE"
                | "STRUCT_EXTRACT" | "ARRAY_CONSTRUCTOR" => self.any_of(list(node, "children")),
                _ => false,
            },
            "FUNCTION" | "WINDOW" => self.call(node),
            "CASE" => {
                let checks = list(node, "case_checks").iter().map(|check| &check["then_expr"]);
                checks.chain([&node["else_expr"]]).any(|value| self.may_be(value))
            }
            "COLLATE" => false,
            "LAMBDA" => self.may_be(&node["expr"]),
            "SUBQUERY" => text(node, "subquery_type") == "SCALAR" && self.any,
            "" => false,
            _ => self.any,
        }
    }

    fn any_of(&self, nodes: &[Value]) -> bool {
        nodes.iter().any(|node| self.may_be(node))
    }

    fn column(&self, node: &Value) -> bool {
        let name = list(node, "column_names").last().and_then(Value::as_str);
        let name = name.unwrap_or_default().to_lowercase();
        if self.opaque || self.renamed.contains(&name) {
            return self.any;
        }
        self.columns.get(&name).copied().unwrap_or(self.any)
    }

    fn call(&self, node: &Value) -> bool {
        let name = function_name(node);
        if name.starts_with("count") || name == "approx_count_distinct" || name == "regr_count" {
            return false;
        }
        if matches!(name.as_str(), "date_part" | "datepart") {
            let part = list(node, "children").first().map(|part| text(&part["value"], "value"));
            let part = part.unwrap_or_default().to_lowercase();
            return part.is_empty() || part == "epoch" || part == "julian";
        }
        makes_float_of_all(&name) || self.any_of(list(node, "children"))
    }
}

/// Functions whose value is a float whatever they are given.
fn makes_float_of_all(name: &str) -> bool {
    let class = class_of(name);
    matches!(class, Some(Class::PureFloat | Class::FloatSum))
        || matches!(name, "avg" | "mean" | "median" | "mad" | "percent_rank" | "cume_dist")
        || name.starts_with("quantile")
}

fn is_float_type(node: &Value) -> bool {
    let written = node.to_string().to_lowercase();
    written.contains("double") || written.contains("float")
}

/// Whether an expression in `node` makes floats that reach a column. What is compared
/// or cast to another type does not.
fn makes_float(node: &Value, absorbed: bool) -> bool {
    match node {
        Value::Array(items) => items.iter().any(|item| makes_float(item, absorbed)),
        Value::Object(fields) => {
            let (own, inner) = match class(node) {
                "CONSTANT" => return !absorbed && is_float_type(&node["value"]["type"]),
                "CAST" => {
                    let float = is_float_type(&node["cast_type"]);
                    (float, absorbed || !float)
                }
                "COMPARISON" | "CONJUNCTION" | "BETWEEN" => (false, true),
                "SUBQUERY" => (false, false),
                "FUNCTION" | "WINDOW" => (makes_float_of_all(&function_name(node)), absorbed),
                _ => (false, absorbed),
            };
            (own && !absorbed) || fields.values().any(|value| makes_float(value, inner))
        }
        _ => false,
    }
}
