//! A filter's text in a plan to a predicate (rule 10). DuckDB's own parser
//! reads it; what is not understood is [`Predicate::Unknown`], never false.

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use duckdb::Connection;
use serde_json::Value;

use super::literal::{self, Literal};
use crate::error::EngineError;
use crate::prune::{Cast, Column, Comparison, Predicate};
use crate::statement::ast::{class, function_name, list, text};
use crate::statement::{parse_select, stub};

/// Filters that are only hints; the true ones stand above the scan.
const HINT: &str = "optional:";

/// The predicate of one entry of a plan, given as its lines, which are AND-ed.
///
/// A text constant with a line break is torn into several lines; the first of them
/// then ends inside a literal and does not parse, and nothing of the entry counts.
///
/// # Errors
/// Only where DuckDB itself fails.
pub(super) fn predicate(
    connection: &Connection,
    lines: &[&str],
    schema: &SchemaRef,
) -> Result<Predicate, EngineError> {
    if lines.is_empty() {
        return Ok(Predicate::Unknown);
    }
    let nested = nested_columns(schema);
    let opaque = |line: &str| nested.iter().any(|field| line.contains(field.as_str()));
    let mut parts = Vec::new();
    for line in lines {
        // Hints are parsed too: they may end in a torn constant.
        let text = line.replace(HINT, "");
        let select = match parse_select(connection, &format!("SELECT 1 WHERE {text}")) {
            Ok(select) => select,
            Err(EngineError::InvalidSql { .. } | EngineError::Forbidden { .. }) => {
                return Ok(Predicate::Unknown);
            }
            Err(error) => return Err(error),
        };
        if !line.contains(HINT) && !opaque(line) {
            parts.push(Reader { schema }.predicate(&select["node"]["where_clause"]));
        }
    }
    Ok(Predicate::and(parts))
}

/// Texts that name a field of a nested column: fields stand there without quotes.
fn nested_columns(schema: &SchemaRef) -> Vec<String> {
    let fields = schema.fields().iter().enumerate();
    let nested = fields.filter(|(_, field)| field.data_type().is_nested());
    nested.map(|(i, _)| stub::column_name(i)).collect()
}

struct Reader<'a> {
    schema: &'a SchemaRef,
}

impl Reader<'_> {
    fn predicate(&self, node: &Value) -> Predicate {
        match class(node) {
            "CONJUNCTION" => {
                let parts = list(node, "children").iter().map(|child| self.predicate(child));
                if text(node, "type") == "CONJUNCTION_AND" {
                    Predicate::and(parts.collect())
                } else {
                    Predicate::or(parts.collect())
                }
            }
            "COMPARISON" => self.comparison(node),
            "BETWEEN" => {
                let bound = |op, key| self.compare(op, &node["input"], &node[key]);
                Predicate::and(vec![
                    bound(Comparison::GreaterOrEqual, "lower"),
                    bound(Comparison::LessOrEqual, "upper"),
                ])
            }
            "OPERATOR" => self.operator(node),
            "FUNCTION" => self.call(node),
            "COLUMN_REF" | "CAST" => match (self.column(node), literal::literal(node)) {
                (Some(column), _) if *self.data_type(column) == DataType::Boolean => {
                    Predicate::Holds(column)
                }
                (_, Some(Literal::Boolean(false))) => Predicate::False,
                _ => Predicate::Unknown,
            },
            _ => Predicate::Unknown,
        }
    }

    fn operator(&self, node: &Value) -> Predicate {
        let children = list(node, "children");
        let Some(first) = children.first() else { return Predicate::Unknown };
        let of_column =
            |make: fn(Column) -> Predicate| self.column(first).map_or(Predicate::Unknown, make);
        match text(node, "type") {
            "OPERATOR_NOT" => Predicate::not(self.predicate(first)),
            "OPERATOR_IS_NULL" => of_column(Predicate::IsNull),
            "OPERATOR_IS_NOT_NULL" => of_column(|c| Predicate::not(Predicate::IsNull(c))),
            kind @ ("COMPARE_IN" | "COMPARE_NOT_IN") => {
                let equal = |value| self.compare(Comparison::Equal, first, value);
                let any = Predicate::or(children[1..].iter().map(equal).collect());
                if kind == "COMPARE_IN" { any } else { Predicate::not(any) }
            }
            _ => Predicate::Unknown,
        }
    }

    fn comparison(&self, node: &Value) -> Predicate {
        let op = match text(node, "type") {
            "COMPARE_EQUAL" => Comparison::Equal,
            "COMPARE_NOTEQUAL" => Comparison::NotEqual,
            "COMPARE_LESSTHAN" => Comparison::Less,
            "COMPARE_LESSTHANOREQUALTO" => Comparison::LessOrEqual,
            "COMPARE_GREATERTHAN" => Comparison::Greater,
            "COMPARE_GREATERTHANOREQUALTO" => Comparison::GreaterOrEqual,
            "COMPARE_DISTINCT_FROM" => Comparison::Distinct,
            "COMPARE_NOT_DISTINCT_FROM" => Comparison::NotDistinct,
            _ => return Predicate::Unknown,
        };
        let (left, right) = (&node["left"], &node["right"]);
        match self.compare(op, left, right) {
            Predicate::Unknown => self.compare(op.flipped(), right, left),
            known => known,
        }
    }

    fn compare(&self, op: Comparison, column: &Value, value: &Value) -> Predicate {
        let compare = || {
            let column = self.column(column)?;
            let literal = literal::literal(value)?;
            let value = literal::coerce(&literal, self.data_type(column), column.cast)?;
            Some(Predicate::Compare(column, op, value))
        };
        compare().unwrap_or(Predicate::Unknown)
    }

    fn call(&self, node: &Value) -> Predicate {
        let [subject, argument] = list(node, "children") else { return Predicate::Unknown };
        let make: fn(Column, String) -> Predicate = match function_name(node).as_str() {
            "prefix" | "starts_with" | "^@" => Predicate::StartsWith,
            "suffix" | "ends_with" => Predicate::EndsWith,
            "contains" => Predicate::Contains,
            _ => return Predicate::Unknown,
        };
        match (self.column(subject), literal::literal(argument)) {
            (Some(column), Some(Literal::Text(text)))
                if column.cast == Cast::None && is_text(self.data_type(column)) =>
            {
                make(column, text)
            }
            _ => Predicate::Unknown,
        }
    }

    fn data_type(&self, column: Column) -> &DataType {
        self.schema.field(column.index).data_type()
    }

    /// A column, under a cast that keeps order and that the evaluator knows.
    fn column(&self, node: &Value) -> Option<Column> {
        match class(node) {
            "COLUMN_REF" => {
                let [Value::String(name)] = list(node, "column_names") else { return None };
                let index = stub::column_of(name)?;
                self.schema.fields().get(index)?;
                Some(Column { index, cast: Cast::None })
            }
            "CAST" if node["try_cast"] != true => {
                let column = self.column(&node["child"])?;
                let cast = known_cast(self.data_type(column), text(&node["cast_type"], "id"))?;
                (column.cast == Cast::None).then_some(Column { index: column.index, cast })
            }
            _ => None,
        }
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// What a cast from a column's type does; `None`: not known to keep order.
fn known_cast(from: &DataType, to: &str) -> Option<Cast> {
    let micros = |kind: &DataType| matches!(kind, DataType::Timestamp(TimeUnit::Microsecond, _));
    match to {
        // Fails where the value does not fit, so no value changes.
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" if from.is_integer() => {
            Some(Cast::None)
        }
        "DECIMAL" if from.is_integer() => Some(Cast::None),
        "DOUBLE" if *from == DataType::Float32 => Some(Cast::Double),
        "DOUBLE" if from.is_integer() => Some(Cast::Double),
        "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE" if micros(from) || *from == DataType::Date32 => {
            Some(Cast::None)
        }
        "DATE" if micros(from) => Some(Cast::Date),
        _ => None,
    }
}
