//! What becomes of rows with unknown columns, from the stream to the status.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use springtide_protocol::TableName;
use springtide_protocol::clock::Clock;

use crate::stream::{Journal, NewRecord, StreamSource as _};
use crate::{Freshness, IngestError, TableState, TableStatus};

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a test is a program")]
    fn now_micros(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_micros()).unwrap()
    }
}

async fn start(folder: &Path, unknown_columns: &str) -> Freshness {
    let text = format!(
        r#"
        folder = {folder:?}
        [[table]]
        name = "flights"
        identifier = "demo.flights"
        topic = "flights"
        columns = ["id long", "origin string"]
        unknown_columns = "{unknown_columns}"
        "#
    );
    Freshness::start(toml::from_str(&text).unwrap(), Arc::new(SystemClock)).await.unwrap()
}

fn flights() -> TableName {
    "flights".parse().unwrap()
}

async fn until(freshness: &Freshness, holds: impl Fn(&TableStatus) -> bool) -> TableStatus {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match freshness.status(&flights()) {
                Some(status) if holds(&status) => return status,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{:?}", freshness.status(&flights())))
}

/// Adds a record as a producer would that knows nothing of the table.
async fn produce(folder: &Path, value: &'static str) {
    let path = folder.join("journal.sqlite");
    let journal = Journal::open(&path, Arc::new(SystemClock)).await.unwrap();
    let topic = journal.topic("flights", 1).await.unwrap();
    let value = Bytes::from_static(value.as_bytes());
    topic.produce(vec![NewRecord { partition: None, key: None, value }], None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_columns_stop_the_stream_or_are_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let freshness = start(folder.path(), "error").await;
    until(&freshness, |status| status.as_of_micros.is_some()).await;
    let body = Bytes::from_static(b"{\"id\":1}\n{\"id\":2,\"orgin\":\"ATL\"}");
    let refused = freshness.ingest(&flights(), body, None).await.unwrap_err();
    assert!(matches!(refused, IngestError::Invalid(_)));
    let told = "line 2: there is no column `orgin`; did you mean `origin`?";
    assert_eq!(refused.to_string(), told);

    produce(folder.path(), r#"{"id":1,"gate":"B7"}"#).await;
    produce(folder.path(), r#"{"id":2}"#).await;
    let why = "the record at 0:0: there is no column `gate`";
    let told = |status: &TableStatus| status.reason.as_ref().is_some_and(|r| r.contains(why));
    let status = until(&freshness, told).await;
    assert_eq!((status.tail_rows, status.dead_letters), (0, 0), "nothing passes it");
    freshness.shutdown().await;

    let freshness = start(folder.path(), "collect").await;
    let status = until(&freshness, |status| status.tail_rows == 1).await;
    assert_eq!(status.dead_letters, 1);
    let page = freshness.dead_letters(&flights(), None, 9).await.unwrap();
    assert_eq!(page.letters[0].reason, "there is no column `gate`");
    let discarded = freshness.discard_dead_letters(&flights(), page.letters[0].number).await;
    assert_eq!(discarded.unwrap().letters, 1);
    assert_eq!(freshness.status(&flights()).unwrap().dead_letters, 0);
    freshness.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_lake_has_passed_is_judged_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let freshness = start(folder.path(), "collect").await;
    produce(folder.path(), r#"{"id":1,"gate":"B7"}"#).await;
    produce(folder.path(), r#"{"id":2}"#).await;
    until(&freshness, |status| status.tail_rows == 1 && status.dead_letters == 1).await;
    let page = freshness.dead_letters(&flights(), None, 9).await.unwrap();
    freshness.discard_dead_letters(&flights(), page.letters[0].number).await.unwrap();
    freshness.commit(&flights()).await.unwrap();
    freshness.shutdown().await;

    // The boundary's chunk is read again from its start: the letter stays discarded.
    let freshness = start(folder.path(), "collect").await;
    let status = until(&freshness, |status| status.state == TableState::Live).await;
    assert_eq!(status.dead_letters, 0);
    assert_eq!(freshness.dead_letters(&flights(), None, 9).await.unwrap().letters, []);
    freshness.shutdown().await;

    // Nor does it stop a stream that stops at such records now.
    let freshness = start(folder.path(), "error").await;
    until(&freshness, |status| status.state == TableState::Live).await;
    produce(folder.path(), r#"{"id":3}"#).await;
    produce(folder.path(), r#"{"id":4,"gate":"B7"}"#).await;
    let why = "the record at 0:3: there is no column `gate`";
    let told = |status: &TableStatus| status.reason.as_ref().is_some_and(|r| r.contains(why));
    let status = until(&freshness, told).await;
    let end = status.coverage_end.next(springtide_protocol::PartitionId(0));
    assert_eq!(end, springtide_protocol::Offset(3), "what comes before it is there");
    freshness.shutdown().await;
}
