//! A table over a topic of a real broker: what is answered through transactions,
//! gaps, new partitions, lost records and a topic that was made anew.

use std::time::Duration;

use rdkafka::producer::{BaseRecord, Producer as _};
use springtide_freshness::stream::StreamSource as _;
use springtide_freshness::{PinAt, PinError, TableState};
use springtide_protocol::{Offset, PartitionId};
use tokio::time::Instant;

use crate::PATIENCE;
use crate::broker::{self, send, send_rows};
use crate::house::{House, tail_of};

#[tokio::test(flavor = "multi_thread")]
async fn committed_rows_are_answered_and_nothing_of_what_was_aborted() {
    let Some(broker) = broker::shared() else { return };
    // One partition stays empty.
    let name = broker.topic(3).await;
    let producer = broker.producer(Some(&name));
    producer.begin_transaction().unwrap();
    send_rows(&producer, &name, 0, [1, 2, 3]);
    producer.commit_transaction(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    send_rows(&producer, &name, 0, [100, 101]);
    send_rows(&producer, &name, 1, [102]);
    producer.abort_transaction(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    send_rows(&producer, &name, 1, [4]);
    send(&producer, &name, 1, &["no row"]);
    producer.commit_transaction(PATIENCE).unwrap();

    let house = House::new(broker.address(), &name, &[]).await;
    // 3 rows, 2 aborted and their two control records; 1 aborted, 2 records and theirs.
    let ends = [(0, 7), (1, 5)];
    let pinned = house.pin_at_least(&ends).await.unwrap();
    assert_eq!(tail_of(&pinned), [1, 2, 3, 4]);
    house
        .until("live and complete", |s| s.state == TableState::Live && s.as_of_micros.is_some())
        .await;
    let (counted, audit) = house.audit().await;
    assert!(audit.ok, "{:#?}", audit.checks);
    counted.again.unwrap();
    let of = |partition| &counted.partitions[&PartitionId(partition)];
    assert_eq!((of(0).tail_rows, of(0).gaps, of(0).tail_dead_letters), (3, 4, 0));
    assert_eq!((of(1).tail_rows, of(1).gaps, of(1).tail_dead_letters), (1, 3, 1));
    assert!(counted.partitions.get(&PartitionId(2)).is_none_or(|p| p.end == Offset(0)));

    // The same from the lake, and after a restart.
    house.freshness.commit(&crate::house::table()).await.unwrap();
    house.until("in the lake", |s| s.snapshot_rows == 4).await;
    assert_eq!(house.rows().await, 4);
    let folder = house.close().await;
    let house = House::over(folder, broker.address(), &name, &[]).await;
    house.until("live again", |s| s.state == TableState::Live).await;
    assert_eq!(house.rows().await, 4);
    send_rows(&broker.producer(None), &name, 2, [5]);
    let pinned = house.pin_at_least(&[(0, 7), (1, 5), (2, 1)]).await.unwrap();
    assert_eq!(tail_of(&pinned), [5]);
    assert_eq!(house.rows().await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_transaction_is_a_lag() {
    let Some(broker) = broker::shared() else { return };
    let name = broker.topic(1).await;
    let (hung, plain) = (broker.producer(Some(&name)), broker.producer(None));
    send_rows(&plain, &name, 0, [1]);
    let house = House::new(broker.address(), &name, &[]).await;
    house.until("complete", |s| s.as_of_micros.is_some()).await;
    hung.begin_transaction().unwrap();
    send_rows(&hung, &name, 0, [2]);
    send_rows(&plain, &name, 0, [3]);
    let acknowledged = house.now_micros();

    // What was acknowledged is not answered: no round since then may call itself complete.
    let until = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < until {
        let status = house.status();
        assert!(status.as_of_micros.unwrap() <= acknowledged, "{status:?}");
        assert_eq!(house.tail().await, [1]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    hung.commit_transaction(PATIENCE).unwrap();
    house.until("complete again", |s| s.as_of_micros.is_some_and(|at| at > acknowledged)).await;
    assert_eq!(house.tail().await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_new_partition_are_answered_while_running() {
    let Some(broker) = broker::shared() else { return };
    let name = broker.topic(1).await;
    let producer = broker.producer(None);
    send_rows(&producer, &name, 0, [1, 2]);
    let house = House::new(broker.address(), &name, &[]).await;
    house.pin_at_least(&[(0, 2)]).await.unwrap();
    broker.grow(&name, 3).await;
    // A producer of its own: it knows the new partitions.
    let producer = broker.producer(None);
    send_rows(&producer, &name, 2, [3, 4]);
    send_rows(&producer, &name, 0, [5]);
    let pinned = house.pin_at_least(&[(0, 3), (2, 2)]).await.unwrap();
    assert_eq!(tail_of(&pinned), [1, 2, 3, 4, 5]);
    assert_eq!(house.rows().await, 5);
    house.until("complete", |s| s.state == TableState::Live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_halts_the_table_and_is_never_read() {
    let Some(broker) = broker::shared() else { return };
    let name = broker.topic(1).await;
    send_rows(&broker.producer(None), &name, 0, [1, 2, 3]);
    let house = House::new(broker.address(), &name, &[]).await;
    house.pin_at_least(&[(0, 3)]).await.unwrap();
    house.freshness.commit(&crate::house::table()).await.unwrap();
    send_rows(&broker.producer(None), &name, 0, [4]);
    let version = house.pin_at_least(&[(0, 4)]).await.unwrap().version;

    broker.delete(&name).await;
    anew(broker, &name).await;
    // More than there was before: the offset that is next is there again.
    send_rows(&broker.producer(None), &name, 0, 1_000..1_100);
    let deadline = Instant::now() + PATIENCE;
    while house.status().state != TableState::Halted {
        assert_eq!(house.tail().await, [4], "rows of another topic");
        assert!(Instant::now() < deadline, "{:?}", house.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = house.status();
    assert_eq!(status.causes, ["topic-recreated"], "{status:?}");
    assert!(status.reason.unwrap().contains("made anew"));
    // What was read is still right, and stays.
    assert_eq!(house.pin(PinAt::Latest).await.unwrap().version, version);
    assert_eq!(house.rows_but_stream().await, 4);

    // Nor is it read after a restart: the lake remembers.
    let folder = house.close().await;
    let house = House::over(folder, broker.address(), &name, &[]).await;
    house.until("halted", |s| s.state == TableState::Halted).await;
    assert_eq!(house.status().causes, ["topic-recreated"]);
    assert!(house.tail().await.is_empty());
    assert_eq!(house.status().snapshot_rows, 3);
}

/// Makes a topic again as soon as its name is free.
async fn anew(broker: &broker::Broker, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    let kafka = broker.kafka(&[]);
    while !kafka.create_topic(name, 1).await.unwrap_or(false) {
        assert!(Instant::now() < deadline, "the name is never free");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_that_passes_the_boundary_is_a_gap_and_said_so() {
    let Some(broker) = broker::shared() else { return };
    let name = broker.topic_with(&[("retention.ms", "1000"), ("segment.bytes", "1048576")]).await;
    send_rows(&broker.producer(None), &name, 0, [1, 2]);
    let house = House::new(broker.address(), &name, &[]).await;
    house.pin_at_least(&[(0, 2)]).await.unwrap();
    house.freshness.commit(&crate::house::table()).await.unwrap();
    let folder = house.close().await;

    // While nobody reads, records come and go.
    send_rows(&broker.producer(None), &name, 0, [3, 4, 5]);
    let topic = broker.kafka(&[]).topic(&name);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let marks = topic.describe().await.unwrap().watermarks[&PartitionId(0)];
        if marks.low > Offset(2) {
            break;
        }
        assert!(Instant::now() < deadline, "retention never passes: {marks:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let house = House::over(folder, broker.address(), &name, &[]).await;
    house.until("a gap", |s| s.state == TableState::Gap && s.is_snapshot_only).await;
    let status = house.status();
    assert_eq!(status.causes, ["records-lost"]);
    assert!(status.reason.unwrap().contains("retention"));
    assert_eq!(status.snapshot_rows, 2);
    let refused = house.pin_at_least(&[(0, 5)]).await.unwrap_err();
    assert!(matches!(refused, PinError::Unavailable { state: TableState::Gap, .. }), "{refused:?}");
    let (_, audit) = house.audit().await;
    assert!(audit.not_compared.iter().any(|left| left.name == "stream"), "{audit:?}");
    assert!(audit.ok, "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_is_read_through_its_gaps() {
    let Some(broker) = broker::shared() else { return };
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("min.compaction.lag.ms", "0"),
        ("max.compaction.lag.ms", "100"),
    ];
    let name = broker.topic_with(&[("cleanup.policy", "compact")]).await;
    let producer = broker.producer(None);
    let keyed = |n: i64| {
        let (key, value) = (format!("k{}", n % 3), format!(r#"{{"n":{n}}}"#));
        let record = BaseRecord::<str, str>::to(&name).partition(0).key(&key).payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    };
    (0..30).for_each(keyed);
    let before = House::new(broker.address(), &name, &[]).await;
    before.pin_at_least(&[(0, 30)]).await.unwrap();
    assert_eq!(before.rows().await, 30);

    broker.alter(&name, &settings).await;
    // A record now and then rolls segments, so that there is something to compact.
    let topic = broker.kafka(&[]).topic(&name);
    let deadline = Instant::now() + 2 * PATIENCE;
    let mut next = 30;
    loop {
        keyed(next);
        next += 1;
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut reader = topic.read_from(&crate::map(&[])).await.unwrap();
        let left = crate::read_to(reader.as_mut(), &crate::map(&[(0, next)])).await;
        if left.first().unwrap().offset > Offset(20) {
            break;
        }
        assert!(Instant::now() < deadline, "it is never compacted");
    }
    // Whoever read it before has more than the stream, which is no fault.
    before.pin_at_least(&[(0, next)]).await.unwrap();
    assert_eq!(before.rows().await, next.unsigned_abs());
    // Who comes later reads what is left, and the positions that have no record.
    let after = House::new(broker.address(), &name, &[]).await;
    let pinned = after.pin_at_least(&[(0, next)]).await.unwrap();
    let numbers = tail_of(&pinned);
    assert!(numbers.len() < 25 && numbers.contains(&(next - 1)), "{numbers:?}");
    assert_eq!(after.rows().await, numbers.len() as u64);
    let (counted, _) = after.audit().await;
    let count = &counted.partitions[&PartitionId(0)];
    assert!(counted.is_compacted && count.gaps > 5, "{count:?}");
    after.until("complete", |s| s.as_of_micros.is_some()).await;
}
