//! The Kafka stream against a real broker: coverage through aborted and hung
//! transactions, lost records, topics made anew, new partitions, a broker that
//! goes away, and produces that are one transaction; tables over such streams, each
//! audited; and SASL and TLS.
//!
//! Without Java or Maven they fail and say so; `SPRINGTIDE_TEST_SERVICES=none`
//! leaves them out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broker;
mod house;
mod reading;
mod secure;
mod tables;
mod writing;

use std::time::Duration;

use springtide_freshness::stream::{
    KafkaTopic, NewRecord, Record, StreamReader, StreamSource as _,
};
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use tokio::time::Instant;

/// How long something that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn map(entries: &[(i32, i64)]) -> OffsetMap {
    entries.iter().map(|(p, o)| (PartitionId(*p), Offset(*o))).collect()
}

fn row(value: impl Into<String>) -> NewRecord {
    NewRecord { partition: None, key: None, value: value.into().into() }
}

fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap()
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(text).collect()
}

/// Waits until the last stable offsets are `ends`: a commit is acknowledged
/// shortly before its control records are written.
async fn settle(topic: &KafkaTopic, ends: &OffsetMap) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = topic.high_watermarks().await.unwrap();
        if told == *ends {
            return;
        }
        assert!(ends.covers(&told), "beyond {ends:?}: {told:?}");
        assert!(Instant::now() < deadline, "at {told:?}, never at {ends:?}");
    }
}

/// Reads until the positions reach `ends`, checking what positions promise.
async fn read_to(reader: &mut dyn StreamReader, ends: &OffsetMap) -> Vec<Record> {
    let deadline = Instant::now() + PATIENCE;
    let mut records: Vec<Record> = Vec::new();
    let mut before = OffsetMap::new();
    loop {
        assert!(Instant::now() < deadline, "at {before:?}, never at {ends:?}");
        let polled = reader.poll(1_000, Duration::from_millis(100)).await.unwrap();
        assert!(polled.positions.covers(&before), "positions only grow");
        for record in &polled.records {
            assert!(record.offset >= before.next(record.partition), "below an earlier position");
            assert!(record.offset < polled.positions.next(record.partition));
        }
        before = polled.positions.clone();
        records.extend(polled.records);
        if polled.positions.covers(ends) {
            return records;
        }
    }
}
