//! Statements that multiply, and reports that do not.

use duckdb::Connection;

use super::*;
use crate::statement::parse_select;

fn allowed(sql: &str) -> bool {
    let connection = Connection::open_in_memory().unwrap();
    check(&parse_select(&connection, sql).unwrap()).is_ok()
}

/// Ways to multiply, one inside another.
const OVER: &[&str] = &[
    "SELECT repeat(repeat('x', 100000), 100000)",
    "SELECT length(repeat(s, 100000)) FROM (SELECT repeat('x', 100000) AS s)",
    "SELECT repeat(s, 2000) FROM (SELECT s FROM (SELECT repeat('x', 1000) AS s))",
    "WITH a AS (SELECT repeat('x', 1000) AS s), b AS (SELECT repeat(s, 2000) AS t FROM a) FROM b",
    "SELECT (SELECT repeat(s, 2000)) FROM (SELECT repeat('x', 1000) AS s)",
    "SELECT repeat('x', 1000) AS a, repeat(a, 2000) AS b",
    "SELECT 1 FROM (SELECT repeat('x', 1000) AS s) WHERE length(repeat(s, 2000)) > 1",
    "SELECT 1 FROM (SELECT repeat('x', 1000) AS s) a JOIN b ON repeat(a.s, 2000) = b.t",
    "SELECT replace(s, 'x', s) FROM (SELECT repeat('x', 2000) AS s)",
    "SELECT replace(lpad('x', 2000), ' ', rpad('x', 2000))",
    "SELECT regexp_replace(s, 'x', s, 'g') FROM (SELECT repeat('x', 2000) AS s)",
    "SELECT repeat(s, 2000) FROM (SELECT unnest([repeat('x', 1000)]) AS s)",
    "SELECT repeat(s, 2000) FROM (VALUES (repeat('x', 1000))) v(s)",
    "SELECT repeat(s, 2000) FROM (SELECT 'x' AS s UNION ALL SELECT repeat('x', 1000))",
    "SELECT repeat(max(s), 2000) FROM (SELECT repeat('x', 1000) AS s)",
    "SELECT list_transform(range(10000), x -> repeat('x', 1000))",
    "SELECT array_to_string(list_transform(range(1000), x -> 'x'), repeat('y', 2000))",
    "SELECT list_reduce(['a', 'b'], lambda a, b: a || a)",
    "SELECT bin(bin(bin(bin(bin(bin(bin('x')))))))",
    "SELECT format('{:>300000000}', 'x')",
    // A column comes before an alias of the same SELECT; several may have one name.
    "SELECT 1 AS s, length(repeat(s, 40000)) FROM (SELECT repeat('x', 100000) AS s)",
    "SELECT repeat('x', 100000) AS a, 1 AS a, length(repeat(a, 40000))",
    // Columns by their number.
    "SELECT length(repeat(#1, 40000)) FROM (SELECT repeat('x', 100000) AS s)",
    // An arrow that is no lambda.
    "SELECT length(repeat(s -> '$', 40000)) FROM (SELECT '\"' || repeat('x', 100000) || '\"' AS s)",
    // Subqueries in what follows a set operation.
    "WITH a AS (SELECT repeat('x', 100000) AS s) SELECT 1 UNION ALL SELECT 2 \
     LIMIT (SELECT length(repeat(s, 40000)) FROM a)",
    // What goes round and multiplies.
    "WITH RECURSIVE r AS (SELECT 'xx' AS s UNION ALL SELECT replace(s, 'x', s) FROM r) \
     SELECT max(length(s)) FROM r",
    "WITH RECURSIVE r AS (SELECT 'x' AS s UNION ALL SELECT repeat(s, 1000) FROM r) FROM r",
    "WITH RECURSIVE r AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM r WHERE length(s) < 90000) \
     SELECT max(length(repeat(s, 40000))) FROM r",
    "SELECT list_reduce(['xxxxxxxxxx', 'xxxxxxxxxx', 'xxxxxxxxxx', 'xxxxxxxxxx', 'xxxxxxxxxx', \
     'xxxxxxxxxx', 'xxxxxxxxxx', 'xxxxxxxxxx', 'xxxxxxxxxx'], lambda a, b: replace(a, 'x', b))",
    // Rows that become one value.
    "SELECT length(repeat(string_agg('x', ''), 40000)) FROM range(100000)",
    "SELECT list_transform(list(range), x -> repeat('x', 40000)) FROM range(100000)",
    "SELECT list_transform(max(range, 100000), x -> repeat('x', 40000)) FROM range(100000)",
    "SELECT bitstring_agg(1, 0, 1000000000)::VARCHAR",
    "SELECT bitstring_agg(1, 0, 1000 * 1000000)::VARCHAR",
];

/// Each alone is small; inside one another they multiply.
const STEPS: &[(&str, u32)] = &[
    ("replace(s, '1', 11111111::VARCHAR)", 10),
    ("regexp_replace(s, '.', sha256('a'), 'g')", 6),
    ("regexp_replace(s, '', 'x', 'g')", 32),
    ("array_to_string(string_split(s, ''), sha256('a'))", 6),
    ("base64(s::BLOB)", 80),
    ("[s]::VARCHAR", 32),
    ("string_split(s, '~')::VARCHAR", 32),
    ("concat([s], '')", 32),
    ("concat_ws('', [s])", 32),
    ("format('{}', [s])", 32),
];

#[test]
fn what_multiplies_itself_is_refused_however_it_is_nested() {
    for sql in OVER {
        assert!(!allowed(sql), "{sql}");
    }
    for (step, times) in STEPS {
        let steps = (0..*times).fold("WITH s0 AS (SELECT 'x' AS s)".to_owned(), |sql, n| {
            format!("{sql}, s{} AS (SELECT {step} AS s FROM s{n})", n + 1)
        });
        assert!(!allowed(&format!("{steps} SELECT length(s) FROM s{times}")), "{step}");
    }
    let ten = (0..10).fold("SELECT 'x' AS s".to_owned(), |inner, _| {
        format!("SELECT repeat(s, 5) AS s FROM ({inner})")
    });
    assert!(!allowed(&ten), "5^10");
    let doubled = (1..25).fold("SELECT 'x' AS a0".to_owned(), |sql, n| {
        format!("{sql}, a{0} || a{0} AS a{n}", n - 1)
    });
    assert!(!allowed(&doubled), "2^24");
    assert!(!allowed("SELECT printf('%*d', n, 1) FROM t"));
    assert!(!allowed("SELECT printf(f, 1) FROM t") && !allowed("SELECT format('{:{}}', 1, n)"));
}

#[test]
fn what_reports_are_made_of_is_allowed() {
    for sql in [
        "SELECT repeat('x', 100000), lpad('a', 20), lpad('b', 20), lpad('c', 100000)",
        "SELECT replace(replace(replace(t, '&', '&amp;'), '<', '&lt;'), '>', '&gt;') FROM q",
        "SELECT list_transform(range(100000), x -> x + 1)",
        "SELECT list_reduce(range(100000), lambda a, b: a + b), list_filter(l, x -> x > 1) FROM t",
        "SELECT list_reduce(['a', 'b'], lambda a, b: a || b)",
        "WITH RECURSIVE r(p) AS (SELECT n FROM t UNION ALL SELECT r.p || '/' || t.n FROM r JOIN t ON true) FROM r",
        "WITH a AS (SELECT x || y || z AS s FROM t), b AS (SELECT s || s AS s FROM a) SELECT s || '!' FROM b",
        "SELECT format('{:>20} {:05d}', t, n), printf('%10.3f', f) FROM q",
        "SELECT repeat(s, 1000) FROM (SELECT repeat('x', 1000) AS s)",
        "SELECT to_json({'a': hex(t), 'b': [1, 2, 3]}) FROM q",
        "SELECT string_agg(rpad(t, 10), ', ' ORDER BY t) FROM q",
        "SELECT length(t) AS t, upper(t) AS t, repeat(t, 1000) FROM q",
        "SELECT a, count(*) FROM q GROUP BY #1 ORDER BY #2 DESC, #1",
        "SELECT lpad(j -> '$.a', 20), repeat(j ->> '$.b', 100) FROM q",
        "SELECT replace(replace(replace(replace(f, '{a}', a), '{b}', b), '{c}', c), '{d}', d::VARCHAR) FROM q",
        "SELECT regexp_replace(regexp_replace(lower(t), '[^a-z]+', '-', 'g'), '^-|-$', '', 'g') FROM q",
        "WITH a AS (SELECT k, list({'n': n, 't': t, 'u': u, 'v': v} ORDER BY n) AS l FROM q GROUP BY k) \
         SELECT to_json(list({'k': k, 'l': l, 'c': 1, 'd': 2, 'e': 3, 'f': 4} ORDER BY k)) FROM a",
        "SELECT array_to_string(list_transform(list(n ORDER BY n), x -> x || '!'), ', ') FROM q",
        "WITH a AS (SELECT concat(a::VARCHAR, '-', b::VARCHAR, '-', c) AS s FROM q), \
         b AS (SELECT concat(s, ' (', d::VARCHAR, ')') AS s FROM a) SELECT lower(s)::VARCHAR || '.' FROM b",
        "SELECT list_transform(range(100000), x -> x::DOUBLE / 2) FROM q",
        "SELECT '[' || string_agg(to_json(q), ',') || ']' FROM q",
        "SELECT max(n, 3), arg_max(t, n, 3), bitstring_agg(n, 0, 1000) FROM q",
        "WITH RECURSIVE r AS (SELECT id, parent, [id] AS path, 0 AS depth FROM t UNION ALL \
         SELECT t.id, t.parent, list_append(r.path, t.id), r.depth + 1 FROM r JOIN t ON t.parent = r.id \
         WHERE NOT list_contains(r.path, t.id)) \
         SELECT repeat('  ', 1) || lpad(id::VARCHAR, 8), array_to_string(path, '/') FROM r",
        "WITH RECURSIVE r(n, s) AS (SELECT 1, '' UNION ALL SELECT n + 1, s || ',' || n || ';' || s FROM r) \
         SELECT replace(s, ',', ' ') FROM r WHERE n < 100",
    ] {
        assert!(allowed(sql), "{sql}");
    }
    let sums = format!("SELECT {}", vec!["a"; 20].join(" + "));
    let nested = (0..3).fold("t".to_owned(), |inner, _| format!("({sums} AS a FROM {inner})"));
    assert!(allowed(&format!("SELECT a FROM {nested}")));
}
