//! All tables of a program: started together, asked one by one. Returns soon
//! and tries the rest in the background.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use arrow::datatypes::SchemaRef;
use springtide_protocol::clock::Clock;
use springtide_protocol::{Change, ChangeId, TableName, TableVersion};
use springtide_relation::TagPartition;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::dead_letters::{DeadLetterError, DeadLetters, Discarded, LetterPage};
use crate::feed::{Feed, FeedReader};
use crate::ports::{Connections, Ports};
use crate::settings::{FreshnessSettings, InvalidSettings};
use crate::status::{Readiness, TableState, TableStatus};
use crate::table::committing::CommitFailure;
use crate::table::health::Health;
use crate::table::shared::Shared;
use crate::table::{self, CoreDefaults, Surroundings};
use crate::tail::file::{self, SegmentFileError};

/// All tables of a program. Clones share them.
#[derive(Clone)]
pub struct Freshness {
    inner: Arc<Inner>,
}

struct Inner {
    tables: BTreeMap<TableName, Arc<Shared>>,
    described: Arc<ArcSwap<BTreeMap<TableName, TableDescription>>>,
    feed: Arc<Feed>,
    letters: DeadLetters,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What a table looks like.
#[derive(Clone, Debug)]
pub struct TableDescription {
    /// Its columns; each field carries `PARQUET:field_id`.
    pub schema: SchemaRef,
    /// The schema's id in the lake.
    pub schema_id: i32,
    /// What its cache tags name.
    pub tag_partition: Option<TagPartition>,
    /// The partition spec that was configured.
    pub partition_by: Vec<TagPartition>,
    /// Its topic.
    pub topic: Option<String>,
    /// The columns of its key; empty: append only.
    pub key: Vec<String>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings do not hold together.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The folder cannot be used.
    #[error("{path} cannot be made or written: check that it is yours and the disk has room")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file of dead letters cannot be used.
    #[error("dead letters")]
    DeadLetters(#[from] DeadLetterError),
    /// What an earlier life left of the tail cannot be swept.
    #[error("the folder of the tail")]
    Tail(#[from] SegmentFileError),
}

/// Why a commit that was asked for is not durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// Not a configured table.
    #[error("there is no table `{0}`")]
    UnknownTable(TableName),
    /// The table has no stream to commit from.
    #[error("table `{0}` has no topic: there is nothing to commit")]
    NoStream(TableName),
    /// The table cannot commit as it stands.
    #[error("the table cannot commit now: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// It was tried and did not come about.
    #[error("the commit did not come about")]
    Failed {
        /// Why.
        #[source]
        source: Arc<CommitFailure>,
    },
    /// The program stops.
    #[error("the program stops")]
    Stopped,
}

impl Freshness {
    /// Starts all tables and returns soon: a catalog or broker that is down is
    /// tried again in the background.
    ///
    /// # Errors
    /// Settings that do not hold together, or a folder that cannot be used.
    pub async fn start(
        settings: FreshnessSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let ports = Arc::new(Connections::new(settings.clone(), clock.clone()));
        let epoch = Uuid::new_v4().as_u64_pair().0;
        Self::start_with(settings, clock, ports, epoch).await
    }

    /// Starts with other ports, and with an epoch for the change feed's ids.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        settings: FreshnessSettings,
        clock: Arc<dyn Clock>,
        ports: Arc<dyn Ports>,
        epoch: u64,
    ) -> Result<Self, StartError> {
        settings.validate()?;
        let tail_folder = settings.folder.join("tail");
        prepare_folders(&settings, &tail_folder).await?;
        let letters = DeadLetters::open(&settings.folder.join("dead-letters.sqlite")).await?;
        let feed = Arc::new(Feed::new(epoch, clock.clone()));
        let started: Vec<_> = settings.tables.iter().cloned().map(Shared::new).collect();
        let tables: BTreeMap<_, _> =
            started.iter().map(|(shared, _)| (shared.name().clone(), shared.clone())).collect();
        let described = Arc::new(ArcSwap::from_pointee(BTreeMap::new()));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let around = Surroundings {
            ports,
            clock,
            feed: feed.clone(),
            letters: letters.clone(),
            tail_folder,
            refresh: settings.catalog.refresh,
            core: CoreDefaults { tail: settings.tail.clone(), pin_window: settings.pin_window },
            described: describer(tables.clone(), described.clone()),
            stop: stop.clone(),
        };
        for (shared, asked) in started {
            tasks.spawn(table::run(shared, around.clone(), asked));
        }
        tasks.close();
        Ok(Self { inner: Arc::new(Inner { tables, described, feed, letters, tasks, stop }) })
    }

    /// The tables whose lake table is known.
    #[must_use]
    pub fn tables(&self) -> Arc<BTreeMap<TableName, TableDescription>> {
        self.inner.described.load_full()
    }

    /// All tables that are configured.
    #[must_use]
    pub fn declared(&self) -> Vec<TableName> {
        self.inner.tables.keys().cloned().collect()
    }

    /// The change feed, after a change that was seen, or from now on.
    #[must_use]
    pub fn feed(&self, after: Option<ChangeId>) -> FeedReader {
        self.inner.feed.clone().reader(after)
    }

    /// Announces a change that is not a table's rows: a query's file, a policy, a
    /// table that was removed.
    pub fn announce(&self, change: Change) -> ChangeId {
        self.inner.feed.announce(change)
    }

    /// Grows with each announced change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.inner.feed.watch()
    }

    /// Where a table stands; `None` where it is not configured.
    #[must_use]
    pub fn status(&self, table: &TableName) -> Option<TableStatus> {
        Some(self.table(table)?.status())
    }

    /// Dead letters of a table below a number, newest first.
    ///
    /// # Errors
    /// Where their file cannot be read.
    pub async fn dead_letters(
        &self,
        table: &TableName,
        before: Option<i64>,
        most: u32,
    ) -> Result<LetterPage, DeadLetterError> {
        self.inner.letters.page(table, before, most).await
    }

    /// Throws dead letters of a table away, up to the one of this number; a table that
    /// stopped for want of room goes on by itself.
    ///
    /// # Errors
    /// Where their file cannot be written.
    pub async fn discard_dead_letters(
        &self,
        table: &TableName,
        up_to: i64,
    ) -> Result<Discarded, DeadLetterError> {
        let discarded = self.inner.letters.discard(table, up_to).await?;
        let left = self.inner.letters.count(table).await?;
        if let Some(shared) = self.table(table) {
            shared.keep_dead_letters(left);
        }
        Ok(discarded)
    }

    /// Commits all rows of a table that are here now; they are in the lake when it
    /// returns. The version is the one that can be pinned: a commit does not move it.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit(&self, table: &TableName) -> Result<TableVersion, CommitError> {
        let shared = self.table(table).ok_or_else(|| CommitError::UnknownTable(table.clone()))?;
        if shared.settings.topic.is_none() {
            return Err(CommitError::NoStream(table.clone()));
        }
        if let (state @ TableState::Starting, reason) = shared.state() {
            let reason = reason.unwrap_or_else(|| format!("it is {}", state.name()));
            return Err(CommitError::Unavailable { reason });
        }
        let (ask, answer) = oneshot::channel();
        shared.asks().send(ask).await.map_err(|_| CommitError::Stopped)?;
        answer.await.unwrap_or(Err(CommitError::Stopped))
    }

    /// The parts that answers depend on, and whether they work.
    #[must_use]
    pub fn readiness(&self) -> Vec<Readiness> {
        let health: Vec<_> = self.all().map(|table| table.health()).collect();
        let first = |reasons: Vec<Option<String>>| reasons.into_iter().flatten().next();
        let lake = first(health.iter().map(|h| h.lake.clone()).collect());
        let stream = first(health.iter().map(Health::stream_trouble).collect());
        let part = |part: &str, reason: Option<String>| Readiness {
            part: part.to_owned(),
            ready: reason.is_none(),
            reason,
        };
        let mut parts = vec![part("catalog", lake), part("stream", stream)];
        parts.extend(self.all().map(|table| {
            let (state, reason) = table.state();
            let ready = table.published().is_some()
                && matches!(state, TableState::CatchingUp | TableState::Live);
            let reason = reason.or_else(|| Some(format!("it is {}", state.name())));
            let part = format!("table:{}", table.name());
            Readiness { part, ready, reason: reason.filter(|_| !ready) }
        }));
        parts
    }

    /// Stops all tables. What is not in the lake yet is read from the stream again
    /// at the next start.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.wait().await;
    }

    pub(crate) fn table(&self, name: &TableName) -> Option<&Arc<Shared>> {
        self.inner.tables.get(name)
    }

    pub(crate) fn letters(&self) -> &DeadLetters {
        &self.inner.letters
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Shared>> {
        self.inner.tables.values()
    }
}

impl std::fmt::Debug for Freshness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Freshness").field("tables", &self.declared()).finish_non_exhaustive()
    }
}

/// Makes the folders and sweeps what an earlier life left of the tail.
async fn prepare_folders(
    settings: &FreshnessSettings,
    tail_folder: &std::path::Path,
) -> Result<(), StartError> {
    let folders = settings.tables.iter().map(|table| tail_folder.join(table.name.as_str()));
    let (folder, folders) = (settings.folder.clone(), folders.collect::<Vec<_>>());
    let prepared = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)
            .map_err(|source| StartError::Folder { path: folder.clone(), source })?;
        folders.iter().try_for_each(|folder| file::sweep(folder)).map_err(StartError::from)
    });
    prepared.await.unwrap_or_else(|error| {
        let source = std::io::Error::other(error);
        Err(StartError::Folder { path: settings.folder.clone(), source })
    })
}

/// Gathers the descriptions of all tables that are known, whenever one changes.
fn describer(
    tables: BTreeMap<TableName, Arc<Shared>>,
    described: Arc<ArcSwap<BTreeMap<TableName, TableDescription>>>,
) -> Arc<dyn Fn() + Send + Sync> {
    let writing = parking_lot::Mutex::new(());
    Arc::new(move || {
        let _one_at_a_time = writing.lock();
        let known = tables.values().filter_map(|table| {
            let snapshot = table.with_core(|core| core.snapshot().clone())?;
            let description = TableDescription {
                schema: snapshot.schema.clone(),
                schema_id: snapshot.schema_id,
                tag_partition: table.settings.tag_partition().cloned(),
                partition_by: table.settings.partition_by.clone(),
                topic: table.settings.topic.clone(),
                key: table.settings.key.clone(),
            };
            Some((table.name().clone(), description))
        });
        described.store(Arc::new(known.collect()));
    })
}
