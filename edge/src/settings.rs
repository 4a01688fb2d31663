//! What an edge is told at its start. Every bound has its unit last.

use std::time::Duration;

use crate::key::KeyForm;

/// Settings of one edge; [`EdgeSettings::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct EdgeSettings {
    /// The origin: scheme `http`, authority, no path.
    pub upstream: http::Uri,
    /// Stored answers, bodies and fields together.
    pub memory_bytes: u64,
    /// The largest body that is stored.
    pub largest_body_bytes: usize,
    /// How targets become keys.
    pub key_form: KeyForm,
    /// Whether the upstream has a change feed to follow.
    pub follows_changes: bool,
    /// A feed that is silent for longer is broken.
    pub feed_silence: Duration,
    /// Requests that wait for one fill; those beyond are told to come back.
    pub waiters_per_fill: usize,
    /// Connections at once; those beyond wait to be accepted.
    pub connections: usize,
    /// Tags whose clocks are kept beyond those of stored answers.
    pub clocks: usize,
    /// Fields of one request, and of one answer.
    pub header_fields: usize,
    /// Bytes of all fields of one request.
    pub header_bytes: usize,
    /// The largest body of a request that is passed on; `None` leaves it to the origin.
    pub request_body_bytes: Option<u64>,
    /// A client's time to send a request's head; also how long a connection may idle.
    pub header_timeout: Duration,
    /// To connect upstream.
    pub connect_timeout: Duration,
    /// From a request upstream to the head of its answer.
    pub response_timeout: Duration,
    /// Between two pieces of a body from upstream that is being stored.
    pub body_timeout: Duration,
    /// While the feed is broken, how long a request that a stale answer could
    /// serve waits for upstream before it is served that.
    pub patience: Duration,
    /// For open requests to end at a shutdown.
    pub drain_timeout: Duration,
}

impl EdgeSettings {
    /// The defaults in front of an `upstream` of ours.
    #[must_use]
    pub fn new(upstream: http::Uri) -> Self {
        Self {
            upstream,
            memory_bytes: 256 * 1024 * 1024,
            largest_body_bytes: springtide_protocol::limits::BUFFERED_BODY_BYTES,
            key_form: KeyForm::Canonical,
            follows_changes: true,
            feed_silence: Duration::from_secs(4),
            waiters_per_fill: 10_000,
            connections: 16_384,
            clocks: 65_536,
            header_fields: 100,
            header_bytes: 64 * 1024,
            request_body_bytes: Some(springtide_protocol::limits::INGEST_BODY_BYTES as u64),
            header_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(30),
            patience: Duration::from_millis(250),
            drain_timeout: Duration::from_secs(5),
        }
    }

    /// The defaults in front of any HTTP server: its URLs are kept as they are, it
    /// has no change feed, and it bounds bodies itself.
    #[must_use]
    pub fn foreign(upstream: http::Uri) -> Self {
        Self {
            key_form: KeyForm::Verbatim,
            follows_changes: false,
            request_body_bytes: None,
            ..Self::new(upstream)
        }
    }
}
