//! What must hold of every commit and every relation.

use super::*;

/// The rows of a commit's parts within its window, each once.
pub(super) fn gathered(job: &CommitJob) -> Rows {
    let mut rows = Rows::new();
    for part in &job.parts {
        let SegmentData::Memory(batches) = part else { panic!("no files here") };
        for batch in batches {
            let p = batch.partition;
            for o in batch.window(job.from.next(p), job.next.next(p)).iter().flat_map(offsets) {
                assert!(rows.insert((p.0, o)), "{p} {o} twice");
            }
        }
    }
    rows
}

fn offsets(batch: &TailBatch) -> Vec<i64> {
    batch.offsets.values().to_vec()
}

pub(super) fn tail_rows(relation: &Relation) -> Rows {
    let mut rows = Rows::new();
    for segment in &relation.segments {
        let SegmentData::Memory(batches) = &segment.data else { panic!("no files here") };
        for batch in batches {
            let p = batch.partition;
            let window = batch.window(relation.boundary.next(p), relation.version.offsets.next(p));
            for o in window.iter().flat_map(offsets) {
                assert!(rows.insert((p.0, o)), "{p} {o} twice in the tail");
            }
        }
    }
    rows
}

/// Every row lies in exactly one chunk; sealed ones have exact bounds, open ones their rows.
pub(super) fn check_chunks(relation: &Relation, expected: &Rows) {
    let end = &relation.version.offsets;
    let mut wanted: BTreeMap<ChunkId, Vec<i64>> = BTreeMap::new();
    for (p, o) in expected {
        let id = ChunkId::containing(PartitionId(*p), Offset(*o));
        wanted.entry(id).or_default().push(*o);
    }
    for sealed in relation.sealed.iter().flat_map(|list| list.iter()) {
        let rows = wanted.remove(&sealed.id).unwrap_or_else(|| panic!("{:?} twice", sealed.id));
        assert!(sealed.id.end() <= end.next(sealed.id.partition));
        let bound = |offset: Option<&i64>| {
            Scalar::Integer(id(sealed.id.partition.0, *offset.unwrap()).into())
        };
        let column = &sealed.columns[0];
        let holds = |found: &Option<Scalar>, expected: Scalar| {
            found.as_ref().is_some_and(|f| f.compare(&expected) == Some(std::cmp::Ordering::Equal))
        };
        assert!(holds(&column.lower, bound(rows.first())), "{sealed:?}");
        assert!(holds(&column.upper, bound(rows.last())), "{sealed:?}");
    }
    for open in &relation.open {
        assert_eq!(open.end, end.next(open.id.partition));
        let rows = wanted.remove(&open.id).unwrap_or_default();
        let found: Vec<i64> = open.rows.iter().flat_map(offsets).collect();
        assert!(!open.complete || found == rows, "{open:?} has not {rows:?}");
    }
    assert!(wanted.is_empty(), "chunks are missing: {wanted:?}");
}
