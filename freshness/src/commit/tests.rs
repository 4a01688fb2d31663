//! Exactly once, whatever the catalog says: races, lost answers, false success.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use parking_lot::Mutex;
use springtide_protocol::{Offset, PartitionId};
use uuid::Uuid;

use super::*;
use crate::lake::testing::faulty::{Fault, Faulty, Script};
use crate::lake::testing::{Place, ids, map, range, request, row, rows};
use crate::lake::{LakeBoundary, LakeTable};

type Shared = Arc<Mutex<Script>>;

/// The table behind a catalog that fails as the script says.
async fn faulty(place: &Place, faults: &[Fault], failing_loads: u32) -> (LakeTable, Shared) {
    let script = Arc::new(Mutex::new(Script::default()));
    let given = script.clone();
    let table = place.table().await;
    let table = table.wrapped(move |catalog| Arc::new(Faulty::new(catalog, given))).await;
    {
        let mut script = script.lock();
        script.commits = faults.iter().copied().collect();
        script.failing_loads = failing_loads;
    }
    (table, script)
}

async fn assert_holds(place: &Place, next: i64) {
    let snapshot = place.table().await.refresh().await.unwrap();
    assert_eq!(ids(&snapshot), (0..next).collect::<Vec<_>>());
    assert_eq!(snapshot.boundary, LakeBoundary::Known(map(next)));
    assert_eq!(place.stored_files(), snapshot.files.len(), "no file is left behind");
}

#[tokio::test]
async fn of_two_committers_of_one_range_one_wins() {
    let place = Place::new();
    let (a, b) = (place.table().await, place.table().await);
    let schema = a.refresh().await.unwrap().schema.clone();
    for round in 0..4 {
        let (from, next) = (round * 10, round * 10 + 10);
        let commit = || request(from, next, vec![range(&schema, from, next)]);
        let (first, second) = tokio::join!(a.commit(commit()), b.commit(commit()));
        let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
        assert_eq!(won.unwrap().boundary, LakeBoundary::Known(map(next)));
        match lost {
            Err(CommitError::Fenced { current }) => assert_eq!(current, map(next)),
            other => panic!("the second must be fenced: {other:?}"),
        }
        assert_holds(&place, next).await;
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_and_not_repeated() {
    let place = Place::new();
    let (table, script) = faulty(&place, &[Fault::CommitsAndFails], 0).await;
    let schema = table.refresh().await.unwrap().schema.clone();
    table.commit(request(0, 10, vec![range(&schema, 0, 10)])).await.unwrap();
    assert_eq!(script.lock().asked, 1);
    assert_holds(&place, 10).await;
}

#[tokio::test]
async fn a_commit_that_failed_is_tried_again() {
    let place = Place::new();
    let faults = [Fault::Fails, Fault::Pretends, Fault::Fails, Fault::CommitsAndFails];
    let (table, script) = faulty(&place, &faults, 0).await;
    let schema = table.refresh().await.unwrap().schema.clone();
    table.commit(request(0, 10, vec![range(&schema, 0, 10)])).await.unwrap();
    assert_eq!(script.lock().asked, 4);
    assert_holds(&place, 10).await;
}

#[tokio::test]
async fn a_commit_that_keeps_failing_can_be_tried_again_and_may_still_come_about() {
    let place = Place::new();
    let (table, _) = faulty(&place, &[Fault::Fails; 20], 0).await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let error = table.commit(request(0, 10, vec![range(&schema, 0, 10)])).await.unwrap_err();
    assert!(matches!(error, CommitError::Lake(_)) && error.is_transient(), "{error:?}");
    assert_ne!(place.stored_files(), 0, "the files of an attempt that is on its way");
}

#[tokio::test]
async fn a_commit_that_the_library_tried_again_by_itself_keeps_its_files() {
    let place = Place::new();
    let (table, script) = faulty(&place, &[Fault::CommitsAndAsksAgain], 20).await;
    // The library's own second look still gets through, and sees that the table moved.
    script.lock().passing_loads = 1;
    let schema = place.table().await.refresh().await.unwrap().schema.clone();
    let request = request(0, 10, vec![range(&schema, 0, 10)]);
    let error = table.commit(request).await.unwrap_err();
    assert!(matches!(error, CommitError::OutcomeUnknown { .. }), "{error:?}");
    assert_holds(&place, 10).await;
}

#[tokio::test]
async fn rows_of_a_former_schema_or_decoding_are_not_committed() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let mut former = request(0, 10, vec![range(&schema, 0, 10)]);
    former.schema_id = 1;
    let error = table.commit(former).await.unwrap_err();
    assert!(matches!(error, CommitError::DecodedBefore { .. }), "{error:?}");
    let before = request(0, 10, vec![range(&schema, 0, 10)]);
    place.table().await.ensure_decode_epoch("another").await.unwrap();
    let error = table.commit(before).await.unwrap_err();
    assert!(matches!(error, CommitError::DecodedBefore { .. }), "{error:?}");
    assert_eq!(place.stored_files(), 0);
}

#[tokio::test]
async fn a_decoding_that_changes_behind_the_decision_is_fenced() {
    use iceberg::Catalog as _;
    let place = Place::new();
    let table = place.table().await;
    let base = table.base().await.unwrap();
    let (fence, flags) = fence::Fence::new(table.catalog(), base.metadata());
    fence.load_table(table.ident()).await.unwrap();
    place.table().await.ensure_decode_epoch("another").await.unwrap();
    fence.load_table(table.ident()).await.unwrap_err();
    assert!(flags.moved() && !flags.submitted());
}

#[tokio::test]
async fn an_outcome_that_cannot_be_seen_is_looked_up_by_the_next_call() {
    for fault in [Fault::CommitsAndFails, Fault::Fails] {
        let place = Place::new();
        let (table, _) = faulty(&place, &[fault], 4).await;
        let schema = table.refresh().await.unwrap().schema.clone();
        let request = request(0, 10, vec![range(&schema, 0, 10)]);
        let error = table.commit(request.clone()).await.unwrap_err();
        assert!(matches!(error, CommitError::OutcomeUnknown { .. }), "{error:?}");
        let snapshot = table.commit(request).await.unwrap();
        assert_eq!(ids(&snapshot), (0..10).collect::<Vec<_>>());
        assert_eq!(snapshot.boundary, LakeBoundary::Known(map(10)));
    }
}

#[tokio::test]
async fn the_same_commit_twice_is_one() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let first = request(0, 10, vec![range(&schema, 0, 10)]);
    table.commit(first.clone()).await.unwrap();
    table.commit(request(10, 20, vec![range(&schema, 10, 20)])).await.unwrap();
    let snapshot = table.commit(first).await.unwrap();
    assert_eq!(snapshot.boundary, LakeBoundary::Known(map(20)));
    assert_holds(&place, 20).await;
}

#[tokio::test]
async fn offsets_without_rows_are_committed_alone() {
    let place = Place::new();
    let table = place.table().await;
    let snapshot = table.commit(request(0, 25, vec![])).await.unwrap();
    assert_eq!(snapshot.boundary, LakeBoundary::Known(map(25)));
    assert!(snapshot.files.is_empty() && snapshot.snapshot_id.is_some());
    assert_eq!((snapshot.topic_id, snapshot.foreign_sequence), (Some(Uuid::from_u128(7)), 0));
}

#[tokio::test]
async fn the_summary_carries_the_whole_protocol() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    table.commit(request(0, 10, vec![range(&schema, 0, 10)])).await.unwrap();
    let mut second = request(10, 20, vec![range(&schema, 10, 20)]);
    second.next.set(PartitionId(3), Offset(5));
    second.decode_epoch = table.ensure_decode_epoch("json").await.unwrap();
    table.commit(second.clone()).await.unwrap();
    let base = table.base().await.unwrap();
    let snapshot = base.metadata().current_snapshot().unwrap();
    let summary = &snapshot.summary().additional_properties;
    let offsets: serde_json::Value = serde_json::from_str(&summary["springtide.offsets"]).unwrap();
    let expected = serde_json::json!({
        "v": 1, "cluster": "here", "topic": "events", "topic_id": second.topic_id.to_string(),
        "next": {"0": 20, "3": 5},
    });
    assert_eq!(offsets, expected);
    assert_eq!(summary["springtide.from"], "{\"0\":10}");
    assert_eq!(summary["springtide.commit-id"], second.commit_id.to_string());
    assert_eq!(summary["springtide.decode-epoch"], "1");
    assert_eq!(summary["total-records"], "20");
}

#[tokio::test]
async fn contradictions_are_refused_and_leave_nothing() {
    let place = Place::new();
    let table = place.table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let backwards = request(10, 5, vec![]);
    let outside = request(0, 5, vec![range(&schema, 0, 6)]);
    let overlapping = request(0, 9, vec![range(&schema, 0, 6), range(&schema, 5, 9)]);
    for (request, expected) in [
        (backwards, "lie before"),
        (outside, "outside the committed range"),
        (overlapping, "overlap"),
    ] {
        let message = table.commit(request).await.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    table.commit(request(0, 10, vec![range(&schema, 0, 10)])).await.unwrap();
    let mut other_topic = request(10, 20, vec![range(&schema, 10, 20)]);
    other_topic.topic_id = Uuid::from_u128(8);
    let message = table.commit(other_topic).await.unwrap_err().to_string();
    assert!(message.contains("was the topic made anew?"), "{message}");
    assert_holds(&place, 10).await;
}

#[tokio::test]
async fn commits_and_loads_by_others_do_not_disturb_each_other() {
    let place = Place::new();
    let (ours, others) = (place.shared_table().await, place.shared_table().await);
    let schema = ours.refresh().await.unwrap().schema.clone();
    let given = schema.clone();
    let loads = async {
        for round in 0..5 {
            let loaded: Vec<_> = (1000 + round * 10..1010 + round * 10).map(row).collect();
            let batch = rows(&given, &loaded);
            others.load([Ok(batch)], |_| ()).await.unwrap();
        }
    };
    let commits = async {
        for round in 0..5 {
            let (from, next) = (round * 10, round * 10 + 10);
            let commit = request(from, next, vec![range(&schema, from, next)]);
            ours.commit(commit).await.unwrap();
        }
    };
    tokio::join!(loads, commits);
    let snapshot = ours.refresh().await.unwrap();
    assert_eq!(ids(&snapshot), (0..50).chain(1000..1050).collect::<Vec<_>>());
    assert_eq!(snapshot.boundary, LakeBoundary::Known(map(50)));
    assert!(snapshot.foreign_sequence > 0);
}
