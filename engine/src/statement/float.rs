//! Which expressions may hold floats, whose sums depend on the order of rows
//! (rule 9). Errs towards "may": names are not resolved, only compared.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, SchemaRef};
use serde_json::Value;

use super::ast::{class, function_name, list, text, visit};
use super::functions::{Class, class_of};

/// What a statement knows of floats.
pub(super) struct Floats {
    /// Columns of the tables that it reads, lower case, and whether one is a float.
    columns: BTreeMap<String, bool>,
    /// Names that it gives to columns, lower case.
    renamed: BTreeSet<String>,
    /// Whether any table or expression makes floats at all.
    any: bool,
    /// Whether a column's name says nothing about its type: set operations and
    /// nested types give names to other types.
    opaque: bool,
}

impl Floats {
    pub(super) fn new<'a>(select: &Value, schemas: impl Iterator<Item = &'a SchemaRef>) -> Self {
        let mut columns = BTreeMap::new();
        let mut opaque = false;
        for field in schemas.flat_map(|schema| schema.fields().iter()) {
            let float = holds_float(field.data_type());
            opaque |= float && field.data_type().is_nested();
            *columns.entry(field.name().to_lowercase()).or_insert(false) |= float;
        }
        let mut renamed = BTreeSet::new();
        visit(select, &mut |node| {
            opaque |= matches!(text(node, "type"), "SET_OPERATION_NODE" | "RECURSIVE_CTE_NODE");
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
        Self { columns, renamed, any, opaque }
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

fn holds_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_float(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_float(field.data_type())),
        _ => false,
    }
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
