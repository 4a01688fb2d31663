//! One value as JSON text, whatever its Arrow type: the common part of JSON,
//! NDJSON and CSV. A column's type is looked at once a batch, not once a value.

use arrow::array::{
    Array, AsArray as _, BooleanArray, MapArray, OffsetSizeTrait, PrimitiveArray, StructArray,
    UnionArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{number, time};
use crate::error::EngineError;

/// A column that can write each of its values.
pub(super) struct Values<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

/// Writes the value of a row.
type Write<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

enum Kind<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Number(Write<'a>),
    /// Text of ASCII letters that needs no escapes, between quotes.
    Plain(Write<'a>),
    Text(Box<dyn Fn(usize) -> &'a str + 'a>),
    List(Box<Values<'a>>, Box<dyn Fn(usize) -> (usize, usize) + 'a>),
    Struct(Vec<(Vec<u8>, Values<'a>)>),
    Map(&'a MapArray, Box<Values<'a>>, Box<Values<'a>>),
    Union(&'a UnionArray, Vec<Option<(Vec<u8>, Values<'a>)>>),
    Dictionary(Vec<Option<usize>>, Box<Values<'a>>),
}

impl<'a> Values<'a> {
    /// Looks at a column.
    ///
    /// # Errors
    /// A type that no answer can hold.
    pub(super) fn new(array: &'a dyn Array, numbers_as_text: bool) -> Result<Self, EngineError> {
        let wide = numbers_as_text;
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Boolean(array.as_boolean()),
            DataType::Int8 => integer::<Int8Type>(array, false),
            DataType::Int16 => integer::<Int16Type>(array, false),
            DataType::Int32 => integer::<Int32Type>(array, false),
            DataType::Int64 => integer::<Int64Type>(array, wide),
            DataType::UInt8 => integer::<UInt8Type>(array, false),
            DataType::UInt16 => integer::<UInt16Type>(array, false),
            DataType::UInt32 => integer::<UInt32Type>(array, false),
            DataType::UInt64 => integer::<UInt64Type>(array, wide),
            DataType::Decimal128(width, scale) => {
                decimal(array.as_primitive(), *scale, wide && *width > number::EXACT_DIGITS)
            }
            DataType::Float32 => float::<Float32Type>(array),
            DataType::Float64 => float::<Float64Type>(array),
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => bytes(array),
            DataType::Date32
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Interval(IntervalUnit::MonthDayNano) => temporal(array),
            _ => nested(array, wide)?,
        };
        Ok(Self { array, kind })
    }

    /// Whether the value is NULL.
    pub(super) fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.array.is_null(row)
    }

    /// The value as JSON.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match &self.kind {
            Kind::Null => {}
            Kind::Boolean(array) => {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
            }
            Kind::Number(write) => write(row, out),
            Kind::Plain(write) => {
                out.push(b'"');
                write(row, out);
                out.push(b'"');
            }
            Kind::Text(text) => string(text(row), out),
            Kind::List(items, span) => {
                let (from, to) = span(row);
                sequence(b"[]", from..to, out, |item, out| items.write(item, out));
            }
            Kind::Struct(members) => {
                sequence(b"{}", members, out, |(name, values), out| {
                    out.extend_from_slice(name);
                    values.write(row, out);
                });
            }
            Kind::Map(map, keys, values) => {
                let offsets = map.value_offsets();
                let span = offsets[row] as usize..offsets[row + 1] as usize;
                sequence(b"{}", span, out, |entry, out| {
                    keys.write_key(entry, out);
                    values.write(entry, out);
                });
            }
            Kind::Union(union, members) => {
                let member = usize::try_from(union.type_id(row)).ok();
                let member = member.and_then(|id| members.get(id)?.as_ref());
                let offset = union.value_offset(row);
                sequence(b"{}", member, out, |(name, values), out| {
                    out.extend_from_slice(name);
                    values.write(offset, out);
                });
            }
            Kind::Dictionary(keys, values) => match keys[row] {
                Some(key) => values.write(key, out),
                None => out.extend_from_slice(b"null"),
            },
        }
    }

    /// The value as a member's name with its colon.
    fn write_key(&self, row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        self.write(row, out);
        if out.get(start) != Some(&b'"') {
            let json = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            string(&json, out);
        }
        out.push(b':');
    }

    /// The value as plain text: JSON without the quotes of a string.
    pub(super) fn write_text(&self, row: usize, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Text(text) if !self.array.is_null(row) => {
                out.extend_from_slice(text(row).as_bytes());
            }
            Kind::Plain(write) if !self.array.is_null(row) => write(row, out),
            Kind::Dictionary(keys, values) => {
                if let Some(key) = keys[row] {
                    values.write_text(key, out);
                }
            }
            Kind::Number(_) => {
                let start = out.len();
                self.write(row, out);
                if out.get(start) == Some(&b'"') {
                    out.remove(start);
                    out.pop();
                }
            }
            _ => self.write(row, out),
        }
    }
}

/// A JSON string.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    // Neither serializing a text nor writing to a Vec can fail.
    let _ = serde_json::to_writer(out, text);
}

/// A member's name with its colon.
pub(super) fn key(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 3);
    string(name, &mut out);
    out.push(b':');
    out
}

fn sequence<T>(
    braces: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(braces[0]);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(braces[1]);
}

fn integer<'a, T: ArrowPrimitiveType<Native: std::fmt::Display>>(
    array: &'a dyn Array,
    text: bool,
) -> Kind<'a> {
    let values = array.as_primitive::<T>().values();
    let write = Box::new(move |row: usize, out: &mut Vec<u8>| number::integer(values[row], out));
    if text { Kind::Plain(write) } else { Kind::Number(write) }
}

fn decimal(array: &PrimitiveArray<Decimal128Type>, scale: i8, text: bool) -> Kind<'_> {
    let write = Box::new(move |row: usize, out: &mut Vec<u8>| {
        number::decimal(array.value(row), scale, out);
    });
    if text { Kind::Plain(write) } else { Kind::Number(write) }
}

fn float<'a, T>(array: &'a dyn Array) -> Kind<'a>
where
    T: ArrowPrimitiveType<Native: Into<f64> + serde::Serialize>,
{
    let values = array.as_primitive::<T>().values();
    Kind::Number(Box::new(move |row, out| match number::not_finite(values[row].into()) {
        Some(name) => string(name, out),
        None => number::float(values[row], out),
    }))
}

fn bytes<'a>(array: &'a dyn Array) -> Kind<'a> {
    fn base64<'a>(value: impl Fn(usize) -> &'a [u8] + 'a) -> Kind<'a> {
        Kind::Plain(Box::new(move |row, out| {
            out.extend_from_slice(STANDARD.encode(value(row)).as_bytes());
        }))
    }
    match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Kind::Text(Box::new(|row| array.value(row)))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            Kind::Text(Box::new(|row| array.value(row)))
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            Kind::Text(Box::new(|row| array.value(row)))
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            base64(|row| array.value(row))
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            base64(|row| array.value(row))
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            base64(|row| array.value(row))
        }
        _ => {
            let array = array.as_fixed_size_binary();
            base64(|row| array.value(row))
        }
    }
}

fn temporal<'a>(array: &'a dyn Array) -> Kind<'a> {
    fn ticks<'a, T: ArrowPrimitiveType<Native = i64>>(
        array: &'a dyn Array,
        write: impl Fn(i64, &mut Vec<u8>) + 'a,
    ) -> Kind<'a> {
        let values = array.as_primitive::<T>().values();
        Kind::Plain(Box::new(move |row, out| write(values[row], out)))
    }
    match array.data_type() {
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>().values();
            Kind::Plain(Box::new(|row, out| time::date(values[row], out)))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            ticks::<Time64NanosecondType>(array, |t, out| time::time(t, 1_000_000_000, out))
        }
        DataType::Time64(_) => {
            ticks::<Time64MicrosecondType>(array, |t, out| time::time(t, 1_000_000, out))
        }
        DataType::Timestamp(unit, zone) => {
            let zoned = zone.is_some();
            let write = move |per_second: i64| {
                move |t: i64, out: &mut Vec<u8>| time::timestamp(t, per_second, zoned, out)
            };
            match unit {
                TimeUnit::Second => ticks::<TimestampSecondType>(array, write(1)),
                TimeUnit::Millisecond => ticks::<TimestampMillisecondType>(array, write(1_000)),
                TimeUnit::Microsecond => ticks::<TimestampMicrosecondType>(array, write(1_000_000)),
                TimeUnit::Nanosecond => {
                    ticks::<TimestampNanosecondType>(array, write(1_000_000_000))
                }
            }
        }
        _ => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>().values();
            Kind::Plain(Box::new(|row, out| {
                let value = values[row];
                time::interval(value.months, value.days, value.nanoseconds, out);
            }))
        }
    }
}

fn nested<'a>(array: &'a dyn Array, wide: bool) -> Result<Kind<'a>, EngineError> {
    fn span<O: OffsetSizeTrait>(
        offsets: &OffsetBuffer<O>,
    ) -> Box<dyn Fn(usize) -> (usize, usize) + '_> {
        Box::new(|row| (offsets[row].as_usize(), offsets[row + 1].as_usize()))
    }
    let boxed = |child: &'a dyn Array| Values::new(child, wide).map(Box::new);
    Ok(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            Kind::List(boxed(list.values())?, span(list.offsets()))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            Kind::List(boxed(list.values())?, span(list.offsets()))
        }
        DataType::FixedSizeList(_, length) => {
            let (list, length) = (array.as_fixed_size_list(), *length as usize);
            let span = Box::new(move |row| (row * length, (row + 1) * length));
            Kind::List(boxed(list.values())?, span)
        }
        DataType::Struct(_) => Kind::Struct(members(array.as_struct(), wide)?),
        DataType::Map(..) => {
            let map = array.as_map();
            Kind::Map(map, boxed(map.keys())?, boxed(map.values())?)
        }
        DataType::Union(fields, _) => {
            let union = array.as_union();
            let mut members = Vec::new();
            for (id, field) in fields.iter() {
                let index = usize::try_from(id).unwrap_or_default();
                members.resize_with(members.len().max(index + 1), || None);
                members[index] =
                    Some((key(field.name()), Values::new(union.child(id).as_ref(), wide)?));
            }
            Kind::Union(union, members)
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            let keys = keys.into_iter().enumerate();
            let keys = keys.map(|(row, key)| (!array.is_null(row)).then_some(key)).collect();
            Kind::Dictionary(keys, boxed(dictionary.values().as_ref())?)
        }
        other => {
            return Err(EngineError::InvalidSql {
                detail: format!("a column of type {other} cannot be written: cast it to VARCHAR"),
                position: None,
            });
        }
    })
}

fn members<'a>(
    array: &'a StructArray,
    wide: bool,
) -> Result<Vec<(Vec<u8>, Values<'a>)>, EngineError> {
    let names = array.fields().iter().map(|f| f.name().as_str());
    let columns = super::names::distinct(names).into_iter().zip(array.columns());
    columns.map(|(name, child)| Ok((key(&name), Values::new(child.as_ref(), wide)?))).collect()
}
