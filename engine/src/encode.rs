//! Answers as bytes: JSON, CSV, NDJSON, Arrow IPC stream, Parquet. The same
//! rows give the same bytes, however DuckDB cut them into chunks; golden files
//! guard that (see [`crate::SEMANTICS`]). It must never know where rows come
//! from.
//!
//! # How values are written (JSON, NDJSON; CSV is the same without quotes)
//! | type | text |
//! |---|---|
//! | BOOLEAN | `true`, `false` |
//! | integers of any width, DECIMAL | number with all digits (a DECIMAL keeps its scale) |
//! | – with `numbers_as_text` | BIGINT, UBIGINT, HUGEINT and DECIMAL of more than 15 digits are strings, whatever the value |
//! | FLOAT, DOUBLE | shortest text that reads back the same; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | VARCHAR, ENUM, UUID, JSON | string |
//! | BLOB | base64 with padding |
//! | DATE | `2001-03-31`; years beyond 0000–9999 signed with at least six digits; `infinity`, `-infinity` |
//! | TIME | `23:59:00`, fraction as below |
//! | TIMESTAMP of any unit | `2001-03-31T23:59:00`; a fraction of 3, 6 or 9 digits only where it is not zero; `infinity`, `-infinity` |
//! | TIMESTAMP WITH TIME ZONE | the same in UTC with `Z` |
//! | INTERVAL | ISO 8601 duration: `P1Y2M3DT4H5M6.5S`, `PT0S` |
//! | LIST, ARRAY | array |
//! | STRUCT | object |
//! | MAP | object; a key that is no text is the text of its JSON |
//! | UNION | object of one member: the tag and its value |
//! | NULL | `null`; in CSV an empty field without quotes (an empty text is `""`) |
//!
//! UHUGEINT, BIGNUM, BIT and TIME WITH TIME ZONE are refused (cast them).
//!
//! Arrow and Parquet keep DuckDB's own types, except: HUGEINT is DECIMAL(38,0),
//! ENUM is text; Parquet also has INTERVAL and UNION as the text above. Column
//! names that repeat get `_1`, `_2` … (the first that no other column has).

mod columnar;
mod csv;
mod json;
mod names;
mod number;
mod time;
mod value;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use springtide_protocol::Format;

pub(crate) use names::distinct;

use crate::error::EngineError;
use crate::statement::OutputColumn;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// The format.
    pub format: Format,
    /// JSON and NDJSON: numbers of types wider than 53 bits as strings.
    pub numbers_as_text: bool,
}

impl Encoding {
    /// Its part of a validator.
    #[must_use]
    pub const fn fingerprint(self) -> (&'static str, bool) {
        (self.format.suffix(), self.numbers_as_text)
    }
}

/// Writes one answer. What is ready is appended to `out`.
pub(crate) trait Encoder {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EngineError>;
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EngineError>;
}

/// The writer of an encoding. `columns` gives the SQL types, `schema` what DuckDB delivers.
///
/// # Errors
/// A column of a type that the format cannot hold.
pub(crate) fn encoder(
    encoding: Encoding,
    columns: &[OutputColumn],
    schema: &SchemaRef,
) -> Result<Box<dyn Encoder>, EngineError> {
    if let Some(column) = columns.iter().find(|column| !is_exact(&column.sql_type)) {
        let detail = format!(
            "column `{}` is {}, which answers cannot hold: cast it to VARCHAR",
            column.name, column.sql_type
        );
        return Err(EngineError::InvalidSql { detail, position: None });
    }
    let names = distinct(columns.iter().map(|c| c.name.as_str()));
    let text = encoding.numbers_as_text;
    Ok(match encoding.format {
        Format::Json => Box::new(json::Json::new(columns, &names, text)),
        Format::Ndjson => Box::new(json::Ndjson::new(&names, text)),
        Format::Csv => Box::new(csv::Csv::new(&names)),
        Format::Arrow => Box::new(columnar::ArrowStream::new(&names, schema)?),
        Format::Parquet => Box::new(columnar::Parquet::new(&names, schema)?),
    })
}

/// Whether DuckDB hands over values of the type whole: its Arrow has no type for
/// 128 unsigned bits, for times with a zone, or for bit strings.
fn is_exact(sql_type: &str) -> bool {
    let unquoted = sql_type.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = || unquoted.split(|c: char| !c.is_ascii_alphanumeric());
    let zoned_time = words().zip(words().skip(1)).any(|pair| pair == ("TIME", "WITH"));
    !zoned_time && !words().any(|word| matches!(word, "UHUGEINT" | "BIT" | "BIGNUM"))
}

#[cfg(test)]
mod tests;
