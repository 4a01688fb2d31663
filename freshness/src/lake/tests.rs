//! Tables made, planned, loaded and read again, by another connection too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{ChunkId, FileOrigin, Scalar, TailBatch};

use super::testing::{
    DAY, MICROS_PER_DAY, Place, Row, ids, map, range, read, request, row, rows, settings,
    table_settings, tail,
};
use super::*;
use crate::settings::{CatalogKind, CatalogSettings};
use crate::statistics::{column_statistics, union};

mod foreign;

#[tokio::test]
async fn a_table_is_made_once_and_found_again() {
    let place = Place::new();
    let first = place.table().await.refresh().await.unwrap();
    assert_eq!((first.snapshot_id, first.sequence, first.foreign_sequence), (None, 0, 0));
    assert_eq!(first.boundary, LakeBoundary::Known(OffsetMap::new()));
    assert!(first.files.is_empty());
    let names: Vec<_> = first.schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["id", "at", "price", "city"]);
    let ids = first.schema.fields().iter().map(|f| f.metadata()["PARQUET:field_id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    let again = place.table().await.refresh().await.unwrap();
    assert_eq!(again.table_uuid, first.table_uuid);
}

#[tokio::test]
async fn two_programs_may_make_it_in_the_same_moment() {
    let place = Place::new();
    let (a, b) = (place.lake().await, place.lake().await);
    let (settings_a, settings_b) = (settings(false), settings(false));
    let (a, b) = tokio::join!(a.open_or_create(&settings_a), b.open_or_create(&settings_b));
    let (a, b) = (a.unwrap().refresh().await.unwrap(), b.unwrap().refresh().await.unwrap());
    assert_eq!(a.table_uuid, b.table_uuid);
}

#[tokio::test]
async fn what_is_configured_is_held_against_the_table() {
    let place = Place::new();
    place.table().await;
    let lake = place.lake().await;
    let refused = |text: &'static str| {
        let lake = lake.clone();
        async move { lake.open_or_create(&table_settings(text)).await.err().unwrap().to_string() }
    };
    let message = refused(
        "name = \"events\"\nidentifier = \"demo.events\"\ncolumns = [\"id int\", \"at timestamp\"]",
    );
    assert!(message.await.contains("`id` is configured as int and is long in the lake"));
    let message =
        refused("name = \"events\"\nidentifier = \"demo.events\"\ncolumns = [\"town string\"]");
    assert!(message.await.contains("no column `town`"));
    let message = refused("name = \"other\"\nidentifier = \"demo.other\"");
    assert!(message.await.contains("give `columns`"));
    let message = refused(
        "name = \"x\"\nidentifier = \"demo.x\"\ncolumns = [\"city string\"]\npartition_by = [\"day(city)\"]",
    );
    assert!(message.await.contains("partition `day(city)`"));
    let fits = table_settings("name = \"events\"\nidentifier = \"demo.events\"");
    lake.open_or_create(&fits).await.unwrap();
}

#[tokio::test]
async fn catalogs_that_are_not_in_this_version_are_refused() {
    let place = Place::new();
    let cases = [
        (Some("postgresql://db/lake"), None, "lives in SQLite"),
        (None, Some("s3://bucket/lake"), "only a local folder"),
        (None, Some("lake"), "absolute path"),
    ];
    for (uri, warehouse, expected) in cases {
        let settings = CatalogSettings {
            uri: uri.map(str::to_owned),
            warehouse: warehouse.map(str::to_owned),
            ..CatalogSettings::default()
        };
        let error = Lake::connect(&settings, place.folder.path()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.is_transient());
    }
    for kind in [CatalogKind::Rest, CatalogKind::Glue] {
        let settings = CatalogSettings { kind, ..CatalogSettings::default() };
        let error = Lake::connect(&settings, place.folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("is not in this version"), "{error}");
    }
}

#[tokio::test]
async fn what_was_committed_is_planned_and_read_by_anyone() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let mut boundary = OffsetMap::new();
    for round in 0..3 {
        let (from, next) = (round * 2000, round * 2000 + 2000);
        let second: Vec<(i64, Row)> =
            (from..next).step_by(2).map(|offset| (offset, row(100_000 + offset))).collect();
        let mut request = request(from, next, vec![]);
        request.from = boundary.clone();
        request.next.set(PartitionId(1), Offset(next));
        // Out of order on purpose.
        request.batches = vec![
            tail(&schema, 1, &second),
            range(&schema, from + 700, next),
            range(&schema, from, from + 700),
        ];
        boundary = request.next.clone();
        table.commit(request).await.unwrap();
    }
    let expected: Vec<i64> = (0..6000).chain((100_000..106_000).step_by(2)).collect();
    for table in [table, place.table().await] {
        let snapshot = table.refresh().await.unwrap();
        assert_eq!(ids(&snapshot), expected);
        assert_eq!(snapshot.boundary, LakeBoundary::Known(boundary.clone()));
        assert_eq!((snapshot.sequence, snapshot.foreign_sequence), (3, 0));
        let chunks: Vec<ChunkId> = snapshot.chunks.keys().copied().collect();
        let wanted = (0..2)
            .flat_map(|p| (0..6).map(move |index| ChunkId { partition: PartitionId(p), index }));
        assert_eq!(chunks, wanted.collect::<Vec<_>>());
        for file in snapshot.files.iter() {
            let FileOrigin::Stream(chunks) = &file.origin else { panic!("{file:?}") };
            assert!(!chunks.is_empty());
            assert_in_bounds(file);
        }
    }
}

/// No value of a file lies outside the bounds that are planned for it, and all rows are of one day.
fn assert_in_bounds(file: &DataFile) {
    let exact = read(file).iter().map(column_statistics).reduce(|a, b| union(&a, &b)).unwrap();
    for (planned, exact) in file.columns.iter().zip(&exact) {
        let (lower, upper) = (planned.lower.as_ref().unwrap(), planned.upper.as_ref().unwrap());
        assert!(lower.compare(exact.lower.as_ref().unwrap()).unwrap().is_le());
        assert!(upper.compare(exact.upper.as_ref().unwrap()).unwrap().is_ge());
        assert_eq!((planned.nulls, planned.nans), (exact.nulls, exact.nans));
        assert_eq!(planned.rows, file.rows);
    }
    let (Some(Scalar::Timestamp(from)), Some(Scalar::Timestamp(to))) =
        (&exact[1].lower, &exact[1].upper)
    else {
        panic!("{exact:?}")
    };
    assert_eq!(from.div_euclid(MICROS_PER_DAY), to.div_euclid(MICROS_PER_DAY));
    let day = springtide_relation::TagPartition {
        column: "at".into(),
        transform: springtide_relation::Transform::Day,
    };
    let folder = format!("at_day={}", day.value(&Scalar::Timestamp(*from)).unwrap());
    assert!(file.path.to_string_lossy().contains(&folder), "{folder} {file:?}");
}

#[tokio::test]
async fn days_before_1970_and_no_day_have_their_partitions() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let times = [
        -1,
        -500_000,
        -MICROS_PER_DAY,
        -MICROS_PER_DAY - 1,
        -MICROS_PER_DAY - 500_000,
        -MICROS_PER_DAY - 1_000_000,
        -36_524 * MICROS_PER_DAY - 250_000,
        0,
        DAY,
    ];
    let dated = times.into_iter().map(Some).chain([None]);
    let given: Vec<(i64, Row)> =
        dated.zip(0..).map(|(at, id)| (id, Row { at, ..row(id) })).collect();
    let snapshot = table.commit(request(0, 10, vec![tail(&schema, 0, &given)])).await.unwrap();
    assert_eq!(ids(&snapshot), (0..10).collect::<Vec<_>>());
    let mut days: BTreeMap<String, u64> = BTreeMap::new();
    for file in snapshot.files.iter() {
        let path = file.path.to_string_lossy().into_owned();
        let day = path.split("at_day=").nth(1).unwrap().split('/').next().unwrap().to_owned();
        *days.entry(day.clone()).or_default() += file.rows;
        if day != "null" {
            assert_in_bounds(file);
        }
    }
    let expected = [
        ("1869-12-31", 1),
        ("1969-12-30", 3),
        ("1969-12-31", 3),
        ("1970-01-01", 1),
        ("2001-03-31", 1),
        ("null", 1),
    ];
    let expected = expected.map(|(day, rows)| (day.to_owned(), rows));
    assert_eq!(days.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_decode_epoch_rises_with_the_fingerprint_only() {
    let place = Place::new();
    let table = place.table().await;
    assert_eq!(table.refresh().await.unwrap().decode_epoch, 0);
    for (fingerprint, epoch) in [("a", 1), ("a", 1), ("b", 2), ("a", 3)] {
        assert_eq!(table.ensure_decode_epoch(fingerprint).await.unwrap(), epoch);
        assert_eq!(table.refresh().await.unwrap().decode_epoch, epoch);
    }
    let again = place.table().await;
    assert_eq!(again.ensure_decode_epoch("a").await.unwrap(), 3);
    assert_eq!(again.refresh().await.unwrap().snapshot_id, None);
}

#[tokio::test]
async fn an_unchanged_table_is_the_same_snapshot() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let committed = table.commit(request(0, 10, vec![range(&schema, 0, 10)])).await.unwrap();
    let polled = table.refresh().await.unwrap();
    assert!(Arc::ptr_eq(&committed, &polled));
    place.table().await.ensure_decode_epoch("x").await.unwrap();
    let changed = table.refresh().await.unwrap();
    assert_eq!(changed.decode_epoch, 1);
    assert!(Arc::ptr_eq(&committed.files, &changed.files), "nothing is planned anew");
}

#[tokio::test]
async fn old_metadata_goes_with_later_commits() {
    let place = Place::new();
    let table = place.table().await;
    for round in 0..104 {
        table.commit(request(round, round + 1, vec![])).await.unwrap();
    }
    let metadata = place.folder.path().join("warehouse/demo/events/metadata");
    let is_metadata = |name: &str| name.ends_with(".metadata.json");
    let names = std::fs::read_dir(metadata).unwrap().map(|entry| entry.unwrap().file_name());
    let left = names.filter(|name| is_metadata(&name.to_string_lossy())).count();
    assert_eq!(left, 101, "the current one and the hundred before it");
    let again = place.table().await.refresh().await.unwrap();
    assert_eq!(again.boundary, LakeBoundary::Known(map(104)));
}

/// Rows as a stream has them: offsets that rise with gaps, over a few chunks.
fn stream_rows() -> impl Strategy<Value = Vec<(i64, Row)>> {
    let price = prop_oneof![
        3 => (-4.0..4.0f64).prop_map(Some),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(-0.0)),
        1 => Just(Some(f64::INFINITY)),
        1 => Just(None),
    ];
    let city = proptest::option::of(prop_oneof!["[a-é]{0,3}", "x{300}[a-c]{0,2}"]);
    let at = proptest::option::weighted(0.9, -2 * MICROS_PER_DAY..2 * MICROS_PER_DAY);
    let one = (1..600i64, any::<i64>(), at, price, city);
    proptest::collection::vec(one, 1..30).prop_map(|steps| {
        let mut offset = -1;
        let placed = steps.into_iter().map(|(step, id, at, price, city)| {
            offset += step;
            (offset, Row { id, at, price, city })
        });
        placed.collect()
    })
}

/// The chunks of the tail, as the runtime computes them.
fn tail_chunks(batch: &TailBatch) -> BTreeMap<ChunkId, String> {
    let ids = batch.offsets.values().iter();
    let chunks = ids.map(|offset| ChunkId::containing(batch.partition, Offset(*offset)));
    let statistics = |chunk: ChunkId| {
        let rows = batch.window(chunk.start(), chunk.end()).unwrap().rows;
        (chunk, format!("{:?}", column_statistics(&rows)))
    };
    chunks.map(statistics).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_chunk_is_the_same_before_and_after_its_commits(
        given in stream_rows(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let table = place.table().await;
            let schema = table.refresh().await.unwrap().schema.clone();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(given.len())).collect();
            cuts.extend([0, given.len()]);
            cuts.sort_unstable();
            let mut from = 0;
            for pair in cuts.windows(2) {
                let part = &given[pair[0]..pair[1]];
                let next = part.last().map_or(from, |(offset, _)| offset + 1);
                let batch = tail(&schema, 0, part);
                table.commit(request(from, next, vec![batch])).await.unwrap();
                from = next;
            }
            let snapshot = table.refresh().await.unwrap();
            let in_lake: BTreeMap<ChunkId, String> =
                snapshot.chunks.iter().map(|(id, c)| (*id, format!("{:?}", c.to_vec()))).collect();
            assert_eq!(in_lake, tail_chunks(&tail(&schema, 0, &given)));
            assert_eq!(snapshot.rows(), given.len() as u64);
            assert_eq!(snapshot.boundary, LakeBoundary::Known(map(from)));
        });
    }
}

#[tokio::test]
async fn history_is_loaded_as_one_foreign_commit() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let given = schema.clone();
    let batches = (0..10)
        .map(move |n| Ok(rows(&given, &(n * 100..n * 100 + 100).map(row).collect::<Vec<_>>())));
    let mut last = LoadProgress::default();
    let loaded = table.load(batches, |progress| last = progress).await.unwrap();
    assert_eq!(ids(&loaded), (0..1000).collect::<Vec<_>>());
    assert_eq!((last.rows, last.files), (1000, 3));
    assert_eq!(
        (loaded.boundary.clone(), loaded.sequence),
        (LakeBoundary::Known(OffsetMap::new()), 1)
    );
    assert_eq!(loaded.foreign_sequence, 1);
    assert!(loaded.chunks.is_empty());
    assert!(loaded.files.iter().all(|file| matches!(file.origin, FileOrigin::Foreign(_))));

    table.commit(request(0, 10, vec![range(&schema, 0, 10)])).await.unwrap();
    let names = [("city", DataType::Utf8), ("ID", DataType::Int32)];
    let fields: Vec<Field> =
        names.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect();
    let partial = RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        vec![Arc::new(StringArray::from(vec!["here"])), Arc::new(Int32Array::from(vec![5]))],
    );
    let loaded = table.load([partial], |_| ()).await.unwrap();
    assert_eq!(loaded.boundary, LakeBoundary::Known(map(10)));
    assert_eq!(loaded.foreign_sequence, 3);
    assert_eq!(loaded.rows(), 1011);
}

#[tokio::test]
async fn a_load_that_fails_leaves_nothing() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let broken = Err(arrow::error::ArrowError::ParseError("line 7".into()));
    let good = Ok(rows(&schema, &[row(1)]));
    table.load([good, broken], |_| ()).await.unwrap_err();
    let snapshot = table.refresh().await.unwrap();
    assert_eq!((snapshot.snapshot_id, place.stored_files()), (None, 0));
}

#[tokio::test]
async fn ten_thousand_files_are_planned_warm_within_20_ms() {
    let place = Place::new();
    let table = place.shared_table().await;
    for round in 0..10 {
        foreign::append(&table, foreign::entries(&table, round * 1000, 1000).await).await;
    }
    let schema = table.refresh().await.unwrap().schema.clone();
    let mut best = Duration::MAX;
    for round in 0..5 {
        foreign::append(&table, foreign::entries(&table, 20_000 + round, 1).await).await;
        let start = Instant::now();
        let snapshot = table.refresh().await.unwrap();
        best = best.min(start.elapsed());
        assert_eq!(snapshot.files.len() as i64, 10_001 + round);
        assert_eq!(snapshot.schema, schema);
    }
    assert!(best <= Duration::from_millis(20), "{best:?}");
}
