//! Tokens, row filters, policies, writers.

#![allow(clippy::unwrap_used)]

use http::{HeaderMap, HeaderValue, header};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use springtide_protocol::TableName;

use super::row_filter::filled;
use super::{
    AccessSettings, Algorithm, Denied, Identity, InvalidAccess, Policy, RestrictedTable, Verifier,
    Writers,
};

const SECRET: &[u8] = b"a secret of thirty-two bytes....";
const NOW: i64 = 1_000_000_000_000_000;
const LATER: i64 = 1_000_000_600;

fn headers(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(header::AUTHORIZATION, value);
    headers
}

fn token(claims: &Value) -> HeaderMap {
    let key = EncodingKey::from_secret(SECRET);
    headers(&jsonwebtoken::encode(&Header::default(), claims, &key).unwrap())
}

fn settings() -> (AccessSettings, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SECRET).unwrap();
    let settings = AccessSettings {
        algorithm: Some(Algorithm::HS256),
        secret_file: Some(file.path().to_owned()),
        ..AccessSettings::default()
    };
    (settings, file)
}

fn payroll() -> TableName {
    "payroll".parse().unwrap()
}

fn identity(claims: Value) -> Identity {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    Identity { claims: Some(claims) }
}

#[test]
fn a_token_that_holds_gives_its_claims() {
    let (settings, _file) = settings();
    let verifier = Verifier::open(&settings).unwrap();
    let who = verifier.identify(&token(&json!({"sub": "ann", "exp": LATER})), NOW).unwrap();
    assert_eq!(who.claims.as_ref().unwrap()["sub"], "ann");
    assert_eq!(who.ends_micros(), Some(LATER * 1_000_000));
    assert_eq!(verifier.identify(&HeaderMap::new(), NOW).unwrap(), Identity::default());
}

#[test]
fn tokens_that_do_not_hold_say_why() {
    let (mut settings, _file) = settings();
    settings.issuer = Some("us".into());
    settings.audience = Some("tide".into());
    let verifier = Verifier::open(&settings).unwrap();
    let good = json!({"exp": LATER, "iss": "us", "aud": "tide"});
    verifier.identify(&token(&good), NOW).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        verifier.identify(&token(&claims), NOW).unwrap_err()
    };
    assert_eq!(with("exp", json!(999_999_000)), Denied::Token("it has expired"));
    assert_eq!(with("exp", Value::Null), Denied::Token("it has no `exp`"));
    assert_eq!(with("nbf", json!(LATER)), Denied::Token("it is not valid yet"));
    assert!(matches!(with("iss", json!("them")), Denied::Token(r) if r.contains("issuer")));
    assert!(matches!(with("aud", json!("other")), Denied::Token(r) if r.contains("audience")));
    let other = EncodingKey::from_secret(b"another secret of thirty-two b..");
    let forged = jsonwebtoken::encode(&Header::default(), &good, &other).unwrap();
    let forged = verifier.identify(&headers(&forged), NOW).unwrap_err();
    assert_eq!(forged, Denied::Token("its signature is another's"));
    let none = headers("eyJhbGciOiJub25lIn0.eyJleHAiOjQwMDAwMDAwMDB9.");
    assert!(matches!(verifier.identify(&none, NOW), Err(Denied::Token(_))));
    let mut basic = HeaderMap::new();
    basic.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic eA=="));
    assert!(matches!(verifier.identify(&basic, NOW), Err(Denied::Token(_))));
}

#[test]
fn settings_that_do_not_hold_are_refused() {
    let (mut settings, file) = settings();
    settings.secret_file = None;
    assert!(matches!(Verifier::open(&settings), Err(InvalidAccess::KeyMissing(..))));
    std::fs::write(file.path(), "short").unwrap();
    settings.secret_file = Some(file.path().to_owned());
    assert!(matches!(Verifier::open(&settings), Err(InvalidAccess::SecretShort(5))));
    settings.algorithm = None;
    settings.restricted.insert(payroll(), RestrictedTable::default());
    assert!(matches!(Policy::new(&settings), Err(InvalidAccess::NobodyCanRead(_))));
}

#[test]
fn claims_become_constants_and_nothing_else() {
    let claims = |value: Value| Map::from_iter([("c".to_owned(), value)]);
    let fill = |value: Value| filled("x = $c AND y <> '$c'", &claims(value));
    assert_eq!(fill(json!("ann")).unwrap(), "x = 'ann' AND y <> '$c'");
    assert_eq!(fill(json!("' OR 1=1 --")).unwrap(), "x = ''' OR 1=1 --' AND y <> '$c'");
    assert_eq!(fill(json!(-5)).unwrap(), "x = (-5) AND y <> '$c'");
    assert_eq!(filled("x IN $c", &claims(json!(["a", "b'"]))).unwrap(), "x IN ('a', 'b''')");
    assert_eq!(filled("x IN $c", &claims(json!([]))).unwrap(), "x IN (NULL)");
    for unfit in [json!(null), json!({"a": 1}), json!("a\0b"), json!(1.5), json!([[1]])] {
        assert_eq!(fill(unfit), Err("c".to_owned()));
    }
    assert_eq!(filled("x = $other", &claims(json!(1))), Err("other".to_owned()));
}

#[test]
fn a_policy_opens_tables_by_claim_and_joins_the_validator() {
    let (mut settings, _file) = settings();
    let rule = RestrictedTable {
        claim: Some("role".into()),
        values: vec!["hr".into()],
        row_filter: Some("region = $region".into()),
    };
    settings.restricted.insert(payroll(), rule);
    let policy = Policy::new(&settings).unwrap();
    let nobody = policy.opens(&payroll(), &Identity::default());
    assert!(matches!(nobody, Err(Denied::TokenMissing(_))));
    let guest = policy.opens(&payroll(), &identity(json!({"role": "guest", "region": "eu"})));
    assert_eq!(guest, Err(Denied::Table(payroll())));
    let homeless = policy.opens(&payroll(), &identity(json!({"role": ["x", "hr"]})));
    assert_eq!(homeless, Err(Denied::Claim("region".into(), payroll())));

    let eu = policy.view(&identity(json!({"role": "hr", "region": "eu", "exp": 1})));
    let eu_later = policy.view(&identity(json!({"role": "hr", "region": "eu", "exp": 2})));
    let us = policy.view(&identity(json!({"role": "hr", "region": "us"})));
    assert_eq!(eu.row_filter(&payroll()).as_deref(), Some("region = 'eu'"));
    assert_eq!(eu, eu_later, "only the claims that are used count");
    let bytes = |view| policy.bytes(view, [payroll()].iter());
    assert_ne!(bytes(&eu), bytes(&us));
    assert!(policy.bytes(&eu, [].iter()).is_empty());
    settings.revision = 2;
    let raised = Policy::new(&settings).unwrap();
    assert_ne!(raised.bytes(&eu, [payroll()].iter()), bytes(&eu));
}

#[test]
fn writes_want_the_token_or_this_machine() {
    let with_token = Writers::new(Some("t0ken"), true);
    assert_eq!(with_token.check(&headers("t0ken")), Ok(()));
    assert!(matches!(with_token.check(&headers("t0ken2")), Err(Denied::Token(_))));
    assert!(matches!(with_token.check(&HeaderMap::new()), Err(Denied::TokenMissing(_))));
    let local = Writers::new(None, false);
    assert_eq!(local.check(&HeaderMap::new()), Ok(()));
    let mut page = HeaderMap::new();
    page.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
    page.insert(header::ORIGIN, HeaderValue::from_static("http://127.0.0.1:8080"));
    assert_eq!(local.check(&page), Ok(()));
    page.insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
    assert_eq!(local.check(&page), Err(Denied::OtherSite));
    let open = Writers::new(Some("  "), true);
    assert!(open.are_off(), "an empty token is none");
    assert_eq!(open.check(&HeaderMap::new()), Err(Denied::WritesOff));
}
