//! Orders of events, and that every race errs to the safe side.

use proptest::prelude::*;
use springtide_protocol::Tag;

use super::*;

const SECOND: i64 = 1_000_000;

fn feed() -> Feed {
    Feed::new(100, Duration::from_secs(4))
}

fn now(seconds: i64) -> Now {
    Now { mono: seconds * SECOND, wall: 1_767_225_600_000_000 + seconds * SECOND }
}

fn id(epoch: u64, sequence: u64) -> ChangeId {
    ChangeId { epoch, sequence }
}

fn beat(epoch: u64, sequence: u64) -> FeedEvent {
    let at = "2026-01-01T00:00:00Z".to_owned();
    let beat = Heartbeat {
        version: "flights.uAAAAAAAAAAAAAAAAAAAAAQ.s1.d1.f0.o0-5".to_owned(),
        as_of: at.clone(),
        as_of_by_table: [("flights".parse().unwrap(), at.clone())].into(),
        at,
    };
    FeedEvent::Heartbeat(id(epoch, sequence), beat)
}

fn change(epoch: u64, sequence: u64, minimum: &str) -> FeedEvent {
    let change = Change {
        table: None,
        version: minimum.to_owned(),
        tags: vec!["t:flights".parse().unwrap()],
        at: String::new(),
        drop: false,
    };
    FeedEvent::Change(id(epoch, sequence), change)
}

#[test]
fn whatever_comes_first_marks_all_that_was_stored_unheard() {
    for first in [beat(1, 5), change(1, 5, "flights.o0-1"), FeedEvent::Reset(id(1, 5))] {
        let feed = feed();
        let stored = feed.sequence();
        feed.hear(first, now(1));
        assert!(feed.reset() > stored);
    }
}

#[test]
fn only_a_heartbeat_makes_it_live_and_only_so_long() {
    let feed = feed();
    feed.hear(FeedEvent::Reset(id(1, 5)), now(1));
    feed.hear(change(1, 6, "flights.o0-1"), now(1));
    assert!(!feed.is_live(now(1)));
    feed.hear(beat(1, 6), now(1));
    assert!(feed.is_live(now(4)) && !feed.is_live(now(5)));
    feed.hear(beat(1, 6), now(5));
    feed.broke();
    assert!(!feed.is_live(now(5)));
}

#[test]
fn what_was_missed_is_a_reset() {
    let cases = [
        (beat(1, 5), false),
        (beat(1, 4), false),
        (change(1, 5, "flights.o0-1"), true),
        (change(1, 6, "flights.o0-1"), false),
        (change(1, 7, "flights.o0-1"), true),
        (beat(1, 6), true),
        (beat(2, 5), true),
        (change(2, 6, "flights.o0-1"), true),
    ];
    for (event, missed) in cases {
        let feed = feed();
        feed.hear(FeedEvent::Reset(id(1, 5)), now(1));
        feed.hear(beat(1, 5), now(1));
        let before = feed.reset();
        feed.hear(event.clone(), now(2));
        assert_eq!(feed.reset() > before, missed, "{event:?}");
    }
}

#[test]
fn the_first_reset_is_told_where_it_is_remembered() {
    let feed = feed();
    let stored = feed.sequence();
    feed.hear(FeedEvent::Reset(id(1, 5)), now(1));
    let second = feed.sequence();
    assert_eq!(feed.first_reset_after(stored), Some(SECOND));
    feed.hear(FeedEvent::Reset(id(1, 9)), now(7));
    // Which of the two came first after it is known, when is not kept that long.
    assert_eq!(feed.first_reset_after(second), Some(7 * SECOND));
    assert_eq!(feed.first_reset_after(stored), None);
    assert_eq!(feed.first_reset_after(feed.sequence()), None);
}

proptest! {
    /// An answer that is found current has at least every version announced
    /// under its tag, whatever the order of events.
    #[test]
    fn a_stale_fill_is_never_current(
        events in proptest::collection::vec((0..3u8, 0..20i64), 0..30),
        read in 0..20i64,
        begun_after in 0..30usize,
    ) {
        let feed = feed();
        let tag: Tag = "t:flights".parse().unwrap();
        let mut begun = feed.sequence();
        let (mut sequence, mut announced, mut reset_since) = (0, 0, false);
        for (n, (kind, offset)) in events.into_iter().enumerate() {
            if n == begun_after {
                begun = feed.sequence();
                reset_since = false;
            }
            match kind {
                0 => {
                    sequence += 1;
                    feed.hear(change(1, sequence, &format!("flights.o0-{offset}")), now(1));
                    announced = announced.max(offset);
                    reset_since |= sequence == 1 && n == 0;
                }
                1 => {
                    sequence += 3;
                    feed.hear(FeedEvent::Reset(id(1, sequence)), now(1));
                    (announced, reset_since) = (0, true);
                }
                _ => {
                    // The number of the last event again: something is wrong, so a reset.
                    feed.hear(change(1, sequence, "flights.o0-1"), now(1));
                    (announced, reset_since) = (1, true);
                }
            }
        }
        let version: Version =
            format!("flights.uAAAAAAAAAAAAAAAAAAAAAQ.s1.d1.f0.o0-{read}").parse().unwrap();
        let states = [feed.tags().state(&tag)];
        let current = feed.is_current(Some(&version), &states, begun);
        prop_assert!(!current || read >= announced);
        prop_assert!(!(current && reset_since));
    }
}
