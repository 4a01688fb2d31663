//! The syntactic canonical form: idempotent, blind to the order of parameters.

use proptest::prelude::*;

use super::*;

fn canonical(target: &str) -> String {
    CanonicalUrl::parse(target).unwrap().to_string()
}

proptest! {
    #[test]
    fn canonical_form_is_idempotent(path in "(/[ -~]{1,8}){0,3}", query in "[ -~]{0,40}") {
        if let Ok(url) = CanonicalUrl::parse(&format!("{path}?{query}")) {
            let text = url.to_string();
            let again = CanonicalUrl::parse(&text).unwrap();
            prop_assert_eq!(&again, &url);
            prop_assert_eq!(again.to_string(), text);
        }
    }

    #[test]
    fn the_order_of_parameters_is_irrelevant(
        pairs in proptest::collection::btree_map("[a-z]{1,4}", "\\PC{1,6}", 1..6),
        seed in any::<u64>(),
    ) {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut written: Vec<String> =
            pairs.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
        let sorted = canonical(&format!("/v1/q/x?{}", written.join("&")));
        let count = written.len();
        written.rotate_left(usize::try_from(seed % 7).unwrap() % count);
        written.swap(0, count - 1);
        prop_assert_eq!(canonical(&format!("/v1/q/x?{}", written.join("&"))), sorted);
    }

    #[test]
    fn any_target_is_refused_or_read_but_never_a_panic(target in "\\PC{0,80}") {
        let _ = CanonicalUrl::parse(&target);
    }
}

#[test]
fn one_spelling_for_equal_urls() {
    let cases = [
        ("/v1/q/top?b=2&a=1", "/v1/q/top?a=1&b=2"),
        ("/v1//q/top/?a=%41%7e", "/v1/q/top?a=A~"),
        ("/v1/q/top?a=x+y", "/v1/q/top?a=x%20y"),
        ("/v1/q/top?a=&b&c=1", "/v1/q/top?c=1"),
        ("/v1/q/top?k=2&k=1", "/v1/q/top?k=2&k=1"),
        ("/v1/q/top?q=a%2Bb", "/v1/q/top?q=a%2Bb"),
        ("/v1/q/t%6Fp", "/v1/q/top"),
        ("/", "/"),
        ("", "/"),
        ("/a%2Fb", "/a%2Fb"),
    ];
    for (given, wanted) in cases {
        assert_eq!(canonical(given), wanted, "{given}");
    }
}

#[test]
fn what_has_no_form_is_refused() {
    assert_eq!(CanonicalUrl::parse("/a/../b"), Err(InvalidUrl::DotSegment));
    assert_eq!(CanonicalUrl::parse("/a/%2e%2E/b"), Err(InvalidUrl::DotSegment));
    for target in ["/?a=%", "/?a=%4", "/?a=%zz", "/?a=%ff", "/%c3%28", "/?a=%+1", "/?a=%%41"] {
        let parsed = CanonicalUrl::parse(target);
        assert!(matches!(parsed, Err(InvalidUrl::Encoding(_))), "{target}: {parsed:?}");
    }
    let long = format!("/?a={}", "x".repeat(URL_BYTES));
    assert!(matches!(CanonicalUrl::parse(&long), Err(InvalidUrl::TooLong(_))));
    let many = format!("/?{}", "a=1&".repeat(PARAMETERS + 1));
    assert!(matches!(CanonicalUrl::parse(&many), Err(InvalidUrl::TooManyParameters(_))));
}

#[test]
fn a_repeated_parameter_is_not_single() {
    let url = CanonicalUrl::parse("/x?a=1&a=2&b=3").unwrap();
    assert_eq!(url.single("a"), None);
    assert_eq!(url.single("b"), Some("3"));
    assert_eq!(url.single("c"), None);
}
