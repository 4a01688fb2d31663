//! What statements read, as DuckDB's plans tell it.

use crate::prune::Predicate;
use crate::statement::TableRead;
use crate::statement::fixture::{name, prepare};

fn read(sql: &str, table: &str) -> TableRead {
    prepare(sql).unwrap().read(&name(table)).unwrap().clone()
}

/// The predicate, written shortly.
fn predicate(sql: &str) -> String {
    let mut reads = prepare(sql).unwrap().reads;
    assert_eq!(reads.len(), 1, "{sql}");
    show(&reads.remove(0).predicate)
}

fn show(predicate: &Predicate) -> String {
    let all = |parts: &[Predicate], word: &str| {
        let mut parts: Vec<_> = parts.iter().map(show).collect();
        parts.sort();
        format!("({})", parts.join(word))
    };
    match predicate {
        Predicate::Unknown => "?".to_owned(),
        Predicate::False => "no".to_owned(),
        Predicate::And(parts) => all(parts, " & "),
        Predicate::Or(parts) => all(parts, " | "),
        Predicate::Not(part) => format!("!{}", show(part)),
        Predicate::Compare(c, op, value) => format!("{}.{:?} {op:?} {value:?}", c.index, c.cast),
        Predicate::IsNull(c) => format!("{} null", c.index),
        Predicate::Holds(c) => format!("{} holds", c.index),
        Predicate::StartsWith(c, text) => format!("{} starts {text}", c.index),
        Predicate::EndsWith(c, text) => format!("{} ends {text}", c.index),
        Predicate::Contains(c, text) => format!("{} has {text}", c.index),
    }
}

#[test]
fn filters_are_pushed_to_the_scans() {
    let day = "SELECT count(*) FROM flights WHERE date >= '2001-03-01' AND date < '2001-03-02'";
    assert_eq!(
        predicate(day),
        "(1.None GreaterOrEqual Timestamp(983404800000000) & 1.None Less Timestamp(983491200000000))"
    );
    for (filter, expected) in [
        ("delay > 10", "2.None Greater Integer(10)"),
        ("10 < delay", "2.None Greater Integer(10)"),
        ("delay <> 10", "2.None NotEqual Integer(10)"),
        ("origin IN ('ATL', 'DFW')", "(4.None Equal Text(\"ATL\") | 4.None Equal Text(\"DFW\"))"),
        ("delay IN (1, 9)", "(2.None Equal Integer(1) | 2.None Equal Integer(9))"),
        ("origin IS NULL", "4 null"),
        ("origin IS NOT NULL", "!4 null"),
        ("contains(origin, 'x')", "4 has x"),
        ("origin LIKE '%x'", "4 ends x"),
        ("origin LIKE 'x%' OR delay = 1", "(2.None Equal Integer(1) | 4 starts x)"),
        ("delay IS DISTINCT FROM 3", "2.None Distinct Integer(3)"),
        ("delay = NULL", "no"),
        ("delay = 1 AND delay = 2", "no"),
        ("false", "no"),
        ("true", "?"),
        ("length(origin) = 3", "?"),
        ("length(origin) = 3 AND delay = 1", "2.None Equal Integer(1)"),
        ("length(origin) = 3 OR delay = 1", "?"),
        ("date > now() - INTERVAL 1 HOUR", "1.None Greater Timestamp(986079540000000)"),
        (
            "date::DATE = '2001-03-31'",
            "(1.None GreaterOrEqual Timestamp(985996800000000) & 1.None Less Timestamp(986083200000000))",
        ),
        (
            "origin = 'it''s \"x\" AND delay = 1'",
            "4.None Equal Text(\"it's \\\"x\\\" AND delay = 1\")",
        ),
    ] {
        assert_eq!(
            predicate(&format!("SELECT count(*) FROM flights WHERE {filter}")),
            expected,
            "{filter}"
        );
    }
}

#[test]
fn other_types_compare_as_duckdb_compares_them() {
    for (filter, expected) in [
        ("f > 1.5", "1.None Greater Float(1.5)"),
        ("f = 'nan'", "1.None Equal Float(NaN)"),
        ("f < 1e400", "1.None Less Float(inf)"),
        ("r = 1.1", "2.None Equal Float(1.100000023841858)"),
        ("b", "4 holds"),
        ("NOT b", "!4 holds"),
        (
            "zoned >= TIMESTAMPTZ '2001-01-01 02:00:00+02'",
            "6.None GreaterOrEqual Timestamp(978307200000000)",
        ),
        ("d = DATE '2001-01-01'", "7.None Equal Date(11323)"),
        ("n > 3.5", "8.None Greater Decimal(350, 2)"),
        ("id > 2.5", "0.None Greater Decimal(25, 1)"),
        ("id = 5000000000", "0.None Equal Integer(5000000000)"),
        ("\"odd \"\"name\"\" AND id = 1\" = 7", "9.None Equal Integer(7)"),
    ] {
        assert_eq!(
            predicate(&format!("SELECT count(*) FROM readings WHERE {filter}")),
            expected,
            "{filter}"
        );
    }
}

#[test]
fn several_scans_of_one_table_are_or_ed() {
    let join = "SELECT * FROM flights a JOIN flights b USING (flight_id) WHERE a.delay = 3 AND b.delay = 4";
    assert_eq!(predicate(join), "(2.None Equal Integer(3) | 2.None Equal Integer(4))");
    let one_open = "SELECT * FROM flights a JOIN flights b USING (flight_id) WHERE a.delay = 3";
    assert_eq!(predicate(one_open), "?");
    let cte =
        "WITH q AS (SELECT * FROM flights WHERE delay > 3) SELECT * FROM q ORDER BY delay LIMIT 5";
    assert_eq!(predicate(cte), "2.None Greater Integer(3)");
    let subquery =
        "SELECT * FROM flights WHERE delay = (SELECT max(delay) FROM flights WHERE origin = 'A')";
    assert_eq!(predicate(subquery), "?");
}

#[test]
fn a_row_filter_joins_before_planning() {
    let sql = "SELECT count(*) FROM atlanta WHERE delay = 3";
    assert_eq!(predicate(sql), "(2.None Equal Integer(3) & 4.None Equal Text(\"ATL\"))");
}

#[test]
fn a_constant_with_line_breaks_cannot_pose_as_a_filter() {
    // A plan tears its text at line breaks; the middle line alone reads as a filter.
    let torn = "SELECT count(*) FROM flights WHERE origin = E'x\\n__springtide_column_2 = 5\\ny'";
    assert_eq!(predicate(torn), "?");
    let mixed = "SELECT count(*) FROM flights WHERE delay = 1 AND origin = E'a\\nb'";
    assert_eq!(predicate(mixed), "?");
}

#[test]
fn columns_are_those_that_are_read() {
    let columns = |sql: &str| read(sql, "flights").columns;
    assert_eq!(columns("SELECT origin FROM flights WHERE delay > 3"), [2, 4]);
    assert_eq!(columns("SELECT count(*) FROM flights"), [0_usize; 0]);
    assert_eq!(columns("FROM flights"), [0, 1, 2, 3, 4, 5]);
    let both = "SELECT a.origin FROM flights a JOIN flights b ON a.flight_id = b.distance";
    assert_eq!(columns(both), [0, 3, 4]);
}

#[test]
fn a_nested_fields_name_cannot_pose_as_a_filter() {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field};

    use crate::statement::TableSchema;
    use crate::statement::fixture::{planner, request, schema};

    // Plans print fields without quotes.
    let odd = "x IS NULL AND __springtide_column_1 = 5 AND y";
    let member = Field::new(odd, DataType::Int64, true);
    let nested = DataType::Struct(vec![member].into());
    let schema = schema(&[("s", nested), ("n", DataType::Int64)]);
    let mut request =
        request(&format!("SELECT count(*) FROM t WHERE s.\"{odd}\" = 3 AND n = 4"), &[]);
    let table = TableSchema { schema, row_filter: None };
    request.tables = Arc::new(BTreeMap::from([(name("t"), table)]));
    let statement = planner().prepare(&request).unwrap();
    let found = show(&statement.reads[0].predicate);
    assert!(!found.contains('5'), "{found}");
}
