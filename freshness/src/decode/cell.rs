//! One JSON value against one column's type: the rule of what is taken.
//!
//! | type | taken |
//! |---|---|
//! | boolean | `true`, `false` |
//! | int, long | a number that is whole and in range; `5.0` and `1e3` are whole |
//! | float, double | a number in range; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | decimal(p,s) | a number, or a number in text, that fits exactly |
//! | date | `"2001-03-31"`, or whole days since 1970 |
//! | time | `"23:59"`, `"23:59:00"`, `"23:59:00.123456"` |
//! | timestamp, timestamptz | `"2001-03-31T23:59:00.123456"`, with `T` or a space, seconds optional, or a date alone; a zone (`Z`, `+02:00`) is applied, none means UTC; or whole *milliseconds* since 1970 |
//! | string | text |
//! | uuid | `"f79c3e09-677c-4bbd-a479-3f349cb785e7"` |
//! | binary, fixed | base64 text |
//! | struct | an object, by the rule of rows |
//! | list | an array |
//! | map (keys of text) | an object |
//!
//! Digits beyond microseconds are cut off. Years run from 0001 to 9999, so that
//! microseconds given as milliseconds are refused instead of misread.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::kind::{Kind, Member};
use super::row::{self, InvalidRow};
use super::text;

/// A value of a column, still unbuilt; text borrows from the record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Boolean(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Decimal(i128),
    Date(i32),
    /// Time of day or timestamp, in microseconds.
    Micros(i64),
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
    /// Members of a struct, in its order.
    Struct(Vec<Cell<'a>>),
    List(Vec<Cell<'a>>),
    Map(Vec<(Cow<'a, str>, Cell<'a>)>),
}

/// Why a value does not fit its column.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected {expected}, found {found}")]
pub struct InvalidCell {
    /// What the column takes.
    pub expected: String,
    /// What was there, shortened.
    pub found: String,
}

/// As much of an offending value as an error shows.
const SHOWN_CHARS: usize = 64;

impl InvalidCell {
    fn new(kind: &Kind, found: &str) -> Self {
        let mut shown: String = found.chars().take(SHOWN_CHARS).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Self { expected: expected(kind), found: shown }
    }
}

/// The value written as `raw` (valid JSON, trimmed) for a column of `member`.
pub(super) fn read<'a>(member: &Member, raw: &'a str) -> Result<Cell<'a>, InvalidRow> {
    let invalid = || InvalidRow::Value {
        column: member.name.clone(),
        source: InvalidCell::new(&member.kind, raw),
    };
    if raw == "null" {
        return match member.required {
            true => Err(InvalidRow::Missing { column: member.name.clone() }),
            false => Ok(Cell::Null),
        };
    }
    let nested = match (&member.kind, raw.as_bytes().first()) {
        (Kind::Struct(members), Some(b'{')) => row::read_struct(members, raw).map(Cell::Struct),
        (Kind::List(element), Some(b'[')) => row::read_list(element, raw).map(Cell::List),
        (Kind::Map(value), Some(b'{')) => row::read_map(value, raw).map(Cell::Map),
        (Kind::Struct(_) | Kind::List(_) | Kind::Map(_), _) => return Err(invalid()),
        (kind, first) => return scalar(kind, first.copied(), raw).ok_or_else(invalid),
    };
    nested.map_err(|reason| reason.within(&member.name))
}

fn scalar<'a>(kind: &Kind, first: Option<u8>, raw: &'a str) -> Option<Cell<'a>> {
    match first? {
        b't' if *kind == Kind::Boolean => Some(Cell::Boolean(true)),
        b'f' if *kind == Kind::Boolean => Some(Cell::Boolean(false)),
        b'-' | b'0'..=b'9' => number(kind, raw),
        b'"' => quoted(kind, unquote(raw)?),
        _ => None,
    }
}

fn number<'a>(kind: &Kind, raw: &str) -> Option<Cell<'a>> {
    match kind {
        Kind::Int => Some(Cell::Int(i32::try_from(text::whole(raw)?).ok()?)),
        Kind::Long => Some(Cell::Long(text::whole(raw)?)),
        Kind::Float => raw.parse().ok().filter(|f: &f32| f.is_finite()).map(Cell::Float),
        Kind::Double => raw.parse().ok().filter(|f: &f64| f.is_finite()).map(Cell::Double),
        Kind::Decimal { precision, scale } => {
            text::decimal(raw, *precision, *scale).map(Cell::Decimal)
        }
        Kind::Date => text::date_of_days(text::whole(raw)?).map(Cell::Date),
        Kind::Timestamp { .. } => text::micros_of_millis(text::whole(raw)?).map(Cell::Micros),
        _ => None,
    }
}

fn quoted<'a>(kind: &Kind, value: Cow<'a, str>) -> Option<Cell<'a>> {
    let bytes = |value: &str| STANDARD.decode(value).ok();
    match kind {
        Kind::Text { .. } => Some(Cell::Text(value)),
        Kind::Float => text::special(&value).map(|f| Cell::Float(f as f32)),
        Kind::Double => text::special(&value).map(Cell::Double),
        Kind::Decimal { precision, scale } => {
            text::decimal(&value, *precision, *scale).map(Cell::Decimal)
        }
        Kind::Date => text::date(&value).map(Cell::Date),
        Kind::Time => text::time(&value).map(Cell::Micros),
        Kind::Timestamp { .. } => text::timestamp(&value).map(Cell::Micros),
        Kind::Uuid => {
            uuid::Uuid::try_parse(&value).ok().map(|u| Cell::Bytes(u.as_bytes().to_vec()))
        }
        Kind::Binary { .. } => bytes(&value).map(Cell::Bytes),
        Kind::Fixed(size) => {
            bytes(&value).filter(|b| i32::try_from(b.len()) == Ok(*size)).map(Cell::Bytes)
        }
        _ => None,
    }
}

/// The text between the quotes; copied only where it has escapes. `None`
/// where an escape means no character (half a surrogate pair).
pub(super) fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "true or false".to_owned(),
        Kind::Int => "a whole number of 32 bits".to_owned(),
        Kind::Long => "a whole number of 64 bits".to_owned(),
        Kind::Float => "a number in the range of a float".to_owned(),
        Kind::Double => "a number in the range of a double".to_owned(),
        Kind::Decimal { precision, scale } => {
            format!("a number that fits decimal({precision},{scale}) exactly")
        }
        Kind::Date => "a date as \"2001-03-31\" or days since 1970".to_owned(),
        Kind::Time => "a time as \"23:59:00\"".to_owned(),
        Kind::Timestamp { zoned: false } => {
            "a timestamp as \"2001-03-31T23:59:00\" or milliseconds since 1970".to_owned()
        }
        Kind::Timestamp { zoned: true } => {
            "a timestamp as \"2001-03-31T23:59:00Z\" or milliseconds since 1970".to_owned()
        }
        Kind::Text { .. } => "text".to_owned(),
        Kind::Uuid => "a UUID".to_owned(),
        Kind::Fixed(size) => format!("{size} bytes in base64"),
        Kind::Binary { .. } => "bytes in base64".to_owned(),
        Kind::Struct(_) | Kind::Map(_) => "an object".to_owned(),
        Kind::List(_) => "an array".to_owned(),
    }
}
