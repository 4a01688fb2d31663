//! What a table's runtime shares with those who pin, ask and probe it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use springtide_protocol::{OffsetMap, TableName, TableVersion};
use springtide_relation::Coverage;
use tokio::sync::{mpsc, oneshot, watch};

use super::core::{Core, Published};
use super::health::Health;
use crate::boundary::Phase;
use crate::registry::CommitError;
use crate::settings::TableSettings;
use crate::status::{TableState, TableStatus};
use crate::stream::StreamSource;

/// Commits that may be asked for at a time.
const WAITING_ASKS: usize = 16;

/// Someone wants all rows that are there committed.
pub(crate) type CommitAsk = oneshot::Sender<Result<TableVersion, CommitError>>;

/// One table, as seen from outside its loop.
pub(crate) struct Shared {
    pub(crate) settings: TableSettings,
    /// What can be pinned; `None`: nothing yet, or the lake cannot be read.
    published: ArcSwapOption<Published>,
    /// Counts publications.
    changed: watch::Sender<u64>,
    /// Held for moments only, never across an await.
    pub(super) core: Mutex<Option<Core>>,
    pub(super) health: Mutex<Health>,
    source: Mutex<Option<Arc<dyn StreamSource>>>,
    asks: mpsc::Sender<CommitAsk>,
}

impl Shared {
    /// A table that has not begun, and where commits are asked of it.
    pub(crate) fn new(settings: TableSettings) -> (Arc<Self>, mpsc::Receiver<CommitAsk>) {
        let (asks, asked) = mpsc::channel(WAITING_ASKS);
        let shared = Self {
            settings,
            published: ArcSwapOption::empty(),
            changed: watch::Sender::new(0),
            core: Mutex::new(None),
            health: Mutex::default(),
            source: Mutex::new(None),
            asks,
        };
        (Arc::new(shared), asked)
    }

    /// The table's name.
    pub(crate) const fn name(&self) -> &TableName {
        &self.settings.name
    }

    /// What can be pinned now.
    pub(crate) fn published(&self) -> Option<Arc<Published>> {
        self.published.load_full()
    }

    /// Makes `published` what can be pinned.
    pub(super) fn publish(&self, published: Option<Arc<Published>>) {
        self.published.store(published);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Counts publications.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The topic, once it could be opened.
    pub(crate) fn source(&self) -> Option<Arc<dyn StreamSource>> {
        self.source.lock().clone()
    }

    pub(super) fn set_source(&self, source: Arc<dyn StreamSource>) {
        *self.source.lock() = Some(source);
    }

    /// Where commits are asked for.
    pub(crate) const fn asks(&self) -> &mpsc::Sender<CommitAsk> {
        &self.asks
    }

    /// Does something with the core, where the table has begun.
    pub(crate) fn with_core<T>(&self, f: impl FnOnce(&mut Core) -> T) -> Option<T> {
        self.core.lock().as_mut().map(f)
    }

    /// Whether the next round may begin.
    pub(super) fn wants_round(&self) -> bool {
        self.with_core(|core| core.wants_round()).unwrap_or(false)
    }

    /// Whether a partition is named that is not read yet.
    pub(super) fn has_new_partition(&self, high: &OffsetMap) -> bool {
        let known = self.with_core(|core| core.coverage().0).unwrap_or_default();
        high.iter().any(|(partition, _)| known.named(partition).is_none())
    }

    /// What fails at present.
    pub(crate) fn health(&self) -> Health {
        self.health.lock().clone()
    }

    /// The state and why.
    pub(crate) fn state(&self) -> (TableState, Option<String>) {
        let health = self.health.lock().clone();
        if health.is_unreadable {
            return (TableState::Unreadable, health.lake);
        }
        let Some(phase) = self.with_core(|core| core.phase()) else {
            return (TableState::Starting, health.trouble());
        };
        let state = match phase {
            Phase::Starting => TableState::Starting,
            Phase::CatchingUp => TableState::CatchingUp,
            Phase::Live => TableState::Live,
            Phase::Gap(_) => TableState::Gap,
            Phase::Halted(_) => TableState::Halted,
        };
        (state, phase.reason().or_else(|| health.trouble()))
    }

    /// What stands in the way, as words for labels.
    fn causes(&self) -> Vec<&'static str> {
        let phase = self.with_core(|core| core.phase());
        let phase = phase.and_then(|phase| phase.cause());
        phase.into_iter().chain(self.health().causes()).collect()
    }

    /// How many dead letters there are now, after some were discarded.
    pub(crate) fn keep_dead_letters(&self, count: u64) {
        self.health.lock().dead_letters = count;
    }

    /// Everything for people.
    pub(crate) fn status(&self) -> TableStatus {
        let (state, reason) = self.state();
        let published = self.published();
        let relation = published.as_ref().map(|p| &p.relation);
        let parts = self.with_core(|core| {
            let snapshot = core.snapshot().clone();
            (snapshot, core.holdings(), core.coverage(), core.kept.len(), core.last_commit_micros)
        });
        let dead_letters = self.health.lock().dead_letters;
        let snapshot = parts.as_ref().map(|p| &p.0);
        let held = parts.as_ref().map(|p| p.1).unwrap_or_default();
        let (coverage_start, coverage_end) =
            parts.as_ref().map(|p| p.2.clone()).unwrap_or_default();
        TableStatus {
            state,
            reason,
            causes: self.causes(),
            version: relation.map(|r| r.version.clone()),
            as_of_micros: published.as_ref().and_then(|p| p.as_of_micros),
            is_snapshot_only: relation.is_some_and(|r| r.coverage == Coverage::SnapshotOnly),
            tail_rows: held.rows,
            tail_memory_bytes: held.memory_bytes,
            tail_disk_bytes: held.disk_bytes,
            tail_segments: held.segments,
            coverage_start,
            coverage_end,
            snapshot_id: snapshot.and_then(|s| s.snapshot_id),
            snapshot_rows: snapshot.map_or(0, |s| s.rows()),
            snapshot_files: snapshot.map_or(0, |s| s.files.len()),
            kept_snapshots: parts.as_ref().map_or(0, |p| p.3),
            boundary: snapshot.and_then(|s| s.boundary.known().cloned()),
            dead_letters,
            last_commit_micros: parts.as_ref().and_then(|p| p.4),
        }
    }
}
