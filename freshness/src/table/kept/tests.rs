//! How many snapshots are kept, and that what is left serves what was let go.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use springtide_protocol::{Offset, PartitionId};
use uuid::Uuid;

use super::*;
use crate::lake::LakeBoundary;

const SECOND: i64 = 1_000_000;

fn map(next: i64) -> OffsetMap {
    [(PartitionId(0), Offset(next))].into_iter().collect()
}

fn snapshot(id: i64, foreign_sequence: i64) -> Kept {
    Kept::new(Arc::new(LakeSnapshot {
        snapshot_id: Some(id),
        table_uuid: Uuid::from_u128(1),
        schema_id: 0,
        schema: Arc::new(Schema::empty()),
        boundary: LakeBoundary::Known(map(id * 10)),
        topic_id: Some(Uuid::from_u128(7)),
        foreign_sequence,
        sequence: id,
        decode_epoch: 1,
        files: Arc::new([]),
        chunks: Arc::new(BTreeMap::new()),
    }))
}

fn version(offset: i64) -> TableVersion {
    TableVersion {
        table_uuid: Uuid::from_u128(1),
        topic_id: Some(Uuid::from_u128(7)),
        schema_id: 0,
        decode_epoch: 1,
        foreign_sequence: 0,
        offsets: map(offset),
    }
}

#[test]
fn commits_every_few_seconds_keep_a_few_snapshots() {
    let window = 3600 * SECOND;
    let mut kept = KeptSnapshots::new(snapshot(0, 0), 0, window);
    let (start, next) = (map(0), map(1_000_000));
    for id in 1..1000 {
        let now = id * 10 * SECOND;
        kept.install(snapshot(id, 0), (&start, &next), now);
        kept.forget_before(now - window);
        assert!(kept.len() <= 11, "{} are kept", kept.len());
        // All that was current within the window is served.
        for earlier in (id - 359).max(0)..=id {
            assert!(kept.newest_within(&version(earlier * 10)).is_some(), "{earlier} at {id}");
        }
    }
    let least = kept.least_boundary().unwrap().next(PartitionId(0)).0;
    assert!(least > (999 - 360 - 50) * 10, "the tail is let go: {least}");
}

#[test]
fn what_the_tail_cannot_make_good_is_kept() {
    let mut kept = KeptSnapshots::new(snapshot(0, 0), 0, 3600 * SECOND);
    // The tail begins above the first boundary.
    let (start, next) = (map(15), map(1_000_000));
    kept.install(snapshot(1, 0), (&start, &next), 1);
    kept.install(snapshot(2, 0), (&start, &next), 2);
    assert_eq!(kept.len(), 3);
    // Rows that did not come through the stream.
    let start = map(0);
    kept.install(snapshot(3, 3), (&start, &next), 3);
    kept.install(snapshot(4, 3), (&start, &next), 4);
    assert_eq!(kept.len(), 4, "two stands for one, three is of its own");
}
