//! Fields that speak of one exchange and not of the answer: the request's id and
//! what the origin's work took. They go out with the answer that was waited for
//! and are never stored. It must never know who is told.

use http::header::{HeaderMap, HeaderValue};
use springtide_protocol::headers;

const MICROS_PER_MILLI: f64 = 1000.0;

/// The fields of one exchange with the origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnFields {
    request_id: Option<HeaderValue>,
    timings: Vec<HeaderValue>,
}

impl OwnFields {
    /// Takes them out of an answer's fields.
    pub(crate) fn take(fields: &mut HeaderMap) -> Self {
        let timings = fields.get_all(headers::SERVER_TIMING).iter().cloned().collect();
        fields.remove(headers::SERVER_TIMING);
        Self { request_id: fields.remove(headers::REQUEST_ID), timings }
    }

    /// Adds them to the answer of the request that they speak of.
    pub(crate) fn add_to(self, fields: &mut HeaderMap) {
        if let Some(id) = self.request_id {
            fields.insert(headers::REQUEST_ID, id);
        }
        for timing in self.timings {
            fields.append(headers::SERVER_TIMING, timing);
        }
    }
}

/// The edge's own timing of an answer from its store; there is none of the origin.
pub(crate) fn time_hit(fields: &mut HeaderMap) {
    fields.insert(headers::SERVER_TIMING, HeaderValue::from_static("edge;desc=\"hit\""));
}

/// The edge's own timing of an answer that it went upstream for.
#[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
pub(crate) fn time_fill(fields: &mut HeaderMap, micros: i64) {
    let text = format!("edge;dur={:.3}", micros.max(0) as f64 / MICROS_PER_MILLI);
    if let Ok(value) = HeaderValue::try_from(text) {
        fields.append(headers::SERVER_TIMING, value);
    }
}
