//! What can be told without a broker; the rest is in this crate's `tests/kafka.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use springtide_protocol::{Offset, OffsetMap, PartitionId};

use super::reader::KafkaReader;
use super::{Kafka, failure, named};
use crate::stream::{
    NewRecord, Polled, Record, StreamError, StreamReader as _, StreamSource as _, TopicDescription,
    Watermarks,
};

fn settings(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[tokio::test]
async fn settings_that_would_lose_or_double_rows_are_refused() {
    let names = [
        "enable.auto.commit",
        "auto.offset.reset",
        "isolation.level",
        "enable.idempotence",
        "acks",
        "request.required.acks",
        "metadata.broker.list",
        "transactional.id",
    ];
    for name in names {
        let refused = Kafka::connect("127.0.0.1:1", &settings(&[(name, "1")]));
        let Err(StreamError::Setting { name: told, reason }) = refused else {
            panic!("{name} must be refused")
        };
        assert_eq!(told, name);
        assert!(reason.contains("because"), "{reason}");
    }
}

#[tokio::test]
async fn an_unknown_setting_is_named() {
    let refused = Kafka::connect("127.0.0.1:1", &settings(&[("fetch.min.bites", "1")]));
    let Err(StreamError::Setting { name, .. }) = refused else { panic!("it is not known") };
    assert_eq!(name, "fetch.min.bites");
    let refused = Kafka::connect("127.0.0.1:1", &settings(&[("fetch.min.bytes", "many")]));
    assert!(matches!(refused, Err(StreamError::Setting { .. })));
}

#[tokio::test]
async fn tokens_of_an_identity_provider_are_refused_at_the_start() {
    // That needs libcurl, which is not built in; other ways of OAUTHBEARER are.
    let oauth = |more: (&str, &str)| {
        let all = [("security.protocol", "sasl_ssl"), ("sasl.mechanisms", "OAUTHBEARER"), more];
        Kafka::connect("127.0.0.1:1", &settings(&all))
    };
    assert!(oauth(("sasl.oauthbearer.config", "principal=alice")).is_ok());
    let Err(StreamError::Setting { name, reason }) = oauth(("sasl.oauthbearer.method", "oidc"))
    else {
        panic!("it cannot be had")
    };
    assert_eq!(name, "sasl.oauthbearer.method");
    assert!(reason.contains("build time"), "{reason}");
}

#[tokio::test]
async fn a_broker_that_is_down_is_unreachable() {
    let down = Kafka::connect("127.0.0.1:1", &settings(&[("socket.timeout.ms", "1000")])).unwrap();
    let error = down.topic("flights").high_watermarks().await.unwrap_err();
    assert!(matches!(error, StreamError::Unreachable { .. }), "{error:?}");
    let error = down.topic("flights").describe().await.unwrap_err();
    assert!(matches!(error, StreamError::Unreachable { .. }), "{error:?}");
}

#[test]
fn a_produce_to_a_dead_broker_ends_in_time_and_says_that_nothing_was_added() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(produce_to_a_dead_broker());
    // The producers still try to get ready for the next request.
    runtime.shutdown_background();
}

async fn produce_to_a_dead_broker() {
    let wait = Duration::from_millis(300);
    let down = Kafka::connect("127.0.0.1:1", &settings(&[])).unwrap().with_produce_wait(wait);
    let topic = down.topic("flights");
    let row = || vec![NewRecord { partition: None, key: None, value: Bytes::from_static(b"{}") }];
    // More than there are producers: some wait for one, none waits longer.
    let all = (0..6).map(|_| topic.produce(row(), None));
    let all = futures::future::join_all(all);
    let all = tokio::time::timeout(Duration::from_secs(3), all).await.expect("a bounded wait");
    for told in all {
        assert!(matches!(told, Err(StreamError::Unreachable { .. })), "{told:?}");
    }
    // Nothing was added: who comes again with the same key is not told otherwise.
    for _ in 0..2 {
        let told = topic.produce(row(), Some("k")).await;
        assert!(matches!(told, Err(StreamError::Unreachable { .. })), "{told:?}");
    }
}

#[test]
fn errors_are_sorted_by_what_to_do() {
    let sorted = |code| failure::sorted("reading", "t", KafkaError::MessageConsumption(code));
    let unreachable = sorted(RDKafkaErrorCode::BrokerTransportFailure);
    assert!(unreachable.is_transient());
    assert!(std::error::Error::source(&unreachable).is_some());
    let missing = sorted(RDKafkaErrorCode::UnknownTopicOrPartition);
    assert!(matches!(missing, StreamError::TopicMissing { topic } if topic == "t"));
    let refused = sorted(RDKafkaErrorCode::TopicAuthorizationFailed);
    assert!(matches!(refused, StreamError::Refused { .. }));
    let other = sorted(RDKafkaErrorCode::BadMessage);
    assert!(matches!(other, StreamError::Internal { .. }) && !other.is_transient());
}

fn record(partition: i32, offset: i64) -> Record {
    Record {
        partition: PartitionId(partition),
        offset: Offset(offset),
        timestamp_ms: None,
        key: None,
        value: Some(Bytes::from_static(b"x")),
    }
}

fn map(entries: &[(i32, i64)]) -> OffsetMap {
    entries.iter().map(|(p, o)| (PartitionId(*p), Offset(*o))).collect()
}

#[tokio::test]
async fn positions_never_run_ahead_of_the_records_returned() {
    let (sender, batches) = tokio::sync::mpsc::channel(8);
    let mut reader = KafkaReader::over(batches, map(&[(0, 0), (1, 0)]));
    let records = vec![record(0, 3), record(1, 5), record(0, 7), record(1, 6)];
    // Offset 8 of partition 0 is a control record.
    sender.send(Ok(Polled { records, positions: map(&[(0, 9), (1, 7)]) })).await.unwrap();

    let first = reader.poll(1, Duration::ZERO).await.unwrap();
    assert_eq!(first.records, [record(0, 3)]);
    assert_eq!(first.positions, map(&[(0, 7), (1, 5)]), "up to the next record left");
    let second = reader.poll(2, Duration::ZERO).await.unwrap();
    assert_eq!(second.records, [record(1, 5), record(0, 7)]);
    assert_eq!(second.positions, map(&[(0, 9), (1, 6)]));
    let third = reader.poll(2, Duration::ZERO).await.unwrap();
    assert_eq!(third.positions, map(&[(0, 9), (1, 7)]));
    let idle = reader.poll(2, Duration::ZERO).await.unwrap();
    assert_eq!(idle, Polled { records: vec![], positions: map(&[(0, 9), (1, 7)]) });
}

#[tokio::test]
async fn records_before_an_error_are_returned_before_it() {
    let (sender, batches) = tokio::sync::mpsc::channel(8);
    let mut reader = KafkaReader::over(batches, map(&[(0, 0)]));
    let polled = Polled { records: vec![record(0, 0), record(0, 1)], positions: map(&[(0, 2)]) };
    sender.send(Ok(polled)).await.unwrap();
    sender.send(Err(StreamError::TopicMissing { topic: "t".into() })).await.unwrap();
    drop(sender);
    assert_eq!(reader.poll(1, Duration::ZERO).await.unwrap().records.len(), 1);
    assert_eq!(reader.poll(9, Duration::ZERO).await.unwrap().records.len(), 1);
    let missing = reader.poll(9, Duration::ZERO).await.unwrap_err();
    assert!(matches!(missing, StreamError::TopicMissing { .. }));
    assert!(reader.poll(9, Duration::ZERO).await.is_err(), "it has ended");
}

#[test]
fn a_topic_with_more_partitions_than_a_version_names_is_refused() {
    let described = |partitions: i32| TopicDescription {
        topic: "t".to_owned(),
        topic_id: uuid::Uuid::nil(),
        cluster: "c".to_owned(),
        watermarks: (0..partitions).map(|p| (PartitionId(p), Watermarks::default())).collect(),
    };
    assert!(named(described(64)).is_ok());
    let told = named(described(65)).unwrap_err().to_string();
    assert!(told.contains("65 partitions") && told.contains("64"), "{told}");
}
