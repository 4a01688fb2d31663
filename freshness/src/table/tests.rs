//! A table's life on the real journal and a real lake in a folder: rows come,
//! are committed, survive restarts, and the version tells only of content.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use springtide_protocol::clock::Clock;
use springtide_protocol::{FeedEvent, MinVersion, TableName, Tag, Version};
use springtide_relation::segment::Overlap;
use springtide_relation::{Coverage, Relation, SegmentData};

use crate::settings::FreshnessSettings;
use crate::tail::file;
use crate::{Freshness, PinAt, PinError, PinRequest, Pinned, TableState};

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a test is a program")]
    fn now_micros(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_micros()).unwrap()
    }
}

fn settings(folder: &Path, more: &str) -> FreshnessSettings {
    let text = format!(
        r#"
        folder = {folder:?}
        {more}
        [stream]
        partitions = 2
        [[table]]
        name = "flights"
        identifier = "demo.flights"
        topic = "flights"
        columns = ["id long", "date timestamp", "origin string"]
        partition_by = ["day(date)"]
        commit = {{ every = "1h", rows = 1_000_000 }}
        "#
    );
    toml::from_str(&text).unwrap()
}

async fn start(folder: &Path) -> Freshness {
    Freshness::start(settings(folder, ""), Arc::new(SystemClock)).await.unwrap()
}

fn flights() -> TableName {
    "flights".parse().unwrap()
}

fn body(ids: std::ops::Range<u64>) -> bytes::Bytes {
    let rows = ids.map(|id| {
        let day = 1 + id % 3;
        format!("{{\"id\":{id},\"date\":\"2001-03-0{day}T10:00:00\",\"origin\":\"ATL\"}}\n")
    });
    rows.collect::<String>().into()
}

/// Ingests once the table is known.
async fn ingest(freshness: &Freshness, ids: std::ops::Range<u64>) -> MinVersion {
    for _ in 0..400 {
        match freshness.ingest(&flights(), body(ids.clone()), None).await {
            Ok(receipt) => return receipt.min_version,
            Err(crate::IngestError::Unavailable { .. }) => {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the table never began: {:?}", freshness.status(&flights()));
}

async fn at_least(freshness: &Freshness, minimum: MinVersion) -> Pinned {
    let at = PinAt::AtLeast { minimum, wait: Duration::from_secs(20) };
    freshness.pin(PinRequest { tables: vec![flights()], at }).await.unwrap()
}

/// Waits until the stream is read up to its end.
async fn live(freshness: &Freshness) {
    for _ in 0..400 {
        if freshness.status(&flights()).is_some_and(|s| s.state == TableState::Live) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{:?}", freshness.status(&flights()));
}

/// The ids of all rows of a relation, read as the engine would, in order.
fn ids(relation: &Relation) -> Vec<i64> {
    use arrow::array::AsArray as _;
    use arrow::datatypes::Int64Type;
    let mut found = Vec::new();
    let mut take = |rows: &arrow::array::RecordBatch| {
        found.extend_from_slice(rows.column(0).as_primitive::<Int64Type>().values());
    };
    for data_file in relation.files.iter() {
        let file = std::fs::File::open(&data_file.path).unwrap();
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 1024).unwrap();
        reader.for_each(|rows| take(&rows.unwrap()));
    }
    let end = &relation.version.offsets;
    for segment in &relation.segments {
        assert_ne!(segment.overlap(&relation.boundary, end), Overlap::None);
        let batches = match &segment.data {
            SegmentData::Memory(batches) => batches.clone(),
            SegmentData::Parquet(parquet) => file::read(parquet.path(), &relation.schema).unwrap(),
        };
        for batch in batches {
            let p = batch.partition;
            let counted = batch.window(relation.boundary.next(p), end.next(p));
            counted.iter().for_each(|batch| take(&batch.rows));
        }
    }
    found.sort_unstable();
    found
}

fn range(ids: std::ops::Range<i64>) -> Vec<i64> {
    ids.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_there_once_through_commits_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let freshness = start(folder.path()).await;
    let minimum = ingest(&freshness, 0..3000).await;
    let before = at_least(&freshness, minimum).await;
    assert_eq!(ids(&before.relations[0]), range(0..3000));
    assert_eq!(before.relations[0].coverage, Coverage::Whole);

    let version = freshness.commit(&flights()).await.unwrap();
    assert_eq!(version, before.relations[0].version, "a commit moves no version");
    let after = pin(&freshness, PinAt::Latest).await.unwrap();
    assert_eq!(after.version, before.version);
    assert_eq!(ids(&after.relations[0]), range(0..3000));
    assert!(after.relations[0].boundary.covers(&version.offsets));

    let minimum = ingest(&freshness, 3000..3500).await;
    let more = at_least(&freshness, minimum).await;
    assert_eq!(ids(&more.relations[0]), range(0..3500));
    let old = pin(&freshness, PinAt::Exactly(before.version.clone())).await.unwrap();
    assert_eq!(old.version, before.version);
    assert_eq!(ids(&old.relations[0]), range(0..3000));
    freshness.commit(&flights()).await.unwrap();
    freshness.shutdown().await;

    let freshness = start(folder.path()).await;
    // The snapshot alone answers at once; its open chunks are known once the tail is there.
    live(&freshness).await;
    let again = pin(&freshness, PinAt::Latest).await.unwrap();
    assert_eq!(again.version, more.version, "a restart moves no version");
    assert_eq!(ids(&again.relations[0]), range(0..3500));
    assert_eq!(atoms(&again.relations[0]), atoms(&more.relations[0]), "nor the chunks");
    let identity = |pinned: &Pinned| crate::invariants::atoms(&pinned.relations[0]);
    assert_eq!(identity(&again), identity(&more), "nor what identifies its rows");
    // Below the boundary by now, and issued by the earlier life.
    let old = pin(&freshness, PinAt::Exactly(before.version.clone())).await.unwrap();
    assert_eq!(old.version, before.version);
    assert_eq!(ids(&old.relations[0]), range(0..3000));
    assert_eq!(atoms(&old.relations[0]), atoms(&before.relations[0]));
    freshness.shutdown().await;
}

/// What identifies the stream's rows: the sealed chunks and the open ones.
fn atoms(relation: &Relation) -> Vec<String> {
    let sealed = relation.sealed.iter().flat_map(|list| list.iter());
    let mut all: Vec<String> = sealed
        .map(|chunk| format!("sealed {:?} {:?}", chunk.id, chunk.columns))
        .chain(relation.open.iter().map(|open| {
            let offsets = open.rows.iter().flat_map(|b| b.offsets.values().to_vec());
            format!("open {:?} {} {:?}", open.id, open.complete, offsets.collect::<Vec<_>>())
        }))
        .collect();
    all.sort_unstable();
    let before = all.len();
    all.dedup();
    assert_eq!(all.len(), before, "a chunk twice");
    all
}

async fn pin(freshness: &Freshness, at: PinAt) -> Result<Pinned, PinError> {
    freshness.pin(PinRequest { tables: vec![flights()], at }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_comes_alive_and_its_changes_are_announced() {
    let folder = tempfile::tempdir().unwrap();
    let freshness = start(folder.path()).await;
    let mut feed = freshness.feed(None);
    let minimum = ingest(&freshness, 0..10).await;
    let seen = at_least(&freshness, minimum.clone()).await;
    let mut tags = std::collections::BTreeSet::new();
    let mut as_of = None;
    while as_of.is_none() {
        match tokio::time::timeout(Duration::from_secs(20), feed.next()).await.unwrap() {
            FeedEvent::Change(_, change) => {
                let version: Version = change.version.parse().unwrap();
                let now = MinVersion::from(&freshness.heads());
                assert!(now.tables[&flights()].offsets.covers(&version.tables[&flights()].offsets));
                tags.extend(change.tags);
            }
            FeedEvent::Heartbeat(_, beat) => {
                let version: MinVersion = beat.version.parse().unwrap();
                if version == MinVersion::from(&seen.version) {
                    as_of = beat.as_of_by_table.get(&flights()).cloned();
                }
            }
            FeedEvent::Reset(_) => panic!("nothing was missed"),
        }
    }
    assert!(tags.contains(&Tag::Table(flights())), "{tags:?}");
    let status = freshness.status(&flights()).unwrap();
    assert_eq!(status.state, TableState::Live, "{status:?}");
    assert!(status.as_of_micros.is_some());
    assert!(freshness.readiness().iter().all(|part| part.ready), "{:?}", freshness.readiness());
    freshness.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minimum_versions_are_waited_for_within_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let freshness = start(folder.path()).await;
    let reached = ingest(&freshness, 0..10).await;
    at_least(&freshness, reached.clone()).await;
    let mut beyond = reached.clone();
    let table = beyond.tables.get_mut(&flights()).unwrap();
    table.offsets.set(springtide_protocol::PartitionId(0), springtide_protocol::Offset(9_999));
    let at = PinAt::AtLeast { minimum: beyond, wait: Duration::from_millis(50) };
    assert!(matches!(pin(&freshness, at).await, Err(PinError::NotReached { .. })));
    let mut other = reached;
    other.tables.get_mut(&flights()).unwrap().table_uuid = Some(uuid::Uuid::nil());
    let at = PinAt::AtLeast { minimum: other, wait: Duration::from_secs(60) };
    assert!(matches!(pin(&freshness, at).await, Err(PinError::Incomparable { .. })));
    let unknown = PinRequest { tables: vec!["none".parse().unwrap()], at: PinAt::Latest };
    assert!(matches!(freshness.pin(unknown).await, Err(PinError::UnknownTable(_))));
    let mut future = freshness.heads();
    future.tables.get_mut(&flights()).unwrap().foreign_sequence += 1;
    assert!(matches!(pin(&freshness, PinAt::Exactly(future)).await, Err(PinError::Future)));
    let mut gone = freshness.heads();
    gone.tables.get_mut(&flights()).unwrap().table_uuid = uuid::Uuid::nil();
    assert!(matches!(pin(&freshness, PinAt::Exactly(gone)).await, Err(PinError::Gone)));
    freshness.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_can_be_pinned_soon_after_it_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let freshness = start(folder.path()).await;
    at_least(&freshness, ingest(&freshness, 0..10).await).await;
    let mut waits = Vec::new();
    for n in 1..60u64 {
        let receipt = freshness.ingest(&flights(), body(n * 10..n * 10 + 10), None).await.unwrap();
        let taken = std::time::Instant::now();
        at_least(&freshness, receipt.min_version).await;
        waits.push(taken.elapsed());
    }
    waits.sort_unstable();
    let median = waits[waits.len() / 2];
    println!("taken to pinned: median {median:?}, most {:?}", waits.last().unwrap());
    freshness.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_read_sealed_and_committed() {
    let folder = tempfile::tempdir().unwrap();
    let freshness = start(folder.path()).await;
    let mut minimum = ingest(&freshness, 0..10).await;
    let rows = 60_000;
    let begun = std::time::Instant::now();
    for from in (10..rows).step_by(15_000) {
        let to = (from + 15_000).min(rows);
        minimum = freshness.ingest(&flights(), body(from..to), None).await.unwrap().min_version;
    }
    let pinned = at_least(&freshness, minimum).await;
    println!("{rows} rows taken and pinned in {:?}", begun.elapsed());
    let expected = range(0..i64::try_from(rows).unwrap());
    assert_eq!(ids(&pinned.relations[0]), expected);
    freshness.commit(&flights()).await.unwrap();
    let after = pin(&freshness, PinAt::Latest).await.unwrap();
    assert_eq!(after.version, pinned.version);
    assert_eq!(ids(&after.relations[0]), expected);
    assert!(after.relations[0].segments.is_empty(), "all of it is in the lake");
    let status = freshness.status(&flights()).unwrap();
    assert!(status.tail_segments > 1, "the pin window keeps segments: {status:?}");
    let again = pin(&freshness, PinAt::Exactly(pinned.version.clone())).await.unwrap();
    assert_eq!(ids(&again.relations[0]), expected);
    freshness.shutdown().await;
    drop((pinned, after, again, freshness));
    // The last reader may be a worker that is just ending.
    let tail = folder.path().join("tail/flights");
    let files = || std::fs::read_dir(&tail).unwrap().count();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while files() > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(files(), 0, "segments go with their last reader");
}
