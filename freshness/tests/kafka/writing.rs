//! Writing to a real broker: one transaction a produce.

use springtide_freshness::stream::{NewRecord, StreamError, StreamSource as _};
use springtide_protocol::{OffsetMap, PartitionId};

use crate::broker;
use crate::{map, read_to, row, settle, text, texts};

#[tokio::test(flavor = "multi_thread")]
async fn a_produce_is_all_or_nothing() {
    let Some(broker) = broker::shared() else { return };
    let (name, kafka) = (broker.topic(1).await, broker.kafka(&[]));
    let topic = kafka.topic(&name);
    topic.produce(vec![row("a"), row("b")], None).await.unwrap();
    let large = vec![row("never"), row("x".repeat(2_000_000)), row("never")];
    let refused = topic.produce(large, None).await.unwrap_err();
    assert!(matches!(refused, StreamError::RecordTooLarge { bytes: 2_000_000, .. }), "{refused:?}");
    let elsewhere = NewRecord { partition: Some(PartitionId(7)), ..row("never") };
    let refused = topic.produce(vec![row("never"), elsewhere], None).await.unwrap_err();
    assert!(!matches!(refused, StreamError::UnknownOutcome { .. }), "{refused:?}");
    let ends = topic.produce(vec![row("c")], None).await.unwrap();
    let mut reader = topic.read_from(&OffsetMap::new()).await.unwrap();
    assert_eq!(texts(&read_to(reader.as_mut(), &ends).await), ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_told() {
    let Some(broker) = broker::shared() else { return };
    let topic = broker.kafka(&[]).topic("no-such-topic");
    let refused = topic.produce(vec![row("never")], None).await.unwrap_err();
    assert!(matches!(refused, StreamError::TopicMissing { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_remembered_by_the_process() {
    let Some(broker) = broker::shared() else { return };
    let (name, kafka) = (broker.topic(1).await, broker.kafka(&[]));
    let topic = kafka.topic(&name);
    let produce = |value: &'static str| {
        let topic = kafka.topic(&name);
        async move { topic.produce(vec![row(value)], Some("key")).await }
    };
    let (first, second) = tokio::join!(produce("a"), produce("a"));
    assert_eq!(first.unwrap(), second.unwrap());
    let conflict = produce("b").await.unwrap_err();
    assert!(matches!(conflict, StreamError::IdempotencyConflict { .. }), "{conflict:?}");
    // One record and its control record.
    settle(&topic, &map(&[(0, 2)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn produces_at_the_same_time_stay_whole() {
    let Some(broker) = broker::shared() else { return };
    let (name, kafka) = (broker.topic(1).await, broker.kafka(&[]));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..12 {
        let topic = kafka.topic(&name);
        writers.spawn(async move {
            let rows = (0..25).map(|n| row(format!("{writer}/{n}"))).collect();
            topic.produce(rows, None).await.unwrap()
        });
    }
    let mut ends = Vec::new();
    while let Some(next) = writers.join_next().await {
        ends.push(next.unwrap().next(PartitionId(0)));
    }
    let topic = kafka.topic(&name);
    let all = map(&[(0, 12 * 26)]);
    settle(&topic, &all).await;
    let mut reader = topic.read_from(&OffsetMap::new()).await.unwrap();
    let got = read_to(reader.as_mut(), &all).await;
    assert_eq!(got.len(), 12 * 25);
    for writer in 0..12 {
        let own = |text: &String| text.starts_with(&format!("{writer}/"));
        let expected: Vec<_> = (0..25).map(|n| format!("{writer}/{n}")).collect();
        assert_eq!(texts(&got).into_iter().filter(own).collect::<Vec<_>>(), expected);
    }
    let last: Vec<_> = ends.iter().map(|end| end.0 - 1).collect();
    let is_last =
        |offset: i64| got.iter().any(|r| r.offset.0 == offset && text(r).ends_with("/24"));
    assert!(last.into_iter().all(is_last), "each is told where its own rows end");
}
