//! Whether single rows match: the test of an open chunk, whose rows are at hand
//! (rule 5). What cannot be read counts as a match.

use std::cmp::Ordering;

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use springtide_protocol::Offset;
use springtide_relation::{OpenChunk, Scalar, TailBatch};

use super::bounds::cast;
use super::{Column, Comparison, Outcome, Predicate};

/// The offset of the last row of the chunk that may match; `None`: no row does.
#[must_use]
pub fn last_match(predicate: &Predicate, chunk: &OpenChunk) -> Option<Offset> {
    chunk.rows.iter().rev().find_map(|batch| {
        let row = (0..batch.len()).rev().find(|row| may_match(predicate, batch, *row))?;
        Some(Offset(batch.offsets.value(row)))
    })
}

fn may_match(predicate: &Predicate, batch: &TailBatch, row: usize) -> bool {
    outcome(predicate, batch, row).may_be_true()
}

/// A value of one row.
enum Cell<'a> {
    Null,
    Text(&'a str),
    Value(Scalar),
    Unreadable,
}

fn outcome(predicate: &Predicate, batch: &TailBatch, row: usize) -> Outcome {
    match predicate {
        Predicate::Unknown => Outcome::ANY,
        Predicate::False => Outcome::NEVER,
        Predicate::And(parts) => {
            let mut all = Outcome::exactly(true);
            for part in parts {
                all = all & outcome(part, batch, row);
                if all == Outcome::NEVER {
                    break;
                }
            }
            all
        }
        Predicate::Or(parts) => {
            parts.iter().fold(Outcome::NEVER, |any, part| any | outcome(part, batch, row))
        }
        Predicate::Not(part) => !outcome(part, batch, row),
        Predicate::Compare(column, op, value) => compare(&cell(batch, *column, row), *op, value),
        Predicate::IsNull(column) => match cell(batch, *column, row) {
            Cell::Null => Outcome::exactly(true),
            Cell::Text(_) | Cell::Value(_) => Outcome::exactly(false),
            Cell::Unreadable => Outcome::of(true, true, false),
        },
        Predicate::Holds(column) => match cell(batch, *column, row) {
            Cell::Null => Outcome::NULL,
            Cell::Value(Scalar::Boolean(holds)) => Outcome::exactly(holds),
            _ => Outcome::ANY,
        },
        Predicate::StartsWith(column, part) => {
            text(&cell(batch, *column, row), |text| text.starts_with(part.as_str()))
        }
        Predicate::EndsWith(column, part) => {
            text(&cell(batch, *column, row), |text| text.ends_with(part.as_str()))
        }
        Predicate::Contains(column, part) => {
            text(&cell(batch, *column, row), |text| text.contains(part.as_str()))
        }
    }
}

fn text(cell: &Cell<'_>, test: impl Fn(&str) -> bool) -> Outcome {
    match cell {
        Cell::Null => Outcome::NULL,
        Cell::Text(text) => Outcome::exactly(test(text)),
        Cell::Value(_) | Cell::Unreadable => Outcome::ANY,
    }
}

fn compare(cell: &Cell<'_>, op: Comparison, value: &Scalar) -> Outcome {
    let order = match (cell, value) {
        (Cell::Null, _) => {
            return match op {
                Comparison::Distinct => Outcome::exactly(true),
                Comparison::NotDistinct => Outcome::exactly(false),
                _ => Outcome::NULL,
            };
        }
        (Cell::Text(text), Scalar::Text(other)) => Some(text.as_bytes().cmp(other.as_bytes())),
        (Cell::Value(own), other) => own.compare(other),
        _ => None,
    };
    order.map_or(Outcome::ANY, |order| Outcome::exactly(holds(op, order)))
}

const fn holds(op: Comparison, order: Ordering) -> bool {
    match op {
        Comparison::Equal | Comparison::NotDistinct => order.is_eq(),
        Comparison::NotEqual | Comparison::Distinct => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

fn cell(batch: &TailBatch, column: Column, row: usize) -> Cell<'_> {
    if column.index >= batch.rows.num_columns() {
        return Cell::Unreadable;
    }
    let array = batch.rows.column(column.index).as_ref();
    if array.is_null(row) {
        return Cell::Null;
    }
    if let Some(text) = text_at(array, row) {
        return Cell::Text(text);
    }
    let value = scalar_at(array, row).and_then(|value| cast(&value, column.cast));
    value.map_or(Cell::Unreadable, Cell::Value)
}

fn text_at(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

fn scalar_at(array: &dyn Array, row: usize) -> Option<Scalar> {
    Some(match array.data_type() {
        DataType::Boolean => Scalar::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => integer::<Int8Type>(array, row),
        DataType::Int16 => integer::<Int16Type>(array, row),
        DataType::Int32 => integer::<Int32Type>(array, row),
        DataType::Int64 => integer::<Int64Type>(array, row),
        DataType::UInt8 => integer::<UInt8Type>(array, row),
        DataType::UInt16 => integer::<UInt16Type>(array, row),
        DataType::UInt32 => integer::<UInt32Type>(array, row),
        DataType::UInt64 => integer::<UInt64Type>(array, row),
        DataType::Float32 => Scalar::Float(f64::from(value::<Float32Type>(array, row))),
        DataType::Float64 => Scalar::Float(value::<Float64Type>(array, row)),
        DataType::Decimal128(_, scale) => {
            Scalar::Decimal(value::<Decimal128Type>(array, row), *scale)
        }
        DataType::Date32 => Scalar::Date(value::<Date32Type>(array, row)),
        DataType::Time64(TimeUnit::Microsecond) => {
            Scalar::Time(value::<Time64MicrosecondType>(array, row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Scalar::Timestamp(value::<TimestampMicrosecondType>(array, row))
        }
        _ => return None,
    })
}

fn value<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

fn integer<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Scalar
where
    T::Native: Into<i128>,
{
    Scalar::Integer(value::<T>(array, row).into())
}
