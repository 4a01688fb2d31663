//! Single decisions of the core; whole lives are the simulation's.

use std::collections::BTreeMap;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::*;
use crate::lake::LakeBoundary;
use crate::statistics::column_statistics;
use crate::stream::Watermarks;
use crate::table::NotExact;
use springtide_relation::{ChunkId, Coverage};

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
        decode_epoch: None,
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
fn rows_that_are_decoded_otherwise_elsewhere_are_left_to_others() {
    let own = || CoreSettings { decode_epoch: Some(1), ..core_settings() };
    let empty = snapshot(0, OffsetMap::new());
    let mut core = Core::new(own(), empty.clone(), None, 0);
    core.describe(topic(7, 0));
    let positions = (0..PARTITIONS).map(|p| (PartitionId(p), Offset(3))).collect();
    core.arrive(Arrival { batches: vec![batch(0, &[0, 1, 2])], positions }, 1);
    core.publish();
    // Another process raises the epoch: nothing that was decoded here is told under it.
    let raised = Arc::new(LakeSnapshot { decode_epoch: 2, ..(*empty).clone() });
    assert_eq!(core.install(raised.clone(), 2, 2), Directive::Stop);
    assert!(matches!(core.phase(), Phase::Halted(_)));
    assert!(core.plan_commit(true, 3).is_none());
    core.publish();
    let relation = core.published().unwrap().relation.clone();
    assert_eq!((relation.coverage, relation.segments.len()), (Coverage::SnapshotOnly, 0));
    assert_eq!(relation.version.decode_epoch, 2);
    assert!(relation.version.offsets.is_empty());
    // Nor is it read by one that begins with it.
    let mut late = Core::new(own(), raised, None, 0);
    assert_eq!(late.describe(topic(7, 0)), Directive::None);
    assert!(matches!(late.phase(), Phase::Halted(_)));
}

#[test]
fn a_commit_that_failed_is_not_tried_again_at_once() {
    let mut core = with_rows();
    core.settings.commit.rows = 1;
    assert!(core.plan_commit(false, 10).is_some(), "it is full");
    core.committed(None, 10, 10);
    assert!(core.plan_commit(false, 11).is_none());
    assert!(core.plan_commit(true, 11).is_some(), "but where it is asked for");
    core.committed(None, 11, 11);
    let second = 1_000_000;
    assert!(core.plan_commit(false, 11 + second).is_none(), "the pause grows");
    assert!(core.plan_commit(false, 11 + 2 * second).is_some());
}

#[test]
fn versions_that_a_compacted_stream_cannot_give_back_are_gone() {
    let with = |made: Arc<LakeSnapshot>, offsets: &[i64]| -> Arc<LakeSnapshot> {
        let id = ChunkId { partition: PartitionId(0), index: 0 };
        let columns = column_statistics(&batch(0, offsets).rows).into();
        let chunks = Arc::new([(id, columns)].into_iter().collect());
        Arc::new(LakeSnapshot { chunks, ..(*made).clone() })
    };
    let at = |next: i64| -> OffsetMap { [(PartitionId(0), Offset(next))].into_iter().collect() };
    let former = with(snapshot(1, at(2)), &[0, 1]);
    let current = with(snapshot(2, at(6)), &[0, 1, 2, 3, 4, 5]);
    let asked = |left: &[i64]| {
        let mut core = Core::new(core_settings(), current.clone(), Some(former.clone()), 0);
        core.describe(topic(7, 6));
        core.publish();
        let version = core.version_at(&former, at(4));
        assert!(matches!(core.exact(&version), Err(NotExact::NotYet)), "it is being read");
        let positions = (0..PARTITIONS).map(|p| (PartitionId(p), Offset(6))).collect();
        core.arrive(Arrival { batches: vec![batch(0, left)], positions }, 1);
        core.publish();
        core.exact(&version).map(|exact| exact.relation.version)
    };
    assert!(asked(&[0, 1, 2, 3, 4, 5]).is_ok());
    assert_eq!(asked(&[0, 1, 2, 4, 5]).unwrap_err(), NotExact::Gone, "3 was compacted away");
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
