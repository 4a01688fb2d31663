//! What row filters may say: text of a policy, vetted when it arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::EngineError;
use crate::statement::fixture::{flights, name, planner, request};
use crate::statement::{Planner, Statement, TableSchema};

fn filtered(planner: &mut Planner, filter: &str) -> Result<Statement, EngineError> {
    let table = TableSchema { schema: flights(), row_filter: Some(filter.into()) };
    let mut request = request("SELECT count(*) FROM flights", &[]);
    request.tables = Arc::new(BTreeMap::from([(name("flights"), table)]));
    planner.prepare(&request)
}

#[test]
fn conditions_over_the_tables_own_columns_are_row_filters() {
    let mut planner = planner();
    for filter in [
        "origin = 'ATL'",
        "origin IN ('ATL', 'it''s') AND NOT (delay > 3 OR delay IS NULL) -- the end",
        "flights.origin = 'ATL'",
        "lower(origin) LIKE 'a%' AND date >= TIMESTAMP '2001-01-01' + INTERVAL 1 DAY",
        "CASE WHEN delay > 3 THEN true ELSE false END",
        "list_contains(list_transform(['a'], x -> upper(x)), origin)",
        "true",
    ] {
        if let Err(error) = filtered(&mut planner, filter) {
            panic!("{filter}: {error}");
        }
    }
}

#[test]
fn anything_else_is_refused_by_its_table() {
    let mut planner = planner();
    for (filter, why) in [
        ("true) OR (true", "does not parse"),
        ("true) UNION ALL SELECT 1 FROM flights WHERE (true", "more than one expression"),
        ("true; SELECT 1", "does not parse"),
        ("true GROUP BY 1", "does not parse"),
        ("true ORDER BY 1", "does not parse"),
        ("true /*", "does not parse"),
        ("", "does not parse"),
        ("true AND\0 true", "NUL"),
        ("delay = (SELECT 1)", "subquery"),
        ("EXISTS (FROM flights)", "subquery"),
        ("delay IN (SELECT delay FROM flights)", "subquery"),
        ("date < now()", "clock"),
        ("date < current_date", "clock"),
        ("age(date) > INTERVAL 1 DAY", "clock"),
        ("origin = getenv('HOME')", "`getenv`"),
        ("origin = current_user", "`current_user`"),
        ("random() < 0.5", "`random`"),
        ("count(*) > 1", "`count_star()`"),
        ("max(delay) > 1", "`max()`"),
        ("rank() OVER () = 1", "window"),
        ("unnest([true])", "`unnest()`"),
        ("COLUMNS(*) > 1", "`*`"),
        ("#1 = 1", "number"),
        ("origin = $region", "$region"),
        ("region = 'eu'", "`region`"),
        ("readings.origin = 'eu'", "`readings.origin`"),
        ("rowid = 1", "`rowid`"),
        ("__springtide_offset > 1", "reserved"),
        ("origin", "no condition but VARCHAR"),
        ("origin > DATE '2001-01-01' + origin", "does not fit"),
        ("length(repeat(repeat('x', 100000), 100000)) > 1", "repeat"),
    ] {
        let Err(refused) = filtered(&mut planner, filter) else { panic!("{filter}: allowed") };
        assert!(matches!(refused, EngineError::InvalidSettings { .. }), "{filter}: {refused:?}");
        let text = refused.to_string();
        assert!(text.contains("row filter of `flights`") && text.contains(why), "{filter}: {text}");
    }
    filtered(&mut planner, "delay > 3").unwrap();
    assert!(filtered(&mut planner, "delay").is_err(), "after one that is right");
}
