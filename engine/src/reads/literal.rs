//! Constants of a filter's text to values of a column's type. What does not fit
//! exactly is refused: an unknown constant only costs pruning.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use serde_json::Value;
use springtide_relation::Scalar;

use crate::prune::Cast;
use crate::statement::ast::{class, text};

/// A constant as the text has it, before the column's type is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Boolean(bool),
    Integer(i128),
    Decimal(i128, i8),
    /// A float's digits.
    Float(String),
    Text(String),
    Date(i32),
    Time(i64),
    /// Microseconds since 1970, UTC.
    Timestamp(i64),
}

/// Reads a constant, cast or not.
pub(super) fn literal(node: &Value) -> Option<Literal> {
    match class(node) {
        "CONSTANT" => constant(&node["value"]),
        "CAST" if node["try_cast"] != true => {
            let child = &node["child"];
            if class(child) != "CONSTANT" {
                return None;
            }
            typed(child["value"]["value"].as_str()?, text(&node["cast_type"], "id"))
        }
        _ => None,
    }
}

fn constant(value: &Value) -> Option<Literal> {
    if value["is_null"] != false {
        return None;
    }
    let inner = &value["value"];
    match text(&value["type"], "id") {
        "BOOLEAN" => inner.as_bool().map(Literal::Boolean),
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" => {
            integer(inner).map(Literal::Integer)
        }
        "DECIMAL" => {
            let scale = value["type"]["type_info"]["scale"].as_i64().unwrap_or(0);
            Some(Literal::Decimal(integer(inner)?, i8::try_from(scale).ok()?))
        }
        "DOUBLE" => inner.as_str().map(|digits| Literal::Float(digits.to_owned())),
        "VARCHAR" => inner.as_str().map(|text| Literal::Text(text.to_owned())),
        _ => None,
    }
}

/// A number, or the halves of a wide one.
fn integer(value: &Value) -> Option<i128> {
    if let Some(number) = value.as_i64() {
        return Some(i128::from(number));
    }
    let (upper, lower) = (value["upper"].as_i64()?, value["lower"].as_u64()?);
    Some((i128::from(upper) << 64) | i128::from(lower))
}

/// A constant that DuckDB writes as text and a type.
fn typed(text: &str, id: &str) -> Option<Literal> {
    match id {
        "BOOLEAN" => match text {
            "t" | "true" => Some(Literal::Boolean(true)),
            "f" | "false" => Some(Literal::Boolean(false)),
            _ => None,
        },
        "FLOAT" | "DOUBLE" => Some(Literal::Float(text.to_owned())),
        "VARCHAR" => Some(Literal::Text(text.to_owned())),
        "DATE" => date(text).map(Literal::Date),
        "TIME" => time(text).map(Literal::Time),
        "TIMESTAMP" => timestamp(text).map(Literal::Timestamp),
        "TIMESTAMP WITH TIME ZONE" => timestamp(text.strip_suffix("+00")?).map(Literal::Timestamp),
        _ => None,
    }
}

fn date(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn time(text: &str) -> Option<i64> {
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()?;
    time.signed_duration_since(NaiveTime::MIN).num_microseconds()
}

fn timestamp(text: &str) -> Option<i64> {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    time.signed_duration_since(DateTime::UNIX_EPOCH.naive_utc()).num_microseconds()
}

/// The constant as a value that compares with a column of `data_type` under `cast`.
pub(super) fn coerce(literal: &Literal, data_type: &DataType, cast: Cast) -> Option<Scalar> {
    let single = *data_type == DataType::Float32 && cast == Cast::None;
    if matches!(data_type, DataType::Float32 | DataType::Float64) || cast == Cast::Double {
        return float(literal, single).map(Scalar::Float);
    }
    if cast == Cast::Date {
        return match literal {
            Literal::Date(days) => Some(Scalar::Date(*days)),
            _ => None,
        };
    }
    match (data_type, literal) {
        (DataType::Boolean, Literal::Boolean(b)) => Some(Scalar::Boolean(*b)),
        (kind, Literal::Integer(n)) if kind.is_integer() || is_decimal(kind) => {
            Some(Scalar::Integer(*n))
        }
        (kind, Literal::Decimal(n, scale)) if kind.is_integer() || is_decimal(kind) => {
            Some(Scalar::Decimal(*n, *scale))
        }
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, Literal::Text(text)) => {
            Some(Scalar::Text(Arc::from(text.as_str())))
        }
        (DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _), Literal::Date(d)) => {
            Some(Scalar::Date(*d))
        }
        (
            DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _),
            Literal::Timestamp(t),
        ) => Some(Scalar::Timestamp(*t)),
        (DataType::Time64(TimeUnit::Microsecond), Literal::Time(t)) => Some(Scalar::Time(*t)),
        _ => None,
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(_, _))
}

/// The float that these digits are, rounded once, as DuckDB wrote them.
fn float(literal: &Literal, single: bool) -> Option<f64> {
    let digits = match literal {
        Literal::Integer(n) => n.to_string(),
        Literal::Decimal(n, scale) => format!("{n}e-{scale}"),
        Literal::Float(digits) => digits.clone(),
        _ => return None,
    };
    if single { digits.parse::<f32>().ok().map(f64::from) } else { digits.parse().ok() }
}
