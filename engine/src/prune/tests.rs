//! Pruning against execution: whatever row DuckDB matches, the evaluator must
//! let through, over bounds and row by row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use duckdb::Connection;
use proptest::prelude::*;
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{ChunkId, ColumnStatistics, OpenChunk, Scalar, TailBatch};

use super::*;
use crate::statement::fixture::{name, prepare, readings};

#[derive(Clone, Debug)]
struct Row {
    id: Option<i32>,
    f: Option<f64>,
    r: Option<f32>,
    t: Option<String>,
    b: Option<bool>,
    at: Option<i64>,
    zoned: Option<i64>,
    d: Option<i32>,
    n: Option<i128>,
    odd: Option<i64>,
}

/// Few values, so that predicates hit them.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(-0.0),
        Just(0.0),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.1),
        Just(1.5),
        Just(-2.25),
        Just(1e300),
        Just(5e-324),
        -3.0..3.0_f64,
    ]
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("a".to_owned()),
        Just("ab".to_owned()),
        Just("b".to_owned()),
        Just("it's".to_owned()),
        Just("é".to_owned()),
        Just("\u{10ffff}".to_owned()),
        Just("a\nb".to_owned()),
        Just("long ".repeat(20)),
        Just(format!("{}x", "long ".repeat(20))),
        "[ab%_\\\\]{0,3}",
    ]
}

const DAY: i64 = 86_400_000_000;

fn micros() -> impl Strategy<Value = i64> {
    (-2..3_i64, prop_oneof![Just(0), Just(1), Just(DAY - 1), Just(DAY / 2)])
        .prop_map(|(day, rest)| day * DAY + rest)
}

fn row() -> impl Strategy<Value = Row> {
    let nullable = |some: f64| prop::bool::weighted(some);
    (
        (prop::option::of(-3..4_i32), prop::option::of(float()), prop::option::of(float())),
        (prop::option::of(words()), prop::option::of(any::<bool>()), prop::option::of(micros())),
        (prop::option::of(micros()), prop::option::of(-2..3_i32), prop::option::of(-300..300_i128)),
        (prop::option::of(-2..3_i64), nullable(0.9)),
    )
        .prop_map(|((id, f, r), (t, b, at), (zoned, d, n), (odd, _))| {
            #[expect(clippy::cast_possible_truncation, reason = "any float will do")]
            let r = r.map(|r| r as f32);
            Row { id, f, r, t, b, at, zoned, d, n, odd }
        })
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.id).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|r| r.f).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.r).collect::<Float32Array>()),
        Arc::new(rows.iter().map(|r| r.t.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.b).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|r| r.at).collect::<TimestampMicrosecondArray>()),
        Arc::new(
            rows.iter()
                .map(|r| r.zoned)
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(rows.iter().map(|r| r.d).collect::<Date32Array>()),
        Arc::new(
            rows.iter()
                .map(|r| r.n)
                .collect::<Decimal128Array>()
                .with_precision_and_scale(12, 2)
                .unwrap(),
        ),
        Arc::new(rows.iter().map(|r| r.odd).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(readings(), columns).unwrap()
}

/// Bounds as a lake has them: floats without NaN, texts cut off at two characters,
/// some counts missing.
fn statistics(rows: &[Row], cut: bool, counted: bool) -> Vec<ColumnStatistics> {
    let text = |t: &String| Scalar::Text(t.as_str().into());
    let columns: [Vec<Option<Scalar>>; 10] = [
        rows.iter().map(|r| r.id.map(|v| Scalar::Integer(v.into()))).collect(),
        rows.iter().map(|r| r.f.map(Scalar::Float)).collect(),
        rows.iter().map(|r| r.r.map(|v| Scalar::Float(v.into()))).collect(),
        rows.iter().map(|r| r.t.as_ref().map(text)).collect(),
        rows.iter().map(|r| r.b.map(Scalar::Boolean)).collect(),
        rows.iter().map(|r| r.at.map(Scalar::Timestamp)).collect(),
        rows.iter().map(|r| r.zoned.map(Scalar::Timestamp)).collect(),
        rows.iter().map(|r| r.d.map(Scalar::Date)).collect(),
        rows.iter().map(|r| r.n.map(|v| Scalar::Decimal(v, 2))).collect(),
        rows.iter().map(|r| r.odd.map(|v| Scalar::Integer(v.into()))).collect(),
    ];
    columns.iter().map(|values| bounds_of(values, cut, counted)).collect()
}

fn bounds_of(values: &[Option<Scalar>], cut: bool, counted: bool) -> ColumnStatistics {
    let is_nan = |v: &&Scalar| matches!(v, Scalar::Float(f) if f.is_nan());
    let plain: Vec<&Scalar> = values.iter().flatten().filter(|v| !is_nan(v)).collect();
    let least = plain.iter().copied().min_by(|a, b| a.compare(b).unwrap());
    let most = plain.iter().copied().max_by(|a, b| a.compare(b).unwrap());
    let nans = values.iter().flatten().filter(is_nan).count() as u64;
    let lower = least.map(|v| if cut { cut_off(v) } else { v.clone() });
    let upper = most.and_then(|v| if cut { cut_up(v) } else { Some(v.clone()) });
    ColumnStatistics {
        lower,
        upper,
        nulls: counted.then(|| values.iter().filter(|v| v.is_none()).count() as u64),
        nans: (counted && matches!(least, Some(Scalar::Float(_)))).then_some(nans),
        rows: values.len() as u64,
    }
}

fn cut_off(value: &Scalar) -> Scalar {
    match value {
        Scalar::Text(t) => Scalar::Text(t.chars().take(2).collect::<String>().into()),
        other => other.clone(),
    }
}

/// The least text of two characters above, as Iceberg makes upper bounds.
fn cut_up(value: &Scalar) -> Option<Scalar> {
    let Scalar::Text(t) = value else { return Some(value.clone()) };
    if t.chars().count() <= 2 {
        return Some(value.clone());
    }
    let mut kept: Vec<char> = t.chars().take(2).collect();
    while let Some(last) = kept.pop() {
        if let Some(next) = char::from_u32(last as u32 + 1) {
            kept.push(next);
            return Some(Scalar::Text(kept.into_iter().collect::<String>().into()));
        }
    }
    None
}

fn literal() -> impl Strategy<Value = String> {
    let quoted = |t: String| format!("'{}'", t.replace('\'', "''"));
    prop_oneof![
        (-3..4_i32, prop_oneof![Just("id"), Just("odd")])
            .prop_map(|(v, c)| format!("{c} {{}} {v}")),
        (-30..30_i32).prop_map(|v| format!("id {{}} {}.5", v / 10)),
        (float(), prop_oneof![Just("f"), Just("r"), Just("id"), Just("r::DOUBLE")])
            .prop_map(|(v, c)| format!("{c} {{}} '{v}'::DOUBLE")),
        float().prop_map(|v| format!("r {{}} '{v}'::FLOAT")),
        words().prop_map(move |t| format!("t {{}} {}", quoted(t))),
        (micros(), prop_oneof![Just("ts"), Just("zoned")])
            .prop_map(|(v, c)| format!("{c} {{}} make_timestamp({v})")),
        micros().prop_map(|v| format!("zoned {{}} make_timestamp({v})::TIMESTAMPTZ")),
        (-2..3_i32, prop_oneof![Just("d"), Just("ts"), Just("ts::DATE"), Just("d::TIMESTAMP")])
            .prop_map(|(v, c)| format!("{c} {{}} DATE '1970-01-01' + {v}")),
        (-300..300_i32).prop_map(|v| format!("n {{}} {}.{:02}", v / 100, v.abs() % 100)),
    ]
}

fn leaf() -> impl Strategy<Value = String> {
    let op = prop_oneof![
        Just("="),
        Just("<>"),
        Just("<"),
        Just("<="),
        Just(">"),
        Just(">="),
        Just("IS DISTINCT FROM"),
        Just("IS NOT DISTINCT FROM"),
    ];
    let pattern = words().prop_map(|t| t.replace('\'', "''")).boxed();
    prop_oneof![
        6 => (literal(), op).prop_map(|(text, op)| text.replace("{}", op)),
        1 => (pattern.clone(), prop_oneof![Just("LIKE '{}%'"), Just("LIKE '%{}'"), Just("LIKE '%{}%'"), Just("NOT LIKE '{}%'"), Just("^@ '{}'")])
            .prop_map(|(t, form)| format!("t {}", form.replace("{}", &t))),
        1 => prop::collection::vec(-4..5_i32, 1..5).prop_map(|v| {
            let list: Vec<_> = v.iter().map(i32::to_string).collect();
            format!("id IN ({})", list.join(", "))
        }),
        1 => prop::collection::vec(pattern, 1..4).prop_map(|v| format!("t NOT IN ('{}')", v.join("', '"))),
        1 => (-3..3_i32, 0..3_i32).prop_map(|(a, b)| format!("id BETWEEN {a} AND {}", a + b)),
        1 => prop_oneof![Just("b"), Just("NOT b"), Just("t IS NULL"), Just("f IS NOT NULL"), Just("id + 1 > 2"), Just("length(t) > 1"), Just("isnan(f)")]
            .prop_map(str::to_owned),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

fn stored(rows: &[Row]) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "SET TimeZone = 'UTC'; CREATE TABLE readings (place INTEGER, id INTEGER, f DOUBLE, r FLOAT, \
             t VARCHAR, b BOOLEAN, ts TIMESTAMP, zoned TIMESTAMPTZ, d DATE, n DECIMAL(12, 2), odd BIGINT)",
        )
        .unwrap();
    let shown =
        |v: Option<String>| v.map_or("NULL".to_owned(), |v| format!("'{}'", v.replace('\'', "''")));
    for (place, row) in rows.iter().enumerate() {
        let time = |v: Option<i64>| v.map_or("NULL".to_owned(), |v| format!("make_timestamp({v})"));
        let insert = format!(
            "INSERT INTO readings VALUES ({place}, {}, {}::DOUBLE, {}::FLOAT, {}, {}, {}, {}::TIMESTAMPTZ, {}, {}::DECIMAL(18,0) / 100, {})",
            shown(row.id.map(|v| v.to_string())),
            shown(row.f.map(|v| v.to_string())),
            shown(row.r.map(|v| v.to_string())),
            shown(row.t.clone()),
            shown(row.b.map(|v| v.to_string())),
            time(row.at),
            time(row.zoned),
            row.d.map_or("NULL".to_owned(), |d| format!("DATE '1970-01-01' + {d}")),
            shown(row.n.map(|v| v.to_string())),
            shown(row.odd.map(|v| v.to_string())),
        );
        connection.execute_batch(&insert).unwrap();
    }
    connection
}

fn matched(connection: &Connection, filter: &str) -> Vec<usize> {
    let sql = format!("SELECT place FROM readings WHERE {filter} ORDER BY 1");
    let mut statement = connection.prepare(&sql).unwrap();
    let places = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
    places.map(|place| usize::try_from(place.unwrap()).unwrap()).collect()
}

fn chunk(rows: &[Row]) -> OpenChunk {
    let id = ChunkId { partition: PartitionId(0), index: 0 };
    let end = i64::try_from(rows.len()).unwrap();
    let offsets = (0..end).collect::<Vec<_>>().into();
    let rows = vec![TailBatch { partition: PartitionId(0), offsets, rows: batch(rows) }];
    OpenChunk { id, rows, complete: true, lost: 0, end: Offset(end) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_duckdb_matches_may_match(
        rows in prop::collection::vec(row(), 1..12),
        filters in prop::collection::vec(filter(), 12),
        cut in any::<bool>(),
        counted in any::<bool>(),
    ) {
        let connection = stored(&rows);
        for filter in filters {
            let own = filter.replace("odd ", "\"odd \"\"name\"\" AND id = 1\" ");
            let statement = prepare(&format!("SELECT id FROM readings WHERE {own}"));
            let Ok(statement) = statement else { continue };
            let predicate = &statement.read(&name("readings")).unwrap().predicate;
            let matched = matched(&connection, &filter);
            if !matched.is_empty() {
                let whole = statistics(&rows, cut, counted);
                prop_assert!(predicate.may_match(&whole), "{filter}: {predicate:?}\n{whole:?}");
                prop_assert!(predicate.may_match(&[]), "{filter}: without bounds");
                let last = last_match(predicate, &chunk(&rows)).map(|offset| offset.0);
                prop_assert!(last >= matched.last().map(|m| *m as i64), "{filter}: {predicate:?} {last:?}");
            }
            for place in matched {
                let one = &rows[place..=place];
                let bounds = statistics(one, cut, counted);
                prop_assert!(predicate.may_match(&bounds), "{filter}: {predicate:?}\n{bounds:?}");
                prop_assert_eq!(last_match(predicate, &chunk(one)), Some(Offset(0)), "{}: {:?}", filter, predicate);
            }
        }
    }
}

#[test]
fn bounds_prune_what_they_can() {
    let row = |id, f, t: &str| Row {
        id: Some(id),
        f: Some(f),
        r: Some(0.5),
        t: Some(t.to_owned()),
        b: Some(true),
        at: Some(DAY),
        zoned: Some(0),
        d: Some(3),
        n: Some(150),
        odd: Some(1),
    };
    let rows = [row(1, 0.5, "ab"), row(5, 2.5, "ax"), row(9, 1.0, "b")];
    let bounds = statistics(&rows, false, true);
    for filter in [
        "id > 9",
        "id = 0",
        "id IN (0, 10)",
        "id < 1",
        "id IS NULL",
        "f > 2.5",
        "f = 'nan'",
        "r > 1",
        "t < 'ab'",
        "t LIKE 'c%'",
        "t = 'c'",
        "NOT b",
        "ts < TIMESTAMP '1970-01-02'",
        "d <> DATE '1970-01-04'",
        "n > 1.50",
        "id = 3 AND t = 'zz'",
        "id > 20 OR t > 'c'",
        "ts::DATE = DATE '1970-01-03'",
        "zoned > TIMESTAMPTZ '1970-01-01 00:00:00+00'",
        "t ^@ 'c'",
        "id::DOUBLE > 9.5",
        "NOT (id >= 1)",
    ] {
        let statement = prepare(&format!("SELECT 1 FROM readings WHERE {filter}")).unwrap();
        let predicate = &statement.read(&name("readings")).unwrap().predicate;
        assert!(!predicate.may_match(&bounds), "{filter}: {predicate:?}");
        assert_eq!(last_match(predicate, &chunk(&rows)), None, "{filter}: {predicate:?}");
    }
}

#[test]
fn what_is_unknown_below_a_not_may_make_it_true() {
    let sql = "SELECT 1 FROM readings WHERE NOT (id < 1.5 AND isnan(f))";
    let predicate = prepare(sql).unwrap().read(&name("readings")).unwrap().predicate.clone();
    let null = ColumnStatistics { nulls: Some(1), rows: 1, ..ColumnStatistics::default() };
    assert!(predicate.may_match(&[null]), "{predicate:?}");
}

#[test]
fn a_float_bound_says_nothing_about_nan() {
    let sql = "SELECT 1 FROM readings WHERE f > 100";
    let predicate = prepare(sql).unwrap().read(&name("readings")).unwrap().predicate.clone();
    let bounds = |nans| {
        let mut columns = vec![ColumnStatistics::default(); 2];
        columns[1] = ColumnStatistics {
            lower: Some(Scalar::Float(0.0)),
            upper: Some(Scalar::Float(1.0)),
            nulls: Some(0),
            nans,
            rows: 3,
        };
        columns
    };
    assert!(predicate.may_match(&bounds(None)));
    assert!(predicate.may_match(&bounds(Some(1))));
    assert!(!predicate.may_match(&bounds(Some(0))));
}

#[test]
fn rows_are_tested_one_by_one_where_bounds_would_let_them_through() {
    let row = |t: &str| Row {
        id: Some(1),
        f: None,
        r: None,
        t: Some(t.to_owned()),
        b: None,
        at: None,
        zoned: None,
        d: None,
        n: None,
        odd: None,
    };
    let rows = [row("abc"), row("cba"), row("abd")];
    let last = |filter: &str| {
        let statement = prepare(&format!("SELECT 1 FROM readings WHERE {filter}")).unwrap();
        last_match(&statement.read(&name("readings")).unwrap().predicate, &chunk(&rows))
            .map(|o| o.0)
    };
    assert_eq!(last("t = 'b'"), None);
    assert_eq!(last("t = 'abc'"), Some(0));
    assert_eq!(last("contains(t, 'cb')"), Some(1));
    assert_eq!(last("t LIKE '%d'"), Some(2));
    assert_eq!(last("t LIKE 'abx%'"), None);
    assert_eq!(last("f > 1"), None);
    assert_eq!(last("length(t) = 9"), Some(2));
}
