//! Tables of RFC 9111 §4.2 and RFC 9213 §2.2.

use super::*;

const S: i64 = MICROS_PER_SECOND;

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, http::HeaderValue::from_static(value));
    }
    map
}

fn of(lines: &[(&'static str, &'static str)]) -> Option<Lifetimes> {
    lifetimes(StatusCode::OK, &fields(lines))
}

#[test]
fn the_first_that_is_named_counts() {
    const DATE: (&str, &str) = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
    const EXPIRES: (&str, &str) = ("expires", "Thu, 01 Jan 2026 00:01:00 GMT");
    type Case = (&'static [(&'static str, &'static str)], Option<i64>);
    let cases: [Case; 10] = [
        // §4.2.1: s-maxage, then max-age, then Expires − Date
        (&[("cache-control", "max-age=0, s-maxage=1")], Some(S)),
        (&[("cache-control", "max-age=5")], Some(5 * S)),
        (&[DATE, EXPIRES], Some(60 * S)),
        (&[("cache-control", "max-age=5"), DATE, EXPIRES], Some(5 * S)),
        // §5.3: an invalid Expires is past; two of them are no better
        (&[DATE, ("expires", "0")], Some(0)),
        (&[DATE, EXPIRES, EXPIRES], Some(0)),
        (&[EXPIRES], Some(0)),
        // no explicit lifetime: heuristics are off
        (&[("cache-control", "public")], None),
        // RFC 9213 §2.2: the targeted field alone counts where it is there
        (&[("cache-control", "max-age=5"), ("cdn-cache-control", "max-age=7")], Some(7 * S)),
        // §5.2.2.4: stored, but validated before each use
        (&[("cache-control", "no-cache, max-age=5")], Some(0)),
    ];
    for (lines, expected) in cases {
        assert_eq!(of(lines).map(|l| l.ordinary), expected, "{lines:?}");
    }
}

#[test]
fn our_hold_stands_beside_the_ordinary_lifetime() {
    let lines = [
        ("cache-control", "public, max-age=0, s-maxage=1, stale-if-error=60"),
        ("springtide-cache-control", "max-age=86400"),
    ];
    let life = of(&lines).unwrap();
    assert_eq!((life.ordinary, life.hold), (S, Some(86_400 * S)));
    assert_eq!((life.stale_if_error, life.strict), (60 * S, false));
    // An error has none, and lives ten seconds at most.
    let life =
        lifetimes(StatusCode::NOT_FOUND, &fields(&[lines[1], ("cache-control", "max-age=600")]));
    assert_eq!(life.map(|l| (l.ordinary, l.hold)), Some((10 * S, None)));
}

#[test]
fn strictness() {
    for (text, strict) in [
        ("max-age=5", false),
        ("max-age=5, must-revalidate", true),     // §5.2.2.2
        ("max-age=5, proxy-revalidate", true),    // §5.2.2.8
        ("s-maxage=5", true),                     // §5.2.2.10
        ("s-maxage=5, stale-if-error=60", false), // RFC 5861 permits by name
        ("s-maxage=5, stale-if-error=60, must-revalidate", true),
    ] {
        let map = fields(&[("cache-control", text)]);
        assert_eq!(lifetimes(StatusCode::OK, &map).unwrap().strict, strict, "{text}");
    }
}

#[test]
fn ages_begin_as_section_4_2_3_says() {
    let asked = Now { mono: 10 * S, wall: 0 };
    let received = Now { mono: 12 * S, wall: 0 };
    for (value, seconds) in [("7", 9), ("", 2), ("x", 2), ("-1", 2), ("3, 9", 5), ("1.5", 2)] {
        let map = fields(&[("age", value)]);
        assert_eq!(initial_age(&map, asked, received), seconds * S, "{value}");
    }
    assert_eq!(initial_age(&HeaderMap::new(), asked, received), 2 * S);
}
