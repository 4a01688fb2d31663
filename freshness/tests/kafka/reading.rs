//! Reading from a real broker.

use std::time::Duration;

use rdkafka::producer::Producer as _;
use springtide_freshness::stream::{NewRecord, StreamError, StreamSource as _};
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use tokio::time::Instant;

use crate::broker::{self, send};
use crate::{PATIENCE, map, read_to, row, settle, text, texts};

#[tokio::test(flavor = "multi_thread")]
async fn records_come_from_the_offsets_asked_for() {
    let Some(broker) = broker::shared() else { return };
    let (topic, kafka) = (broker.topic(2).await, broker.kafka(&[]));
    let topic = kafka.topic(&topic);
    let empty = topic.describe().await.unwrap();
    assert_eq!(empty.watermarks.len(), 2);
    assert!(!empty.topic_id.is_nil() && !empty.cluster.is_empty());

    let to = |partition, n: i32| NewRecord {
        partition: Some(PartitionId(partition)),
        key: Some(format!("k{n}").into()),
        value: n.to_string().into(),
    };
    let records: Vec<_> = (0..10).map(|n| to(n % 2, n)).collect();
    let next = topic.produce(records, None).await.unwrap();
    assert_eq!(next, map(&[(0, 5), (1, 5)]));
    // Each partition ends with a control record.
    let ends = map(&[(0, 6), (1, 6)]);
    settle(&topic, &ends).await;

    let mut reader = topic.read_from(&map(&[(0, 3)])).await.unwrap();
    let mut got = read_to(reader.as_mut(), &ends).await;
    got.sort_by_key(|record| (record.partition, record.offset));
    assert_eq!(texts(&got), ["6", "8", "1", "3", "5", "7", "9"]);
    assert_eq!(got[0].offset, Offset(3));
    assert_eq!(got[0].key.as_deref(), Some(&b"k6"[..]));
    assert!(got[0].timestamp_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_transactions_are_passed_without_a_record() {
    let Some(broker) = broker::shared() else { return };
    let name = broker.topic(1).await;
    let producer = broker.producer(Some(&name));
    let transaction = |values: &[&str], commits: bool| {
        producer.begin_transaction().unwrap();
        send(&producer, &name, 0, values);
        match commits {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => producer.abort_transaction(PATIENCE).unwrap(),
        }
    };
    transaction(&["a", "b", "c"], true);
    transaction(&["x", "y"], false);
    transaction(&["d"], true);
    transaction(&["z"], false);

    let topic = broker.kafka(&[]).topic(&name);
    // Seven records and four control records.
    let ends = map(&[(0, 11)]);
    settle(&topic, &ends).await;
    let mut reader = topic.read_from(&OffsetMap::new()).await.unwrap();
    let got = read_to(reader.as_mut(), &ends).await;
    assert_eq!(texts(&got), ["a", "b", "c", "d"]);
    assert_eq!(got.iter().map(|r| r.offset.0).collect::<Vec<_>>(), [0, 1, 2, 7]);

    // Only an aborted transaction lies ahead of this one: its position moves all the same.
    let mut reader = topic.read_from(&map(&[(0, 9)])).await.unwrap();
    assert!(read_to(reader.as_mut(), &ends).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_transaction_holds_readers_and_not_the_high_watermark() {
    let Some(broker) = broker::shared() else { return };
    let name = broker.topic(1).await;
    let (hung, plain) = (broker.producer(Some(&name)), broker.producer(None));
    send(&plain, &name, 0, &["a"]);
    hung.begin_transaction().unwrap();
    send(&hung, &name, 0, &["x"]);
    send(&plain, &name, 0, &["b", "c"]);

    let topic = broker.kafka(&[]).topic(&name);
    let high = topic.high_watermarks().await.unwrap();
    assert_eq!(high, map(&[(0, 4)]), "what is behind it is there, and cannot be read yet");
    let stable = map(&[(0, 1)]);
    let mut reader = topic.read_from(&OffsetMap::new()).await.unwrap();
    assert_eq!(texts(&read_to(reader.as_mut(), &stable).await), ["a"]);
    let held = reader.poll(10, Duration::from_millis(300)).await.unwrap();
    assert!(held.records.is_empty());
    assert_eq!(held.positions, stable);

    hung.commit_transaction(PATIENCE).unwrap();
    let ends = map(&[(0, 5)]);
    settle(&topic, &ends).await;
    assert_eq!(texts(&read_to(reader.as_mut(), &ends).await), ["x", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_records_are_an_error_never_a_jump() {
    let Some(broker) = broker::shared() else { return };
    let name = broker.topic(1).await;
    // Little is fetched ahead, so that the running reader stands far from the end.
    let topic = broker.kafka(&[("queued.max.messages.kbytes", "64")]).topic(&name);
    let value = "x".repeat(10_000);
    for _ in 0..4 {
        topic.produce(vec![row(&value); 1_500], None).await.unwrap();
    }
    settle(&topic, &map(&[(0, 6_004)])).await;
    let mut running = topic.read_from(&OffsetMap::new()).await.unwrap();
    let first = running.poll(1, PATIENCE).await.unwrap();
    assert_eq!(first.records.len(), 1);
    broker.delete_records(&name, 6_000).await;

    let deadline = Instant::now() + PATIENCE;
    let mut next = first.positions.next(PartitionId(0));
    let error = loop {
        assert!(Instant::now() < deadline, "the loss was not told");
        match running.poll(500, Duration::from_millis(100)).await {
            Ok(polled) => {
                for record in polled.records {
                    assert!(record.offset.0 - next.0 <= 1, "jumped from {next} to {record:?}");
                    next = record.offset.next();
                }
            }
            Err(error) => break error,
        }
    };
    let lost = |error: &StreamError| {
        matches!(error, StreamError::OffsetOutOfRange { low: Offset(6_000), .. })
    };
    assert!(lost(&error), "{error:?}");
    assert!(running.poll(1, Duration::ZERO).await.is_err(), "it has ended");

    let Err(error) = topic.read_from(&map(&[(0, 5_999)])).await else { panic!("it is gone") };
    assert!(lost(&error), "{error:?}");
    topic.read_from(&map(&[(0, 6_000)])).await.unwrap();
    let Err(beyond) = topic.read_from(&map(&[(0, 1_000_000)])).await else { panic!("no such end") };
    assert!(matches!(beyond, StreamError::OffsetOutOfRange { asked: Offset(1_000_000), .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_has_another_id() {
    let Some(broker) = broker::shared() else { return };
    let (name, kafka) = (broker.topic(1).await, broker.kafka(&[]));
    let topic = kafka.topic(&name);
    let first = topic.describe().await.unwrap();
    assert_eq!(topic.describe().await.unwrap(), first);
    broker.delete(&name).await;
    let deadline = Instant::now() + PATIENCE;
    while !matches!(topic.describe().await, Err(StreamError::TopicMissing { .. })) {
        assert!(Instant::now() < deadline, "the topic is gone");
    }
    broker.create(&name, 1).await;
    let deadline = Instant::now() + PATIENCE;
    let second = loop {
        match topic.describe().await {
            Ok(described) => break described,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
    };
    assert_ne!(second.topic_id, first.topic_id);
    assert_eq!(second.cluster, first.cluster);
}

/// A reader by name alone goes beside it: where librdkafka has not noticed, it would go on
/// at its offset in the new topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_one_topic_never_returns_a_record_of_another_of_its_name() {
    let Some(broker) = broker::shared() else { return };
    let (name, kafka) = (broker.topic(1).await, broker.kafka(&[]));
    let topic = kafka.topic(&name);
    send(&broker.producer(None), &name, 0, &["a", "b", "c"]);
    let first = topic.describe().await.unwrap().topic_id;
    let mut by_name = topic.read_from(&OffsetMap::new()).await.unwrap();
    let mut by_id = topic.read_topic(first, &OffsetMap::new()).await.unwrap();
    for reader in [&mut by_name, &mut by_id] {
        read_to(reader.as_mut(), &map(&[(0, 3)])).await;
    }
    broker.delete(&name).await;
    let deadline = Instant::now() + PATIENCE;
    while !kafka.create_topic(&name, 1).await.unwrap_or(false) {
        assert!(Instant::now() < deadline, "the name is never free");
    }
    send(&broker.producer(None), &name, 0, &["x"; 100]);

    let wait = Duration::from_millis(50);
    let (mut error, mut others) = (None, 0);
    while error.is_none() || others == 0 {
        if error.is_none() {
            match by_id.poll(1_000, wait).await {
                Ok(polled) => assert!(polled.records.is_empty(), "{:?}", polled.records),
                Err(told) => error = Some(told),
            }
        }
        match by_name.poll(1_000, wait).await {
            Ok(polled) => others += polled.records.len(),
            Err(_ended) => break,
        }
        assert!(Instant::now() < deadline, "{error:?}");
    }
    println!("a reader by name returned {others} records of another topic; by id: {error:?}");
    let found = topic.describe().await.unwrap().topic_id;
    assert_ne!(found, first);
    match topic.read_topic(first, &map(&[(0, 3)])).await {
        Err(StreamError::TopicRecreated { expected, .. }) => assert_eq!(expected, first),
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_where_it_is_missing() {
    let Some(broker) = broker::shared() else { return };
    let kafka = broker.kafka(&[]);
    let name = format!("made-{}", uuid::Uuid::new_v4());
    let missing = kafka.topic(&name).describe().await.unwrap_err();
    assert!(matches!(missing, StreamError::TopicMissing { .. }), "{missing:?}");
    let missing = kafka.topic(&name).high_watermarks().await.unwrap_err();
    assert!(matches!(missing, StreamError::TopicMissing { .. }), "{missing:?}");
    assert!(kafka.create_topic(&name, 3).await.unwrap());
    assert!(!kafka.create_topic(&name, 1).await.unwrap());
    assert_eq!(kafka.topic(&name).describe().await.unwrap().watermarks.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_partitions_are_seen() {
    let Some(broker) = broker::shared() else { return };
    let (name, kafka) = (broker.topic(1).await, broker.kafka(&[]));
    let topic = kafka.topic(&name);
    topic.produce(vec![row("a")], None).await.unwrap();
    assert_eq!(topic.high_watermarks().await.unwrap().len(), 1);
    broker.grow(&name, 3).await;
    let deadline = Instant::now() + PATIENCE;
    while topic.high_watermarks().await.unwrap().len() < 3 {
        assert!(Instant::now() < deadline, "new partitions are never seen");
    }
    assert_eq!(topic.describe().await.unwrap().watermarks.len(), 3);
    send(&broker.producer(None), &name, 2, &["b"]);
    let ends = map(&[(0, 2), (1, 0), (2, 1)]);
    settle(&topic, &ends).await;
    let mut reader = topic.read_from(&map(&[(0, 2)])).await.unwrap();
    assert_eq!(texts(&read_to(reader.as_mut(), &ends).await), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_outlives_its_broker_and_loses_nothing() {
    let Some(broker) = broker::own() else { return };
    let name = broker.topic(1).await;
    let topic = broker.kafka(&[]).topic(&name);
    let batch = |from: i32| (from..from + 500).map(|n| row(n.to_string())).collect::<Vec<_>>();
    topic.produce(batch(0), None).await.unwrap();
    let mut reader = topic.read_from(&OffsetMap::new()).await.unwrap();
    let mut got = reader.poll(200, PATIENCE).await.unwrap().records;

    broker.pause();
    let down = topic.high_watermarks().await.unwrap_err();
    assert!(matches!(down, StreamError::Unreachable { .. }), "{down:?}");
    let refused = topic.produce(vec![row("never")], None).await.unwrap_err();
    assert!(matches!(refused, StreamError::Unreachable { .. }), "{refused:?}");
    let quiet = reader.poll(100, Duration::from_millis(200)).await.unwrap();
    got.extend(quiet.records);

    broker.resume();
    let deadline = Instant::now() + 2 * PATIENCE;
    let ends = loop {
        match topic.produce(batch(500), None).await {
            Ok(next) => break next,
            // What may be there already must be told as such; after this nothing is.
            Err(error) => assert!(matches!(error, StreamError::Unreachable { .. }), "{error:?}"),
        }
        assert!(Instant::now() < deadline, "the broker is back");
    };
    got.extend(read_to(reader.as_mut(), &ends).await);
    let numbers: Vec<i32> = got.iter().map(|r| text(r).parse().unwrap()).collect();
    assert_eq!(numbers, (0..1_000).collect::<Vec<_>>(), "each once, in order");
}

/// Prints records per second and the time from produce to poll; to see it alone:
/// `cargo test -p springtide-freshness --test kafka throughput -- --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn throughput_and_latency() {
    let Some(broker) = broker::shared() else { return };
    let name = broker.topic(1).await;
    let topic = broker.kafka(&[]).topic(&name);
    let value = "x".repeat(120);
    let begin = Instant::now();
    for _ in 0..50 {
        topic.produce(vec![row(&value); 10_000], None).await.unwrap();
    }
    let wrote = 500_000.0 / begin.elapsed().as_secs_f64();
    let ends = map(&[(0, 500_050)]);
    settle(&topic, &ends).await;
    let topic_id = topic.describe().await.unwrap().topic_id;
    let begin = Instant::now();
    let mut reader = topic.read_topic(topic_id, &OffsetMap::new()).await.unwrap();
    let mut seen = 0;
    let mut positions = OffsetMap::new();
    while !positions.covers(&ends) {
        let polled = reader.poll(20_000, PATIENCE).await.unwrap();
        seen += polled.records.len();
        positions = polled.positions;
    }
    assert_eq!(seen, 500_000);
    let read = 500_000.0 / begin.elapsed().as_secs_f64();
    let mut waits = Vec::new();
    for n in 0..100 {
        let begin = Instant::now();
        topic.produce(vec![row(n.to_string())], None).await.unwrap();
        let produced = begin.elapsed();
        while reader.poll(10, PATIENCE).await.unwrap().records.is_empty() {}
        waits.push((begin.elapsed() - produced, produced));
    }
    waits.sort();
    println!(
        "wrote {wrote:.0}/s, read {read:.0}/s, produced to polled and produce: {:?} median, {:?} at 99 %",
        waits[50], waits[98]
    );
}
