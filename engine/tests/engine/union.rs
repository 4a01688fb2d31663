//! The union against the same rows in one Parquet file, for random splits
//! between lake, whole, straddling and in-memory segments.

use std::sync::Arc;

use proptest::prelude::*;
use springtide_relation::{Relation, SegmentData};
use tokio::runtime::Runtime;

use crate::model::{Row, batch, data_file, offsets, relation, segment, segment_file, tail_batches};
use crate::support::World;

const ALL: &str = "SELECT key, text, number, moment FROM t ORDER BY key";
const STATEMENTS: [&str; 9] = [
    ALL,
    "SELECT count(*) AS n, sum(key) AS s, min(moment) AS a, max(text) AS b, count(number) AS c FROM t",
    "SELECT text, count(*) AS n FROM t WHERE key % 3 = 0 GROUP BY text ORDER BY text",
    "SELECT count(*) AS n FROM t",
    // Sees one state twice: each row meets itself and nothing else.
    "SELECT count(*) AS n, count(DISTINCT a.key) AS k FROM t a JOIN t b ON a.key = b.key",
    // A name in WITH that hides the table's, another spelling, a literal that looks like it.
    "WITH t AS (SELECT key FROM t WHERE key > 5) SELECT count(*) AS n, max(T.key) AS m FROM T",
    "WITH few AS (SELECT * FROM t WHERE key < 9) SELECT key FROM few WHERE key IN (SELECT key FROM \"T\") ORDER BY key",
    "SELECT T.key, ' FROM t ' AS s FROM T WHERE EXISTS (SELECT 1 FROM t u WHERE u.key = T.key + 1) ORDER BY key",
    "SELECT k, count(*) AS n FROM (SELECT key % 2 FROM t) AS x(k) GROUP BY ALL ORDER BY ALL",
];

/// How a stream partition's offsets are cut.
#[derive(Clone, Debug)]
struct Cuts {
    /// Gaps between offsets: aborted transactions, compaction.
    steps: Vec<i64>,
    /// The boundary and the end, as shares of all offsets, in any order.
    boundary: f64,
    end: f64,
    /// Where segments end, as shares, and whether each is in memory.
    segments: Vec<(f64, bool)>,
    /// Where the tail begins, as a share of the boundary.
    begin: f64,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    let share = 0.0..=1.0f64;
    let segments = proptest::collection::vec((share.clone(), any::<bool>()), 0..5);
    let steps = proptest::collection::vec(1..4i64, 0..60);
    let tuple = (steps, share.clone(), share.clone(), segments, share);
    tuple.prop_map(|(steps, boundary, end, segments, begin)| Cuts {
        steps,
        boundary,
        end,
        segments,
        begin,
    })
}

fn row(partition: i32, offset: i64, key: i64) -> Row {
    let text = (key % 5 != 0).then(|| format!("'{}\"", key % 7));
    let number = match key % 11 {
        0 => f64::NAN,
        1 => f64::NEG_INFINITY,
        2 => -0.0,
        n => n as f64 / 10.0,
    };
    Row { partition, offset, key, text, number }
}

/// The relation of all partitions' cuts, and the one that holds the same rows in one file.
fn relations(world: &World, partitions: &[Cuts], name: &str) -> (Relation, Relation) {
    let (mut key, mut expected, mut files, mut segments) = (0, Vec::new(), Vec::new(), Vec::new());
    let (mut boundaries, mut ends) = (Vec::new(), Vec::new());
    let foreign: Vec<Row> = (1000..1010).map(|key| row(-1, 0, key)).collect();
    expected.extend(foreign.clone());
    files.push(data_file(&world.file(&format!("{name}-foreign.parquet")), &batch(&foreign)));
    for (p, cuts) in (0i32..).zip(partitions) {
        let mut offset = 0;
        let rows: Vec<Row> = cuts
            .steps
            .iter()
            .map(|step| {
                offset += step;
                key += 1;
                row(p, offset, key)
            })
            .collect();
        let last = offset + 2;
        let at = |share: f64| (share * last as f64) as i64;
        let (boundary, end) = (at(cuts.boundary), at(cuts.end));
        boundaries.push((p, boundary));
        ends.push((p, end));
        let lake: Vec<Row> = rows.iter().filter(|r| r.offset < boundary).cloned().collect();
        let tail = rows.iter().filter(|r| r.offset >= boundary && r.offset < end);
        expected.extend(lake.iter().cloned().chain(tail.cloned()));
        for (index, half) in lake.chunks(7).enumerate() {
            let path =
                world.file(&format!("{name}-{p}/day=2001-01-0{}/{index}.parquet", index % 9));
            files.push(data_file(&path, &batch(half)));
        }
        let begin = (cuts.begin * boundary as f64) as i64;
        segments.extend(cut(world, cuts, &rows, (p, begin, last), name));
    }
    let all = data_file(&world.file(&format!("{name}-all.parquet")), &batch(&expected));
    let (boundary, end) = (offsets(&boundaries), offsets(&ends));
    let split = relation(boundary.clone(), end.clone(), files, segments);
    (split, relation(boundary, end, vec![all], Vec::new()))
}

/// Segments that cover `[begin, last)` of a partition without a hole.
fn cut(
    world: &World,
    cuts: &Cuts,
    rows: &[Row],
    (p, begin, last): (i32, i64, i64),
    name: &str,
) -> Vec<springtide_relation::Segment> {
    let span = (last - begin) as f64;
    let mut stops: Vec<(i64, bool)> =
        cuts.segments.iter().map(|(s, memory)| (begin + (s * span) as i64, *memory)).collect();
    stops.sort_unstable();
    stops.push((last, true));
    let mut start = begin;
    let mut segments = Vec::new();
    for (index, (stop, memory)) in stops.into_iter().enumerate() {
        let inside = rows.iter().filter(|r| r.offset >= start && r.offset < stop);
        let inside: Vec<Row> = inside.cloned().collect();
        let data = if memory || inside.is_empty() {
            SegmentData::Memory(tail_batches(&inside))
        } else {
            let path = world.file(&format!("{name}-{p}-segment-{index}.parquet"));
            SegmentData::Parquet(segment_file(&path, &inside))
        };
        segments.push(segment(p, start, stop, inside.len(), data));
        start = stop;
    }
    segments
}

#[test]
fn the_union_is_the_same_rows_however_they_are_split() {
    let runtime = Runtime::new().unwrap();
    let world = World::new();
    let case = std::sync::atomic::AtomicUsize::new(0);
    let config = ProptestConfig { cases: 40, ..ProptestConfig::default() };
    proptest!(config, |(partitions in proptest::collection::vec(cuts(), 0..4))| {
        let name = format!("case{}", case.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let (split, whole) = relations(&world, &partitions, &name);
        let (split, whole) = ([Arc::new(split)], [Arc::new(whole)]);
        for sql in STATEMENTS {
            let (a, b) = runtime.block_on(async {
                (world.ndjson(sql, &split).await, world.ndjson(sql, &whole).await)
            });
            prop_assert_eq!(a, b, "{}", sql);
        }
    });
}

#[tokio::test]
async fn a_table_without_any_part_is_empty_and_typed() {
    let world = World::new();
    let nothing = [Arc::new(relation(offsets(&[]), offsets(&[]), Vec::new(), Vec::new()))];
    assert_eq!(
        world.ndjson("SELECT count(*) AS n, sum(key) AS s FROM t", &nothing).await,
        "{\"n\":0,\"s\":null}\n"
    );
    assert_eq!(world.ndjson("SELECT moment FROM t ORDER BY moment", &nothing).await, "");
}

#[tokio::test]
async fn a_row_filter_stands_before_every_read() {
    let world = World::new();
    let rows: Vec<Row> = (0..20).map(|key| row(0, key, key)).collect();
    let file = data_file(&world.file("filtered.parquet"), &batch(&rows[..10]));
    let data = SegmentData::Memory(tail_batches(&rows[10..]));
    let tail = segment(0, 10, 20, 10, data);
    let mut relation = relation(offsets(&[(0, 10)]), offsets(&[(0, 20)]), vec![file], vec![tail]);
    relation.row_filter = Some("key >= 8 AND key < 12 OR key = 19 -- the end".into());
    let relation = [Arc::new(relation)];
    let sql = "SELECT list(key ORDER BY key) AS k FROM t WHERE key < 19 OR true";
    assert_eq!(world.ndjson(sql, &relation).await, "{\"k\":[8,9,10,11,19]}\n");
    let sql = "SELECT count(*) AS n FROM t a JOIN t b ON a.key = b.key WHERE a.key <> 8";
    assert_eq!(world.ndjson(sql, &relation).await, "{\"n\":4}\n");
}

#[tokio::test]
async fn floats_that_count_as_equal_are_shown_alike_whichever_comes_first() {
    let world = World::new();
    let other_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
    let numbers = [-0.0, 0.0, other_nan, f64::NAN, 0.0, -0.0, f64::NAN, other_nan];
    let rows: Vec<Row> =
        (0..8).map(|n| Row { number: numbers[n as usize], ..row(0, n, n / 4) }).collect();
    let shown = "SELECT number::VARCHAR AS a, 1 / number AS b, count(*) AS n FROM t GROUP BY number ORDER BY 1";
    let most = "SELECT max(number)::VARCHAR AS a, min(number)::VARCHAR AS b FROM t GROUP BY key ORDER BY key";
    for split in [0, 3, 8] {
        let file =
            data_file(&world.file(&format!("zeros-{split}.parquet")), &batch(&rows[..split]));
        let data = SegmentData::Memory(tail_batches(&rows[split..]));
        let tail = segment(0, split as i64, 8, 8 - split, data);
        let boundary = offsets(&[(0, split as i64)]);
        let relation = [Arc::new(relation(boundary, offsets(&[(0, 8)]), vec![file], vec![tail]))];
        let answer = world.ndjson(shown, &relation).await;
        let zero = "{\"a\":\"0.0\",\"b\":\"Infinity\",\"n\":4}\n";
        assert_eq!(answer, format!("{zero}{{\"a\":\"nan\",\"b\":\"NaN\",\"n\":4}}\n"));
        let group = "{\"a\":\"nan\",\"b\":\"0.0\"}\n";
        assert_eq!(world.ndjson(most, &relation).await, group.repeat(2));
    }
}

#[tokio::test]
async fn nan_is_above_all_also_where_a_files_own_bounds_leave_it_out() {
    let world = World::new();
    let rows: Vec<Row> = [1.0, f64::NAN, -2.0, f64::NAN]
        .iter()
        .zip(0..)
        .map(|(number, key)| Row { number: *number, ..row(0, key, key) })
        .collect();
    for split in [0, 2, 4] {
        let file = data_file(&world.file(&format!("nan-{split}.parquet")), &batch(&rows[..split]));
        let data = SegmentData::Memory(tail_batches(&rows[split..]));
        let tail = segment(0, split as i64, 4, 4 - split, data);
        let boundary = offsets(&[(0, split as i64)]);
        let relation = [Arc::new(relation(boundary, offsets(&[(0, 4)]), vec![file], vec![tail]))];
        for (filter, wanted) in [
            ("number > 100", 2),
            ("number >= 'infinity'", 2),
            ("number = 'nan'", 2),
            ("number <> 1", 3),
            ("isnan(number)", 2),
            ("number BETWEEN 2 AND 'nan'", 2),
            ("NOT (number <= 1)", 2),
            ("number IN (7, 'nan')", 2),
            ("CASE WHEN number > 5 THEN true ELSE false END", 2),
        ] {
            let sql = format!("SELECT count(*) AS n FROM t WHERE {filter}");
            let found = world.ndjson(&sql, &relation).await;
            assert_eq!(
                found,
                format!("{{\"n\":{wanted}}}\n"),
                "{filter}, {split} rows in the file"
            );
        }
        let sql = "SELECT max(number) AS m, count(*) FILTER (WHERE number > 5) AS n FROM t";
        assert_eq!(world.ndjson(sql, &relation).await, "{\"m\":\"NaN\",\"n\":2}\n");
    }
}

#[tokio::test]
async fn a_name_in_with_hides_the_tables() {
    let world = World::new();
    let rows: Vec<Row> = (0..10).map(|key| row(0, key, key)).collect();
    let file = data_file(&world.file("hidden.parquet"), &batch(&rows));
    let relation =
        [Arc::new(relation(offsets(&[(0, 10)]), offsets(&[(0, 10)]), vec![file], Vec::new()))];
    let sql =
        "WITH t AS (SELECT key FROM t WHERE key > 5) SELECT count(*) AS n, min(T.key) AS m FROM T";
    assert_eq!(world.ndjson(sql, &relation).await, "{\"n\":4,\"m\":6}\n");
}
