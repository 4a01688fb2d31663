//! The feed: order, resuming, resets, and heartbeats that never run ahead of
//! what was announced.

use std::sync::atomic::{AtomicI64, Ordering};

use springtide_protocol::{MinVersion, Offset, OffsetMap, PartitionId, Tag};
use uuid::Uuid;

use super::*;

#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now_micros(&self) -> i64 {
        self.0.fetch_add(1_000, Ordering::Relaxed)
    }
}

fn feed() -> Arc<Feed> {
    Arc::new(Feed::new(0xabc, Arc::new(Ticking::default())))
}

fn table() -> TableName {
    "flights".parse().unwrap()
}

fn version(next: i64) -> TableVersion {
    TableVersion {
        table_uuid: Uuid::from_u128(1),
        topic_id: None,
        schema_id: 0,
        decode_epoch: 0,
        foreign_sequence: 0,
        offsets: OffsetMap::from_iter([(PartitionId(0), Offset(next))]),
    }
}

fn announce(feed: &Feed, next: i64) -> ChangeId {
    feed.announce_table(&table(), version(next), vec![Tag::Table(table())])
}

fn offset(text: &str) -> i64 {
    let version: MinVersion = text.parse().unwrap();
    version.tables[&table()].offsets.next(PartitionId(0)).0
}

#[tokio::test(start_paused = true)]
async fn changes_come_in_order_and_resume_after_an_id() {
    let feed = feed();
    let first = announce(&feed, 1);
    let mut reader = feed.clone().reader(Some(first));
    announce(&feed, 2);
    announce(&feed, 3);
    for expected in [2, 3] {
        let FeedEvent::Change(id, change) = reader.next().await else { panic!("no change") };
        assert_eq!(id.epoch, 0xabc);
        assert_eq!(id.sequence, u64::try_from(expected).unwrap());
        assert_eq!(offset(&change.version), expected);
    }
    let FeedEvent::Heartbeat(id, _) = reader.next().await else { panic!("no heartbeat") };
    assert_eq!(id.sequence, 3);
}

#[tokio::test(start_paused = true)]
async fn a_new_reader_begins_with_a_heartbeat_and_gets_one_each_second() {
    let feed = feed();
    announce(&feed, 1);
    let mut reader = feed.clone().reader(None);
    let start = Instant::now();
    for second in 0..4 {
        let FeedEvent::Heartbeat(_, beat) = reader.next().await else { panic!("no heartbeat") };
        assert_eq!(offset(&beat.version), 1);
        assert_eq!(start.elapsed().as_secs(), second);
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_tells_what_was_announced_with_its_as_of() {
    let feed = feed();
    announce(&feed, 7);
    let mut reader = feed.clone().reader(None);
    let FeedEvent::Heartbeat(_, beat) = reader.next().await else { panic!("no heartbeat") };
    assert!(beat.as_of_by_table.is_empty(), "unknown is not told as known");
    feed.note(&table(), version(8), Some(1_500_000));
    let FeedEvent::Heartbeat(_, beat) = reader.next().await else { panic!("no heartbeat") };
    assert_eq!(offset(&beat.version), 8);
    assert_eq!(beat.as_of, "1970-01-01T00:00:01.500Z");
    assert_eq!(beat.as_of_by_table[&table()], beat.as_of);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_cannot_be_told() {
    let feed = feed();
    announce(&feed, 1);
    let resets = |after| {
        let mut reader = feed.clone().reader(Some(after));
        async move { matches!(reader.next().await, FeedEvent::Reset(_)) }
    };
    assert!(resets(ChangeId { epoch: 0xabd, sequence: 1 }).await, "another life");
    assert!(resets(ChangeId { epoch: 0xabc, sequence: 2 }).await, "of the future");
    assert!(!resets(ChangeId { epoch: 0xabc, sequence: 0 }).await);

    let mut slow = feed.clone().reader(Some(ChangeId { epoch: 0xabc, sequence: 0 }));
    let count = i64::try_from(REMEMBERED_CHANGES).unwrap();
    for next in 2..=count + 1 {
        announce(&feed, next);
    }
    let FeedEvent::Reset(id) = slow.next().await else { panic!("no reset") };
    announce(&feed, count + 2);
    let FeedEvent::Change(next, _) = slow.next().await else { panic!("no change") };
    assert_eq!(next.sequence, id.sequence + 1, "it goes on from there");
}

#[tokio::test(start_paused = true)]
async fn every_reader_is_woken() {
    let feed = feed();
    let mut watch = feed.watch();
    let mut reader = feed.clone().reader(None);
    assert!(matches!(reader.next().await, FeedEvent::Heartbeat(..)));
    let waiting = tokio::spawn(async move { reader.next().await });
    tokio::task::yield_now().await;
    announce(&feed, 1);
    assert!(matches!(waiting.await.unwrap(), FeedEvent::Change(..)));
    assert_eq!(*watch.borrow_and_update(), 1);
}
