//! Each error's status, type and headers.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use springtide_engine::{EngineError, ResultLimit};
use springtide_freshness::stream::StreamError;
use springtide_freshness::{IngestError, PinError};
use springtide_protocol::parameter::InvalidParameter;

use super::response;
use crate::access::Denied;
use crate::body::Body;
use crate::error::RequestError;
use crate::route::NoRoute;

fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn told(error: RequestError) -> (u16, String, Response<()>, Value) {
    let response = response(&error, "req-1");
    let status = response.status().as_u16();
    assert_eq!(header(&response, "content-type"), Some("application/problem+json"));
    let (head, body) = response.into_parts();
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["request_id"], "req-1");
    assert_eq!(body["status"], status);
    let kind = body["type"].as_str().unwrap().replace("urn:springtide:problem:", "");
    (status, kind, Response::from_parts(head, ()), body)
}

#[tokio::test]
async fn each_error_has_its_status_and_type() {
    let sql = || EngineError::InvalidSql { detail: "near FORM".into(), position: Some(9) };
    let cases: Vec<(RequestError, u16, &str)> = vec![
        (NoRoute::NotFound("/x".into()).into(), 404, "not-found"),
        (RequestError::SqlMissing, 400, "invalid-parameter"),
        (RequestError::SqlTooLong(9000), 413, "too-large"),
        (RequestError::AdhocOff, 403, "forbidden"),
        (RequestError::BodyMissing, 400, "invalid-request"),
        (RequestError::BodyTooLarge { limit_bytes: 1 }, 413, "too-large"),
        (RequestError::VersionLacksTime, 400, "invalid-version"),
        (sql().into(), 400, "invalid-sql"),
        (
            EngineError::ResultTooLarge { limit: ResultLimit::Rows(1) }.into(),
            422,
            "result-too-large",
        ),
        (EngineError::Timeout { limit: Duration::from_secs(1) }.into(), 503, "query-timeout"),
        (EngineError::Overloaded { waiting: 3 }.into(), 503, "overloaded"),
        (Denied::Token("it has expired").into(), 401, "unauthorized"),
        (Denied::WritesOff.into(), 403, "forbidden"),
        (PinError::Gone.into(), 410, "version-gone"),
        (PinError::Future.into(), 404, "not-found"),
        (RequestError::Incomparable, 409, "incomparable-version"),
    ];
    for (error, status, kind) in cases {
        let text = error.to_string();
        let (got_status, got_kind, response, _) = told(error).await;
        assert_eq!((got_status, got_kind.as_str()), (status, kind), "{text}");
        let cache = response.headers()["cache-control"].to_str().unwrap();
        let expected = if status == 410 { "public, max-age=10" } else { "no-store" };
        assert_eq!(cache, expected, "{text}");
        assert_eq!(response.headers().contains_key("retry-after"), status == 503, "{text}");
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401, "{text}");
    }
}

#[tokio::test]
async fn a_problem_says_where_it_is() {
    let unknown = InvalidParameter::Unknown { name: "dya".into(), nearest: Some("day".into()) };
    let (_, _, _, body) = told(unknown.into()).await;
    assert_eq!(body["parameter"], "dya");
    assert!(body["detail"].as_str().unwrap().contains("did you mean `day`?"));
    let error = EngineError::InvalidSql { detail: "near FORM".into(), position: Some(9) };
    let (_, _, _, body) = told(error.into()).await;
    assert_eq!(body["position"], 9);
}

#[tokio::test]
async fn a_wrong_method_says_which_are_allowed() {
    let error = NoRoute::Method { method: "PUT".into(), allow: "GET, HEAD, OPTIONS" };
    let (status, _, response, _) = told(error.into()).await;
    assert_eq!(status, 405);
    assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn our_own_failures_keep_their_causes_to_the_log() {
    let source = std::io::Error::other("/secret/path");
    let (status, kind, _, body) = told(RequestError::Spool(source)).await;
    assert_eq!((status, kind.as_str()), (500, "internal"));
    assert!(!body.to_string().contains("secret"));
}

#[tokio::test]
async fn a_silent_broker_tells_whether_rows_may_be_stored() {
    let late = || "no answer of the broker within 3s".into();
    let silent = StreamError::Unreachable { source: late() };
    let (status, kind, head, body) = told(IngestError::from(silent).into()).await;
    assert_eq!((status, kind.as_str()), (503, "unavailable"));
    assert_eq!(head.headers()["retry-after"], "1");
    assert_eq!(body["rows_stored"], "no");
    assert!(body["detail"].as_str().unwrap().starts_with("nothing was taken"), "{body}");

    let unknown = StreamError::UnknownOutcome { source: late() };
    let (status, kind, head, body) = told(IngestError::from(unknown).into()).await;
    assert_eq!((status, kind.as_str()), (503, "unavailable"));
    assert!(!head.headers().contains_key("retry-after"), "rows must not be sent again unseen");
    assert_eq!(body["rows_stored"], "unknown");
}
