//! Statements that are kept once prepared: who may get which.

use std::collections::BTreeMap;
use std::sync::Arc;

use springtide_engine::{Statement, StatementRequest, TableSchema};
use springtide_protocol::parameter::ParameterValue;

use crate::model::schema;
use crate::support::World;

const SECOND: i64 = 1_000_000;

async fn prepare(
    world: &World,
    sql: &str,
    value: Option<f64>,
    filter: Option<&str>,
    clock_micros: i64,
) -> Arc<Statement> {
    let table = TableSchema { schema: schema(), row_filter: filter.map(Arc::from) };
    let value = value.map(|value| ("v".to_owned(), ParameterValue::Double(value)));
    let request = StatementRequest {
        sql: sql.to_owned(),
        parameters: value.into_iter().collect(),
        tables: Arc::new(BTreeMap::from([("t".parse().unwrap(), table)])),
        clock_micros,
    };
    world.engine.prepare(request).await.unwrap()
}

#[tokio::test]
async fn a_statement_that_reads_the_clock_is_kept_for_its_moment_only() {
    let world = World::new();
    let at = |clock| prepare(&world, "SELECT now() AS n", None, None, clock * SECOND);
    let (first, second, again) = (at(1).await, at(2).await, at(1).await);
    assert_eq!(first.clock_micros, Some(SECOND));
    assert_eq!(second.clock_micros, Some(2 * SECOND));
    assert_ne!(first.text, second.text);
    assert!(Arc::ptr_eq(&first, &again));
    let timeless = |clock| prepare(&world, "SELECT 1 AS n", None, None, clock * SECOND);
    assert!(Arc::ptr_eq(&timeless(1).await, &timeless(2).await));
}

#[tokio::test]
async fn values_that_are_equal_but_not_the_same_are_kept_apart() {
    let world = World::new();
    let of = |value| prepare(&world, "SELECT $v AS v", Some(value), None, 0);
    assert_ne!(of(0.0).await.text, of(-0.0).await.text);
    assert!(Arc::ptr_eq(&of(0.5).await, &of(0.5).await));
}

#[tokio::test]
async fn a_row_filter_is_never_anothers() {
    let world = World::new();
    let of = |filter| prepare(&world, "SELECT count(*) AS n FROM t", None, filter, 0);
    let predicate = |statement: &Statement| format!("{:?}", statement.reads[0].predicate);
    let (low, high, open) = (of(Some("key > 3")).await, of(Some("key > 5")).await, of(None).await);
    assert!(predicate(&low).contains("Integer(3)"), "{}", predicate(&low));
    assert!(predicate(&high).contains("Integer(5)"), "{}", predicate(&high));
    assert_eq!(predicate(&open), "Unknown");
    assert!(Arc::ptr_eq(&low, &of(Some("key > 3")).await));
}
