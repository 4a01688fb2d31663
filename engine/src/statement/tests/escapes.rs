//! Ways out of the sandbox, all refused by the vetting alone, and what stays allowed.

use crate::error::EngineError;
use crate::statement::fixture::prepare;

/// One attempt a line.
const ATTEMPTS: &str = r#"
SELECT * FROM 'flights.parquet'
SELECT * FROM "/etc/passwd"
FROM '/tmp/x.csv'
SELECT * FROM 's3://bucket/key.parquet'
SELECT * FROM 'https://example.com/x.parquet'
SELECT * FROM flights, '/etc/hosts'
SELECT * FROM flights JOIN 'x.json' USING (flight_id)
SELECT (SELECT count(*) FROM 'x.parquet')
SELECT * FROM flights WHERE origin IN (SELECT a FROM "x.csv")
WITH q AS (FROM 'x.parquet') SELECT * FROM q
WITH q AS (SELECT 1) SELECT * FROM (WITH "x.parquet" AS (SELECT 1) SELECT 1), "x.parquet"
WITH "x.parquet" AS (SELECT 1) SELECT * FROM "x.parquet"
WITH RECURSIVE q AS (SELECT 1 UNION ALL SELECT * FROM 'x.csv') SELECT * FROM q
WITH q AS (SELECT * FROM r), r AS (SELECT 1) SELECT * FROM q
SELECT * FROM (SELECT 1) s, LATERAL (SELECT * FROM 'x.parquet') l
SELECT * FROM read_parquet('x.parquet')
SELECT * FROM READ_PARQUET(['x.parquet'])
SELECT * FROM parquet_scan('x.parquet')
SELECT * FROM "read_csv"('x.csv')
SELECT * FROM read_csv_auto('x.csv')
SELECT * FROM read_json('x.json')
SELECT * FROM read_json_objects('x.json')
SELECT * FROM read_ndjson_auto('x.json')
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM read_blob('/etc/passwd')
SELECT * FROM read_duckdb('x.db')
SELECT * FROM glob('/*')
SELECT * FROM sniff_csv('x.csv')
SELECT * FROM parquet_metadata('x.parquet')
SELECT * FROM parquet_schema('x.parquet')
SELECT * FROM parquet_file_metadata('x.parquet')
SELECT * FROM parquet_kv_metadata('x.parquet')
SELECT * FROM parquet_bloom_probe('x.parquet', 'a', 1)
SELECT * FROM query('SELECT 1')
SELECT * FROM query_table('flights')
SELECT * FROM json_execute_serialized_sql('{}')
SELECT * FROM flights WHERE flight_id IN (SELECT * FROM read_text('/etc/passwd'))
SELECT * FROM flights f, LATERAL read_text(f.origin)
SELECT * FROM flights f, LATERAL (SELECT * FROM glob(f.origin)) g
WITH q AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM q
SELECT EXISTS (SELECT * FROM glob('/etc/*'))
SELECT * FROM main.flights
SELECT * FROM temp.main.flights
SELECT * FROM temp.flights
SELECT * FROM memory.main.flights
SELECT * FROM system.information_schema.tables
SELECT * FROM information_schema.tables
SELECT * FROM pg_catalog.pg_tables
SELECT * FROM pg_tables
SELECT * FROM sqlite_master
SELECT * FROM sqlite_temp_master
SELECT * FROM duckdb_tables
SELECT * FROM duckdb_tables()
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_views()
SELECT * FROM duckdb_columns
SELECT * FROM duckdb_temporary_files()
SELECT * FROM pragma_table_info('flights')
SELECT * FROM pragma_database_size()
SELECT * FROM pragma_version()
SELECT * FROM which_secret('s3://x', 's3')
SELECT * FROM test_all_types()
SELECT * FROM seq_scan('flights')
SELECT * FROM repeat('x', 10)
SELECT * FROM summary(flights)
SELECT * FROM histogram(flights, origin)
SELECT * FROM icu_calendar_names()
SELECT * FROM arrow_scan(1, 2, 3)
SELECT getenv('HOME')
SELECT system.main.getenv('HOME')
SELECT main.getenv('HOME')
SELECT "GetEnv"('HOME')
SELECT 'HOME'.getenv()
SELECT origin FROM flights WHERE origin = getenv('HOME')
SELECT origin FROM flights ORDER BY getenv('HOME')
SELECT list_transform(['HOME'], lambda x: getenv(x))
SELECT [getenv(x) FOR x IN ['HOME']]
SELECT CASE WHEN true THEN getenv('HOME') END
SELECT count(*) FILTER (WHERE getenv('A') = 'b') FROM flights
SELECT sum(delay) OVER (ORDER BY getenv('A')) FROM flights
SELECT origin FROM flights GROUP BY origin HAVING max(getenv('A')) = 'b'
SELECT origin FROM flights QUALIFY row_number() OVER () = length(getenv('A'))
SELECT origin FROM flights LIMIT length(getenv('A'))
SELECT * REPLACE (getenv('HOME') AS origin) FROM flights
SELECT * FROM (VALUES (getenv('HOME'))) v
SELECT * FROM range(length(getenv('HOME')))
SELECT * FROM unnest([getenv('HOME')])
SELECT * FROM flights JOIN readings ON getenv('A') = origin
SELECT current_setting('threads')
SELECT pg_catalog.version()
SELECT version()
SELECT current_user
SELECT user
SELECT session_user
SELECT current_schema()
SELECT current_schemas(true)
SELECT current_database()
SELECT current_catalog
SELECT current_query()
SELECT in_search_path('a', 'b')
SELECT txid_current()
SELECT current_connection_id()
SELECT random()
SELECT setseed(0.5)
SELECT uuid()
SELECT gen_random_uuid()
SELECT uuidv7()
SELECT nextval('s')
SELECT currval('s')
SELECT getvariable('x')
SELECT sleep_ms(1000)
SELECT pg_sleep(1)
SELECT write_log('x')
SELECT error('x')
SELECT reservoir_quantile(delay, 0.5) FROM flights
SELECT json_serialize_sql('SELECT 1')
SELECT json_deserialize_sql('{}')
SELECT json_serialize_plan('SELECT 1')
SELECT list_aggregate([1], 'reservoir_quantile')
SELECT stats(delay) FROM flights
SELECT pg_get_viewdef(1)
SELECT icu_sort_key('a', 'b')
SELECT create_sort_key('a', 'ASC')
SELECT 'a'::regclass
SELECT 'a'::main.mytype
SELECT origin COLLATE de FROM flights
SELECT * FROM flights TABLESAMPLE 10%
SELECT * FROM flights USING SAMPLE 10
SELECT * FROM flights AT (VERSION => 1)
SELECT * FROM flights UNPIVOT (a FOR b IN (delay, distance))
PIVOT flights ON origin USING sum(delay)
WITH RECURSIVE q(a, b) USING KEY (a) AS (SELECT 1, 2 UNION SELECT a, b + 1 FROM q WHERE b < 5) SELECT * FROM q
SELECT * FROM (PIVOT flights ON origin USING sum(delay))
UNPIVOT flights ON delay INTO NAME n VALUE v
DESCRIBE flights
DESCRIBE SELECT 1
SUMMARIZE flights
SHOW TABLES
SHOW ALL TABLES
SELECT * FROM (DESCRIBE flights)
SELECT * FROM (SHOW TABLES)
EXPLAIN SELECT 1
EXPLAIN ANALYZE SELECT * FROM flights
ATTACH 'x.db'
ATTACH ':memory:' AS other
DETACH memory
USE temp
COPY flights TO 'x.csv'
COPY (SELECT 1) TO '/tmp/x.parquet'
COPY flights FROM 'x.csv'
EXPORT DATABASE 'x'
IMPORT DATABASE 'x'
INSTALL httpfs
LOAD httpfs
FORCE INSTALL spatial
PRAGMA version
PRAGMA database_list
SET threads = 1
SET VARIABLE x = 1
RESET threads
CALL pragma_version()
CALL duckdb_tables()
CREATE TABLE x AS SELECT 1
CREATE MACRO m() AS 1
CREATE TEMP VIEW v AS SELECT 1
CREATE SECRET (TYPE s3)
DROP VIEW flights
ALTER TABLE flights ADD COLUMN x INT
INSERT INTO flights VALUES (1)
UPDATE flights SET delay = 0
DELETE FROM flights
TRUNCATE flights
MERGE INTO flights USING readings ON true WHEN MATCHED THEN DELETE
BEGIN
COMMIT
VACUUM
CHECKPOINT
ANALYZE
PREPARE p AS SELECT 1
EXECUTE p
DEALLOCATE p
COMMENT ON TABLE flights IS 'x'
SELECT 1; SELECT 2
SELECT 1; DROP VIEW flights
/* SELECT 1 */ ATTACH 'x'
SELECT 1 /* ; */ ; COPY flights TO 'x'
WITH q AS (INSERT INTO flights VALUES (1) RETURNING *) SELECT * FROM q
WITH q AS (DELETE FROM flights RETURNING *) FROM q
SELECT 1 INTO x
SELECT __springtide_offset FROM flights
SELECT "__SPRINGTIDE_partition" FROM flights
SELECT f.__springtide_offset FROM flights f
SELECT * EXCLUDE (__springtide_offset) FROM flights
SELECT 1 AS __springtide_column_0
SELECT * FROM flights AS __springtide_stub_flights
SELECT * FROM __springtide_stub_flights
WITH __springtide_stub_flights AS (SELECT 1) SELECT * FROM __springtide_stub_flights
SELECT * FROM (SELECT 1) x(__springtide_column_0)
SELECT {'__springtide_a': 1}
SELECT rowid FROM flights
SELECT filename FROM flights
SELECT file_row_number FROM flights
SELECT nothing FROM flights
SELECT * FROM fligths
SELECT ?
SELECT $1
SELECT $missing
SELECT DEFAULT
"#;

#[test]
fn every_way_out_is_refused() {
    let attempts: Vec<&str> = ATTEMPTS.lines().filter(|line| !line.is_empty()).collect();
    assert!(attempts.len() >= 80);
    for sql in attempts {
        match prepare(sql) {
            Err(
                EngineError::Forbidden { .. }
                | EngineError::InvalidSql { .. }
                | EngineError::UnknownTable { .. },
            ) => {}
            Err(other) => panic!("{sql}: {other:?}"),
            Ok(statement) => panic!("{sql}: allowed as {}", statement.text),
        }
    }
}

#[test]
fn a_refusal_names_what_is_refused_and_what_to_do() {
    let refusal = |sql: &str| prepare(sql).unwrap_err().to_string();
    let getenv = refusal("SELECT getenv('HOME')");
    assert!(getenv.contains("`getenv`") && getenv.contains("not allowed"), "{getenv}");
    let table = refusal("SELECT * FROM fligths");
    assert!(table.contains("did you mean `flights`"), "{table}");
    let schema = refusal("SELECT * FROM main.flights");
    assert!(schema.contains("name the table alone"), "{schema}");
    assert!(refusal("SELECT 1; SELECT 2").contains("more than one statement"));
    assert!(refusal("").contains("no statement"));
    assert!(refusal("SELECT * FROM flights WHERE nothing = 1").contains("nothing"));
}

/// A refused statement, what its message names and what it advises.
const REFUSALS: [(&str, &str, &str); 34] = [
    ("DESCRIBE flights", "`DESCRIBE`", "/v1/tables"),
    ("SELECT * FROM (DESCRIBE flights)", "`DESCRIBE`", "/v1/tables"),
    ("SUMMARIZE flights", "`SUMMARIZE`", "count(*)"),
    ("FROM (SUMMARIZE flights)", "`SUMMARIZE`", "count(*)"),
    ("SHOW TABLES", "`SHOW`", "/v1/tables"),
    ("SHOW ALL TABLES", "`SHOW`", "/v1/tables"),
    ("SELECT * FROM (SHOW TABLES)", "`SHOW`", "/v1/tables"),
    ("PIVOT flights ON origin USING sum(delay)", "`PIVOT`", "FILTER"),
    ("SELECT * FROM flights UNPIVOT (a FOR b IN (delay))", "`UNPIVOT`", "UNION ALL"),
    ("UNPIVOT flights ON delay INTO NAME n VALUE v", "`UNPIVOT`", "UNION ALL"),
    ("EXPLAIN SELECT 1", "`EXPLAIN`", "SELECT"),
    ("-- a note\n  attach 'x.db'", "`ATTACH`", "SELECT"),
    ("/* a */ COPY flights TO 'x'", "`COPY`", "SELECT"),
    ("INSERT INTO flights VALUES (1)", "`INSERT`", "SELECT"),
    ("SET threads = 1", "`SET`", "SELECT"),
    ("SELECT 1; DROP VIEW flights", "more than one statement", "WITH"),
    ("SELECT 1; SELECT 2", "more than one statement", "WITH"),
    ("WITH q AS (DELETE FROM flights RETURNING *) FROM q", "in WITH", "SELECT"),
    ("SELECT 1 INTO x", "INTO", "leave"),
    ("SELECT DEFAULT", "`DEFAULT`", "value"),
    ("SELECT * FROM 'x.csv'", "`x.csv`", "no table"),
    ("SELECT * FROM read_csv('x.csv')", "`read_csv`", "read a table"),
    ("SELECT * FROM temp.main.flights", "schema before `flights`", "alone"),
    ("SELECT lenght(origin) FROM flights", "`lenght`", "did you mean `length`"),
    ("SELECT getenv('HOME')", "`getenv`", "arguments"),
    ("SELECT main.getenv('HOME')", "`getenv`", "arguments"),
    ("SELECT pg_catalog.version()", "`pg_catalog.version()`", "alone"),
    ("SELECT current_user", "`current_user`", "who asks"),
    ("SELECT 'a'::regclass", "`regclass`", "DuckDB"),
    ("SELECT origin COLLATE de FROM flights", "`de`", "use one of"),
    ("SELECT * FROM flights USING SAMPLE 10", "sampling", "hash"),
    ("SELECT * FROM flights AT (VERSION => 1)", "`AT`", "?v="),
    ("SELECT repeat('x', 1000000000)", "`repeat()`", "constants up to"),
    ("SELECT * FROM range(length(nothing))", "nothing", ""),
];

#[test]
fn refusals_speak_of_what_was_written() {
    for (sql, names, advises) in REFUSALS {
        let text = prepare(sql).unwrap_err().to_string();
        assert!(text.contains(names) && text.contains(advises), "{sql}: {text}");
        let jargon = ["show ref", "_NODE", "COMPARE_", "OPERATOR_", "Candidate bindings: \"\""];
        assert!(!jargon.iter().any(|word| text.contains(word)), "{sql}: {text}");
    }
    let twice = prepare("SELECT filename FROM flights").unwrap_err().to_string();
    assert_eq!(twice.matches("destination").count(), 1, "{twice}");
}

#[test]
fn an_error_says_where() {
    let Err(EngineError::InvalidSql { position, .. }) = prepare("SELECT 1 FROM WHERE") else {
        panic!("it does not parse");
    };
    assert_eq!(position, Some(14));
}

#[test]
fn deep_and_long_statements_are_refused_without_harm() {
    for deep in [
        format!("SELECT {}1{}", "(1+".repeat(1_700), ")".repeat(1_700)),
        format!("SELECT {}1", "1+".repeat(3_400)),
        format!("SELECT {}1", "- ".repeat(3_400)),
        format!("SELECT {}true", "NOT ".repeat(1_700)),
        format!("SELECT {}1{}", "[".repeat(3_400), "]".repeat(3_400)),
        format!("SELECT {}1{}", "(".repeat(3_400), ")".repeat(3_400)),
        format!("{}1{}", "SELECT (".repeat(700), ")".repeat(700)),
        format!("SELECT * FROM {}flights{}", "(FROM ".repeat(900), ")".repeat(900)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(450)),
        format!("SELECT {}1{}", "CASE WHEN 1=1 THEN ".repeat(280), " END".repeat(280)),
        format!("SELECT 1{}", "::INT".repeat(1_300)),
        format!("SELECT 1 FROM range(1){}", ", range(1)".repeat(600)),
    ] {
        let Err(refused) = prepare(&deep) else { continue };
        assert!(matches!(refused, EngineError::InvalidSql { .. }), "{refused:?}");
    }
    let long = format!("SELECT '{}'", "x".repeat(8_000));
    assert!(matches!(prepare(&long), Err(EngineError::InvalidSql { .. })));
    assert!(prepare("SELECT 1 /* \0 */").is_err());
}

/// One statement a line: all that readers need stays allowed.
const ALLOWED: &str = r#"
SELECT 1
VALUES (1, 'a'), (2, 'b')
FROM flights
SELECT * FROM FLIGHTS AS f(a, b)
SELECT origin, count(*) FROM flights GROUP BY ALL ORDER BY ALL
SELECT * EXCLUDE (delay) REPLACE (distance * 2 AS distance) FROM flights
SELECT COLUMNS('d.*') FROM flights
SELECT COLUMNS(c -> c LIKE 'd%') FROM flights
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r
WITH a AS (FROM flights), b AS (FROM a) SELECT * FROM a JOIN b USING (flight_id)
SELECT * FROM flights a LEFT JOIN readings b ON a.flight_id = b.id
SELECT * FROM flights a SEMI JOIN readings b ON a.flight_id = b.id
SELECT f.origin, x.n FROM flights f, LATERAL (SELECT count(*) AS n FROM readings WHERE id = f.delay) x
SELECT origin FROM flights UNION SELECT t FROM readings EXCEPT SELECT 'x' INTERSECT SELECT 'y'
SELECT origin FROM flights UNION ALL BY NAME SELECT t AS origin FROM readings
SELECT CASE WHEN delay > 3 THEN 'late' ELSE 'fine' END FROM flights
SELECT [1, 2, 3], {'a': 1, 'b': 'x'}, MAP {'a': 1}, (1, 2)
SELECT list_transform([1, 2], lambda x: x + 1), [x * 2 FOR x IN [1, 2] IF x > 1]
SELECT list_filter([1, 2], x -> x > 1), list_reduce([1, 2], lambda a, b: a + b)
SELECT '{"a": [1]}'::JSON -> '$.a', '{"a": 1}' ->> 'a', json_extract('{"a":1}', '$.a')
SELECT date_trunc('hour', date), date_part('year', date), extract(dow FROM date) FROM flights
SELECT date + INTERVAL 1 DAY, date - INTERVAL '2 hours', age(date, date), strftime(date, '%Y') FROM flights
SELECT date AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin' FROM flights
SELECT rank() OVER (PARTITION BY origin ORDER BY delay) FROM flights
SELECT sum(delay) OVER w FROM flights WINDOW w AS (ORDER BY date ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
SELECT DISTINCT ON (origin) origin, delay FROM flights ORDER BY origin, delay
SELECT origin FROM flights WHERE origin LIKE 'A%' AND origin ~ 'B' AND origin NOT ILIKE 'c_' ESCAPE '\'
SELECT origin FROM flights WHERE origin COLLATE NOCASE = 'atl' ORDER BY origin COLLATE NOACCENT
SELECT delay FROM flights WHERE delay IN (1, 2) OR delay BETWEEN 3 AND 4 OR delay IS NULL
SELECT count(DISTINCT origin) FILTER (WHERE delay > 0), quantile_cont(delay, 0.5) FROM flights
SELECT grouping(origin), count(*) FROM flights GROUP BY GROUPING SETS ((origin), ())
SELECT * FROM range(10) t(n), generate_series(1, 3) g(m)
SELECT unnest([1, 2]), unnest({'a': 1, 'b': 2})
SELECT n FROM unnest([1, 2]) WITH ORDINALITY AS u(n, o)
SELECT x.a FROM (SELECT {'a': 1} AS x)
SELECT TRY_CAST('a' AS INTEGER), '1'::DECIMAL(10, 2), 1::HUGEINT, '2001-01-01'::DATE, 'a'::BLOB
SELECT 1::UBIGINT, '00000000-0000-0000-0000-000000000000'::UUID, 'a'::ENUM('a', 'b'), [1]::INT[], 'x'::TEXT
SELECT (SELECT max(delay) FROM flights), EXISTS (FROM flights), delay = ANY (SELECT 1) FROM flights
SELECT flights FROM flights
SELECT "odd ""name"" AND id = 1" FROM readings
SELECT 1 AS "user", 2 AS "select"
SELECT string_agg(origin, ',' ORDER BY origin), list(delay ORDER BY delay) FROM flights
SELECT now(), current_date, today(), current_timestamp, age(TIMESTAMP '2000-01-01')
SELECT now() AS now, * FROM flights ORDER BY now
SELECT 1 -- a comment; ATTACH 'x'
SELECT 1;
SELECT 1; -- ; ATTACH 'x'
SELECT 'ATTACH ''x''; COPY', 'getenv(''HOME'')'
"#;

#[test]
fn what_readers_need_is_allowed() {
    for sql in ALLOWED.lines().filter(|line| !line.is_empty()) {
        if let Err(error) = prepare(sql) {
            panic!("{sql}: {error:?}");
        }
    }
}
