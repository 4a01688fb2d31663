//! Tables of RFC 9111 §5.2 and properties of the parser.

use proptest::prelude::*;

use super::*;

fn time() -> impl Strategy<Value = Option<u32>> {
    proptest::option::of(prop_oneof![0..5u32, Just(MOST_SECONDS), 0..MOST_SECONDS])
}

prop_compose! {
    fn response()(flags in any::<[bool; 9]>(), times in [time(), time(), time(), time()]) -> ResponseDirectives {
        let [public, private, no_store, no_cache, must_revalidate, proxy_revalidate,
            must_understand, no_transform, immutable] = flags;
        let [max_age, s_maxage, stale_while_revalidate, stale_if_error] = times;
        ResponseDirectives {
            public, private, no_store, no_cache, must_revalidate, proxy_revalidate,
            must_understand, no_transform, immutable, max_age, s_maxage,
            stale_while_revalidate, stale_if_error,
        }
    }
}

prop_compose! {
    fn request()(
        flags in any::<[bool; 4]>(),
        times in [time(), time(), time()],
        stale in proptest::option::of(proptest::option::of(0..100u32)),
    ) -> RequestDirectives {
        let [no_cache, no_store, only_if_cached, no_transform] = flags;
        let [max_age, min_fresh, stale_if_error] = times;
        let max_stale = stale.map(|s| s.map_or(MaxStale::Any, MaxStale::Seconds));
        RequestDirectives {
            no_cache, no_store, only_if_cached, no_transform, max_age, min_fresh, max_stale,
            stale_if_error,
        }
    }
}

proptest! {
    #[test]
    fn a_response_field_round_trips(directives in response()) {
        prop_assert_eq!(ResponseDirectives::parse(&directives.to_string()), directives);
    }

    #[test]
    fn a_request_field_round_trips(directives in request()) {
        prop_assert_eq!(RequestDirectives::parse(&directives.to_string()), directives);
    }

    #[test]
    fn any_text_parses(text in "\\PC{0,200}") {
        let _ = ResponseDirectives::parse(&text);
        let _ = RequestDirectives::parse(&text);
    }

    #[test]
    fn any_text_of_its_alphabet_parses(text in "[-a-z0-9=\", \\\\]{0,80}(max-age|no-store|private)?[=\",0-9 ]{0,20}") {
        let parsed = ResponseDirectives::parse(&text);
        prop_assert_eq!(ResponseDirectives::parse(&parsed.to_string()), parsed);
    }
}

#[test]
fn names_ignore_case_and_unknown_ones_are_passed_over() {
    let parsed = ResponseDirectives::parse("PUBLIC, Max-Age=60 , x=y, x=\"a, no-store\",,");
    assert_eq!(
        parsed,
        ResponseDirectives { public: true, max_age: Some(60), ..ResponseDirectives::default() }
    );
}

#[test]
fn times_are_read_as_rfc_9111_says() {
    let cases = [
        ("max-age=\"10\"", 10),               // §5.2: recipients accept both forms
        ("max-age=4294967296", MOST_SECONDS), // §1.2.2: overflow is the largest
        ("max-age=99999999999999999999", MOST_SECONDS),
        ("max-age=1.5", 0), // §4.2.1: invalid is stale
        ("max-age=-1", 0),
        ("max-age=", 0),
        ("max-age", 0),
        ("max-age=60, max-age=10", 10), // §4.2.1: conflicting, the lesser
    ];
    for (text, seconds) in cases {
        assert_eq!(ResponseDirectives::parse(text).max_age, Some(seconds), "{text}");
    }
}

#[test]
fn qualified_forms_count_as_the_whole() {
    let parsed = ResponseDirectives::parse("private=\"x-a, x-b\", no-cache=\"set-cookie\"");
    assert!(parsed.private && parsed.no_cache && !parsed.no_store);
}

#[test]
fn pragma_counts_only_without_cache_control() {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::PRAGMA, http::HeaderValue::from_static("no-cache"));
    assert!(RequestDirectives::read(&headers).no_cache);
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("max-age=1"));
    assert!(!RequestDirectives::read(&headers).no_cache);
}
