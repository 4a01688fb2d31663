//! Questions read from URLs and headers.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use springtide_protocol::canonical::CanonicalUrl;
use springtide_protocol::signing::VersionKey;
use springtide_protocol::version::TableVersion;
use springtide_protocol::{Offset, PartitionId, Version};

use super::{At, Reserved, frozen};
use crate::error::RequestError;

const ANSWER: [&str; 3] = ["v", "min", "numbers"];

fn url(query: &str) -> CanonicalUrl {
    CanonicalUrl::parse(&format!("/v1/q/x?{query}")).unwrap()
}

fn key() -> VersionKey {
    VersionKey::new(b"0123456789abcdef")
}

fn read(query: &str) -> Result<Reserved, RequestError> {
    Reserved::read(&url(query), &ANSWER, &[])
}

fn at(query: &str, header: Option<&'static str>) -> Result<At, RequestError> {
    let mut headers = HeaderMap::new();
    if let Some(text) = header {
        headers.insert("springtide-min-version", HeaderValue::from_static(text));
    }
    read(query)?.at(&headers, &key())
}

fn version(next: i64) -> Version {
    let table = TableVersion {
        table_uuid: uuid::Uuid::from_u128(1),
        topic_id: None,
        schema_id: 0,
        decode_epoch: 0,
        foreign_sequence: 0,
        offsets: [(PartitionId(0), Offset(next))].into_iter().collect(),
    };
    Version { tables: [("flights".parse().unwrap(), table)].into(), time_micros: None }
}

#[test]
fn unknown_parameters_name_the_nearest() {
    let unknown = read("mim=flights.o0-1").unwrap_err();
    assert!(unknown.to_string().contains("did you mean `min`"), "{unknown}");
    let q = read("q=SELECT+1").unwrap_err();
    assert!(matches!(q, RequestError::Parameter(_)), "`q` is for /v1/sql alone: {q}");
    assert!(read("numbers=string").unwrap().numbers_as_text);
    assert!(matches!(read("numbers=float"), Err(RequestError::Numbers)));
    assert!(matches!(read("v=a&v=b"), Err(RequestError::RepeatedReserved("v"))));
}

#[test]
fn minima_of_header_and_url_join() {
    let At::Least(least) = at("min=flights.o0-5_1-1", Some("flights.o0-3_1-9~other.o0-2")).unwrap()
    else {
        panic!("a minimum was given")
    };
    assert_eq!(least.to_string(), "flights.o0-5_1-9~other.o0-2");
    assert!(matches!(at("min=!", None), Err(RequestError::Minimum(_))));
    let (a, b) = ("flights.uAAAAAAAAAAAAAAAAAAAAAQ", "flights.uAAAAAAAAAAAAAAAAAAAAAg");
    let disagree = at(&format!("min={a}"), Some(b));
    assert!(matches!(disagree, Err(RequestError::MinimaDisagree)), "{disagree:?}");
}

#[test]
fn a_pinned_version_must_have_been_issued_here() {
    let signed = key().sign(&version(7));
    let pinned = at(&format!("v={signed}"), None).unwrap();
    assert_eq!(pinned, At::Exactly(version(7)));
    let other = VersionKey::new(b"another key.....").sign(&version(7));
    assert!(matches!(at(&format!("v={other}"), None), Err(RequestError::Pinned(_))));
    let bare = version(7).to_string();
    assert!(matches!(at(&format!("v={bare}"), None), Err(RequestError::Pinned(_))));
    let both = at(&format!("v={signed}&min=flights.o0-1"), None);
    assert!(matches!(both, Err(RequestError::PinnedAndMinimum)));
    assert_eq!(at(&format!("v={signed}"), Some("flights.o0-7")).unwrap(), pinned);
    let beyond = at(&format!("v={signed}"), Some("flights.o0-8"));
    assert!(matches!(beyond, Err(RequestError::PinnedAndMinimum)));
}

#[test]
fn the_clock_is_floored_to_its_quantum() {
    assert_eq!(frozen(1_999_999, Duration::from_secs(1)), 1_000_000);
    assert_eq!(frozen(-1, Duration::from_secs(1)), -1_000_000);
    assert_eq!(frozen(5, Duration::ZERO), 5);
}
