//! A column as the configuration writes it: `"flight_id long"`,
//! `"price decimal(10,2) required"`. The types are Iceberg's.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// One column of a table that is made where it does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ColumnSettings {
    /// Its name; may not begin with `__`.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Whether NULL is refused.
    pub required: bool,
}

/// Iceberg's primitive types that rows of the stream can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `boolean`.
    Boolean,
    /// `int`: 32 bits.
    Int,
    /// `long`: 64 bits.
    Long,
    /// `float`: 32 bits.
    Float,
    /// `double`: 64 bits.
    Double,
    /// `decimal(precision, scale)`, precision at most 38.
    Decimal(u8, u8),
    /// `date`.
    Date,
    /// `time`: microseconds.
    Time,
    /// `timestamp`: microseconds, without a zone.
    Timestamp,
    /// `timestamptz`: microseconds, UTC.
    TimestampTz,
    /// `string`.
    String,
    /// `uuid`.
    Uuid,
    /// `binary`.
    Binary,
}

/// Why a text is not a column.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidColumn {
    /// Not of the form.
    #[error("`{0}` is not a column; write a name and a type, for example \"flight_id long\"")]
    Form(String),
    /// The name is taken by the hidden columns.
    #[error("`{0}`: names that begin with `__` are reserved")]
    Reserved(String),
    /// No such type.
    #[error(
        "`{0}` is not a type; known are boolean, int, long, float, double, decimal(p,s), date, time, timestamp, timestamptz, string, uuid and binary"
    )]
    Type(String),
}

impl FromStr for ColumnSettings {
    type Err = InvalidColumn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || InvalidColumn::Form(text.to_owned());
        let (name, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(form)?;
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !plain || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(form());
        }
        if name.starts_with("__") {
            return Err(InvalidColumn::Reserved(name.to_owned()));
        }
        let rest = rest.trim();
        let (kind, required) = match rest.strip_suffix("required") {
            Some(kind) => (kind.trim_end(), true),
            None => (rest, false),
        };
        Ok(Self { name: name.to_owned(), kind: kind.parse()?, required })
    }
}

impl FromStr for ColumnType {
    type Err = InvalidColumn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || InvalidColumn::Type(text.to_owned());
        Ok(match text {
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            "string" => Self::String,
            "uuid" => Self::Uuid,
            "binary" => Self::Binary,
            other => {
                let inner = other.strip_prefix("decimal(").and_then(|t| t.strip_suffix(')'));
                let (precision, scale) =
                    inner.and_then(|t| t.split_once(',')).ok_or_else(unknown)?;
                let precision: u8 = precision.trim().parse().map_err(|_| unknown())?;
                let scale: u8 = scale.trim().parse().map_err(|_| unknown())?;
                if !(1..=38).contains(&precision) || scale > precision {
                    return Err(unknown());
                }
                Self::Decimal(precision, scale)
            }
        })
    }
}

impl TryFrom<String> for ColumnSettings {
    type Error = InvalidColumn;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Decimal(precision, scale) => return write!(f, "decimal({precision},{scale})"),
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::String => "string",
            Self::Uuid => "uuid",
            Self::Binary => "binary",
        })
    }
}

impl fmt::Display for ColumnSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.name, self.kind, if self.required { " required" } else { "" })
    }
}
