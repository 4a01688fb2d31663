//! What an operator can set about the query service, with its defaults and
//! bounds. It reads no file and no environment: the program hands it over.

use std::path::PathBuf;
use std::time::Duration;

use springtide_engine::Limits;
use springtide_protocol::signing::VersionKey;

use crate::access::AccessSettings;
use crate::lifetimes::Lifetimes;

/// Settings of one origin. [`OriginSettings::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct OriginSettings {
    /// The folder of published queries, `NAME.sql` each; it may be missing.
    pub queries_folder: PathBuf,
    /// Where answers over 8 MB wait until they are sent; made if missing.
    pub scratch_folder: PathBuf,
    /// Whether `/v1/sql` answers.
    pub adhoc_sql: bool,
    /// The grain of the frozen clock (rule 8); a query may set its own.
    pub clock_quantum: Duration,
    /// How long answers live outward and at our own edges (rule 13).
    pub lifetimes: Lifetimes,
    /// Bounds of one answer.
    pub limits: Limits,
    /// How long a request waits for its minimum version.
    pub min_version_wait: Duration,
    /// The bearer token of writes and `/v1/admin`; without one `/v1/admin` is off.
    pub admin_token: Option<String>,
    /// Whether the listener can be reached from other machines. Then writes are
    /// off unless there is a token.
    pub beyond_loopback: bool,
    /// Whether pages of any site may read answers (`Access-Control-Allow-Origin: *`).
    pub any_site_reads: bool,
    /// Who may read which table.
    pub access: AccessSettings,
    /// Signs versions (rule 7).
    pub version_key: VersionKey,
    /// Bounds of the server itself.
    pub bounds: ServerBounds,
}

/// Bounds of the server; what is beyond waits or is refused, never queued without end.
#[derive(Clone, Copy, Debug)]
pub struct ServerBounds {
    /// Connections at once; more wait in the listener's backlog.
    pub connections: usize,
    /// Streams of `/v1/changes` and `/v1/live` at once.
    pub event_streams: usize,
    /// Bytes of ingest bodies in memory at once; a request beyond them waits, at
    /// most `body_time`.
    pub ingest_bytes: u32,
    /// Bytes of large answers in the scratch folder at once.
    pub spool_bytes: u64,
    /// Bytes of one request's headers.
    pub header_bytes: u32,
    /// Time for a request's headers to arrive.
    pub header_time: Duration,
    /// Time for a request's body to arrive.
    pub body_time: Duration,
    /// Streams of one HTTP/2 connection.
    pub http2_streams: u32,
    /// Time for running requests to end once the server stops.
    pub drain_time: Duration,
    /// The least time between two events of one live query; never under 100 ms.
    pub live_interval: Duration,
}

impl OriginSettings {
    /// The defaults.
    #[must_use]
    pub fn new(queries_folder: PathBuf, scratch_folder: PathBuf, version_key: VersionKey) -> Self {
        Self {
            queries_folder,
            scratch_folder,
            adhoc_sql: true,
            clock_quantum: Duration::from_secs(1),
            lifetimes: Lifetimes::default(),
            limits: Limits {
                rows: 10_000_000,
                bytes: 1024 * 1024 * 1024,
                time: Duration::from_secs(30),
            },
            min_version_wait: Duration::from_secs(2),
            admin_token: None,
            beyond_loopback: false,
            any_site_reads: true,
            access: AccessSettings::default(),
            version_key,
            bounds: ServerBounds::default(),
        }
    }
}

impl Default for ServerBounds {
    fn default() -> Self {
        Self {
            connections: 1024,
            event_streams: 512,
            ingest_bytes: 256 * 1024 * 1024,
            spool_bytes: 4 * 1024 * 1024 * 1024,
            header_bytes: 32 * 1024,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            http2_streams: 128,
            drain_time: Duration::from_secs(5),
            live_interval: Duration::from_millis(100),
        }
    }
}
