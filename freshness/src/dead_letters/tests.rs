//! Dead letters on a real file.

use bytes::Bytes;
use springtide_protocol::{Offset, PartitionId, TableName};
use uuid::Uuid;

use super::{DeadLetterError, DeadLetters, Discarded, LetterTopic, PAGE_BYTES};
use crate::decode::{InvalidRow, Rejected};

fn table(name: &str) -> TableName {
    name.parse().unwrap()
}

fn rejected(offset: i64, value: &str) -> Rejected {
    Rejected {
        partition: PartitionId(0),
        offset: Offset(offset),
        timestamp_ms: Some(7),
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        reason: InvalidRow::Missing { column: "flight_id".into() },
    }
}

#[tokio::test]
async fn letters_are_kept_once_and_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead-letters.sqlite");
    let (flights, topic) = (table("flights"), LetterTopic { name: "f", id: Uuid::from_u128(1) });
    let letters = DeadLetters::open(&path).await.unwrap();
    letters.keep(&flights, topic, &[rejected(1, "a"), rejected(2, "b")]).await.unwrap();
    letters.keep(&flights, topic, &[rejected(2, "b"), rejected(3, "c")]).await.unwrap();
    letters.keep(&flights, topic, &[]).await.unwrap();

    let letters = DeadLetters::open(&path).await.unwrap();
    assert_eq!(letters.count(&flights).await.unwrap(), 3);
    assert_eq!(letters.count(&table("others")).await.unwrap(), 0);
    let page = letters.page(&flights, None, 2).await.unwrap();
    assert!(page.has_more);
    let newest = page.letters;
    assert_eq!(newest.iter().map(|l| l.offset.0).collect::<Vec<_>>(), [3, 2]);
    let rest = letters.page(&flights, Some(newest[1].number), 2).await.unwrap();
    assert_eq!((rest.letters.len(), rest.letters[0].offset.0, rest.has_more), (1, 1, false));
    assert_eq!(newest[0].value.as_deref(), Some(&b"c"[..]));
    assert_eq!(newest[0].topic_id, topic.id);
    assert_eq!(newest[0].timestamp_ms, Some(7));
    assert_eq!(newest[0].reason, "column `flight_id` is required and has no value");
}

#[tokio::test]
async fn a_topic_made_anew_has_letters_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(&folder.path().join("letters")).await.unwrap();
    let flights = table("flights");
    for id in [1, 2] {
        let topic = LetterTopic { name: "f", id: Uuid::from_u128(id) };
        letters.keep(&flights, topic, &[rejected(1, "a")]).await.unwrap();
    }
    assert_eq!(letters.count(&flights).await.unwrap(), 2);
}

#[tokio::test]
async fn at_the_bound_nothing_is_dropped_silently() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(&folder.path().join("letters")).await.unwrap();
    let letters = letters.with_table_bytes(300);
    let (flights, topic) = (table("flights"), LetterTopic { name: "f", id: Uuid::from_u128(1) });
    letters.keep(&flights, topic, &[rejected(1, &"a".repeat(150))]).await.unwrap();
    let more = [rejected(2, "b"), rejected(3, &"c".repeat(150))];
    let full = letters.keep(&flights, topic, &more).await;
    assert!(matches!(&full, Err(DeadLetterError::Full { limit_bytes: 300, .. })));
    let told = full.unwrap_err().to_string();
    assert!(told.contains("POST /v1/admin/dead-letters/flights/discard"), "{told}");
    assert_eq!(letters.count(&flights).await.unwrap(), 1, "all or none");
    letters.keep(&table("others"), topic, &more).await.unwrap();
    letters.keep(&flights, topic, &[rejected(1, "a")]).await.unwrap();

    let reason = rejected(1, "").reason.detail();
    let discarded = letters.discard(&flights, i64::MAX).await.unwrap();
    assert_eq!(discarded, Discarded { letters: 1, bytes: 150 + reason.len() as u64 });
    letters.keep(&flights, topic, &more).await.unwrap();
    assert_eq!(letters.count(&flights).await.unwrap(), 2);
}

#[tokio::test]
async fn letters_that_came_after_a_look_are_not_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(&folder.path().join("letters")).await.unwrap();
    let (flights, topic) = (table("flights"), LetterTopic { name: "f", id: Uuid::from_u128(1) });
    letters.keep(&flights, topic, &[rejected(1, "a"), rejected(2, "b")]).await.unwrap();
    letters.keep(&table("others"), topic, &[rejected(1, "a")]).await.unwrap();
    let seen = letters.page(&flights, None, 9).await.unwrap().letters[0].number;
    assert_eq!(letters.discard(&flights, seen).await.unwrap().letters, 2);
    assert_eq!(letters.count(&table("others")).await.unwrap(), 1);
    // Not even where the file's last letter went: numbers never come again.
    let all = i64::MAX;
    letters.discard(&table("others"), all).await.unwrap();
    letters.keep(&flights, topic, &[rejected(3, "c")]).await.unwrap();
    assert_eq!(letters.discard(&flights, seen).await.unwrap(), Discarded::default());
    assert_eq!(letters.count(&flights).await.unwrap(), 1);
}

#[tokio::test]
async fn a_page_has_a_bound_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(&folder.path().join("letters")).await.unwrap();
    let (flights, topic) = (table("flights"), LetterTopic { name: "f", id: Uuid::from_u128(1) });
    let large = "x".repeat(PAGE_BYTES / 2 + 1);
    let three = [rejected(1, &large), rejected(2, &large), rejected(3, "c")];
    letters.keep(&flights, topic, &three).await.unwrap();
    let page = letters.page(&flights, None, 9).await.unwrap();
    assert_eq!((page.letters.len(), page.has_more), (2, true));
}
