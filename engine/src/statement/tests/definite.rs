//! Order, stability and the clock.

use crate::statement::Stability;
use crate::statement::fixture::{T, prepare};

fn text(sql: &str) -> String {
    prepare(sql).unwrap().text
}

#[test]
fn an_answer_without_order_is_ordered_by_all_its_columns() {
    assert!(text("SELECT origin, delay FROM flights").ends_with("ORDER BY 1, 2"));
    assert!(text("FROM flights").ends_with("ORDER BY 1, 2, 3, 4, 5, 6"));
    assert!(
        text("SELECT origin FROM flights UNION SELECT t FROM readings").ends_with("ORDER BY 1")
    );
}

#[test]
fn the_remaining_columns_break_ties() {
    let sql = "SELECT origin, count(*) AS n, max(delay) FROM flights GROUP BY 1 ORDER BY n DESC";
    assert!(text(sql).ends_with("ORDER BY n DESC, 1, 2, 3"), "{}", text(sql));
    let sql = "SELECT * FROM flights ORDER BY 2 DESC, origin LIMIT 5";
    assert!(text(sql).ends_with("ORDER BY 2 DESC, origin, 1, 3, 4, 5, 6 LIMIT 5"), "{}", text(sql));
    let sql = "SELECT n FROM (SELECT delay AS n, origin FROM flights ORDER BY n LIMIT 3)";
    assert!(text(sql).contains("ORDER BY n, 1, 2 LIMIT 3"), "{}", text(sql));
    assert!(text("SELECT unnest({'a': 1, 'b': 2}), 3").ends_with("ORDER BY 1, 2, 3"));
}

const STABLE: &str = "
SELECT * FROM flights
SELECT count(*), sum(delay), avg(delay), min(origin), max(date) FROM flights
SELECT sum(n), avg(n) FROM readings
SELECT sum(f.delay) FROM flights f
SELECT avg(CAST(f AS DECIMAL(18, 3))) FROM readings
SELECT sum(CASE WHEN f > 1.5 THEN id ELSE 0 END) FROM readings
SELECT sum(hour(ts)), sum(length(t)), sum(date_part('year', ts)) FROM readings
SELECT sum(date_diff('day', date, TIMESTAMP '2002-01-01')) FROM flights WHERE date > now() - INTERVAL 3 DAY
SELECT median(delay), quantile_cont(delay, 0.9), approx_count_distinct(origin) FROM flights
SELECT max(f), min(r) FROM readings
SELECT list(origin ORDER BY origin), string_agg(origin, ',' ORDER BY delay, origin) FROM flights
SELECT first(origin ORDER BY date, origin) FROM flights
SELECT origin, rank() OVER (ORDER BY delay), dense_rank() OVER (ORDER BY delay) FROM flights
SELECT origin, sum(delay) OVER (PARTITION BY origin ORDER BY date) FROM flights
SELECT origin, count(*) OVER () FROM flights
SELECT origin, delay, row_number() OVER (PARTITION BY origin ORDER BY delay) FROM flights
SELECT origin, delay FROM flights QUALIFY row_number() OVER (PARTITION BY origin ORDER BY delay) <= 3
SELECT origin, lag(delay) OVER (ORDER BY origin, delay) FROM flights ORDER BY 1
SELECT DISTINCT ON (origin) origin, delay FROM flights ORDER BY origin, date
SELECT DISTINCT ON (origin) origin, delay FROM flights
SELECT list(origin ORDER BY origin DESC), array_agg(DISTINCT delay ORDER BY delay) FROM flights
SELECT DISTINCT origin FROM flights
SELECT origin FROM flights ORDER BY origin LIMIT 5
SELECT max(n) FROM (SELECT delay AS n FROM flights ORDER BY origin LIMIT 5)
SELECT max(delay) FROM (SELECT * FROM flights ORDER BY ALL LIMIT 5)
SELECT origin FROM flights WHERE origin COLLATE NOCASE = 'atl' ORDER BY origin COLLATE NOCASE
SELECT avg(delay) FROM flights WHERE distance / 2 > 1e2
SELECT max(date + INTERVAL 1 DAY), date_trunc('day', min(date) - INTERVAL 3 HOUR) FROM flights
SELECT time_bucket(INTERVAL 1 HOUR, date), count(*) FROM flights WHERE date - now() < INTERVAL 1 DAY GROUP BY 1
SELECT n FROM generate_series(TIMESTAMP '2001-01-01', TIMESTAMP '2001-01-09', INTERVAL 1 DAY) g(n)
SELECT epoch(to_days(max(delay::INTEGER))) FROM flights
SELECT f::VARCHAR, 1 / f, count(*) FROM readings GROUP BY f
SELECT max(f)::VARCHAR, min(r)::VARCHAR FROM readings
SELECT DISTINCT f::VARCHAR FROM readings
SELECT round(f, 1) AS g, count(*) FROM readings GROUP BY 1
SELECT floor(epoch(ts) / 300) * 300 AS g, count(*) FROM readings GROUP BY g
SELECT CAST(-f AS DECIMAL(18, 3))::VARCHAR, count(*) FROM readings GROUP BY CAST(-f AS DECIMAL(18, 3))
";

const UNSTABLE: &str = "
SELECT * FROM flights LIMIT 5
SELECT * FROM flights OFFSET 5
SELECT * FROM (SELECT origin FROM flights LIMIT 5)
WITH q AS (SELECT origin FROM flights LIMIT 5) SELECT count(*) FROM q
SELECT max(delay) FROM (SELECT * FROM flights ORDER BY origin LIMIT 5)
SELECT (SELECT delay FROM flights LIMIT 1)
SELECT sum(f) FROM readings
SELECT avg(r) FROM readings
SELECT sum(id * f) FROM readings
SELECT sum(delay::DOUBLE) FROM flights
SELECT sum(delay / 2) FROM flights
SELECT sum(delay * 1e0) FROM flights
SELECT sum(sqrt(delay)) FROM flights
SELECT sum(d) FROM (SELECT avg(delay) AS d FROM flights GROUP BY origin)
SELECT sum(delay) FROM (SELECT delay FROM flights UNION ALL SELECT f FROM readings)
SELECT sum(delay) FROM (SELECT * REPLACE (delay / 2 AS delay) FROM flights)
SELECT sum(x) FROM (SELECT f FROM readings) q(x)
WITH q(delay) AS (SELECT f FROM readings) SELECT sum(delay) FROM q
SELECT sum(date_part('epoch', date)) FROM flights
SELECT sum(COLUMNS(*)) FROM (SELECT f FROM readings)
SELECT sum(delay / 2) OVER () FROM flights
SELECT stddev(delay) FROM flights
SELECT var_pop(delay), corr(delay, distance) FROM flights
SELECT approx_quantile(delay, 0.5) FROM flights
SELECT any_value(origin) FROM flights
SELECT first(origin) FROM flights
SELECT first(origin ORDER BY date) FROM flights
SELECT list(origin) FROM flights
SELECT array_agg(origin ORDER BY date) FROM flights
SELECT string_agg(origin, ',') FROM flights
SELECT mode(origin) FROM flights
SELECT arg_max(origin, delay) FROM flights
SELECT max_by(origin, delay) FROM flights
SELECT array(SELECT origin FROM flights)
SELECT json_group_array(origin) FROM flights
SELECT list(f ORDER BY f) FROM readings
SELECT origin, row_number() OVER (ORDER BY delay) FROM flights
SELECT *, row_number() OVER (ORDER BY delay) FROM flights
SELECT origin, lag(delay) OVER (ORDER BY date) FROM flights
SELECT origin, first_value(delay) OVER (ORDER BY date) FROM flights
SELECT origin, sum(delay) OVER (ORDER BY date ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM flights
SELECT origin, ntile(4) OVER (ORDER BY delay) FROM flights
SELECT max(delay) FROM (SELECT DISTINCT ON (origin) origin, delay FROM flights)
SELECT * FROM (SELECT DISTINCT ON (origin) * FROM flights ORDER BY date)
SELECT * FROM flights POSITIONAL JOIN readings
SELECT a.origin FROM flights a ASOF JOIN flights b ON a.origin = b.origin AND a.date >= b.date
SELECT DISTINCT origin COLLATE NOCASE FROM flights
SELECT count(*) FROM flights GROUP BY origin COLLATE NOCASE
SELECT sum(id) FROM (SELECT sqrt(COLUMNS(['id'])) FROM readings)
SELECT to_days(delay::INTEGER) FROM flights
SELECT date - now() FROM flights
SELECT max(to_days(delay::INTEGER))::VARCHAR FROM flights
SELECT count(*) FROM flights GROUP BY age(date)
SELECT i::VARCHAR FROM (SELECT DISTINCT INTERVAL 1 DAY * delay AS i FROM flights)
SELECT i::VARCHAR FROM (SELECT to_days(delay::INTEGER) AS i FROM flights UNION SELECT INTERVAL 1 MONTH)
SELECT max(i)::VARCHAR FROM (VALUES (INTERVAL 30 DAY), (INTERVAL 1 MONTH)) v(i)
SELECT max([to_days(delay::INTEGER)])::VARCHAR FROM flights
SELECT x::VARCHAR FROM (SELECT DISTINCT -f AS x FROM readings)
SELECT 1 / x FROM (SELECT f * 0 AS x FROM readings GROUP BY 1)
SELECT max(-f)::VARCHAR FROM readings
SELECT x || '' FROM (SELECT -f AS x FROM readings UNION SELECT r FROM readings)
SELECT x::VARCHAR FROM (SELECT round(f) AS x FROM readings ORDER BY x LIMIT 5)
SELECT atan2(x, -1) FROM (SELECT round(f) AS x FROM readings GROUP BY ALL)
";

#[test]
fn what_no_order_of_rows_can_change_is_stable() {
    for sql in STABLE.lines().filter(|line| !line.is_empty()) {
        assert_eq!(prepare(sql).unwrap().stability, Stability::Stable, "{sql}");
    }
}

#[test]
fn what_the_order_of_rows_can_change_is_said_with_a_hint() {
    for sql in UNSTABLE.lines().filter(|line| !line.is_empty()) {
        match prepare(sql).unwrap().stability {
            Stability::Unstable(reasons) => {
                assert!(reasons.iter().all(|reason| reason.contains(": ")), "{reasons:?}");
            }
            Stability::Stable => panic!("{sql}: stable"),
        }
    }
}

#[test]
fn columns_are_read_in_one_spelling_where_it_would_show() {
    let one = |sql: &str| prepare(sql).unwrap().one_spelling;
    assert!(one("SELECT f::VARCHAR FROM readings GROUP BY f"));
    assert!(one("SELECT 1 / f FROM readings GROUP BY f"));
    assert!(one("SELECT to_json(max(r)) FROM readings"));
    assert!(one("SELECT f::VARCHAR FROM (SELECT DISTINCT * FROM readings)"));
    assert!(!one("SELECT f, count(*) FROM readings GROUP BY f"), "the answer is settled itself");
    assert!(!one("SELECT f::VARCHAR FROM readings"));
    assert!(!one("SELECT max(f), id::VARCHAR FROM readings GROUP BY id"));
}

#[test]
fn the_clock_is_a_literal_wherever_it_hides() {
    let clocks = [
        ("now()", "'2001-03-31 23:59:00.000000+00' AS TIMESTAMP WITH TIME ZONE"),
        ("current_timestamp", "'2001-03-31 23:59:00.000000+00' AS TIMESTAMP WITH TIME ZONE"),
        ("transaction_timestamp()", "'2001-03-31 23:59:00.000000+00' AS TIMESTAMP WITH TIME ZONE"),
        ("get_current_timestamp()", "'2001-03-31 23:59:00.000000+00' AS TIMESTAMP WITH TIME ZONE"),
        ("localtimestamp", "'2001-03-31 23:59:00.000000' AS TIMESTAMP"),
        ("current_localtimestamp()", "'2001-03-31 23:59:00.000000' AS TIMESTAMP"),
        ("current_date", "'2001-03-31' AS DATE"),
        ("\"CURRENT_DATE\"", "'2001-03-31' AS DATE"),
        ("current_date()", "'2001-03-31' AS DATE"),
        ("today()", "'2001-03-31' AS DATE"),
        ("current_time", "'23:59:00.000000+00' AS TIME WITH TIME ZONE"),
        ("get_current_time()", "'23:59:00.000000+00' AS TIME WITH TIME ZONE"),
        ("localtime", "'23:59:00.000000' AS TIME"),
        ("age(date)", "age(CAST('2001-03-31 00:00:00' AS TIMESTAMP), date)"),
    ];
    for (clock, literal) in clocks {
        let statement = prepare(&format!("SELECT {clock} FROM flights")).unwrap();
        assert!(statement.text.contains(literal), "{clock}: {}", statement.text);
        assert_eq!(statement.clock_micros, Some(T), "{clock}");
        let nested = "SELECT 1 FROM flights WHERE EXISTS (SELECT [x for x in [1] if {} IS NULL] FROM flights)";
        let nested = prepare(&nested.replace("{}", clock)).unwrap();
        assert!(nested.text.contains(literal) && nested.clock_micros.is_some(), "{}", nested.text);
    }
    assert_eq!(prepare("SELECT age(date, date) FROM flights").unwrap().clock_micros, None);
}

#[test]
fn a_column_that_reads_the_clock_keeps_its_name() {
    let names = |sql: &str| {
        let columns = prepare(sql).unwrap().columns;
        columns.into_iter().map(|c| c.name).collect::<Vec<_>>()
    };
    assert_eq!(names("SELECT now(), current_date, 1e0"), ["now()", "current_date", "1.0"]);
    assert_eq!(names("SELECT now() AS t, date FROM flights"), ["t", "date"]);
}

#[test]
fn a_column_called_like_the_clock_must_say_so() {
    let ambiguous = "SELECT current_date FROM (SELECT DATE '2001-01-01' AS current_date)";
    assert!(prepare(ambiguous).unwrap_err().to_string().contains("both a column and the clock"));
    let qualified = "SELECT q.current_date FROM (SELECT DATE '2001-01-01' AS current_date) q";
    assert_eq!(prepare(qualified).unwrap().clock_micros, None);
}
