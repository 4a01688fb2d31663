//! What a column wants: the shapes that JSON values can fill, derived once from
//! its Arrow type. Nothing here looks at a value.

use arrow::datatypes::{DataType, Field, TimeUnit};

/// A column's type that JSON rows cannot carry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("column `{column}` of type {data_type} cannot be read from JSON rows")]
pub struct UnsupportedColumn {
    /// The column.
    pub column: String,
    /// Its Arrow type.
    pub data_type: DataType,
}

/// A column's shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Date,
    Time,
    /// Without and with a zone alike; `zoned` only words the error.
    Timestamp {
        zoned: bool,
    },
    Text {
        large: bool,
    },
    Uuid,
    Fixed(i32),
    Binary {
        large: bool,
    },
    Struct(Vec<Member>),
    List(Box<Member>),
    /// Keys are text.
    Map(Box<Member>),
}

/// A column, a member of a struct, an element of a list, a value of a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

impl Member {
    pub(super) fn new(field: &Field) -> Result<Self, UnsupportedColumn> {
        let kind = Kind::of(field).ok_or_else(|| UnsupportedColumn {
            column: field.name().clone(),
            data_type: field.data_type().clone(),
        })?;
        Ok(Self { name: field.name().clone(), kind, required: !field.is_nullable() })
    }
}

/// The name of Iceberg's UUID as an Arrow extension.
const UUID_EXTENSION: &str = "arrow.uuid";

impl Kind {
    fn of(field: &Field) -> Option<Self> {
        let child = |field: &Field| Member::new(field).ok();
        Some(match field.data_type() {
            DataType::Boolean => Self::Boolean,
            DataType::Int32 => Self::Int,
            DataType::Int64 => Self::Long,
            DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(precision, scale) if *scale >= 0 => {
                Self::Decimal { precision: *precision, scale: *scale }
            }
            DataType::Date32 => Self::Date,
            DataType::Time64(TimeUnit::Microsecond) => Self::Time,
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Self::Timestamp { zoned: zone.is_some() }
            }
            DataType::Utf8 => Self::Text { large: false },
            DataType::LargeUtf8 => Self::Text { large: true },
            // Iceberg's `uuid` and `fixed[16]` are one Arrow type; the extension
            // tells them apart where it is there, and 16 bytes mean a UUID where not.
            DataType::FixedSizeBinary(16) if is_uuid(field) => Self::Uuid,
            DataType::FixedSizeBinary(size) => Self::Fixed(*size),
            DataType::Binary => Self::Binary { large: false },
            DataType::LargeBinary => Self::Binary { large: true },
            DataType::Struct(fields) => {
                Self::Struct(fields.iter().map(|f| child(f)).collect::<Option<_>>()?)
            }
            DataType::List(element) => Self::List(Box::new(child(element)?)),
            DataType::Map(entries, _) => Self::Map(Box::new(map_value(entries)?)),
            _ => return None,
        })
    }
}

fn is_uuid(field: &Field) -> bool {
    field.extension_type_name().is_none_or(|name| name == UUID_EXTENSION)
}

fn map_value(entries: &Field) -> Option<Member> {
    let DataType::Struct(fields) = entries.data_type() else { return None };
    let [key, value] = fields.as_ref() else { return None };
    (*key.data_type() == DataType::Utf8).then(|| Member::new(value).ok())?
}
