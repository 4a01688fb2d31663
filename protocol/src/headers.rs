//! Header names of the public contract, lower case as HTTP/2 writes them.

/// The version read, in its signed form (a response), and the token of an ingest.
pub const VERSION: &str = "springtide-version";
/// The least version that an answer may have (a request).
pub const MIN_VERSION: &str = "springtide-min-version";
/// When the data was last known to be complete: RFC 3339, UTC, milliseconds.
pub const AS_OF: &str = "springtide-as-of";
/// now − as-of, in milliseconds.
pub const LAG_MS: &str = "springtide-lag-ms";
/// The long hold for our own edges (an RFC 9213 target); stripped outward.
pub const SPRINGTIDE_CACHE_CONTROL: &str = "springtide-cache-control";
/// Set to `snapshot-only` on answers that the stream's tail is missing from (rule 20).
pub const COVERAGE: &str = "springtide-coverage";
/// RFC 9213's target for CDNs.
pub const CDN_CACHE_CONTROL: &str = "cdn-cache-control";
/// Comma list of tags.
pub const CACHE_TAG: &str = "cache-tag";
/// RFC 9211.
pub const CACHE_STATUS: &str = "cache-status";
/// Names a retry of the same ingest.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// One request through all tiers.
pub const REQUEST_ID: &str = "x-request-id";
/// Phases of an answer and their durations.
pub const SERVER_TIMING: &str = "server-timing";
