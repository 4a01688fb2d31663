//! Around every request: its id, the rules for pages of other sites, the log
//! line, the counters.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use springtide_protocol::headers;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dispatch;
use crate::body::{Body, empty, full};
use crate::error::RequestError;
use crate::origin::Origin;
use crate::problem;
use crate::route::NoRoute;

/// The most characters of a client's request id.
const REQUEST_ID_BYTES: usize = 64;

/// Response headers that pages of other sites may read.
const EXPOSED: &str = "ETag, Age, Cache-Status, Server-Timing, Springtide-Version, Springtide-As-Of, \
                       Springtide-Lag-Ms, Springtide-Coverage, X-Request-Id, Retry-After";
/// Request headers that they may send.
const ACCEPTED: &str = "Accept, Authorization, Cache-Control, Content-Type, If-None-Match, \
                        Last-Event-ID, Springtide-Min-Version, X-Request-Id";

/// Answers one request.
pub(super) async fn respond(
    origin: &Arc<Origin>,
    request: Request<Incoming>,
    stop: &CancellationToken,
) -> Response<Body> {
    let start = Instant::now();
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (route, answer) = dispatch::dispatch(origin, request, stop).await;
    let mut response = answer.unwrap_or_else(|error| refused(&error, &id));
    if method == Method::HEAD {
        *response.body_mut() = empty();
    }
    finish(origin, &method, &id, response.headers_mut());
    let status = response.status().as_u16();
    let seconds = start.elapsed().as_secs_f64();
    metrics::counter!("springtide_origin_requests_total", "route" => route, "status" => status.to_string())
        .increment(1);
    metrics::histogram!("springtide_origin_request_seconds", "route" => route).record(seconds);
    tracing::info!(
        target: "springtide::access",
        %method,
        path,
        route,
        status,
        ms = seconds * 1000.0,
        bytes = response.body().size_hint().exact(),
        request_id = id,
        "request"
    );
    response
}

fn refused(error: &RequestError, id: &str) -> Response<Body> {
    if let RequestError::Route(NoRoute::Options { allow }) = error {
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        return response;
    }
    problem::response(error, id)
}

/// The headers that every response has.
fn finish(origin: &Origin, method: &Method, id: &str, headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(HeaderName::from_static(headers::REQUEST_ID), id);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if !origin.settings.any_site_reads || *method == Method::POST {
        return;
    }
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if *method == Method::OPTIONS {
        set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD");
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, ACCEPTED);
        set(header::ACCESS_CONTROL_MAX_AGE, "86400");
    }
}

/// The client's id where it is plain, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(headers::REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fit = |id: &&str| !id.is_empty() && id.len() <= REQUEST_ID_BYTES && id.bytes().all(plain);
    given.filter(fit).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(document.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_plain_request_id_is_kept_and_another_replaced() {
        let id = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(headers::REQUEST_ID, text.parse().unwrap());
            request_id(&headers)
        };
        assert_eq!(id("abc-1.2_3"), "abc-1.2_3");
        for other in ["", "a b", "a\"b", &"x".repeat(65)] {
            assert_ne!(id(other), other);
            assert_eq!(id(other).len(), 36);
        }
    }
}
