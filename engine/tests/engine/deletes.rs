//! Deleted rows are gone in every shape of statement, whatever else is read beside them.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use springtide_engine::{Encoding, EngineError, Plan, etag};
use springtide_protocol::{ETag, Format};
use springtide_relation::{DataFile, DeadRows, Relation, SegmentData};
use tokio::runtime::Runtime;

use crate::model::{Row, batch, data_file, offsets, relation, segment, segment_file, tail_batches};
use crate::support::World;

const STATEMENTS: [&str; 10] = [
    "SELECT key, text, number, moment FROM t ORDER BY key",
    "SELECT count(*) AS n, sum(key) AS s, min(key) AS a, max(key) AS b, count(text) AS c FROM t",
    "SELECT count(*) AS n FROM t",
    "SELECT min(key) AS a, max(key) AS b FROM t",
    "SELECT text, count(*) AS n FROM t WHERE key % 3 = 0 GROUP BY text ORDER BY text",
    "SELECT count(*) AS n, count(DISTINCT a.key) AS k FROM t a JOIN t b ON a.key = b.key",
    "SELECT key FROM t WHERE key BETWEEN 30 AND 70 ORDER BY key",
    "SELECT key FROM t ORDER BY key DESC LIMIT 5",
    "SELECT key FROM t WHERE key = 42",
    "WITH t AS (SELECT key FROM t WHERE key > 5) SELECT count(*) AS n FROM t",
];

fn row(partition: i32, offset: i64, key: i64) -> Row {
    let text = (key % 5 != 0).then(|| format!("'{}\"", key % 7));
    Row { partition, offset, key, text, number: key as f64 / 10.0 }
}

fn dead(file: &DataFile, name: &str, positions: impl IntoIterator<Item = u64>) -> DataFile {
    let location = file.path.display().to_string().into();
    let dead = DeadRows::new(location, vec![name.into()], positions.into_iter().collect());
    DataFile { dead: Some(Arc::new(dead)), ..file.clone() }
}

/// Files of rows with consecutive keys, of which some positions are deleted, beside a tail;
/// and one file with what lives.
fn relations(
    world: &World,
    files: &[(usize, BTreeSet<usize>)],
    name: &str,
) -> (Relation, Relation) {
    let (mut key, mut living, mut given) = (0, Vec::new(), Vec::new());
    for (index, (rows, gone)) in files.iter().enumerate() {
        let rows: Vec<Row> = (0..*rows)
            .map(|_| {
                key += 1;
                row(-1, 0, key)
            })
            .collect();
        let path = world.file(&format!("{name}-{index}.parquet"));
        let file = data_file(&path, &batch(&rows));
        let gone: Vec<u64> = gone.iter().filter(|g| **g < rows.len()).map(|g| *g as u64).collect();
        let kept = rows.iter().enumerate().filter(|(at, _)| !gone.contains(&(*at as u64)));
        living.extend(kept.map(|(_, row)| row.clone()));
        given.push(if gone.is_empty() { file } else { dead(&file, "d", gone) });
    }
    let tail: Vec<Row> = (0..9).map(|offset| row(0, offset, 1_000 + offset)).collect();
    living.extend(tail[2..].iter().cloned());
    let sealed = segment_file(&world.file(&format!("{name}-tail.parquet")), &tail[..6]);
    let segments = vec![
        segment(0, 0, 6, 6, SegmentData::Parquet(sealed)),
        segment(0, 6, 9, 3, SegmentData::Memory(tail_batches(&tail[6..]))),
    ];
    let all = data_file(&world.file(&format!("{name}-all.parquet")), &batch(&living));
    let (boundary, end) = (offsets(&[(0, 2)]), offsets(&[(0, 9)]));
    let thinned = relation(boundary.clone(), end.clone(), given, segments);
    (thinned, relation(boundary, end, vec![all], Vec::new()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn dead_rows_are_as_if_they_never_were(
        files in proptest::collection::vec(
            (1..60_usize, proptest::collection::btree_set(0..60_usize, 0..30)), 0..6,
        ),
    ) {
        let world = World::new();
        let runtime = Runtime::new().unwrap();
        let (thinned, whole) = relations(&world, &files, "case");
        let (thinned, whole) = (Arc::new(thinned), Arc::new(whole));
        for sql in STATEMENTS {
            let answer = |relation: &Arc<Relation>| {
                runtime.block_on(world.ndjson(sql, std::slice::from_ref(relation)))
            };
            prop_assert_eq!(answer(&thinned), answer(&whole), "{}", sql);
        }
    }
}

#[tokio::test]
async fn positions_count_through_row_groups_that_are_skipped() {
    let world = World::new();
    let rows: Vec<Row> = (0..20_000).map(|key| row(-1, 0, key)).collect();
    let path = world.file("groups.parquet");
    std::fs::create_dir_all(world.data()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2_500)).build();
    let batch = batch(&rows);
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let plain = DataFile {
        path,
        origin: springtide_relation::FileOrigin::Foreign("groups".into()),
        rows: 20_000,
        bytes: 1,
        columns: Arc::from([]),
        dead: None,
    };
    let other =
        data_file(&world.file("other.parquet"), &super::model::batch(&[row(-1, 0, 99_999)]));
    let odd = (0..20_000).filter(|position| position % 2 == 1);
    let files = vec![dead(&other, "d", [7]), dead(&plain, "d", odd)];
    let relation = Arc::new(relation(offsets(&[]), offsets(&[]), files, Vec::new()));
    let relation = std::slice::from_ref(&relation);
    let sql = "SELECT count(*) AS n, min(key) AS a, max(key) AS b FROM t WHERE key >= 17600 AND key < 19000";
    assert_eq!(world.ndjson(sql, relation).await, "{\"n\":700,\"a\":17600,\"b\":18998}\n");
    let sql = "SELECT count(*) AS n, sum(key % 2) AS odd FROM t";
    assert_eq!(world.ndjson(sql, relation).await, "{\"n\":10001,\"odd\":1}\n");
}

#[tokio::test]
async fn a_file_whose_rows_are_all_dead_is_never_opened() {
    let world = World::new();
    let file = data_file(&world.file("gone.parquet"), &batch(&[row(-1, 0, 1), row(-1, 0, 2)]));
    std::fs::remove_file(&file.path).unwrap();
    let relation = relation(offsets(&[]), offsets(&[]), vec![dead(&file, "d", [0, 1])], Vec::new());
    let answer = world.ndjson("SELECT count(*) AS n FROM t", &[Arc::new(relation)]).await;
    assert_eq!(answer, "{\"n\":0}\n");
}

#[tokio::test]
async fn a_column_that_hides_positions_is_refused() {
    let world = World::new();
    for name in ["file_row_number", "FILE_INDEX"] {
        let path = world.file(&format!("{name}.parquet"));
        let values: ArrayRef = Arc::new(Int64Array::from(vec![5, 5]));
        let rows = RecordBatch::try_from_iter([("key", values.clone()), (name, values)]).unwrap();
        let file = data_file(&path, &rows);
        let with = |file| {
            let mut relation = relation(offsets(&[]), offsets(&[]), vec![file], Vec::new());
            relation.schema = rows.schema();
            Arc::new(relation)
        };
        let sql = "SELECT count(*) AS n FROM t";
        assert_eq!(world.ndjson(sql, &[with(file.clone())]).await, "{\"n\":2}\n");
        let error = world.bytes(sql, &[with(dead(&file, "d", [0]))], Format::Json).await;
        let error = error.unwrap_err();
        assert!(matches!(&error, EngineError::InvalidSql { detail, .. } if detail.contains(name)));
    }
}

#[tokio::test]
async fn a_client_cannot_call_the_function() {
    let world = World::new();
    let error = world.prepare("SELECT springtide_lives(1, 0, 0)", &[]).await.unwrap_err();
    assert!(matches!(error, EngineError::Forbidden { .. }), "{error}");
}

#[tokio::test]
async fn the_validator_moves_with_every_delete_that_applies() {
    let world = World::new();
    let file = data_file(&world.file("a.parquet"), &batch(&[row(-1, 0, 1), row(-1, 0, 2)]));
    let tag = async |file: DataFile| -> ETag {
        let relation = Arc::new(relation(offsets(&[]), offsets(&[]), vec![file], Vec::new()));
        let relations = [relation];
        let statement = world.prepare("SELECT sum(key) AS s FROM t", &relations).await.unwrap();
        let plan = Plan::new(statement, relations.to_vec()).unwrap();
        etag(&plan, Encoding { format: Format::Json, numbers_as_text: false }, &[])
    };
    let (whole, one) = (tag(file.clone()).await, tag(dead(&file, "one", [0])).await);
    assert_ne!(whole, one);
    assert_ne!(one, tag(dead(&file, "another", [0])).await);
}
