//! The table of RFC 9111 §4.2.4 and §5.2.1, RFC 5861, rules 12 and 13.

use proptest::prelude::*;

use super::*;

const S: i64 = MICROS_PER_SECOND;
const NOW: Now = Now { mono: 1000 * S, wall: 0 };

fn life(ordinary: i64) -> Lifetimes {
    Lifetimes {
        ordinary: ordinary * S,
        hold: None,
        stale_while_revalidate: 0,
        stale_if_error: 0,
        strict: false,
        immutable: false,
    }
}

fn stored(ordinary: i64, age: i64) -> Stored {
    Stored {
        lifetimes: life(ordinary),
        validated: NOW.mono - age * S,
        mark: Mark::None,
        held: false,
    }
}

/// What was decided, without the numbers.
fn word(request: &str, stored: Option<Stored>) -> &'static str {
    match decide(RequestDirectives::parse(request), stored.as_ref(), NOW) {
        Decision::Serve(_) => "serve",
        Decision::ServeStale { refresh: true, .. } => "stale, refresh",
        Decision::ServeStale { refresh: false, .. } => "stale",
        Decision::Validate(Why::Stale) => "validate",
        Decision::Validate(Why::Request) => "validate, asked",
        Decision::Fetch => "fetch",
        Decision::Refuse => "refuse",
    }
}

#[test]
fn requests_against_a_fresh_answer() {
    for (request, expected) in [
        ("", "serve"),
        ("no-cache", "validate, asked"),  // §5.2.1.4
        ("max-age=0", "validate, asked"), // §5.2.1.1
        ("max-age=9", "validate, asked"),
        ("max-age=10", "serve"),
        ("min-fresh=50", "serve"), // §5.2.1.3
        ("min-fresh=51", "validate, asked"),
        ("only-if-cached", "serve"), // §5.2.1.7
        ("only-if-cached, no-cache", "refuse"),
        ("only-if-cached, max-age=1", "refuse"),
        ("max-stale", "serve"),
    ] {
        assert_eq!(word(request, Some(stored(60, 10))), expected, "{request}");
    }
}

#[test]
fn requests_against_a_stale_answer() {
    for (request, expected) in [
        ("", "validate"),
        ("max-stale", "stale"), // §5.2.1.2
        ("max-stale=10", "stale"),
        ("max-stale=9", "validate"),
        ("max-stale, max-age=60", "validate"),
        ("only-if-cached", "refuse"),
        ("only-if-cached, max-stale=30", "stale"),
    ] {
        assert_eq!(word(request, Some(stored(60, 70))), expected, "{request}");
    }
    let mut strict = stored(60, 70);
    strict.lifetimes.strict = true;
    assert_eq!(word("max-stale", Some(strict)), "validate"); // §4.2.4
}

#[test]
fn nothing_stored() {
    assert_eq!(word("", None), "fetch");
    assert_eq!(word("only-if-cached", None), "refuse");
    let dropped = Stored { mark: Mark::Dropped, ..stored(60, 1) };
    assert_eq!(word("max-stale", Some(dropped)), "fetch");
}

#[test]
fn a_lifetime_ends_at_its_end() {
    assert_eq!(word("", Some(stored(10, 9))), "serve");
    assert_eq!(word("", Some(stored(10, 10))), "validate"); // §4.2: fresh while it exceeds the age
}

#[test]
fn the_hold_counts_only_while_it_is_held() {
    let mut answer = stored(1, 10);
    answer.lifetimes.hold = Some(100 * S);
    assert_eq!(word("", Some(answer)), "validate");
    answer.held = true;
    assert_eq!(word("", Some(answer)), "serve");
    answer.mark = Mark::Stale { since: Some(NOW.mono) };
    assert_eq!(word("", Some(answer)), "validate");
}

#[test]
fn stale_while_revalidate_has_a_window() {
    for (age, expected) in [(70, "stale, refresh"), (90, "stale, refresh"), (91, "validate")] {
        let mut answer = stored(60, age);
        answer.lifetimes.stale_while_revalidate = 30 * S;
        assert_eq!(word("", Some(answer)), expected, "{age}"); // RFC 5861 §3
    }
}

#[test]
fn stale_if_error_has_a_window() {
    let mut answer = stored(60, 90);
    answer.lifetimes.stale_if_error = 30 * S;
    let asked = RequestDirectives::parse;
    assert!(answer.serves_on_error(asked(""), NOW)); // RFC 5861 §4
    assert!(!answer.serves_on_error(asked("no-cache"), NOW));
    answer.validated -= 1;
    assert!(!answer.serves_on_error(asked(""), NOW));
    assert!(answer.serves_on_error(asked("stale-if-error=31"), NOW));
    answer.lifetimes.strict = true;
    assert!(!answer.serves_on_error(asked("stale-if-error=31"), NOW));
    // Marked: the window runs from the first change.
    let mut marked = stored(60, 500);
    marked.lifetimes.stale_if_error = 30 * S;
    marked.mark = Mark::Stale { since: Some(NOW.mono - 30 * S) };
    assert!(marked.serves_on_error(asked(""), NOW));
    marked.mark = Mark::Stale { since: None };
    assert!(!marked.serves_on_error(asked(""), NOW));
    marked.mark = Mark::Dropped;
    assert!(!marked.serves_on_error(asked("stale-if-error=1000000"), NOW));
}

proptest! {
    /// Whatever the request says, a marked answer is never served as fresh, and a
    /// dropped one is not served at all.
    #[test]
    fn marks_hold(request in "(no-cache|max-age=[0-9]{1,3}|min-fresh=[0-9]|max-stale|max-stale=[0-9]{1,3}|only-if-cached|,){0,4}",
                  ordinary in 0..100i64, age in 0..200i64, held: bool, drop: bool, swr in 0..50i64) {
        let mut answer = stored(ordinary, age);
        answer.lifetimes.hold = Some(1000 * S);
        answer.lifetimes.stale_while_revalidate = swr * S;
        answer.held = held;
        answer.mark = if drop { Mark::Dropped } else { Mark::Stale { since: None } };
        let said = word(&request, Some(answer));
        prop_assert!(said != "serve");
        prop_assert!(!drop || ["fetch", "refuse"].contains(&said));
    }
}
