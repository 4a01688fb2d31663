//! Single decisions of the core; whole lives are the simulation's.

use std::collections::BTreeMap;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::*;
use crate::lake::LakeBoundary;
use crate::stream::Watermarks;
use crate::table::NotExact;

const PARTITIONS: i32 = 2;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]))
}

fn batch(partition: i32, offsets: &[i64]) -> TailBatch {
    let ids = Int64Array::from(offsets.to_vec());
    TailBatch {
        partition: PartitionId(partition),
        offsets: ids.clone(),
        rows: RecordBatch::try_new(schema(), vec![Arc::new(ids)]).unwrap(),
    }
}

fn snapshot(id: i64, next: OffsetMap) -> Arc<LakeSnapshot> {
    let committed = !next.is_empty();
    Arc::new(LakeSnapshot {
        snapshot_id: Some(id),
        table_uuid: Uuid::from_u128(1),
        schema_id: 0,
        schema: schema(),
        boundary: LakeBoundary::Known(next),
        topic_id: committed.then(|| Uuid::from_u128(7)),
        foreign_sequence: 0,
        sequence: id,
        decode_epoch: 1,
        files: Arc::new([]),
        chunks: Arc::new(BTreeMap::new()),
    })
}

fn core_settings() -> CoreSettings {
    CoreSettings {
        table: "t".parse().unwrap(),
        streamed: true,
        tag_partition: None,
        commit: CommitSettings { rows: 10, ..CommitSettings::default() },
        tail: TailSettings { segment_rows: 4, ..TailSettings::default() },
        pin_window: Duration::from_secs(60),
    }
}

fn topic(id: u128, high: i64) -> TopicDescription {
    let marks = Watermarks { low: Offset(0), high: Offset(high) };
    let watermarks = (0..PARTITIONS).map(|p| (PartitionId(p), marks)).collect();
    let (topic, cluster) = ("t".to_owned(), "c".to_owned());
    TopicDescription { topic, topic_id: Uuid::from_u128(id), cluster, watermarks }
}

/// A table that has read some rows and committed none of them.
fn with_rows() -> Core {
    let empty = snapshot(0, OffsetMap::new());
    let mut core = Core::new(core_settings(), empty, None, 0);
    core.describe(topic(7, 0));
    let positions = (0..PARTITIONS).map(|p| (PartitionId(p), Offset(3))).collect();
    core.arrive(Arrival { batches: vec![batch(0, &[0, 1, 2])], positions }, 1);
    core.publish();
    core
}

#[test]
fn a_halted_table_commits_nothing() {
    assert!(with_rows().plan_commit(true, 2).is_some(), "it would have");
    let mut core = with_rows();
    core.out_of_range(PartitionId(0), Offset(0), Offset(1));
    assert!(matches!(core.phase(), Phase::Halted(_)));
    assert!(core.plan_commit(true, 2).is_none());
}

#[test]
fn a_refused_topic_lends_its_identity_to_nothing() {
    let mut core = with_rows();
    let before = core.published().unwrap().relation.version.clone();
    core.describe(topic(8, 0));
    assert!(matches!(core.phase(), Phase::Halted(_)));
    core.publish();
    assert_eq!(core.topic().map(|t| t.topic_id), before.topic_id);
    assert_eq!(core.published().unwrap().relation.version, before);
}

#[test]
fn after_a_restart_the_stream_is_read_from_where_versions_of_before_begin() {
    let at = |next: i64| -> OffsetMap { [(PartitionId(0), Offset(next))].into_iter().collect() };
    let (old, new) = (snapshot(1, at(1100)), snapshot(2, at(5000)));
    let from = |former| {
        let mut core = Core::new(core_settings(), new.clone(), former, 0);
        match core.describe(topic(7, 6000)) {
            Directive::Read(from) => from.next(PartitionId(0)).0,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(from(None), 4096);
    assert_eq!(from(Some(old)), 1024);
    let far = snapshot(1, at(5000 - REREAD_OFFSETS - 1));
    assert_eq!(from(Some(far)), 4096, "too far back to be read again");
}

#[test]
fn rows_decoded_anew_do_not_answer_for_a_version_of_the_former_decoding() {
    let mut core = with_rows();
    let before = core.published().unwrap().relation.version.clone();
    assert!(core.exact(&before).is_ok());
    let mut raised = LakeSnapshot::clone(core.snapshot());
    raised.decode_epoch += 1;
    core.install(Arc::new(raised), 2, 2);
    let positions = (0..PARTITIONS).map(|p| (PartitionId(p), Offset(3))).collect();
    core.arrive(Arrival { batches: vec![batch(0, &[0, 1, 2])], positions }, 3);
    core.publish();
    assert_eq!(core.exact(&before).unwrap_err(), NotExact::Gone);
}

#[test]
fn what_was_read_before_the_end_fell_is_not_claimed_after_it() {
    let mut core = with_rows();
    let high: OffsetMap = [(PartitionId(0), Offset(3))].into_iter().collect();
    core.begin_round(5, high);
    core.publish();
    assert_eq!(core.published().unwrap().as_of_micros, Some(5));
    let mut unknown = LakeSnapshot::clone(core.snapshot());
    unknown.boundary = LakeBoundary::Unknown { reason: "another writer".to_owned() };
    unknown.snapshot_id = Some(1);
    core.install(Arc::new(unknown), 6, 6);
    core.publish();
    assert_eq!(core.published().unwrap().as_of_micros, None);
    // Its boundary is known again, and another reader has yet to read what was read before.
    core.install(snapshot(2, OffsetMap::new()), 7, 7);
    core.boundary.reread();
    core.tail = Tail::new(core.boundary.start().clone(), 9);
    core.publish();
    let published = core.published().unwrap();
    assert!(published.relation.version.offsets.is_empty());
    assert_eq!(published.as_of_micros, None);
}

#[test]
fn a_commit_that_is_told_after_a_later_look_at_the_lake_takes_nothing_back() {
    let at = |next: i64| -> OffsetMap { [(PartitionId(0), Offset(next))].into_iter().collect() };
    let mut core = with_rows();
    core.plan_commit(true, 2).unwrap();
    let made = snapshot(1, at(3));
    let mut foreign = LakeSnapshot::clone(&snapshot(2, at(3)));
    foreign.foreign_sequence = 2;
    core.install(Arc::new(foreign), 3, 3);
    core.publish();
    let before = core.published().unwrap().relation.version.clone();
    core.committed(Some(made), 4, 4);
    core.publish();
    assert_eq!(core.snapshot().sequence, 2);
    assert_eq!(core.published().unwrap().relation.version, before);
    assert!(core.exact(&before).is_ok());
}
