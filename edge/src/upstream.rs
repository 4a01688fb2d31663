//! The way to the origin: one pooled HTTP client, its time limits, what of a
//! message may travel on (RFC 9110 §7.6.1), and whether the origin answers. It
//! must never know the store.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::body::EdgeBody;
use crate::error::{EdgeError, UpstreamError};
use crate::policy::Now;
use crate::settings::EdgeSettings;

/// Idle connections kept to the origin.
const IDLE_CONNECTIONS: usize = 256;
/// How long they are kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a dead origin is tried behind stale answers.
const TRY_INTERVAL_MICROS: i64 = 250_000;
/// Fields of the connection, not of the message.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Fields that frameworks let shape an answer, and that no key holds.
const UNKEYED: [&str; 9] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-host",
    "x-original-url",
    "x-rewrite-url",
];

/// The origin.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, EdgeBody>,
    authority: Authority,
    response_timeout: Duration,
    failing: AtomicBool,
    /// When it is tried again while it fails, monotonic microseconds.
    next_try: AtomicI64,
    requests: AtomicU64,
    failures: AtomicU64,
}

impl Upstream {
    /// A client for the origin; connects when first asked.
    ///
    /// # Errors
    /// Where the URI is not `http://HOST:PORT`.
    pub(crate) fn new(settings: &EdgeSettings) -> Result<Self, EdgeError> {
        let uri = &settings.upstream;
        let plain = uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/";
        let authority = uri.authority().filter(|_| plain && uri.query().is_none()).cloned();
        let authority = authority.ok_or_else(|| EdgeError::Upstream(uri.clone()))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.connect_timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_headers(settings.header_fields)
            .build(connector);
        Ok(Self {
            client,
            authority,
            response_timeout: settings.response_timeout,
            failing: AtomicBool::new(false),
            next_try: AtomicI64::new(0),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// Whether the last request found no connection.
    #[must_use]
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Requests sent and those that failed.
    #[must_use]
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }

    /// Sends a request whose URI is a path and query, and waits for the head of
    /// the answer.
    ///
    /// # Errors
    /// Where none comes, or not in time.
    pub(crate) async fn send(
        &self,
        mut request: Request<EdgeBody>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() =
            Uri::from_parts(parts).map_err(|e| UpstreamError::Request(e.into()))?;
        *request.version_mut() = http::Version::HTTP_11;
        // The origin's own name: what the client calls us is no part of the key.
        request.headers_mut().remove(header::HOST);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = tokio::time::timeout(self.response_timeout, self.client.request(request));
        match answer.await {
            Ok(Ok(response)) => {
                if self.is_failing() {
                    self.failing.store(false, Ordering::Relaxed);
                }
                Ok(response)
            }
            Ok(Err(error)) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                // One slow or broken answer says nothing of others; no connection does.
                if error.is_connect() {
                    self.failing.store(true, Ordering::Relaxed);
                }
                Err(UpstreamError::Unreachable(error))
            }
            Err(_) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(UpstreamError::TimedOut)
            }
        }
    }

    /// Whether it is time to try again behind a stale answer; once in a while,
    /// however many ask.
    pub(crate) fn may_try(&self, now: Now) -> bool {
        let due = self.next_try.load(Ordering::Relaxed);
        let next = now.mono + TRY_INTERVAL_MICROS;
        let swap = |due| {
            self.next_try.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        now.mono >= due && swap(due)
    }
}

/// Removes what belongs to one connection, and what `Connection` names.
pub(crate) fn remove_hop_by_hop(fields: &mut HeaderMap) {
    let named: Vec<HeaderName> = fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        fields.remove(name);
    }
}

/// The fields of a client's request that a fill takes along: neither those of
/// the connection, nor conditions and parts, nor what could poison the answer.
pub(crate) fn for_fill(fields: &mut HeaderMap) {
    remove_hop_by_hop(fields);
    const CONDITIONS: [HeaderName; 6] = [
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
        header::IF_RANGE,
        header::RANGE,
    ];
    for name in &CONDITIONS {
        fields.remove(name);
    }
    for name in UNKEYED {
        fields.remove(name);
    }
    for name in [header::CONTENT_LENGTH, header::CACHE_CONTROL, header::PRAGMA, header::EXPECT] {
        fields.remove(name);
    }
}

/// The `Accept-Encoding` of a key.
#[must_use]
pub(crate) fn accept_encoding(coding: springtide_protocol::etag::Coding) -> Option<HeaderValue> {
    coding.token().map(HeaderValue::from_static)
}
