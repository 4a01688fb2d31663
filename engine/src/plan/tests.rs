//! The scan set and the validator: what changes them and what must not.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use proptest::prelude::*;
use springtide_protocol::{ETag, Format, Offset, OffsetMap, PartitionId, TableVersion};
use springtide_relation::{
    ChunkId, ColumnStatistics, Coverage, DataFile, DeadRows, FileOrigin, OpenChunk, Relation,
    Scalar, SealedChunk, Segment, SegmentData, TailBatch,
};

use super::*;
use crate::encode::Encoding;
use crate::fingerprint::etag;
use crate::statement::fixture::{flights, name, prepare};

/// One row of the stream: its offset, delay and origin.
type Row = (i64, i64, &'static str);

fn batch(rows: &[Row]) -> TailBatch {
    let delays: Int64Array = rows.iter().map(|r| Some(r.1)).collect();
    let numbers: ArrayRef = Arc::new(delays.clone());
    let origins: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.2)).collect::<StringArray>());
    let dates: ArrayRef =
        Arc::new(rows.iter().map(|r| Some(r.0)).collect::<TimestampMicrosecondArray>());
    let columns = vec![numbers.clone(), dates, numbers.clone(), numbers, origins.clone(), origins];
    TailBatch {
        partition: PartitionId(0),
        offsets: rows.iter().map(|r| r.0).collect::<Vec<_>>().into(),
        rows: RecordBatch::try_new(flights(), columns).unwrap(),
    }
}

fn bounds(rows: &[Row]) -> Arc<[ColumnStatistics]> {
    let column = |values: Vec<Scalar>| ColumnStatistics {
        lower: values.iter().min_by(|a, b| a.compare(b).unwrap()).cloned(),
        upper: values.iter().max_by(|a, b| a.compare(b).unwrap()).cloned(),
        nulls: Some(0),
        nans: None,
        rows: values.len() as u64,
    };
    let numbers = column(rows.iter().map(|r| Scalar::Integer(r.1.into())).collect());
    let dates = column(rows.iter().map(|r| Scalar::Timestamp(r.0)).collect());
    let origins = column(rows.iter().map(|r| Scalar::Text(r.2.into())).collect());
    let all = [numbers.clone(), dates, numbers.clone(), numbers, origins.clone(), origins];
    all.into()
}

fn relation() -> Relation {
    Relation {
        table: name("flights"),
        schema: flights(),
        version: TableVersion {
            table_uuid: uuid::Uuid::from_u128(1),
            topic_id: Some(uuid::Uuid::from_u128(2)),
            schema_id: 0,
            decode_epoch: 0,
            foreign_sequence: 0,
            offsets: OffsetMap::new(),
        },
        boundary: OffsetMap::new(),
        files: Arc::new([]),
        sealed: Vec::new(),
        open: Vec::new(),
        segments: Vec::new(),
        coverage: Coverage::Whole,
        row_filter: None,
        guard: Arc::new(()),
    }
}

/// A relation whose stream holds `rows`, all in the tail.
fn streamed(rows: &[Row]) -> Relation {
    let mut relation = relation();
    let next = rows.last().map_or(0, |r| r.0 + 1);
    relation.version.offsets.set(PartitionId(0), Offset(next));
    let last = ChunkId::containing(PartitionId(0), Offset(next));
    let in_chunk = |id: ChunkId| -> Vec<Row> {
        rows.iter().filter(|r| (id.start().0..id.end().0).contains(&r.0)).copied().collect()
    };
    let sealed: Vec<_> = (0..last.index)
        .map(|index| ChunkId { partition: PartitionId(0), index })
        .map(|id| (id, in_chunk(id)))
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(id, rows)| SealedChunk { id, columns: bounds(&rows), rows: Some(rows.len() as u64) })
        .collect();
    relation.sealed = vec![sealed.into()];
    let open = in_chunk(last);
    let data = if open.is_empty() { Vec::new() } else { vec![batch(&open)] };
    let end = Offset(next);
    relation.open = vec![OpenChunk { id: last, rows: data, complete: true, lost: 0, end }];
    if !rows.is_empty() {
        let to = OffsetMap::from_iter([(PartitionId(0), Offset(next))]);
        relation.segments = vec![Segment {
            start: OffsetMap::from_iter([(PartitionId(0), Offset::ZERO)]),
            end: to,
            rows: rows.len() as u64,
            data: SegmentData::Memory(vec![batch(rows)]),
        }];
    }
    relation
}

fn file(path: &str, origin: FileOrigin, rows: &[Row]) -> DataFile {
    let (path, columns) = (path.into(), bounds(rows));
    DataFile { path, origin, rows: rows.len() as u64, bytes: 1, columns, dead: None }
}

fn plan(sql: &str, relation: Relation) -> Plan {
    Plan::new(Arc::new(prepare(sql).unwrap()), vec![Arc::new(relation)]).unwrap()
}

fn tag(sql: &str, relation: Relation) -> ETag {
    let encoding = Encoding { format: Format::Json, numbers_as_text: false };
    etag(&plan(sql, relation), encoding, &[])
}

const LATE: &str = "SELECT count(*) FROM flights WHERE delay > 10";

#[test]
fn a_row_that_cannot_match_leaves_the_validator_while_its_chunk_is_open() {
    let before = streamed(&[(0, 20, "ATL"), (1, 3, "DFW")]);
    let other = streamed(&[(0, 20, "ATL"), (1, 3, "DFW"), (2, 5, "DFW")]);
    let matching = streamed(&[(0, 20, "ATL"), (1, 3, "DFW"), (2, 15, "DFW")]);
    assert_eq!(tag(LATE, before.clone()), tag(LATE, other));
    assert_ne!(tag(LATE, before.clone()), tag(LATE, matching));
    let all = "SELECT count(*) FROM flights";
    let more = streamed(&[(0, 20, "ATL"), (1, 3, "DFW"), (2, 5, "DFW")]);
    assert_ne!(tag(all, before), tag(all, more));
}

#[test]
fn rows_that_move_from_tail_to_lake_leave_the_validator() {
    let rows: Vec<Row> = (0..3_000).map(|o| (o, o % 30, "ATL")).collect();
    let tail = streamed(&rows);
    let mut lake = streamed(&rows);
    let chunks: Vec<_> = (0..2).map(|index| ChunkId { partition: PartitionId(0), index }).collect();
    lake.boundary.set(PartitionId(0), Offset(2_500));
    lake.files = Arc::new([file("a.parquet", FileOrigin::Stream(chunks.into()), &rows[..2_500])]);
    lake.version.foreign_sequence = tail.version.foreign_sequence;
    for sql in [LATE, "SELECT count(*) FROM flights", "SELECT * FROM flights WHERE delay = 7"] {
        assert_eq!(tag(sql, tail.clone()), tag(sql, lake.clone()), "{sql}");
    }
}

#[test]
fn a_foreign_file_counts_by_its_path_and_only_where_it_may_match() {
    let with = |rows: &[Row], path: &str| {
        let mut relation = relation();
        relation.files = Arc::new([file("local", FileOrigin::Foreign(path.into()), rows)]);
        relation.version.foreign_sequence = 7;
        relation
    };
    let none = tag(LATE, relation());
    assert_eq!(tag(LATE, with(&[(0, 3, "ATL")], "s3://a")), none);
    let matching = tag(LATE, with(&[(0, 30, "ATL")], "s3://a"));
    assert_ne!(matching, none);
    assert_ne!(matching, tag(LATE, with(&[(0, 30, "ATL")], "s3://b")));
    assert_eq!(plan(LATE, with(&[(0, 3, "ATL")], "x")).scans()[0].files, [0_usize; 0]);
    assert_eq!(plan(LATE, with(&[(0, 30, "ATL")], "x")).scans()[0].files, [0]);
}

#[test]
fn a_foreign_commit_that_removes_rows_of_the_stream_changes_the_validator() {
    let rows: Vec<Row> = (0..1_024).map(|o| (o, o % 30, "ATL")).collect();
    let whole = streamed(&rows);
    let mut thinned = whole.clone();
    let id = ChunkId { partition: PartitionId(0), index: 0 };
    // Other bounds or not: the chunk has fewer rows.
    let columns: Arc<[ColumnStatistics]> =
        bounds(&rows).iter().map(|c| ColumnStatistics { rows: 1_000, ..c.clone() }).collect();
    thinned.sealed = vec![Arc::new([SealedChunk { id, columns, rows: Some(1_000) }])];
    assert_ne!(tag(LATE, whole), tag(LATE, thinned));
}

fn dead(file: &str, deletes: &[&str], positions: &[u64]) -> Option<Arc<DeadRows>> {
    let deletes = deletes.iter().map(|delete| (*delete).into()).collect();
    Some(Arc::new(DeadRows::new(file.into(), deletes, positions.iter().copied().collect())))
}

#[test]
fn what_deletes_rows_of_a_matching_file_is_in_the_validator() {
    let chunks: Arc<[_]> = [ChunkId { partition: PartitionId(0), index: 0 }].into();
    for origin in [FileOrigin::Foreign("a".into()), FileOrigin::Stream(chunks)] {
        let with = |delay, dead| {
            let mut relation = relation();
            let file = file("local", origin.clone(), &[(0, delay, "ATL"), (1, delay, "ATL")]);
            relation.files = Arc::new([DataFile { dead, ..file }]);
            tag(LATE, relation)
        };
        let whole = with(30, None);
        let one = with(30, dead("a", &["d"], &[1]));
        assert_ne!(whole, one);
        assert_ne!(one, with(30, dead("a", &["e"], &[1])), "another delete, other rows");
        assert_ne!(one, with(30, dead("a", &["d", "e"], &[1])), "one more");
        assert_ne!(one, with(30, dead("b", &["d"], &[1])), "another file's rows");
        assert_eq!(with(3, None), with(3, dead("a", &["d"], &[1])), "no row of it matters");
    }
}

#[test]
fn a_file_without_living_rows_is_not_read() {
    let with = |dead| {
        let mut relation = relation();
        let file = file("local", FileOrigin::Foreign("a".into()), &[(0, 30, "ATL")]);
        relation.files = Arc::new([DataFile { dead, ..file }]);
        relation
    };
    let gone = with(dead("a", &["d"], &[0]));
    assert_eq!(plan(LATE, gone.clone()).scans()[0].files, [0_usize; 0]);
    assert_eq!(tag(LATE, gone), tag(LATE, relation()));
    assert_eq!(plan(LATE, with(None)).scans()[0].files, [0]);
}

#[test]
fn an_open_chunk_that_lost_rows_names_the_foreign_commit() {
    let with = |lost, complete, foreign| {
        let mut relation = streamed(&[(0, 20, "ATL"), (1, 3, "DFW")]);
        relation.version.foreign_sequence = foreign;
        relation.open[0].lost = lost;
        relation.open[0].complete = complete;
        tag(LATE, relation)
    };
    assert_ne!(with(0, true, 3), with(1, true, 4));
    assert_ne!(with(1, true, 4), with(1, true, 5), "as many rows lost, but others");
    assert_eq!(with(0, true, 3), with(0, true, 4), "nothing lost: the commit says nothing");
    assert_ne!(with(0, false, 3), with(0, false, 4), "what cannot be counted may be lost");
}

#[test]
fn a_chunk_whose_rows_are_not_all_at_hand_counts_by_its_end() {
    let with = |end| {
        let mut relation = relation();
        let id = ChunkId { partition: PartitionId(0), index: 0 };
        let end = Offset(end);
        relation.open = vec![OpenChunk { id, rows: Vec::new(), complete: false, lost: 0, end }];
        relation
    };
    assert_ne!(tag(LATE, with(5)), tag(LATE, with(6)));
    assert_ne!(tag(LATE, with(5)), tag(LATE, relation()));
}

#[test]
fn what_nothing_can_match_reads_nothing() {
    let mut relation = streamed(&[(0, 20, "ATL")]);
    relation.files = Arc::new([file("a", FileOrigin::Foreign("a".into()), &[(0, 20, "ATL")])]);
    let plan = plan("SELECT * FROM flights WHERE delay = 1 AND delay = 2", relation);
    let scan = &plan.scans()[0];
    assert!(scan.files.is_empty() && scan.segments.is_empty());
    assert!(plan.scan_set().tables[0].atoms.is_empty());
}

#[test]
fn identity_format_policy_and_text_are_part_of_the_validator() {
    let base = || streamed(&[(0, 20, "ATL")]);
    let first = tag(LATE, base());
    let changes: [fn(&mut Relation); 4] = [
        |r| r.version.table_uuid = uuid::Uuid::from_u128(9),
        |r| r.version.topic_id = None,
        |r| r.version.schema_id = 1,
        |r| r.version.decode_epoch = 1,
    ];
    for change in changes {
        let mut changed = base();
        change(&mut changed);
        assert_ne!(first, tag(LATE, changed));
    }
    assert_ne!(first, tag("SELECT count(*) FROM flights WHERE delay > 11", base()));
    assert_eq!(first, tag("select COUNT(*) from flights   where (delay > 10) -- same", base()));
    let plan = plan(LATE, base());
    let tag = |format, numbers_as_text, policy: &[u8]| {
        etag(&plan, Encoding { format, numbers_as_text }, policy)
    };
    assert_ne!(tag(Format::Json, false, b""), tag(Format::Csv, false, b""));
    assert_ne!(tag(Format::Json, false, b""), tag(Format::Json, true, b""));
    assert_ne!(tag(Format::Json, false, b""), tag(Format::Json, false, b"p1"));
    // The version's other parts are physical or in the atoms already.
    let mut grown = base();
    grown.version.foreign_sequence = 3;
    grown.version.offsets.set(PartitionId(1), Offset(0));
    assert_eq!(first, super::tests::tag(LATE, grown));
}

#[test]
fn an_unstable_statement_has_a_weak_validator() {
    assert!(tag("SELECT * FROM flights LIMIT 1", relation()).is_weak());
    assert!(!tag("SELECT * FROM flights ORDER BY 1 LIMIT 1", relation()).is_weak());
}

#[test]
fn relations_must_be_those_that_the_statement_was_prepared_for() {
    let statement = Arc::new(prepare(LATE).unwrap());
    let missing = Plan::new(statement.clone(), Vec::new());
    assert!(matches!(missing, Err(EngineError::UnknownTable { .. })));
    let mut changed = relation();
    changed.schema = crate::statement::fixture::readings();
    let changed = Plan::new(statement.clone(), vec![Arc::new(changed)]);
    assert!(matches!(changed, Err(EngineError::SchemaChanged { .. })));
    let mut filtered = relation();
    filtered.row_filter = Some("delay > 3".into());
    let filtered = Plan::new(statement, vec![Arc::new(filtered)]);
    assert!(matches!(filtered, Err(EngineError::SchemaChanged { .. })));
}

#[test]
fn fifteen_hundred_chunks_are_planned_quickly() {
    let rows: Vec<Row> = (0..1_500 * 1_024 + 1_000).map(|o| (o, o % 30, "ATL")).collect();
    let relation = Arc::new(streamed(&rows));
    let sql = "SELECT count(*) FROM flights WHERE delay > 40 AND origin IN ('ATL', 'DFW') \
               AND date < TIMESTAMP '1970-01-01 00:00:01'";
    let statement = Arc::new(prepare(sql).unwrap());
    let best = (0..20)
        .map(|_| {
            let start = Instant::now();
            let plan = Plan::new(statement.clone(), vec![relation.clone()]).unwrap();
            assert!(plan.scan_set().tables[0].atoms.is_empty());
            start.elapsed()
        })
        .min()
        .unwrap();
    eprintln!("planned in {best:?}");
    // The aim is 0.5 ms; the bound leaves room for a busy machine.
    assert!(best.as_micros() < 2_000, "{best:?}");
}

#[test]
fn a_statement_is_prepared_quickly() {
    let request = crate::statement::fixture::request(
        "SELECT origin, count(*) AS n, avg(delay) AS d FROM flights WHERE origin = 'ATL' \
         AND date >= TIMESTAMP '2001-03-20' AND date < TIMESTAMP '2001-03-27' GROUP BY 1 ORDER BY 2",
        &[],
    );
    let mut planner = crate::statement::fixture::planner();
    let best = (0..50)
        .map(|_| {
            let start = Instant::now();
            planner.prepare(&request).unwrap();
            start.elapsed()
        })
        .min()
        .unwrap();
    eprintln!("prepared in {best:?}");
    // The aim is 1 ms; the bound leaves room for a busy machine.
    assert!(best.as_micros() < 5_000, "{best:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equal_validators_mean_equal_matches(
        delays in prop::collection::vec(0..20_i64, 0..40),
        gap in prop_oneof![Just(1_i64), Just(100), Just(400)],
        next in 0..20_i64,
        least in 0..20_i64,
    ) {
        let sql = format!("SELECT count(*) FROM flights WHERE delay >= {least}");
        let mut rows: Vec<Row> =
            delays.iter().enumerate().map(|(i, d)| (i as i64 * gap, *d, "ATL")).collect();
        let before = tag(&sql, streamed(&rows));
        rows.push((rows.len() as i64 * gap, next, "ATL"));
        let after = tag(&sql, streamed(&rows));
        if next >= least {
            prop_assert_ne!(before, after);
        } else if gap == 1 {
            // The chunk is still open.
            prop_assert_eq!(before, after);
        }
    }
}
