//! Answers outward: from the store (Age, lag and `Cache-Status` as of now, 304 to
//! a matching condition, HEAD without the body) and the edge's own errors. It
//! must never decide whether an answer may be used.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use springtide_protocol::headers;
use springtide_protocol::problem::{CONTENT_TYPE, Problem, ProblemKind};

use crate::body::EdgeBody;
use crate::entry::{Entry, Standing};
use crate::error::UpstreamError;
use crate::feed::Beat;
use crate::outcome::{CacheStatus, Forwarded, Outcome};
use crate::own_fields::time_hit;
use crate::policy::{MICROS_PER_SECOND, Now, validate};

/// The answers to a small number.
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What of the request shapes an answer from the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    /// Whether it is HEAD.
    pub head_only: bool,
    /// Its fields, where it is conditional.
    pub conditions: Option<&'a HeaderMap>,
}

/// An answer from a stored entry.
#[must_use]
pub(crate) fn stored(
    entry: &Entry,
    standing: Standing,
    beat: &Beat,
    now: Now,
    status: CacheStatus,
    shape: Shape<'_>,
) -> Response<EdgeBody> {
    let freshness = standing.stored.freshness(now);
    let (mut fields, as_of) = entry.fields(standing.raised.then_some(beat));
    let age = (freshness.age / MICROS_PER_SECOND).max(0);
    fields.insert(header::AGE, number(age));
    if let Some(as_of) = as_of {
        fields.insert(headers::LAG_MS, number((now.wall - as_of).max(0) / 1000));
    }
    let status = CacheStatus { ttl: Some(whole_seconds(freshness.left)), ..status };
    fields.insert(headers::CACHE_STATUS, status.header());
    if status.outcome.is_hit() {
        time_hit(&mut fields);
    }
    let unmodified = entry.status == StatusCode::OK
        && shape.conditions.is_some_and(|c| validate::is_unmodified(c, &entry.head));
    let (code, body) = if unmodified {
        for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            fields.remove(name);
        }
        (StatusCode::NOT_MODIFIED, EdgeBody::empty())
    } else if shape.head_only {
        (entry.status, EdgeBody::empty())
    } else {
        (entry.status, EdgeBody::full(entry.body.clone()))
    };
    let mut response = Response::new(body);
    *response.status_mut() = code;
    *response.headers_mut() = fields;
    response
}

/// Adds the edge's member to what caches behind it said (RFC 9211 §2).
#[must_use]
pub(crate) fn passed(mut response: Response<EdgeBody>, status: CacheStatus) -> Response<EdgeBody> {
    response.headers_mut().append(headers::CACHE_STATUS, status.header());
    response
}

/// The edge's own error.
#[must_use]
pub(crate) fn problem(
    code: StatusCode,
    kind: ProblemKind,
    detail: &str,
    status: CacheStatus,
) -> Response<EdgeBody> {
    let mut problem = Problem::new(kind, detail);
    problem.status = code.as_u16();
    let text = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(EdgeBody::full(Bytes::from(text)));
    *response.status_mut() = code;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(headers::CACHE_STATUS, status.header());
    if code == StatusCode::SERVICE_UNAVAILABLE {
        fields.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The answer where upstream gave none.
#[must_use]
pub(crate) fn failed(error: &UpstreamError, forwarded: Forwarded) -> Response<EdgeBody> {
    let (code, kind, outcome) = error.facts();
    let detail = match error {
        UpstreamError::TooLarge(_) => error.to_string(),
        _ => format!("{error}; try again shortly"),
    };
    problem(code, kind, &detail, CacheStatus::new(outcome, forwarded))
}

/// The answer to `only-if-cached` where nothing fits (RFC 9111 §5.2.1.7).
#[must_use]
pub(crate) fn refused() -> Response<EdgeBody> {
    let status = CacheStatus::new(Outcome::OnlyIfCached, Forwarded::UriMiss);
    let detail = "nothing fitting is stored here; ask without `only-if-cached`";
    problem(StatusCode::GATEWAY_TIMEOUT, ProblemKind::Unavailable, detail, status)
}

/// The answer where too many wait.
#[must_use]
pub(crate) fn crowded(forwarded: Forwarded) -> Response<EdgeBody> {
    let status = CacheStatus::new(Outcome::Crowded, forwarded);
    let detail = "too many requests wait for this answer already; try again in a second";
    problem(StatusCode::SERVICE_UNAVAILABLE, ProblemKind::Overloaded, detail, status)
}

/// What is left in whole seconds, away from zero: only a stale answer has no more than 0.
const fn whole_seconds(left: i64) -> i64 {
    let seconds = left / MICROS_PER_SECOND;
    let rest = left % MICROS_PER_SECOND;
    if rest == 0 { seconds } else { seconds + rest.signum() }
}

fn number(value: i64) -> HeaderValue {
    let digit = usize::try_from(value).ok().and_then(|n| DIGITS.get(n));
    digit.map_or_else(|| HeaderValue::from(value), |text| HeaderValue::from_static(text))
}
