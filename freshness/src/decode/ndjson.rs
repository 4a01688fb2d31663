//! A body of newline-separated JSON rows, checked as a whole before any of it
//! is produced (rule 19). The same rule as decoding, so what is accepted here
//! is never rejected later.
//!
//! It must never produce anything itself.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::kind::UnsupportedColumn;
use super::row::{InvalidRow, RowPlan};
use crate::settings::UnknownColumns;
use crate::stream::NewRecord;

/// Rows that one body may hold.
pub const BODY_ROWS: usize = 1_000_000;

/// Why a body is not taken; nothing of it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBody {
    /// A line is no row.
    #[error("line {line}: {}", reason.detail())]
    Row {
        /// Counted from 1, blank lines included.
        line: usize,
        /// The column, where one is to blame.
        column: Option<String>,
        /// Why.
        #[source]
        reason: InvalidRow,
    },
    /// No row at all.
    #[error("the body holds no row: send one JSON object a line")]
    Empty,
    /// More rows than are taken at once.
    #[error("the body holds more than {limit} rows: split it")]
    TooManyRows {
        /// The bound.
        limit: usize,
    },
    /// The table has a column that JSON cannot carry.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedColumn),
}

/// The records of a body: one for each line that is not blank, with the
/// line's own bytes (shared with `body`, surrounding white space left out).
///
/// # Errors
/// The first line that is no row of `schema`, or a bound that is passed.
pub fn validate_ndjson(
    schema: &SchemaRef,
    unknown: UnknownColumns,
    body: &Bytes,
) -> Result<Vec<NewRecord>, InvalidBody> {
    let plan = RowPlan::new(Arc::clone(schema), unknown)?;
    let mut cells = plan.cells();
    let mut records = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if records.len() == BODY_ROWS {
            return Err(InvalidBody::TooManyRows { limit: BODY_ROWS });
        }
        plan.read(Some(line), &mut cells).map_err(|reason| InvalidBody::Row {
            line: index + 1,
            column: reason.column().map(str::to_owned),
            reason,
        })?;
        records.push(NewRecord { partition: None, key: None, value: body.slice_ref(line) });
    }
    if records.is_empty() { Err(InvalidBody::Empty) } else { Ok(records) }
}
