//! Declared parameters: defaults made explicit, one spelling, bounds, unknown names.

use proptest::prelude::*;

use super::*;

fn declare(name: &str, kind: ParameterType) -> Parameter {
    Parameter {
        name: name.to_owned(),
        kind,
        default: None,
        min: None,
        max: None,
        choices: Vec::new(),
        description: String::new(),
    }
}

fn resolved(declared: &[Parameter], query: &str) -> Result<Vec<String>, InvalidParameter> {
    let url = CanonicalUrl::parse(&format!("/v1/q/x?{query}")).unwrap();
    let values = resolve(declared, &url)?;
    Ok(values.into_iter().map(|(n, v)| format!("{n}={v}")).collect())
}

#[test]
fn equal_questions_have_equal_text() {
    let day =
        Parameter { default: Some("2001-03-31".into()), ..declare("day", ParameterType::Date) };
    let since = declare("since", ParameterType::Timestamp);
    let declared = [day, since];
    let wanted = ["day=2001-03-31", "since=2001-03-31T00:00:00"];
    for query in [
        "since=2001-03-31",
        "day=2001-03-31&since=2001-03-31T00:00",
        "since=2001-03-31+00:00:00&day=2001-03-31",
        "since=2001-03-31T02:00:00%2B02:00",
        "since=2001-03-31T00:00:00Z",
    ] {
        assert_eq!(resolved(&declared, query).unwrap(), wanted, "{query}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_name() {
    let limit = Parameter {
        min: Some("1".into()),
        max: Some("100".into()),
        ..declare("limit", ParameterType::Integer)
    };
    let airport = Parameter {
        choices: vec!["ATL".into(), "ORD".into()],
        default: Some("ATL".into()),
        ..declare("airport", ParameterType::String)
    };
    let declared = [limit, airport];
    let cases = [
        ("limti=3", "unknown parameter `limti`; did you mean `limit`?"),
        ("limit=1&zzzzzz=1", "unknown parameter `zzzzzz`"),
        ("airport=ATL", "parameter `limit` is required"),
        ("limit=1&limit=2", "parameter `limit` is given more than once"),
        ("limit=ten", "parameter `limit`: `ten` is not an integer of 64 bits"),
        (
            "limit=9223372036854775808",
            "parameter `limit`: `9223372036854775808` is not an integer of 64 bits",
        ),
        ("limit=0", "parameter `limit`: `0` must be at least 1"),
        ("limit=101", "parameter `limit`: `101` must be at most 100"),
        ("limit=5&airport=atl", "parameter `airport`: `atl` must be one of ATL, ORD"),
    ];
    for (query, wanted) in cases {
        assert_eq!(resolved(&declared, query).unwrap_err().to_string(), wanted, "{query}");
    }
    assert!(resolved(&declared, "limit=5&v=abc&min=x&numbers=string").is_ok());
}

#[test]
fn a_declaration_is_checked_itself() {
    assert!(declare("v", ParameterType::String).check().is_err());
    let bad = Parameter { default: Some("x".into()), ..declare("n", ParameterType::Integer) };
    assert!(bad.check().is_err());
    let outside = Parameter {
        default: Some("0".into()),
        min: Some("1".into()),
        ..declare("n", ParameterType::Integer)
    };
    assert!(outside.check().is_err());
}

proptest! {
    #[test]
    fn a_values_text_reads_as_the_same_value(n in any::<i64>(), x in any::<f64>(), seconds in 0i64..4_000_000_000) {
        let same = |kind: ParameterType, value: ParameterValue| {
            prop_assert_eq!(kind.parse(&value.to_string()), Some(value));
            Ok(())
        };
        same(ParameterType::Integer, ParameterValue::Integer(n))?;
        if x.is_finite() {
            same(ParameterType::Double, ParameterValue::Double(x + 0.0))?;
        }
        let time = DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
        same(ParameterType::Timestamp, ParameterValue::Timestamp(time))?;
        same(ParameterType::Date, ParameterValue::Date(time.date()))?;
    }
}
