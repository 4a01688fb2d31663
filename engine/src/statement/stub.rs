//! Empty stand-ins for tables, so that DuckDB binds and plans a statement
//! without data: per table a view over an empty table whose columns have the
//! engine's own names, because a plan prints names without quotes.

use duckdb::Connection;
use springtide_protocol::TableName;

use super::{TableSchema, row_filter};
use crate::error::EngineError;
use crate::session::statement_error;
use crate::sql_type::{quoted, sql_type};

/// What a stub's column is called before its number.
const COLUMN: &str = "__springtide_column_";
const TABLE: &str = "__springtide_stub_";

/// Makes (or makes again) the stub of `table`.
///
/// # Errors
/// A column that has no SQL type, or a row filter that does not bind.
pub(super) fn create(
    connection: &Connection,
    table: &TableName,
    schema: &TableSchema,
) -> Result<(), EngineError> {
    let mut columns = Vec::new();
    let mut names = Vec::new();
    for (i, field) in schema.schema.fields().iter().enumerate() {
        let kind = sql_type(field).ok_or_else(|| EngineError::InvalidSettings {
            detail: format!("column `{}` of `{table}` has a type without SQL name", field.name()),
        })?;
        columns.push(format!("{} {kind}", column_name(i)));
        names.push(format!("{} AS {}", column_name(i), quoted(field.name())));
    }
    let stub = format!("{TABLE}{table}");
    let view = quoted(table.as_str());
    let rows = format!("(SELECT {} FROM {stub}) AS {view}", names.join(", "));
    let batch = format!("CREATE OR REPLACE TEMP TABLE {stub} ({});", columns.join(", "));
    let made = connection.execute_batch(&batch);
    made.map_err(|e| EngineError::internal("make a table's stand-in")(Box::new(e)))?;
    let mut condition = String::new();
    if let Some(filter) = schema.row_filter.as_deref() {
        binds(connection, filter, &rows).map_err(|why| row_filter::invalid(table, &why))?;
        condition = format!(" WHERE (\n{filter}\n)");
    }
    let batch = format!("CREATE OR REPLACE TEMP VIEW {view} AS SELECT * FROM {rows}{condition};");
    let made = connection.execute_batch(&batch);
    made.map_err(|e| EngineError::internal("make a table's stand-in")(Box::new(e)))
}

/// Whether a row filter is a condition over these rows.
fn binds(connection: &Connection, filter: &str, rows: &str) -> Result<(), String> {
    let describe = format!("DESCRIBE SELECT (\n{filter}\n) AS holds FROM {rows}");
    let kind = connection.query_row(&describe, [], |row| row.get::<_, String>(1));
    match kind.map_err(statement_error) {
        Ok(kind) if kind == "BOOLEAN" => Ok(()),
        Ok(kind) => Err(format!("is no condition but {kind}")),
        Err(error) => Err(format!("does not fit its columns: {error}")),
    }
}

/// The table that a plan's scan reads, from its qualified name.
pub(crate) fn table_of(scan: &str) -> Option<&str> {
    scan.rsplit('.').next()?.trim_matches('"').strip_prefix(TABLE)
}

/// What a stub calls its column `index`.
pub(crate) fn column_name(index: usize) -> String {
    format!("{COLUMN}{index}")
}

/// The column that a stub's column stands for.
pub(crate) fn column_of(name: &str) -> Option<usize> {
    name.strip_prefix(COLUMN)?.parse().ok()
}
