//! Parameters, and that the resolved text answers as the original does.

use std::collections::BTreeSet;

use chrono::{NaiveDate, NaiveDateTime};
use duckdb::types::Value;
use duckdb::{Connection, params_from_iter};
use proptest::prelude::*;
use springtide_protocol::parameter::ParameterValue;

use crate::error::EngineError;
use crate::statement::fixture::{name, planner, prepare, request};

fn text(sql: &str, parameters: &[(&str, ParameterValue)]) -> Result<String, EngineError> {
    planner().prepare(&request(sql, parameters)).map(|statement| statement.text)
}

#[test]
fn parameters_are_typed_constants() {
    let date = NaiveDate::from_ymd_opt(2001, 3, 31).unwrap();
    let parameters = [
        ("i", ParameterValue::Integer(-7)),
        ("d", ParameterValue::Double(0.1)),
        ("b", ParameterValue::Boolean(true)),
        ("s", ParameterValue::String("it's '; DROP TABLE x; --".to_owned())),
        ("day", ParameterValue::Date(date)),
        ("at", ParameterValue::Timestamp(date.and_hms_micro_opt(1, 2, 3, 4).unwrap())),
    ];
    let sql = "SELECT $i, $d, $b, $s, $day, $at";
    let statement = planner().prepare(&request(sql, &parameters)).unwrap();
    let types: Vec<_> = statement.columns.iter().map(|c| c.sql_type.as_str()).collect();
    assert_eq!(types, ["BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "DATE", "TIMESTAMP"]);
    let names: Vec<_> = statement.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["$i", "$d", "$b", "$s", "$day", "$at"]);
    assert!(statement.text.contains("'it''s ''; DROP TABLE x; --'"), "{}", statement.text);
}

#[test]
fn parameters_stand_wherever_a_value_may() {
    let five = [("n", ParameterValue::Integer(5))];
    for sql in [
        "SELECT origin FROM flights ORDER BY origin LIMIT $n OFFSET $N",
        "SELECT origin FROM flights WHERE delay BETWEEN -$n AND $n OR delay IN ($n, 1)",
        "SELECT * FROM range($n)",
        "SELECT origin FROM flights WHERE date > now() - to_days($n::INTEGER)",
    ] {
        text(sql, &five).unwrap();
    }
}

#[test]
fn parameters_fit_the_statement() {
    let one = [("a", ParameterValue::Integer(1))];
    let detail = |sql, parameters: &[_]| text(sql, parameters).unwrap_err().to_string();
    assert!(detail("SELECT $a + $b", &one).contains("parameter `b` has no value"));
    assert!(detail("SELECT 1", &one).contains("parameter `a` is not used"));
    assert!(detail("SELECT ?", &[]).contains("write `$name`"));
    let nul = [("a", ParameterValue::String("x\0y".to_owned()))];
    assert!(detail("SELECT $a", &nul).contains("NUL"));
    // A name can never become part of the text.
    assert!(text("SELECT * FROM $a", &one).is_err());
}

#[test]
fn a_parameters_size_is_bounded_like_a_constants() {
    let size = |sql, n| text(sql, &[("n", ParameterValue::Integer(n))]);
    assert!(size("SELECT repeat('x', $n)", 100_000).is_ok());
    assert!(size("SELECT repeat('x', $n)", 100_001).is_err());
    assert!(size("SELECT list_transform(range($n), x -> x)", -100_001).is_err());
    assert!(size("SELECT count(*) FROM range($n)", 1_000_000_000).is_ok());
    let twice = "SELECT repeat(s, $n) FROM (SELECT repeat('x', $n) AS s)";
    assert!(size(twice, 1_000).is_ok());
    assert!(size(twice, 1_001).is_err());
}

#[test]
fn tables_and_schemas_are_those_that_are_named() {
    let sql = "WITH q AS (FROM flights) SELECT * FROM q JOIN readings ON q.delay = readings.id";
    let statement = prepare(sql).unwrap();
    assert_eq!(statement.tables, BTreeSet::from([name("flights"), name("readings")]));
    assert_eq!(statement.schemas.len(), 2);
    // A CTE hides a table of its name.
    let hidden = prepare("WITH flights AS (SELECT 1 AS x) SELECT x FROM flights").unwrap();
    assert!(hidden.tables.is_empty());
}

/// A database with rows for the fixture's tables.
fn peopled() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "SET TimeZone = 'UTC';
             CREATE TABLE flights AS SELECT i AS flight_id, TIMESTAMP '2001-01-01' + INTERVAL (i) HOUR AS date,
               CASE WHEN i % 7 = 0 THEN NULL ELSE i % 5 - 1 END AS delay, i * 10 AS distance,
               'ORD' || (i % 3) AS origin, chr(65 + (i % 4)::INTEGER) AS destination FROM range(60) t(i);
             CREATE TABLE readings AS SELECT i::INTEGER AS id, i * 0.1::DOUBLE AS f, i * 0.1::FLOAT AS r,
               'text ' || i AS t, i % 2 = 0 AS b, TIMESTAMP '2001-01-01' + INTERVAL (i) DAY AS ts,
               TIMESTAMPTZ '2001-01-01 00:00:00+00' + INTERVAL (i) DAY AS zoned, DATE '2001-01-01' + i::INTEGER AS d,
               (i * 1.25)::DECIMAL(12, 2) AS n FROM range(20) t(i);",
        )
        .unwrap();
    connection
}

fn rows(connection: &Connection, sql: &str, parameters: &[Value]) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query(params_from_iter(parameters)).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let width = row.as_ref().column_count();
        let cells: Vec<Value> = (0..width).map(|i| row.get(i).unwrap()).collect();
        found.push(format!("{cells:?}"));
    }
    found.sort();
    found
}

#[test]
fn the_resolved_text_answers_as_the_original() {
    let connection = peopled();
    for sql in [
        "SELECT origin, count(*) AS n, avg(delay) AS d FROM flights GROUP BY 1 ORDER BY n DESC LIMIT 20",
        "SELECT date_trunc('hour', date) AS h, count(*) FROM flights WHERE date >= TIMESTAMP '2001-01-01' GROUP BY 1",
        "SELECT 1e0, 1e-7, 1e300, 0.1e0, 123456789012345678901234567890, 1.50, -1, 'a''b', x'41'",
        "SELECT typeof(1e0), typeof(1.5), typeof(5000000000), typeof(1e400), 1e400",
        "SELECT f FROM readings WHERE f = 0.3e0 OR f > 1.2e0",
        "SELECT delay FROM flights WHERE (delay = 1 OR delay = 2) AND NOT (distance > 100 AND origin = 'ORD1')",
        "SELECT delay - (2 - (3 - 1)), -(-delay), delay * (2 + 3) FROM flights",
        "SELECT CASE delay WHEN 1 THEN 'a' ELSE 'b' END, delay IS NULL, delay IS DISTINCT FROM 1 FROM flights",
        "SELECT list_transform([1, 2], lambda x: x + 1), [x FOR x IN [1, 2, 3] IF x > 1], {'a': 1}.a",
        "SELECT INTERVAL 1 DAY, INTERVAL '3 hours 2 minutes', DATE '2001-01-01' + INTERVAL 1 MONTH",
        "SELECT sum(delay) OVER (PARTITION BY origin ORDER BY date ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING EXCLUDE TIES) FROM flights",
        "SELECT first_value(delay IGNORE NULLS) OVER (ORDER BY date RANGE BETWEEN INTERVAL 3 HOUR PRECEDING AND CURRENT ROW) FROM flights",
        "SELECT origin, grouping(origin), count(*) FROM flights GROUP BY ROLLUP (origin) HAVING count(*) > 1",
        "SELECT a.flight_id FROM flights a LEFT JOIN readings b ON a.delay = b.id AND b.b WHERE b.id IS NULL",
        "SELECT * FROM flights SEMI JOIN readings ON flight_id = id",
        "SELECT * FROM flights ANTI JOIN readings ON flight_id = id",
        "SELECT origin FROM flights EXCEPT ALL SELECT 'ORD1' FROM range(3) UNION ALL SELECT t FROM readings",
        "SELECT id AS a, t AS b FROM readings UNION BY NAME SELECT 'x' AS b, 1 AS c",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n * 2 FROM r WHERE n < 100) SELECT * FROM r",
        "SELECT COLUMNS('^d') FROM flights",
        "SELECT * EXCLUDE (delay) REPLACE (distance / 3 AS distance) FROM flights",
        "SELECT * RENAME (delay AS late) FROM flights",
        "SELECT unnest([1, 2]), unnest({'a': 1, 'b': 2}), unnest([[1], [2]], recursive := true)",
        "SELECT count(*) FILTER (WHERE delay > 1), string_agg(DISTINCT origin, ',' ORDER BY origin) FROM flights",
        "SELECT origin LIKE 'O\\%' ESCAPE '\\', origin NOT LIKE 'x', origin ILIKE 'ord_' , origin GLOB 'O*', origin SIMILAR TO 'O.*' FROM flights",
        "SELECT zoned AT TIME ZONE 'Europe/Berlin', ts AT TIME ZONE 'Asia/Tokyo' FROM readings",
        "SELECT 5 // 2, 5 % 3, 2 ** 3, 7 / 2, @(-1), 4!, 5 & 3, 5 | 3, 1 << 3, ~1, xor(1, 2)",
        "SELECT TRY_CAST('x' AS INTEGER), '12'::DECIMAL(5, 1), CAST([1] AS BIGINT[]), 'a'::ENUM('a', 'b')",
        "SELECT x.s.a, x.s['a'], x.l[1], x.l[1:2], x.l[-1] FROM (SELECT {'a': 1} AS s, [1, 2, 3] AS l) x",
        "SELECT (1, 2) = (1, 2), (SELECT max(id) FROM readings), 3 IN (SELECT id FROM readings), 3 > ALL (SELECT id FROM readings)",
        "SELECT true, false, NULL, true AND NULL, NOT true",
        "SELECT E'a\\nb', $$it's$$, 'é', '😀'",
        "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) v(x, y)",
        "SELECT DISTINCT origin, destination FROM flights QUALIFY rank() OVER (ORDER BY origin) < 3",
        "SELECT '{\"a\": [1, 2]}'::JSON -> '$.a' -> 1, '{\"a\": 1}' ->> '$.a'",
        "SELECT * FROM flights ORDER BY delay DESC NULLS LAST, flight_id LIMIT 7 OFFSET 2",
        "SELECT * FROM flights ORDER BY ALL LIMIT 10%",
        "SELECT origin AS \"select\", delay AS \"odd \"\" name\" FROM flights",
    ] {
        let resolved = prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).text;
        assert_eq!(rows(&connection, sql, &[]), rows(&connection, &resolved, &[]), "{resolved}");
    }
}

#[test]
fn the_frozen_clock_has_the_types_of_the_real_one() {
    let connection = peopled();
    let sql = "SELECT typeof(now()), typeof(current_date), typeof(current_time), typeof(localtime), \
               typeof(localtimestamp), typeof(today()), typeof(current_localtime()), \
               typeof(age(TIMESTAMP '2001-01-01')), typeof(age(now())), typeof(get_current_time())";
    let resolved = prepare(sql).unwrap().text;
    assert_eq!(rows(&connection, sql, &[]), rows(&connection, &resolved, &[]));
}

fn value() -> impl Strategy<Value = (ParameterValue, Value)> {
    let float = prop_oneof![any::<f64>(), Just(-0.0), Just(0.1), Just(f64::MAX), Just(5e-324)];
    prop_oneof![
        any::<i64>().prop_map(|n| (ParameterValue::Integer(n), Value::BigInt(n))),
        float
            .prop_filter("parameters are finite", |n| n.is_finite())
            .prop_map(|n| (ParameterValue::Double(n), Value::Double(n))),
        any::<bool>().prop_map(|b| (ParameterValue::Boolean(b), Value::Boolean(b))),
        "[^\0]{0,40}".prop_map(|s| (ParameterValue::String(s.clone()), Value::Text(s))),
        (-100_000..100_000_i32).prop_map(|days| {
            let date = NaiveDate::default() + chrono::Duration::days(i64::from(days));
            (ParameterValue::Date(date), Value::Date32(days))
        }),
        (-4_000_000_000_000_000..4_000_000_000_000_000_i64).prop_map(|micros| {
            let at: NaiveDateTime =
                chrono::DateTime::from_timestamp_micros(micros).unwrap().naive_utc();
            let value = Value::Timestamp(duckdb::types::TimeUnit::Microsecond, micros);
            (ParameterValue::Timestamp(at), value)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_value_arrives_as_it_was_bound(values in prop::collection::vec(value(), 1..8)) {
        let mut planner = planner();
        let connection = Connection::open_in_memory().unwrap();
        for (parameter, value) in values {
            let resolved = planner.prepare(&request("SELECT $v", &[("v", parameter)])).unwrap().text;
            // ORDER BY gives zeros one sign, as answers do.
            let found = |rows: Vec<String>| rows.concat().replace("(-0.0)", "(0.0)");
            let bound = found(rows(&connection, "SELECT ?", &[value]));
            prop_assert_eq!(found(rows(&connection, &resolved, &[])), bound, "{}", resolved);
        }
    }
}
