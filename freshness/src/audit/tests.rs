//! Each comparison holds over a right state and fails over a wrong one.

use proptest::prelude::*;
use springtide_relation::ChunkId;
use uuid::Uuid;

use super::*;

const P: PartitionId = PartitionId(0);

fn map(next: i64) -> OffsetMap {
    [(P, Offset(next))].into_iter().collect()
}

fn version(end: i64) -> TableVersion {
    TableVersion {
        table_uuid: Uuid::nil(),
        topic_id: Some(Uuid::nil()),
        schema_id: 0,
        decode_epoch: 1,
        foreign_sequence: 0,
        offsets: map(end),
    }
}

fn stretch(first: i64, last: i64, rows: u64) -> Stretch {
    let chunk = ChunkId::containing(P, Offset(first));
    Stretch { partition: P, chunk, first: Offset(first), last: Offset(last), rows }
}

/// Ten rows in the lake, five in the tail, a control record at 10 and at 16.
fn right() -> (Counted, Seen) {
    let offsets = vec![11, 12, 13, 14, 15];
    let again = AgainCount { rows: 5, gaps: 2, ..AgainCount::default() };
    let count = PartitionCount {
        lake_rows: 10,
        tail_rows: 5,
        gaps: 2,
        validator_rows: Some(15),
        again: Some(again),
        offsets,
        ..PartitionCount::new(P, Offset(10), Offset(17))
    };
    let lake = LakeCount {
        files: 1,
        rows: 10,
        files_as_listed: 1,
        stream_files: 1,
        files_as_recorded: 1,
        stretches: vec![stretch(0, 9, 10)],
        ..LakeCount::default()
    };
    let counted = Counted {
        table: "flights".parse().unwrap(),
        version: version(17),
        key: Vec::new(),
        is_whole: true,
        lake,
        partitions: [(P, count)].into(),
        again: Ok(()),
        is_compacted: false,
    };
    (counted, Seen { now: Ok(15), before: None, keys: None })
}

/// The names of what does not hold.
fn failed(counted: &Counted, seen: &Seen, past: Option<&Past>) -> Vec<String> {
    let audit = judge(counted, seen, past);
    let wrong = audit.checks.iter().filter(|check| !check.ok);
    let wrong: Vec<String> = wrong.map(|check| check.name.clone()).collect();
    assert_eq!(audit.ok, wrong.is_empty());
    wrong
}

fn failed_after(change: impl FnOnce(&mut Counted, &mut PartitionCount)) -> Vec<String> {
    let (mut counted, seen) = right();
    let mut count = counted.partitions[&P].clone();
    change(&mut counted, &mut count);
    counted.partitions.insert(P, count);
    failed(&counted, &seen, None)
}

#[test]
fn a_right_state_holds() {
    let (counted, seen) = right();
    assert!(failed(&counted, &seen, None).is_empty());
    let audit = judge(&counted, &seen, None);
    assert_eq!(audit.not_compared.len(), 1, "only the audit before: {:?}", audit.not_compared);
    assert_eq!(audit.past.rows, 15);
}

#[test]
fn a_statement_that_sees_other_rows_is_found() {
    let (counted, mut seen) = right();
    seen.now = Ok(14);
    assert_eq!(failed(&counted, &seen, None), ["sql-count"]);
    seen.now = Err("it broke".to_owned());
    assert_eq!(failed(&counted, &seen, None), ["sql-count"]);
}

#[test]
fn a_key_that_is_there_twice_is_found() {
    let (counted, mut seen) = right();
    (seen.now, seen.keys) = (Ok(9), Some(Ok(9)));
    assert!(failed(&counted, &seen, None).is_empty(), "later rows replace earlier ones");
    seen.keys = Some(Ok(8));
    assert_eq!(failed(&counted, &seen, None), ["keys-once"]);
}

#[test]
fn files_that_are_not_what_was_recorded_are_found() {
    let listed = failed_after(|counted, _| counted.lake.files_as_listed = 0);
    assert_eq!(listed, ["lake-files-as-listed"]);
    let recorded = failed_after(|counted, _| counted.lake.files_as_recorded = 0);
    assert_eq!(recorded, ["lake-files-as-recorded"]);
    let gone = failed_after(|counted, _| counted.lake.unreadable.push("a.parquet: gone".into()));
    assert_eq!(gone, ["lake-files-readable"]);
    let above = failed_after(|counted, _| counted.lake.stretches = vec![stretch(0, 10, 10)]);
    assert_eq!(above, ["lake-rows-below-boundary"]);
    let twice = failed_after(|counted, _| counted.lake.stretches.push(stretch(0, 4, 5)));
    assert_eq!(twice, ["lake-offsets-once"]);
}

#[test]
fn rows_that_stream_and_tail_do_not_share_are_found() {
    let repeated = failed_after(|_, count| count.tail_repeated = 1);
    assert_eq!(repeated, ["tail-offsets-once[0]"]);
    let again = |missing, extra| AgainCount { rows: 5, gaps: 2, missing, extra, rejected: 0 };
    let missing = failed_after(|_, count| count.again = Some(again(1, 0)));
    assert_eq!(missing, ["stream[0]"]);
    let extra = failed_after(|_, count| count.again = Some(again(0, 1)));
    assert_eq!(extra, ["stream[0]"], "a row of an aborted transaction, for example");
    let validators = failed_after(|_, count| count.validator_rows = Some(14));
    assert_eq!(validators, ["validator-rows[0]"]);
    let lacks = failed_after(|_, count| count.again = Some(AgainCount { gaps: 1, ..again(0, 0) }));
    assert_eq!(lacks, ["offsets-accounted[0]"]);
    let too_many = failed_after(|counted, count| {
        (counted.again, count.again, count.gaps) = (Err("no broker".into()), None, -1);
        count.tail_dead_letters = 3;
    });
    assert_eq!(too_many, ["offsets-accounted[0]"]);
}

#[test]
fn a_compacted_stream_may_have_lost_what_the_tail_still_has() {
    let compacted = |missing, extra: u64| {
        failed_after(|counted, count| {
            counted.is_compacted = true;
            let (rows, gaps) = (5 - extra, 2 + extra.cast_signed());
            count.again = Some(AgainCount { rows, gaps, missing, extra, rejected: 0 });
        })
    };
    assert!(compacted(0, 3).is_empty());
    assert_eq!(compacted(1, 3), ["stream[0]"]);
}

#[test]
fn what_lay_below_the_end_of_before_must_be_as_it_was() {
    let (mut counted, mut seen) = right();
    let past = |end, rows| Past { version: version(end), rows };
    seen.before = Some(Ok(12));
    assert!(failed(&counted, &seen, Some(&past(13, 12))).is_empty());
    assert_eq!(failed(&counted, &seen, Some(&past(13, 11))), ["previous-version", "previous-rows"]);
    seen.before = Some(Err("no longer kept".to_owned()));
    assert_eq!(failed(&counted, &seen, Some(&past(13, 13))), ["previous-rows"]);
    assert_eq!(failed(&counted, &seen, Some(&past(18, 15))), ["previous-end"]);
    // Rows of others came or went: nothing is promised.
    counted.version.foreign_sequence = 7;
    assert!(failed(&counted, &seen, Some(&past(13, 3))).is_empty());
    let audit = judge(&counted, &seen, Some(&past(13, 3)));
    assert!(audit.not_compared.iter().any(|left| left.name == "previous-rows"));
}

proptest! {
    /// Wherever the end of before falls, also within a stretch of the lake: a right number
    /// holds, and one that no state can have had does not.
    #[test]
    fn any_end_of_before_is_bounded_rightly(
        present in proptest::collection::vec(any::<bool>(), 1..60),
        boundary in 0usize..60, end in 0usize..60, cuts in proptest::collection::vec(0usize..60, 0..4),
    ) {
        let offsets: Vec<i64> =
            (0..).zip(&present).filter(|(_, is)| **is).map(|(offset, _)| offset).collect();
        let boundary = boundary.min(present.len()) as i64;
        let end = end.min(present.len()) as i64;
        let (lake, tail): (Vec<i64>, Vec<i64>) = offsets.iter().partition(|o| **o < boundary);
        let mut cuts: Vec<i64> = cuts.into_iter().map(|cut| cut as i64).collect();
        cuts.extend([0, 60]);
        cuts.sort_unstable();
        let stretches = cuts.windows(2).filter_map(|cut| {
            let own: Vec<i64> =
                lake.iter().copied().filter(|o| (cut[0]..cut[1]).contains(o)).collect();
            Some(stretch(*own.first()?, *own.last()?, own.len() as u64))
        });
        let (mut counted, mut seen) = right();
        counted.lake.stretches = stretches.collect();
        counted.lake.rows = lake.len() as u64;
        counted.version = version(present.len() as i64);
        let ends = (Offset(boundary), Offset(present.len() as i64));
        let mut count = PartitionCount::new(P, ends.0, ends.1);
        count.lake_rows = lake.len() as u64;
        count.tail_rows = tail.len() as u64;
        count.validator_rows = Some(offsets.len() as u64);
        count.gaps = ends.1.0 - ends.0.0 - tail.len() as i64;
        count.offsets = tail;
        counted.partitions = [(P, count)].into();
        counted.again = Err("not now".to_owned());
        seen.now = Ok(offsets.len() as u64);
        seen.before = Some(Err("no longer kept".to_owned()));
        let rows = offsets.iter().filter(|o| **o < end).count() as u64;
        let past = |rows| Past { version: version(end), rows };
        prop_assert!(failed(&counted, &seen, Some(&past(rows))).is_empty());
        let beyond = offsets.len() as u64 + 1;
        prop_assert_eq!(failed(&counted, &seen, Some(&past(beyond))), ["previous-rows"]);
    }
}
