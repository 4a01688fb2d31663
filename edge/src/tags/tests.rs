//! Clocks per tag, what is forgotten, and the price of a purge.

use super::*;

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    format!("flights.uAAAAAAAAAAAAAAAAAAAAAQ.s1.d1.f0.{text}").parse().unwrap()
}

fn change(sequence: u64, minimum: &str) -> TagChange {
    let mono = i64::try_from(sequence).unwrap() * 10;
    TagChange { sequence, mono, version: minimum.parse().unwrap(), drop: false }
}

#[test]
fn the_clock_is_the_highest_of_each_component() {
    let tags = Tags::new(100);
    let state = tags.state(&tag("t:flights"));
    tags.change(&[tag("t:flights")], &change(1, "flights.o0-9_1-3"));
    tags.change(&[tag("t:flights")], &change(2, "flights.o0-4_1-5"));
    assert!(state.is_reached_by(Some(&version("o0-9_1-5")), 0));
    assert!(!state.is_reached_by(Some(&version("o0-8_1-5")), 9));
    assert!(!state.is_reached_by(Some(&version("o0-9_1-4")), 9));
    let mut minimum = MinVersion::default();
    state.add_clock(&mut minimum);
    assert_eq!(minimum.to_string(), "flights.o0-9_1-5");
}

#[test]
fn a_table_made_again_begins_a_new_clock() {
    let tags = Tags::new(100);
    let state = tags.state(&tag("t:flights"));
    tags.change(&[tag("t:flights")], &change(1, "flights.uAAAAAAAAAAAAAAAAAAAAAg.o0-900"));
    assert!(!state.is_reached_by(Some(&version("o0-999")), 9));
    tags.change(&[tag("t:flights")], &change(2, "flights.uAAAAAAAAAAAAAAAAAAAAAQ.o0-3"));
    assert!(state.is_reached_by(Some(&version("o0-3")), 9));
}

#[test]
fn a_change_without_a_version_counts_by_its_moment() {
    let tags = Tags::new(100);
    let state = tags.state(&tag("q:a"));
    tags.change(&[tag("q:a")], &change(5, ""));
    assert!(!state.is_reached_by(Some(&version("o0-1")), 4));
    assert!(state.is_reached_by(Some(&version("o0-1")), 5));
    // An answer without a version likewise.
    assert!(!state.is_reached_by(None, 4));
    assert!(state.is_reached_by(None, 5));
}

#[test]
fn the_first_change_is_remembered_within_a_bound() {
    let tags = Tags::new(100);
    let state = tags.state(&tag("t:flights"));
    for n in 1..=REMEMBERED_CHANGES as u64 {
        tags.change(&[tag("t:flights")], &change(n, "flights.o0-1"));
    }
    assert_eq!(state.first_change_after(0), Some(10));
    assert_eq!(state.first_change_after(3), Some(40));
    assert_eq!(state.first_change_after(REMEMBERED_CHANGES as u64), None);
    tags.change(&[tag("t:flights")], &change(99, "flights.o0-1"));
    assert_eq!(state.first_change_after(0), None);
    assert_eq!(state.first_change_after(2), Some(30));
}

#[test]
fn clocks_of_forgotten_tags_live_on_by_table() {
    let tags = Tags::new(8);
    let held = tags.state(&tag("t:flights/held"));
    for n in 1..100 {
        let name = tag(&format!("t:flights/day-{n}"));
        tags.change(&[name], &change(n, &format!("flights.o0-{n}")));
    }
    assert!(tags.len() <= 16, "{}", tags.len());
    // What was held is untouched; what comes again is judged by the highest clock.
    assert!(held.is_reached_by(Some(&version("o0-1")), 0));
    let again = tags.state(&tag("t:flights/day-1"));
    assert!(!again.is_reached_by(Some(&version("o0-1")), 200));
    assert!(again.is_reached_by(Some(&version("o0-99")), 200));
    let other = tags.state(&tag("t:other"));
    assert!(other.is_reached_by(Some(&version("o0-1")), 0));
}

#[test]
fn a_purge_costs_the_same_however_many_answers_carry_the_tag() {
    let tags = Tags::new(1000);
    let carried: Vec<_> = (0..100_000)
        .map(|n| [tags.state(&tag("t:flights")), tags.state(&tag(&format!("t:flights/{n}")))])
        .collect();
    let started = std::time::Instant::now();
    tags.change(&[tag("t:flights")], &change(1, "flights.o0-1"));
    tags.change(&[tag("t:flights/77777")], &change(2, "flights.o0-2"));
    let took = started.elapsed();
    assert!(carried.iter().all(|[table, _]| table.changed() == 1));
    assert_eq!(carried.iter().filter(|[_, day]| day.changed() == 2).count(), 1);
    // Two stores; the bound leaves room for a busy machine.
    assert!(took < std::time::Duration::from_millis(10), "{took:?}");
}

#[test]
fn partitions_of_a_table_made_again_begin_new_clocks() {
    let tags = Tags::new(100);
    let day = tag("t:flights/2001-03-01");
    let states = tags.states(std::slice::from_ref(&day));
    assert_eq!(states.len(), 2, "its own state and the whole table's");
    let old = "flights.uAAAAAAAAAAAAAAAAAAAAAg.o0-900";
    tags.change(&[tag("t:flights"), day], &change(1, old));
    let reached = |at: &str| states.iter().all(|s| s.is_reached_by(Some(&version(at)), 9));
    assert!(!reached("o0-999"));
    tags.change(&[tag("t:flights")], &change(2, "flights.uAAAAAAAAAAAAAAAAAAAAAQ.o0-3"));
    assert!(reached("o0-3"));
    assert!(!reached("o0-2"));
}
