//! The service's parts, put together once and shared by all requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics_exporter_prometheus::PrometheusHandle;
use springtide_engine::Engine;
use springtide_freshness::Freshness;
use springtide_protocol::clock::Clock;
use springtide_protocol::limits::INGEST_BODY_BYTES;
use springtide_protocol::{Change, Tag};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::{Policy, Verifier, Writers};
use crate::answer::SpoolSpace;
use crate::audit::Audits;
use crate::error::{OriginError, RequestError};
use crate::health;
use crate::live::LiveHub;
use crate::queries::Catalog;
use crate::schemas::Schemas;
use crate::settings::OriginSettings;

/// One origin.
pub struct Origin {
    pub(crate) settings: OriginSettings,
    pub(crate) engine: Engine,
    pub(crate) freshness: Freshness,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queries: Catalog,
    pub(crate) policy: Policy,
    pub(crate) verifier: Verifier,
    pub(crate) writers: Writers,
    pub(crate) schemas: Schemas,
    pub(crate) spool: Arc<SpoolSpace>,
    pub(crate) live: LiveHub,
    pub(crate) audits: Audits,
    pub(crate) metrics: PrometheusHandle,
    event_streams: Arc<Semaphore>,
    ingest_bytes: Arc<Semaphore>,
    executions: AtomicU64,
}

impl Origin {
    /// Puts an origin together. Reads published queries and keys from disk.
    ///
    /// # Errors
    /// Where access settings do not hold, or a folder cannot be read or made.
    pub fn new(
        settings: OriginSettings,
        engine: Engine,
        freshness: Freshness,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OriginError> {
        std::fs::create_dir_all(&settings.scratch_folder).map_err(OriginError::Scratch)?;
        let queries = Catalog::open(settings.queries_folder.clone());
        let writers = Writers::new(settings.admin_token.as_deref(), settings.beyond_loopback);
        if writers.are_off() {
            tracing::warn!(
                "open beyond this machine without a token: writes and /v1/admin are off"
            );
        }
        // One body of the largest size must fit, else it would wait for ever.
        let ingest_bytes = settings.bounds.ingest_bytes.max(INGEST_BODY_BYTES as u32);
        let spool = SpoolSpace::new(settings.scratch_folder.clone(), settings.bounds.spool_bytes);
        Ok(Self {
            queries: queries.map_err(OriginError::Queries)?,
            policy: Policy::new(&settings.access)?,
            verifier: Verifier::open(&settings.access)?,
            writers,
            schemas: Schemas::default(),
            spool: Arc::new(spool),
            live: LiveHub::default(),
            audits: Audits::default(),
            metrics: health::recorder(),
            event_streams: Arc::new(Semaphore::new(settings.bounds.event_streams)),
            ingest_bytes: Arc::new(Semaphore::new(ingest_bytes as usize)),
            executions: AtomicU64::new(0),
            settings,
            engine,
            freshness,
            clock,
        })
    }

    /// How many statements were executed since the start: what a 304 does not add to.
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.executions.load(Ordering::Relaxed)
    }

    pub(crate) fn count_execution(&self) {
        self.executions.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("springtide_origin_executions_total").increment(1);
    }

    pub(crate) fn now_micros(&self) -> i64 {
        self.clock.now_micros()
    }

    /// A place among the event streams.
    pub(crate) fn event_stream(&self) -> Result<OwnedSemaphorePermit, RequestError> {
        let limit = self.settings.bounds.event_streams;
        let permit = self.event_streams.clone().try_acquire_owned();
        permit.map_err(|_| RequestError::Busy { what: "event streams", limit })
    }

    /// Room in memory for an ingest body.
    pub(crate) async fn ingest_room(
        &self,
        bytes: usize,
    ) -> Result<OwnedSemaphorePermit, RequestError> {
        let busy = || RequestError::Busy {
            what: "bytes of ingest bodies",
            limit: self.settings.bounds.ingest_bytes as usize,
        };
        let bytes = u32::try_from(bytes.clamp(1, INGEST_BODY_BYTES)).unwrap_or(u32::MAX);
        let room = self.ingest_bytes.clone().acquire_many_owned(bytes);
        let room = tokio::time::timeout(self.settings.bounds.body_time, room).await;
        room.map_err(|_elapsed| busy())?.map_err(|_closed| busy())
    }

    /// Announces that answers under tags are stale, for a cause that is no row's.
    pub(crate) fn announce(&self, tags: Vec<Tag>, drop: bool) {
        let at = crate::answer::rfc3339(self.now_micros());
        let change = Change { table: None, version: String::new(), tags, at, drop };
        self.freshness.announce(change);
    }

    /// Reads published queries again where a file changed, and says so in the feed.
    pub(crate) async fn reload_queries(self: &Arc<Self>) -> std::io::Result<()> {
        let origin = Arc::clone(self);
        let changed = tokio::task::spawn_blocking(move || origin.queries.reload());
        let changed = changed.await.map_err(std::io::Error::other)??;
        if !changed.is_empty() {
            tracing::info!(queries = ?changed, "published queries were read again");
            // Dropped, not marked: pinned answers of the old text are never asked about again.
            self.announce(changed.iter().map(|name| Tag::query(name)).collect(), true);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").field("settings", &self.settings).finish_non_exhaustive()
    }
}
