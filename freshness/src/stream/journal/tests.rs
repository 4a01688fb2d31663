//! The journal on real files: durability, idempotency, several writers, bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use springtide_protocol::clock::Clock;
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use tempfile::TempDir;

use super::{IDEMPOTENCY_AGE, Journal, JournalTopic};
use crate::stream::{NewRecord, Record, StreamError, StreamReader, StreamSource as _};

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const SOON: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

struct Place {
    folder: TempDir,
    clock: Arc<TestClock>,
}

impl Place {
    fn new() -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(1_000_000)));
        Self { folder: tempfile::tempdir().unwrap(), clock }
    }

    async fn open(&self) -> Journal {
        let path = self.folder.path().join("journal.sqlite");
        Journal::open(&path, Arc::clone(&self.clock) as Arc<dyn Clock>).await.unwrap()
    }
}

fn row(value: impl Into<String>) -> NewRecord {
    NewRecord { partition: None, key: None, value: Bytes::from(value.into()) }
}

fn rows(range: std::ops::Range<i64>) -> Vec<NewRecord> {
    range.map(|n| row(n.to_string())).collect()
}

fn map(entries: &[(PartitionId, i64)]) -> OffsetMap {
    entries.iter().map(|(p, o)| (*p, Offset(*o))).collect()
}

/// Reads until the positions reach the high watermarks.
async fn read_all(topic: &JournalTopic, from: &OffsetMap) -> Vec<Record> {
    let ends = topic.high_watermarks().await.unwrap();
    let mut reader = topic.read_from(from).await.unwrap();
    let mut records = Vec::new();
    loop {
        let polled = reader.poll(100, Duration::ZERO).await.unwrap();
        records.extend(polled.records);
        if polled.positions.covers(&ends) {
            return records;
        }
    }
}

fn values(records: &[Record]) -> Vec<String> {
    let text = |r: &Record| String::from_utf8(r.value.clone().unwrap().to_vec()).unwrap();
    records.iter().map(text).collect()
}

#[tokio::test]
async fn what_was_produced_is_there_after_opening_anew() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 1).await.unwrap();
    let next = topic.produce(rows(0..1_500), None).await.unwrap();
    assert_eq!(next, map(&[(P0, 1_500)]));
    let described = topic.describe().await.unwrap();

    let again = place.open().await.topic("flights", 4).await.unwrap();
    assert_eq!(again.describe().await.unwrap(), described);
    let records = read_all(&again, &OffsetMap::new()).await;
    let expected: Vec<_> = (0..1_500).map(|n| n.to_string()).collect();
    assert_eq!(values(&records), expected);
    assert!(records.iter().enumerate().all(|(i, r)| r.offset.0 == i64::try_from(i).unwrap()));
    assert_eq!(records[0].timestamp_ms, Some(1_000));
}

#[tokio::test]
async fn a_copy_taken_while_it_runs_holds_every_acknowledged_record() {
    let place = Place::new();
    let journal = place.open().await;
    let topic = journal.topic("flights", 1).await.unwrap();
    for n in 0..20 {
        topic.produce(rows(n..n + 1), None).await.unwrap();
    }
    // The files as a crash would leave them: nothing was closed or checkpointed.
    let crashed = Place::new();
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), crashed.folder.path().join(entry.file_name())).unwrap();
        }
    }
    let topic = crashed.open().await.topic("flights", 1).await.unwrap();
    assert_eq!(read_all(&topic, &OffsetMap::new()).await.len(), 20);
}

#[tokio::test]
async fn topics_have_ids_and_offsets_of_their_own() {
    let journal = Place::new();
    let journal = journal.open().await;
    let (a, b) = (journal.topic("a", 1).await.unwrap(), journal.topic("b", 2).await.unwrap());
    a.produce(rows(0..3), None).await.unwrap();
    let (a, b) = (a.describe().await.unwrap(), b.describe().await.unwrap());
    assert_ne!(a.topic_id, b.topic_id);
    assert_eq!(a.cluster, b.cluster);
    assert_eq!(a.watermarks[&P0].high, Offset(3));
    assert_eq!(b.watermarks.len(), 2);
    assert_eq!(b.watermarks[&P1].high, Offset::ZERO);
}

#[tokio::test]
async fn a_key_given_again_adds_nothing_and_returns_the_same() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 1).await.unwrap();
    let first = topic.produce(rows(0..3), Some("k")).await.unwrap();
    topic.produce(rows(3..5), None).await.unwrap();
    assert_eq!(topic.produce(rows(0..3), Some("k")).await.unwrap(), first);

    let again = place.open().await.topic("flights", 1).await.unwrap();
    assert_eq!(again.produce(rows(0..3), Some("k")).await.unwrap(), first);
    let other = again.produce(rows(0..4), Some("k")).await;
    assert!(matches!(other, Err(StreamError::IdempotencyConflict { key }) if key == "k"));
    assert_eq!(again.high_watermarks().await.unwrap(), map(&[(P0, 5)]));
}

#[tokio::test]
async fn a_key_is_forgotten_after_its_age() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 1).await.unwrap();
    topic.produce(rows(0..1), Some("old")).await.unwrap();
    let age = i64::try_from(IDEMPOTENCY_AGE.as_micros()).unwrap();
    place.clock.0.fetch_add(age + 1, Ordering::SeqCst);
    topic.produce(rows(1..2), Some("new")).await.unwrap();
    assert_eq!(topic.produce(rows(7..8), Some("old")).await.unwrap(), map(&[(P0, 3)]));
}

#[tokio::test]
async fn keys_have_a_size() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 1).await.unwrap();
    for key in [String::new(), "k".repeat(256)] {
        let refused = topic.produce(rows(0..1), Some(&key)).await;
        assert!(matches!(refused, Err(StreamError::IdempotencyKeySize { .. })));
    }
    topic.produce(rows(0..1), Some(&"k".repeat(255))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_several_processes_never_share_an_offset() {
    let place = Place::new();
    // Two journals on one file stand for two processes.
    let journals = [place.open().await, place.open().await];
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let topic = journals[writer % 2].topic("flights", 1).await.unwrap();
        writers.spawn(async move {
            for batch in 0..10 {
                let name = |n: i32| row(format!("{writer}/{batch}/{n}"));
                let next = topic.produce((0..7).map(name).collect(), None).await.unwrap();
                assert_eq!(next.len(), 1);
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let topic = journals[0].topic("flights", 1).await.unwrap();
    let records = read_all(&topic, &OffsetMap::new()).await;
    assert_eq!(records.len(), 8 * 10 * 7);
    for (chunk, offset) in records.chunks(7).zip((0..).step_by(7)) {
        let texts = values(chunk);
        let batch = texts[0].rsplit_once('/').unwrap().0;
        let whole: Vec<_> = (0..7).map(|n| format!("{batch}/{n}")).collect();
        assert_eq!(texts, whole, "a produce is not torn apart");
        assert_eq!(chunk[0].offset, Offset(offset));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_woken_by_writers_here_and_elsewhere() {
    let place = Place::new();
    let (here, elsewhere) = (place.open().await, place.open().await);
    let topic = here.topic("flights", 1).await.unwrap();
    for writer in [&here, &elsewhere] {
        let writer = writer.topic("flights", 1).await.unwrap();
        let end = topic.high_watermarks().await.unwrap();
        let mut reader = topic.read_from(&end).await.unwrap();
        let waiting = tokio::spawn(async move { reader.poll(10, 60 * SOON).await });
        tokio::task::yield_now().await;
        writer.produce(rows(0..2), None).await.unwrap();
        let polled = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
        assert_eq!(polled.records.len(), 2);
    }
}

#[tokio::test]
async fn polls_keep_to_their_bound_and_lose_nothing() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 3).await.unwrap();
    let in_partition = |n: i32| NewRecord {
        partition: Some(PartitionId(n % 3)),
        key: None,
        value: n.to_string().into(),
    };
    topic.produce((0..100).map(in_partition).collect(), None).await.unwrap();
    let mut reader = topic.read_from(&OffsetMap::new()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 100 {
        let polled = reader.poll(7, Duration::ZERO).await.unwrap();
        assert!(!polled.records.is_empty() && polled.records.len() <= 7);
        for record in &polled.records {
            assert!(record.offset < polled.positions.next(record.partition));
        }
        seen.extend(polled.records);
    }
    let mut numbers: Vec<i32> = values(&seen).iter().map(|v| v.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    let idle = reader.poll(7, Duration::ZERO).await.unwrap();
    assert!(idle.records.is_empty());
    assert_eq!(idle.positions, topic.high_watermarks().await.unwrap());
}

#[tokio::test]
async fn keys_stay_in_their_partition() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 4).await.unwrap();
    let keyed = |n: usize| NewRecord {
        partition: None,
        key: Some(format!("key-{}", n % 10).into()),
        value: n.to_string().into(),
    };
    topic.produce((0..200).map(keyed).collect(), None).await.unwrap();
    let records = read_all(&topic, &OffsetMap::new()).await;
    let mut places = std::collections::BTreeMap::new();
    for record in records {
        let place = places.entry(record.key.clone()).or_insert(record.partition);
        assert_eq!(*place, record.partition);
    }
    let used: std::collections::BTreeSet<_> = places.values().collect();
    assert!(used.len() > 1);
}

#[tokio::test]
async fn trimmed_records_are_told_not_skipped() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 1).await.unwrap();
    topic.produce(rows(0..10), None).await.unwrap();
    let mut running = topic.read_from(&map(&[(P0, 2)])).await.unwrap();
    topic.trim(P0, Offset(4)).await.unwrap();
    topic.trim(P0, Offset(1)).await.unwrap();

    let expected = |r: &StreamError| {
        matches!(r, StreamError::OffsetOutOfRange { asked: Offset(2), low: Offset(4), .. })
    };
    let running = running.poll(10, Duration::ZERO).await.unwrap_err();
    assert!(expected(&running), "{running:?}");
    let Err(anew) = topic.read_from(&map(&[(P0, 2)])).await else { panic!("records are gone") };
    assert!(expected(&anew), "{anew:?}");
    assert_eq!(values(&read_all(&topic, &map(&[(P0, 4)])).await).len(), 6);
    assert!(topic.read_from(&map(&[(P0, 11)])).await.is_err(), "beyond the end");

    topic.trim(P0, Offset(1_000)).await.unwrap();
    topic.produce(rows(10..11), None).await.unwrap();
    assert_eq!(topic.high_watermarks().await.unwrap(), map(&[(P0, 11)]));
    assert!(topic.trim(P1, Offset(1)).await.is_err());
}

#[tokio::test]
async fn records_that_are_old_and_not_needed_are_let_go() {
    let place = Place::new();
    let retention = Duration::from_secs(60);
    let topic = place.open().await.topic("flights", 1).await.unwrap().with_retention(retention);
    let at = |seconds: i64| place.clock.0.store(seconds * 1_000_000, Ordering::SeqCst);
    let low = || async { topic.describe().await.unwrap().watermarks[&P0].low.0 };
    at(100);
    topic.produce(rows(0..10), None).await.unwrap();
    at(130);
    topic.produce(rows(10..20), None).await.unwrap();
    topic.release(&map(&[(P0, 15)])).await.unwrap();
    assert_eq!(low().await, 0, "too young");
    at(161);
    topic.release(&map(&[(P0, 4)])).await.unwrap();
    assert_eq!(low().await, 4, "the others are needed");
    topic.release(&map(&[(P0, 15)])).await.unwrap();
    assert_eq!(low().await, 10, "the second ten are too young");
    at(1000);
    topic.release(&map(&[(P0, 15)])).await.unwrap();
    assert_eq!(low().await, 15);
    assert_eq!(read_all(&topic, &map(&[(P0, 15)])).await.len(), 5);
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_half_written() {
    let place = Place::new();
    let journal = place.open().await;
    let topic = journal.topic("flights", 1).await.unwrap();
    topic.produce(rows(0..5), None).await.unwrap();
    limit_pages(&journal, 64).await;
    let large = || vec![row("x".repeat(100_000)); 20];
    let refused = topic.produce(large(), Some("k")).await.unwrap_err();
    assert!(matches!(refused, StreamError::StorageFull { .. }), "{refused:?}");
    assert!(refused.is_transient());
    assert_eq!(topic.high_watermarks().await.unwrap(), map(&[(P0, 5)]));
    assert_eq!(read_all(&topic, &OffsetMap::new()).await.len(), 5);

    limit_pages(&journal, 1_000_000).await;
    assert_eq!(topic.produce(large(), Some("k")).await.unwrap(), map(&[(P0, 25)]));
}

async fn limit_pages(journal: &Journal, pages: u32) {
    let mut write = journal.shared.store.write().await.unwrap();
    let pragma = format!("PRAGMA max_page_count = {pages}");
    sqlx::query(&pragma).execute(&mut *write).await.unwrap();
    write.commit().await.unwrap();
}

#[tokio::test]
async fn one_record_for_a_partition_that_is_not_there_refuses_all() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 1).await.unwrap();
    let mut records = rows(0..3);
    records[2].partition = Some(P1);
    let refused = topic.produce(records, Some("k")).await;
    assert!(matches!(refused, Err(StreamError::PartitionMissing { .. })));
    let large = NewRecord { value: vec![b'x'; super::RECORD_BYTES + 1].into(), ..row("") };
    let refused = topic.produce(vec![row("1"), large], None).await;
    assert!(matches!(refused, Err(StreamError::RecordTooLarge { .. })));
    assert_eq!(topic.high_watermarks().await.unwrap(), map(&[(P0, 0)]));
}

#[tokio::test]
async fn a_file_of_another_layout_is_left_alone() {
    let place = Place::new();
    let journal = place.open().await;
    let mut write = journal.shared.store.write().await.unwrap();
    sqlx::query("UPDATE journal SET layout = 99").execute(&mut *write).await.unwrap();
    write.commit().await.unwrap();
    let path = place.folder.path().join("journal.sqlite");
    let opened = Journal::open(&path, Arc::clone(&place.clock) as Arc<dyn Clock>).await;
    assert!(matches!(opened, Err(StreamError::JournalLayout { found: 99, .. })));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_tear_a_produce() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 1).await.unwrap();
    for n in 0..20 {
        let produce = topic.produce(rows(0..50), None);
        let _ = tokio::time::timeout(Duration::from_micros(n * 100), produce).await;
    }
    topic.produce(rows(0..1), None).await.unwrap();
    let end = topic.high_watermarks().await.unwrap().next(P0).0;
    assert_eq!(end % 50, 1, "whole batches only");
    assert_eq!(i64::try_from(read_all(&topic, &OffsetMap::new()).await.len()).unwrap(), end);
}

/// Prints rows per second; to see it alone: `cargo test -p springtide-freshness
/// --lib journal_throughput -- --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn journal_throughput() {
    let place = Place::new();
    let topic = place.open().await.topic("flights", 1).await.unwrap();
    let batch: Vec<_> =
        (0..1_000).map(|n| row(format!("{{\"id\":{n},\"x\":\"{:0>100}\"}}", n))).collect();
    let begin = std::time::Instant::now();
    for _ in 0..100 {
        topic.produce(batch.clone(), None).await.unwrap();
    }
    let wrote = begin.elapsed();
    let begin = std::time::Instant::now();
    assert_eq!(count(topic.read_from(&OffsetMap::new()).await.unwrap(), 100_000).await, 100_000);
    let read = begin.elapsed();
    let begin = std::time::Instant::now();
    for n in 0..200 {
        topic.produce(rows(n..n + 1), None).await.unwrap();
    }
    let single = begin.elapsed() / 200;
    println!(
        "wrote {:.0} rows/s in batches of 1,000, read {:.0} rows/s, one row {single:?}",
        100_000.0 / wrote.as_secs_f64(),
        100_000.0 / read.as_secs_f64()
    );
}

async fn count(mut reader: Box<dyn StreamReader>, wanted: usize) -> usize {
    let mut seen = 0;
    while seen < wanted {
        seen += reader.poll(20_000, SOON).await.unwrap().records.len();
    }
    seen
}
