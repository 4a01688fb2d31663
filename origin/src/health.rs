//! `/healthz`, `/readyz`, `/metrics`: what operators ask.

use std::sync::OnceLock;

use http::{HeaderValue, Response, StatusCode, header};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};

use springtide_freshness::{CAUSES, TableState, TableStatus};

use crate::body::{Body, full};
use crate::origin::Origin;
use crate::server;

/// The process has one recorder, whoever asks first.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Bounds of the durations' histogram, in seconds.
const DURATION_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Bounds of the lag's histogram, in seconds: from a round to a broken night.
const LAG_BUCKETS: [f64; 13] =
    [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 28_800.0];

/// The process's metrics; installed on first use.
pub(crate) fn recorder() -> PrometheusHandle {
    let install = || {
        let durations = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new();
        let lag = Matcher::Full("springtide_lag_seconds".to_owned());
        let builder = builder
            .set_buckets_for_metric(durations, &DURATION_BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(lag, &LAG_BUCKETS))
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another part of this program records metrics; /metrics stays empty");
        }
        handle
    };
    RECORDER.get_or_init(install).clone()
}

/// `/healthz`: this process answers.
pub(crate) fn health() -> Response<Body> {
    let mut response = Response::new(full("ok\n"));
    set(&mut response, "text/plain; charset=utf-8");
    response
}

/// `/readyz`: every part that answers need is there; which is not, and why.
pub(crate) fn ready(origin: &Origin) -> Response<Body> {
    let parts = origin.freshness.readiness();
    let ready = parts.iter().all(|part| part.ready);
    let parts: Vec<Value> = parts
        .into_iter()
        .map(|part| json!({ "part": part.part, "ready": part.ready, "reason": part.reason }))
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = server::json(status, &json!({ "ready": ready, "parts": parts }));
    set(&mut response, "application/json");
    response
}

/// `/metrics`, in the text form of Prometheus.
pub(crate) fn metrics(origin: &Origin) -> Response<Body> {
    gauges(origin);
    origin.metrics.run_upkeep();
    let mut response = Response::new(full(origin.metrics.render()));
    set(&mut response, "text/plain; version=0.0.4; charset=utf-8");
    response
}

/// What is known only when asked; the tables themselves tell of their tails.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn gauges(origin: &Origin) {
    let now_micros = origin.now_micros();
    for table in origin.freshness.declared() {
        let Some(status) = origin.freshness.status(&table) else { continue };
        let label = table.to_string();
        let gauge = |name: &'static str, value: f64| {
            metrics::gauge!(name, "table" => label.clone()).set(value);
        };
        if let Some(as_of) = status.as_of_micros {
            let lag = now_micros.saturating_sub(as_of).max(0) as f64 / 1e6;
            gauge("springtide_table_lag_seconds", lag);
        }
        gauge("springtide_table_dead_letters", status.dead_letters as f64);
        states(&label, &status);
    }
}

/// Each state and each cause as a gauge of its own, 1 where it is so.
fn states(table: &str, status: &TableStatus) {
    let flag = |is: bool| f64::from(u8::from(is));
    let labels = |key: &'static str, value: &'static str| {
        [("table", table.to_owned()), (key, value.to_owned())]
    };
    for state in TableState::ALL {
        let labels = labels("state", state.name());
        metrics::gauge!("springtide_table_state", &labels).set(flag(status.state == state));
    }
    for cause in CAUSES {
        let labels = labels("cause", cause);
        metrics::gauge!("springtide_table_trouble", &labels)
            .set(flag(status.causes.contains(&cause)));
    }
}

fn set(response: &mut Response<Body>, content_type: &'static str) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
