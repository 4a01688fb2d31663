//! The truth table of the boundary, line by line.

use std::collections::BTreeMap;

use super::*;

const TOPIC: Uuid = Uuid::from_u128(7);

fn map(entries: &[(i32, i64)]) -> OffsetMap {
    entries.iter().map(|(p, o)| (PartitionId(*p), Offset(*o))).collect()
}

fn mark(entries: &[(i32, i64)]) -> Mark {
    let topic_id = (!entries.is_empty()).then_some(TOPIC);
    Mark { boundary: Some(map(entries)), topic_id }
}

fn topic(entries: &[(i32, i64, i64)]) -> TopicDescription {
    let marks = entries.iter().map(|(p, low, high)| {
        (PartitionId(*p), Watermarks { low: Offset(*low), high: Offset(*high) })
    });
    TopicDescription {
        topic: "t".to_owned(),
        topic_id: TOPIC,
        cluster: "c".to_owned(),
        watermarks: marks.collect::<BTreeMap<_, _>>(),
    }
}

/// A machine at a boundary that has seen its topic.
fn seated(boundary: &[(i32, i64)], marks: &[(i32, i64, i64)]) -> (Boundary, Directive) {
    let mut machine = Boundary::new(mark(boundary));
    let directive = machine.step(&Event::Topic(&topic(marks)));
    (machine, directive)
}

fn reason(machine: &Boundary) -> String {
    machine.phase().reason().unwrap_or_default()
}

#[test]
fn reading_begins_at_the_boundarys_own_chunk() {
    let (machine, directive) = seated(&[(0, 2500), (1, 10)], &[(0, 100, 9000), (1, 0, 10)]);
    assert_eq!(directive, Directive::Read(map(&[(0, 2048), (1, 0)])));
    assert_eq!(machine.phase(), &Phase::CatchingUp);
    assert!(machine.meets());
    assert_eq!(machine.end(), map(&[(0, 2500), (1, 10)]), "the lake's rows count at once");
    let (_, directive) = seated(&[(0, 2500)], &[(0, 2300, 9000)]);
    assert_eq!(directive, Directive::Read(map(&[(0, 2300)])), "as much of it as is left");
}

#[test]
fn catching_up_ends_at_the_watermarks_seen_at_start() {
    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30), (1, 0, 0)]);
    machine.step(&Event::Progress(&map(&[(0, 29)])));
    assert_eq!(machine.phase(), &Phase::CatchingUp);
    machine.step(&Event::Progress(&map(&[(0, 30)])));
    assert_eq!(machine.phase(), &Phase::Live);
    assert_eq!(machine.end(), map(&[(0, 30)]), "zeros are left out");
}

#[test]
fn positions_never_go_back() {
    let (mut machine, _) = seated(&[], &[(0, 0, 30)]);
    machine.step(&Event::Progress(&map(&[(0, 20)])));
    machine.step(&Event::Progress(&map(&[(0, 10), (9, 4)])));
    assert_eq!(machine.next(), &map(&[(0, 20)]));
}

#[test]
fn an_unknown_boundary_is_a_gap_until_it_is_known() {
    let unknown = Mark { boundary: None, topic_id: None };
    let mut machine = Boundary::new(unknown.clone());
    assert_eq!(machine.step(&Event::Topic(&topic(&[(0, 0, 9)]))), Directive::None);
    assert_eq!(machine.phase(), &Phase::Gap(Gap::BoundaryUnknown));
    assert!(!machine.meets());
    assert!(machine.end().is_empty());
    let directive = machine.step(&Event::Snapshot(&mark(&[(0, 3)])));
    assert_eq!(directive, Directive::Read(map(&[(0, 0)])));
    // While reading, what is read goes on.
    machine.step(&Event::Progress(&map(&[(0, 9)])));
    assert_eq!(machine.step(&Event::Snapshot(&unknown)), Directive::None);
    assert!(!machine.meets());
    machine.step(&Event::Snapshot(&mark(&[(0, 4)])));
    assert_eq!(machine.phase(), &Phase::Live);
    assert_eq!(machine.end(), map(&[(0, 9)]));
}

#[test]
fn records_that_are_gone_above_the_boundary_are_a_gap() {
    let (mut machine, directive) = seated(&[(0, 50)], &[(0, 60, 90)]);
    assert_eq!(directive, Directive::None);
    assert!(!machine.meets());
    assert_eq!(machine.end(), map(&[(0, 50)]));
    assert!(reason(&machine).contains("offsets 50 to 60"), "{}", reason(&machine));
    // A partition that the lake has never heard of counts from 0.
    let (unheard, _) = seated(&[], &[(0, 1, 9)]);
    assert!(matches!(unheard.phase(), Phase::Gap(Gap::Lost { .. })));
    // Another committer fills it.
    let directive = machine.step(&Event::Snapshot(&mark(&[(0, 70)])));
    assert_eq!(directive, Directive::Read(map(&[(0, 60)])));
    assert!(machine.meets());
}

#[test]
fn a_gap_ahead_keeps_what_was_read() {
    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    machine.step(&Event::Progress(&map(&[(0, 20)])));
    let gone = Event::OutOfRange { partition: PartitionId(0), low: Offset(25), high: Offset(40) };
    assert_eq!(machine.step(&gone), Directive::Stop);
    assert!(matches!(machine.phase(), Phase::Gap(Gap::Lost { .. })));
    assert!(machine.meets());
    assert_eq!(machine.end(), map(&[(0, 20)]));
    assert_eq!(machine.step(&Event::Progress(&map(&[(0, 28)]))), Directive::None);
    assert_eq!(machine.end(), map(&[(0, 20)]), "nothing is skipped");
}

#[test]
fn a_description_that_is_told_late_brings_nothing_back() {
    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    machine.step(&Event::Progress(&map(&[(0, 20)])));
    let gone = Event::OutOfRange { partition: PartitionId(0), low: Offset(25), high: Offset(40) };
    machine.step(&gone);
    assert_eq!(machine.step(&Event::Topic(&topic(&[(0, 0, 30)]))), Directive::None);
    assert!(matches!(machine.phase(), Phase::Gap(Gap::Lost { .. })), "{:?}", machine.phase());
}

#[test]
fn what_the_lake_has_may_be_gone_from_the_stream() {
    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    machine.step(&Event::Snapshot(&mark(&[(0, 25)])));
    let gone = Event::OutOfRange { partition: PartitionId(0), low: Offset(22), high: Offset(40) };
    assert_eq!(machine.step(&gone), Directive::Read(map(&[(0, 22)])));
    assert!(machine.meets());
}

#[test]
fn a_halted_table_still_knows_its_lake() {
    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    machine.step(&Event::Progress(&map(&[(0, 30)])));
    let cut = Event::OutOfRange { partition: PartitionId(0), low: Offset(0), high: Offset(20) };
    machine.step(&cut);
    machine.step(&Event::Snapshot(&mark(&[(0, 40)])));
    assert_eq!(machine.end(), map(&[(0, 40)]));
    assert_eq!(machine.step(&Event::Topic(&topic(&[(0, 0, 90)]))), Directive::None);
    machine.step(&Event::Evicted(&map(&[(0, 30)])));
    machine.step(&Event::Snapshot(&mark(&[(0, 10)])));
    assert!(!machine.meets());
    assert_eq!(machine.end(), map(&[(0, 10)]));
}

#[test]
fn a_rollback_is_read_anew() {
    let (mut machine, _) = seated(&[(0, 3000)], &[(0, 0, 9000)]);
    machine.step(&Event::Progress(&map(&[(0, 9000)])));
    machine.step(&Event::Evicted(&map(&[(0, 2500)])));
    let directive = machine.step(&Event::Snapshot(&mark(&[(0, 1030)])));
    assert_eq!(directive, Directive::Read(map(&[(0, 1024)])));
    assert_eq!(machine.phase(), &Phase::CatchingUp);
    // Within the coverage nothing has to be read.
    machine.step(&Event::Progress(&map(&[(0, 9000)])));
    let directive = machine.step(&Event::Snapshot(&mark(&[(0, 1025)])));
    assert_eq!(directive, Directive::None);
}

#[test]
fn another_committer_may_be_ahead() {
    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    assert_eq!(machine.step(&Event::Snapshot(&mark(&[(0, 25)]))), Directive::None);
    assert!(machine.meets());
    assert_eq!(machine.end(), map(&[(0, 25)]));
}

#[test]
fn contradictions_halt_for_good() {
    let other = Uuid::from_u128(8);
    let recreated = Mark { topic_id: Some(other), ..mark(&[(0, 5)]) };
    let mut machine = Boundary::new(recreated);
    machine.step(&Event::Topic(&topic(&[(0, 0, 30)])));
    assert!(reason(&machine).contains("made anew"), "{}", reason(&machine));
    machine.step(&Event::Snapshot(&mark(&[(0, 5)])));
    assert!(matches!(machine.phase(), Phase::Halted(_)), "never silently");

    let unsaid = Mark { topic_id: None, ..mark(&[(0, 5)]) };
    let mut machine = Boundary::new(unsaid);
    machine.step(&Event::Topic(&topic(&[(0, 0, 30)])));
    assert!(matches!(machine.phase(), Phase::Halted(Halt::TopicRecreated { .. })));

    let (machine, _) = seated(&[(0, 5), (1, 4)], &[(0, 0, 30)]);
    assert_eq!(machine.phase(), &Phase::Halted(Halt::PartitionMissing(PartitionId(1))));
    let (machine, _) = seated(&[(0, 31)], &[(0, 0, 30)]);
    assert!(reason(&machine).contains("lost records"), "{}", reason(&machine));

    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    machine.step(&Event::Progress(&map(&[(0, 30)])));
    let again = TopicDescription { topic_id: other, ..topic(&[(0, 0, 3)]) };
    assert_eq!(machine.step(&Event::Topic(&again)), Directive::Stop);
    assert_eq!(machine.end(), map(&[(0, 30)]), "what was read answers on");

    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    machine.step(&Event::Progress(&map(&[(0, 30)])));
    let cut = Event::OutOfRange { partition: PartitionId(0), low: Offset(0), high: Offset(20) };
    assert_eq!(machine.step(&cut), Directive::Stop);
    assert!(matches!(machine.phase(), Phase::Halted(Halt::Truncated { .. })));
}

#[test]
fn a_new_partition_is_read_too() {
    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    machine.step(&Event::Progress(&map(&[(0, 30)])));
    let directive = machine.step(&Event::Topic(&topic(&[(0, 0, 30), (1, 0, 2)])));
    assert_eq!(directive, Directive::Resume(map(&[(0, 30), (1, 0)])));
    machine.step(&Event::Progress(&map(&[(1, 2)])));
    assert_eq!(machine.end(), map(&[(0, 30), (1, 2)]));
}

#[test]
fn rows_for_another_schema_are_read_anew_or_let_go() {
    let (mut machine, _) = seated(&[(0, 5)], &[(0, 0, 30)]);
    machine.step(&Event::Progress(&map(&[(0, 30)])));
    assert_eq!(machine.reread(), Directive::Read(map(&[(0, 0)])));
    assert_eq!(machine.end(), map(&[(0, 5)]));
    let mut unseen = Boundary::new(mark(&[(0, 5)]));
    assert_eq!(unseen.reread(), Directive::None);
    assert!(!unseen.meets());
}
