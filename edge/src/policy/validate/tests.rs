//! Conditions (RFC 9110 §13) and the update by a 304 (RFC 9111 §3.2, §4.3.4).

use super::*;

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, HeaderValue::from_static(value));
    }
    map
}

#[test]
fn if_none_match_is_weak_and_of_any_coding() {
    let plain = fields(&[("etag", "\"a\"")]);
    let brotli = fields(&[("etag", "W/\"a-br\""), ("content-encoding", "br")]);
    for stored in [&plain, &brotli] {
        for (text, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"a-br\"", true),
            ("\"a-gz\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            let request =
                HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(text))]);
            assert_eq!(is_unmodified(&request, stored), expected, "{text}");
        }
    }
}

#[test]
fn dates_count_only_without_if_none_match() {
    let stored = fields(&[("etag", "\"a\""), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")]);
    let since = ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT");
    assert!(is_unmodified(&fields(&[since]), &stored));
    assert!(!is_unmodified(&fields(&[since, ("if-none-match", "\"b\"")]), &stored));
    let before = ("if-modified-since", "Wed, 31 Dec 2025 23:59:59 GMT");
    assert!(!is_unmodified(&fields(&[before]), &stored));
    assert!(!is_unmodified(&fields(&[("if-modified-since", "x")]), &stored));
}

#[test]
fn a_304_updates_all_but_what_describes_the_body() {
    let stored = fields(&[
        ("etag", "\"a\""),
        ("content-type", "application/json"),
        ("content-length", "4"),
        ("springtide-version", "old"),
        ("x-kept", "1"),
    ]);
    let not_modified = fields(&[
        ("etag", "\"a\""),
        ("content-length", "0"),
        ("springtide-version", "new"),
        ("x-new", "1"),
        ("x-new", "2"),
    ]);
    let merged = merge(&stored, &not_modified);
    assert_eq!(merged["content-length"], "4");
    assert_eq!(merged["content-type"], "application/json");
    assert_eq!(merged["springtide-version"], "new");
    assert_eq!(
        (merged["x-kept"].as_bytes(), merged.get_all("x-new").iter().count()),
        (&b"1"[..], 2)
    );
}

#[test]
fn a_304_for_another_validator_confirms_nothing() {
    let stored = fields(&[("etag", "\"a\"")]);
    for (lines, expected) in
        [(&[("etag", "W/\"a\"")][..], true), (&[], true), (&[("etag", "\"b\"")], false)]
    {
        assert_eq!(confirms(&fields(lines), &stored), expected, "{lines:?}");
    }
}
