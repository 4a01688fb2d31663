//! Tables and a planner for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parking_lot::Mutex;
use springtide_protocol::TableName;
use springtide_protocol::parameter::ParameterValue;

use super::{Planner, Statement, StatementRequest, TableSchema};
use crate::error::EngineError;
use crate::session::open_planner;

/// 2001-03-31 23:59:00 UTC.
pub(crate) const T: i64 = 986_083_140_000_000;

pub(crate) fn planner() -> Planner {
    Planner::new(open_planner().unwrap())
}

/// The flights of the demo.
pub(crate) fn flights() -> SchemaRef {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    schema(&[
        ("flight_id", DataType::Int64),
        ("date", micros),
        ("delay", DataType::Int64),
        ("distance", DataType::Int64),
        ("origin", DataType::Utf8),
        ("destination", DataType::Utf8),
    ])
}

/// A column of every type that predicates know.
pub(crate) fn readings() -> SchemaRef {
    schema(&[
        ("id", DataType::Int32),
        ("f", DataType::Float64),
        ("r", DataType::Float32),
        ("t", DataType::Utf8),
        ("b", DataType::Boolean),
        ("ts", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("zoned", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("d", DataType::Date32),
        ("n", DataType::Decimal128(12, 2)),
        ("odd \"name\" AND id = 1", DataType::Int64),
    ])
}

pub(crate) fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

pub(crate) fn name(table: &str) -> TableName {
    table.parse().unwrap()
}

pub(crate) fn tables() -> Arc<BTreeMap<TableName, TableSchema>> {
    let open = |schema| TableSchema { schema, row_filter: None };
    let only_atl = TableSchema { schema: flights(), row_filter: Some("origin = 'ATL'".into()) };
    Arc::new(BTreeMap::from([
        (name("flights"), open(flights())),
        (name("readings"), open(readings())),
        (name("atlanta"), only_atl),
    ]))
}

pub(crate) fn request(sql: &str, parameters: &[(&str, ParameterValue)]) -> StatementRequest {
    let parameters = parameters.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    StatementRequest { sql: sql.to_owned(), parameters, tables: tables(), clock_micros: T }
}

pub(crate) fn prepare(sql: &str) -> Result<Statement, EngineError> {
    // Never dropped: DuckDB must not close in a thread's own destructors.
    static PLANNER: LazyLock<Mutex<Planner>> = LazyLock::new(|| Mutex::new(planner()));
    PLANNER.lock().prepare(&request(sql, &[]))
}
