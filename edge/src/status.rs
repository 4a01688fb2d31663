//! The edge's own pages, which never go upstream: `/v1/edge/healthz`,
//! `/v1/edge/status` (JSON) and `/v1/edge/metrics` (Prometheus text). The
//! origin's `/healthz`, `/readyz` and `/metrics` pass through.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use springtide_protocol::problem::ProblemKind;

use crate::body::EdgeBody;
use crate::feed::FeedStatus;
use crate::outcome::{CacheStatus, Forwarded, Outcome};
use crate::respond;
use crate::service::Edge;

/// What the paths of its own pages begin with.
pub(crate) const OWN_PATH: &str = "/v1/edge/";

/// The state of an edge.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// Answers stored.
    pub entries: usize,
    /// Bytes that they weigh.
    pub bytes: u64,
    /// The bound of those bytes.
    pub most_bytes: u64,
    /// Fills under way.
    pub fills: usize,
    /// Requests that wait for another's fill.
    pub waiting: usize,
    /// Requests sent upstream.
    pub upstream_requests: u64,
    /// Those that got no answer.
    pub upstream_failures: u64,
    /// Whether the last one failed.
    pub upstream_failing: bool,
    /// The change feed; `None` where none is followed.
    pub feed: Option<FeedStatus>,
    /// Requests by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
}

impl Edge {
    /// The state now.
    #[must_use]
    pub fn status(&self) -> Status {
        let (upstream_requests, upstream_failures) = self.upstream.counts();
        Status {
            entries: self.store.len(),
            bytes: self.store.weight_bytes(),
            most_bytes: self.settings.memory_bytes,
            fills: self.collapse.len(),
            waiting: self.collapse.waiting(),
            upstream_requests,
            upstream_failures,
            upstream_failing: self.upstream.is_failing(),
            feed: self.settings.follows_changes.then(|| self.feed.status(self.now())),
            outcomes: Outcome::ALL.map(|o| (o.label(), self.outcomes.of(o))).into(),
        }
    }

    pub(crate) fn own_page(&self, page: &str) -> Response<EdgeBody> {
        let (media, text) = match page {
            "healthz" => ("text/plain; charset=utf-8", "ok\n".to_owned()),
            "status" => {
                let json = serde_json::to_string_pretty(&self.status()).unwrap_or_default();
                ("application/json", json + "\n")
            }
            "metrics" => ("text/plain; version=0.0.4", metrics(&self.status())),
            _ => {
                let detail = "the edge's own pages are /v1/edge/healthz, status and metrics";
                let status = CacheStatus::new(Outcome::Own, Forwarded::Bypass);
                return respond::problem(
                    StatusCode::NOT_FOUND,
                    ProblemKind::NotFound,
                    detail,
                    status,
                );
            }
        };
        let mut response = Response::new(EdgeBody::full(Bytes::from(text)));
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Prometheus' text.
fn metrics(status: &Status) -> String {
    let mut text = String::new();
    let feed = status.feed.as_ref();
    let gauges = [
        ("springtide_edge_entries", "Answers stored.", status.entries as u64),
        ("springtide_edge_bytes", "Bytes that stored answers weigh.", status.bytes),
        ("springtide_edge_fills", "Fills under way.", status.fills as u64),
        ("springtide_edge_waiting", "Requests that wait for a fill.", status.waiting as u64),
        (
            "springtide_edge_feed_live",
            "Whether the change feed is live.",
            u64::from(feed.is_some_and(|f| f.live)),
        ),
        ("springtide_edge_tags", "Tags whose clocks are kept.", feed.map_or(0, |f| f.tags as u64)),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    let counters = [
        (
            "springtide_edge_upstream_requests_total",
            "Requests sent upstream.",
            status.upstream_requests,
        ),
        (
            "springtide_edge_upstream_failures_total",
            "Those without an answer.",
            status.upstream_failures,
        ),
        ("springtide_edge_changes_total", "Changes heard.", feed.map_or(0, |f| f.changes)),
        ("springtide_edge_heartbeats_total", "Heartbeats heard.", feed.map_or(0, |f| f.heartbeats)),
    ];
    for (name, help, value) in counters {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
    }
    let name = "springtide_edge_requests_total";
    let _ = writeln!(text, "# HELP {name} Requests by outcome.\n# TYPE {name} counter");
    for (label, count) in &status.outcomes {
        let _ = writeln!(text, "{name}{{outcome=\"{label}\"}} {count}");
    }
    text
}
