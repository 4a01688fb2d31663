//! Bounds and counts of columns. One function for chunks in the tail, chunks
//! recorded beside data files and files themselves, so that all agree and a
//! chunk keeps its bounds when its rows move into the lake (rule 5).
//!
//! It must never know what the bounds are used for.

use std::sync::Arc;

use arrow::array::cast::AsArray as _;
use arrow::array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{Array, ArrayRef, PrimitiveArray, RecordBatch};
use arrow::compute;
use arrow::datatypes::{DataType, TimeUnit};
use springtide_relation::{ColumnStatistics, Scalar};

#[cfg(test)]
mod tests;

/// Longer texts and byte strings are bounded by a prefix of so many characters or bytes.
pub const BOUND_LENGTH: usize = 256;

/// The statistics of every column: exact, but for texts longer than [`BOUND_LENGTH`],
/// whose bounds are the nearest shorter ones. Columns of other than plain types have counts only.
#[must_use]
pub fn column_statistics(batch: &RecordBatch) -> Vec<ColumnStatistics> {
    batch.columns().iter().map(array_statistics).collect()
}

/// [`ColumnStatistics::union`], column by column.
#[must_use]
pub fn union(a: &[ColumnStatistics], b: &[ColumnStatistics]) -> Vec<ColumnStatistics> {
    a.iter().zip(b).map(|(a, b)| a.union(b)).collect()
}

/// The statistics of a column that `rows` rows do not have: all NULL.
#[must_use]
pub fn absent(rows: u64, data_type: &DataType) -> ColumnStatistics {
    let nans = is_float(data_type).then_some(0);
    ColumnStatistics { lower: None, upper: None, nulls: Some(rows), nans, rows }
}

/// The shorter text that is not above `text`.
#[must_use]
pub fn lower_text(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

/// The shortest text of at most `characters` that is not below `text`; `None` where there is none.
#[must_use]
pub fn upper_text(text: &str, characters: usize) -> Option<String> {
    let prefix = lower_text(text, characters);
    if prefix.len() == text.len() {
        return Some(text.to_owned());
    }
    let mut kept: Vec<char> = prefix.chars().collect();
    while let Some(last) = kept.pop() {
        if let Some(next) = following(last) {
            kept.push(next);
            return Some(kept.into_iter().collect());
        }
    }
    None
}

fn array_statistics(array: &ArrayRef) -> ColumnStatistics {
    let (lower, upper, nans) = match array.data_type() {
        DataType::Float32 => floats(array.as_primitive::<Float32Type>(), f64::from),
        DataType::Float64 => floats(array.as_primitive::<Float64Type>(), |v| v),
        _ => {
            let (lower, upper) = bounds(array);
            (lower, upper, None)
        }
    };
    let nulls = Some(array.logical_null_count() as u64);
    ColumnStatistics { lower, upper, nulls, nans, rows: array.len() as u64 }
}

type Bounds = (Option<Scalar>, Option<Scalar>);

fn bounds(array: &ArrayRef) -> Bounds {
    use Scalar::{Date, Integer, Time, Timestamp};
    match array.data_type() {
        DataType::Boolean => {
            let array = array.as_boolean();
            let both = (compute::min_boolean(array), compute::max_boolean(array));
            (both.0.map(Scalar::Boolean), both.1.map(Scalar::Boolean))
        }
        DataType::Int8 => plain::<Int8Type>(array, |v| Integer(v.into())),
        DataType::Int16 => plain::<Int16Type>(array, |v| Integer(v.into())),
        DataType::Int32 => plain::<Int32Type>(array, |v| Integer(v.into())),
        DataType::Int64 => plain::<Int64Type>(array, |v| Integer(v.into())),
        DataType::UInt8 => plain::<UInt8Type>(array, |v| Integer(v.into())),
        DataType::UInt16 => plain::<UInt16Type>(array, |v| Integer(v.into())),
        DataType::UInt32 => plain::<UInt32Type>(array, |v| Integer(v.into())),
        DataType::UInt64 => plain::<UInt64Type>(array, |v| Integer(v.into())),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            plain::<Decimal128Type>(array, |v| Scalar::Decimal(v, scale))
        }
        DataType::Date32 => plain::<Date32Type>(array, Date),
        DataType::Time64(TimeUnit::Microsecond) => plain::<Time64MicrosecondType>(array, Time),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            plain::<TimestampMicrosecondType>(array, Timestamp)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let array = array.as_primitive::<TimestampNanosecondType>();
            let lower = compute::min(array).map(|nanos| nanos.div_euclid(1_000));
            let upper = compute::max(array).map(micros_above);
            (lower.map(Timestamp), upper.map(Timestamp))
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            texts(compute::min_string(array), compute::max_string(array))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            texts(compute::min_string(array), compute::max_string(array))
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            texts(compute::min_string_view(array), compute::max_string_view(array))
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            bytes(compute::min_binary(array), compute::max_binary(array))
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            bytes(compute::min_binary(array), compute::max_binary(array))
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            let least = array.iter().flatten().min();
            bytes(least, array.iter().flatten().max())
        }
        _ => (None, None),
    }
}

fn plain<T: ArrowPrimitiveType>(array: &ArrayRef, scalar: impl Fn(T::Native) -> Scalar) -> Bounds
where
    T::Native: arrow::array::ArrowNativeTypeOp,
{
    let array = array.as_primitive::<T>();
    (compute::min(array).map(&scalar), compute::max(array).map(&scalar))
}

/// NaN is counted and takes no part in the bounds; −0.0 becomes 0.0, its equal.
fn floats<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    widen: impl Fn(T::Native) -> f64,
) -> (Option<Scalar>, Option<Scalar>, Option<u64>) {
    let mut nans = 0;
    let mut bounds: Option<(f64, f64)> = None;
    for value in array.iter().flatten().map(widen) {
        if value.is_nan() {
            nans += 1;
            continue;
        }
        let value = value + 0.0;
        let (lower, upper) = bounds.unwrap_or((value, value));
        bounds = Some((lower.min(value) + 0.0, upper.max(value) + 0.0));
    }
    let lower = bounds.map(|(lower, _)| Scalar::Float(lower));
    let upper = bounds.map(|(_, upper)| Scalar::Float(upper));
    (lower, upper, Some(nans))
}

fn texts(least: Option<&str>, most: Option<&str>) -> Bounds {
    let lower = least.map(|text| Scalar::Text(lower_text(text, BOUND_LENGTH).into()));
    let upper = most.and_then(|text| upper_text(text, BOUND_LENGTH));
    (lower, upper.map(|text| Scalar::Text(text.into())))
}

fn bytes(least: Option<&[u8]>, most: Option<&[u8]>) -> Bounds {
    let lower = least.map(|bytes| &bytes[..bytes.len().min(BOUND_LENGTH)]);
    let upper = most.and_then(upper_bytes);
    let scalar = |bytes: &[u8]| Scalar::Binary(Arc::from(bytes));
    (lower.map(scalar), upper.as_deref().map(scalar))
}

fn upper_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() <= BOUND_LENGTH {
        return Some(bytes.to_vec());
    }
    let mut kept = bytes[..BOUND_LENGTH].to_vec();
    while let Some(last) = kept.pop() {
        if last < u8::MAX {
            kept.push(last + 1);
            return Some(kept);
        }
    }
    None
}

/// The next character in the order of code points, which is that of UTF-8 bytes.
fn following(character: char) -> Option<char> {
    const BEFORE_SURROGATES: u32 = 0xD7FF;
    const AFTER_SURROGATES: u32 = 0xE000;
    match u32::from(character) {
        BEFORE_SURROGATES => char::from_u32(AFTER_SURROGATES),
        code => char::from_u32(code + 1),
    }
}

/// Nanoseconds as microseconds, rounded up.
const fn micros_above(nanos: i64) -> i64 {
    let down = nanos.div_euclid(1_000);
    if nanos.rem_euclid(1_000) == 0 { down } else { down + 1 }
}

const fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}
