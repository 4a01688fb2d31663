//! DuckDB's SQL type for an Arrow field: what a table's columns are called in
//! statements, whichever part of the union they are read from.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

const UUID_EXTENSION: &str = "arrow.uuid";

/// A name as SQL writes it, quoted.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// DuckDB's name of a column's type, as `meta` of an answer says it; `None` where a
/// table cannot have such a column.
#[must_use]
pub fn sql_type(field: &Field) -> Option<String> {
    let plain = match field.data_type() {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "UTINYINT",
        DataType::UInt16 => "USMALLINT",
        DataType::UInt32 => "UINTEGER",
        DataType::UInt64 => "UBIGINT",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Date32 => "DATE",
        DataType::Time64(TimeUnit::Microsecond) => "TIME",
        DataType::Timestamp(unit, None) => match unit {
            TimeUnit::Second => "TIMESTAMP_S",
            TimeUnit::Millisecond => "TIMESTAMP_MS",
            TimeUnit::Microsecond => "TIMESTAMP",
            TimeUnit::Nanosecond => "TIMESTAMP_NS",
        },
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::FixedSizeBinary(16) if is_uuid(field) => "UUID",
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "BLOB",
        nested => return nested_type(nested),
    };
    Some(plain.to_owned())
}

/// Whether values of the type are or hold floats.
pub(crate) fn holds_float(data_type: &DataType) -> bool {
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

fn is_uuid(field: &Field) -> bool {
    field.extension_type_name() == Some(UUID_EXTENSION)
}

fn nested_type(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Decimal128(width, scale) => Some(format!("DECIMAL({width},{scale})")),
        DataType::List(item) | DataType::LargeList(item) => Some(format!("{}[]", sql_type(item)?)),
        DataType::FixedSizeList(item, length) => Some(format!("{}[{length}]", sql_type(item)?)),
        DataType::Struct(fields) => Some(format!("STRUCT({})", members(fields)?.join(", "))),
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return None };
            let [key, value] = fields.as_ref() else { return None };
            Some(format!("MAP({}, {})", sql_type(key)?, sql_type(value)?))
        }
        _ => None,
    }
}

fn members(fields: &Fields) -> Option<Vec<String>> {
    fields.iter().map(|f| Some(format!("{} {}", quoted(f.name()), sql_type(f)?))).collect()
}
