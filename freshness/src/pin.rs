//! Pinning: one state for each table of a statement: the newest, one that is
//! at least a minimum (waiting for it, within a bound), or exactly one that was
//! issued before. It must never change what it pins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use springtide_protocol::version::{AtLeast, PartialTableVersion};
use springtide_protocol::{MinVersion, TableName, TableVersion, Version};
use springtide_relation::{Coverage, Relation, TailBatch};
use tokio::time::{Instant, timeout_at};

use crate::registry::Freshness;
use crate::status::TableState;
use crate::table::NotExact;
use crate::table::core::Published;
use crate::table::shared::Shared;
use crate::tail::{OpenRows, file};

/// How long it is waited for a minimum where nothing else is said.
pub const WAIT: Duration = Duration::from_secs(2);
/// When to try again after a minimum was not reached.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What to pin.
#[derive(Clone, Debug)]
pub struct PinRequest {
    /// The tables; each once is enough.
    pub tables: Vec<TableName>,
    /// At which version.
    pub at: PinAt,
}

/// At which version.
#[derive(Clone, Debug)]
pub enum PinAt {
    /// The newest.
    Latest,
    /// The newest that has reached a minimum (rule 2).
    AtLeast {
        /// Tables and components that it does not name do not count.
        minimum: MinVersion,
        /// How long to wait for it; [`WAIT`] is usual.
        wait: Duration,
    },
    /// Exactly this (rule 7).
    Exactly(Version),
}

/// One state of some tables.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The tables in the order of their names, each once.
    pub relations: Vec<Arc<Relation>>,
    /// As-of of the table that is most behind; `None` where one's is unknown,
    /// and for versions of the past.
    pub as_of_micros: Option<i64>,
    /// Their versions.
    pub version: Version,
}

/// Why nothing was pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Not a configured table.
    #[error("there is no table `{0}`")]
    UnknownTable(TableName),
    /// The minimum is of another table or topic: waiting cannot help.
    #[error("the minimum version of `{table}` is of another table or topic")]
    Incomparable {
        /// The table.
        table: TableName,
    },
    /// The minimum was not reached in time.
    #[error("the minimum version of `{table}` is not reached yet")]
    NotReached {
        /// The table that was behind.
        table: TableName,
        /// When to ask again.
        retry_after: Duration,
    },
    /// The version is not kept any more.
    #[error("this version is no longer kept")]
    Gone,
    /// The version has not come yet.
    #[error("this version has not come yet")]
    Future,
    /// The table cannot answer now, or cannot reach the minimum as it stands.
    #[error("table `{table}` cannot answer this now ({}): {reason}", .state.name())]
    Unavailable {
        /// The table.
        table: TableName,
        /// What it does.
        state: TableState,
        /// Why.
        reason: String,
    },
}

impl Freshness {
    /// Pins one state of each table. Cheap: what is pinned is shared.
    ///
    /// # Errors
    /// See [`PinError`]; only `AtLeast` waits.
    pub async fn pin(&self, request: PinRequest) -> Result<Pinned, PinError> {
        let names: BTreeSet<TableName> = request.tables.into_iter().collect();
        let tables: Vec<&Arc<Shared>> = names
            .iter()
            .map(|name| self.table(name).ok_or_else(|| PinError::UnknownTable(name.clone())))
            .collect::<Result<_, _>>()?;
        match request.at {
            PinAt::Latest => {
                let states = tables.iter().map(|table| published(table));
                Ok(pinned(states.collect::<Result<_, _>>()?))
            }
            PinAt::AtLeast { minimum, wait } => {
                let deadline = Instant::now() + wait;
                let mut reached = BTreeMap::new();
                for table in &tables {
                    if let Some(minimum) = minimum.tables.get(table.name()) {
                        reached.insert(table.name(), reach(table, minimum, deadline).await?);
                    }
                }
                let states = tables.iter().map(|table| {
                    let now = published(table)?;
                    let minimum = minimum.tables.get(table.name());
                    let reached = reached.get(table.name()).cloned();
                    Ok(minimum.zip(reached).map_or(now.clone(), |m| no_less(now, m)))
                });
                Ok(pinned(states.collect::<Result<_, PinError>>()?))
            }
            PinAt::Exactly(version) => exactly(&tables, &version).await,
        }
    }

    /// The versions that can be pinned now, of all tables that can answer.
    #[must_use]
    pub fn heads(&self) -> Version {
        let tables = self.all().filter_map(|table| {
            let published = table.published()?;
            Some((table.name().clone(), published.relation.version.clone()))
        });
        Version { tables: tables.collect(), time_micros: None }
    }
}

fn published(table: &Shared) -> Result<Arc<Published>, PinError> {
    table.published().ok_or_else(|| unavailable(table))
}

fn unavailable(table: &Shared) -> PinError {
    let (state, reason) = table.state();
    let reason = reason.unwrap_or_else(|| "it has not been read yet".to_owned());
    PinError::Unavailable { table: table.name().clone(), state, reason }
}

fn not_reached(table: &Shared) -> PinError {
    PinError::NotReached { table: table.name().clone(), retry_after: RETRY_AFTER }
}

fn pinned(states: Vec<Arc<Published>>) -> Pinned {
    let as_of = states.iter().map(|state| state.as_of_micros);
    let as_of_micros = as_of.reduce(|a, b| Some(a?.min(b?))).flatten();
    let relations: Vec<_> = states.iter().map(|state| state.relation.clone()).collect();
    let version = version_of(&relations);
    Pinned { relations, as_of_micros, version }
}

fn version_of(relations: &[Arc<Relation>]) -> Version {
    let tables = relations.iter().map(|r| (r.table.clone(), r.version.clone()));
    Version { tables: tables.collect(), time_micros: None }
}

/// The present state where it has what the minimum asks; else, since a gap opened while
/// another table was waited for, the one that had reached it.
fn no_less(
    now: Arc<Published>,
    (minimum, reached): (&PartialTableVersion, Arc<Published>),
) -> Arc<Published> {
    match stands(&now.relation.version, minimum) {
        AtLeast::Reached => now,
        AtLeast::Behind | AtLeast::Incomparable => reached,
    }
}

/// Waits until a table has reached a minimum; the state that has.
async fn reach(
    table: &Shared,
    minimum: &PartialTableVersion,
    deadline: Instant,
) -> Result<Arc<Published>, PinError> {
    let mut changed = table.watch();
    loop {
        changed.borrow_and_update();
        match table.published() {
            None => {}
            Some(published) => match stands(&published.relation.version, minimum) {
                AtLeast::Reached => return Ok(published),
                AtLeast::Incomparable => {
                    return Err(PinError::Incomparable { table: table.name().clone() });
                }
                // Rule 20: what the snapshot alone lacks will not come by waiting.
                AtLeast::Behind if is_stuck(table, &published) => return Err(unavailable(table)),
                AtLeast::Behind => {}
            },
        }
        if !matches!(timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
            return Err(match table.published() {
                None => unavailable(table),
                Some(_) => not_reached(table),
            });
        }
    }
}

/// A table whose topic is not known yet is behind any minimum that names one.
fn stands(version: &TableVersion, minimum: &PartialTableVersion) -> AtLeast {
    if version.topic_id.is_some() || minimum.topic_id.is_none() {
        return minimum.reached_by(version);
    }
    let rest = PartialTableVersion { topic_id: None, ..minimum.clone() };
    rest.reached_by(version).and(AtLeast::Behind)
}

fn is_stuck(table: &Shared, published: &Published) -> bool {
    let (state, _) = table.state();
    published.relation.coverage == Coverage::SnapshotOnly
        && matches!(state, TableState::Gap | TableState::Halted)
}

async fn exactly(tables: &[&Arc<Shared>], version: &Version) -> Result<Pinned, PinError> {
    let mut states = Vec::with_capacity(tables.len());
    for table in tables {
        let wanted = version.tables.get(table.name()).ok_or(PinError::Gone)?;
        let current = published(table)?;
        if current.relation.version == *wanted {
            states.push(current);
            continue;
        }
        let relation = Arc::new(exact(table, wanted).await?);
        states.push(Arc::new(Published { relation, as_of_micros: None }));
    }
    Ok(pinned(states))
}

async fn exact(table: &Shared, version: &TableVersion) -> Result<Relation, PinError> {
    let found = table.with_core(|core| core.exact(version)).ok_or(PinError::Gone)?;
    let found = found.map_err(|error| match error {
        NotExact::Gone => PinError::Gone,
        NotExact::Future => PinError::Future,
        NotExact::NotYet => not_reached(table),
    })?;
    let mut relation = found.relation;
    for wanted in found.missing {
        let index = wanted.chunk;
        let partition = relation.open[index].id.partition;
        let schema = relation.schema.clone();
        let read = tokio::task::spawn_blocking(move || {
            let OpenRows { start, end, file, .. } = wanted;
            file::read_window(file.path(), &schema, partition, (start, end))
        });
        let open = &mut relation.open[index];
        match read.await {
            Ok(Ok(rows)) => open.rows.extend(rows),
            // Its end identifies it just as well; a validator may change needlessly.
            _ => (open.complete, open.rows) = (false, Vec::new()),
        }
    }
    for open in &mut relation.open {
        if open.complete {
            open.rows.sort_by_key(first_offset);
        } else {
            open.rows.clear();
        }
    }
    Ok(relation)
}

fn first_offset(batch: &TailBatch) -> i64 {
    batch.offsets.values().first().copied().unwrap_or_default()
}
