//! From a question to its plan and validator, without running anything:
//! prepare, pin one consistent state of what it reads, prune, hash.

use std::sync::Arc;

use springtide_engine::{EngineError, Plan, Stability, Statement, StatementRequest, etag, tags};
use springtide_freshness::{PinAt, PinRequest, Pinned};
use springtide_protocol::version::AtLeast;
use springtide_protocol::{ETag, MinVersion, Tag, Version};
use springtide_relation::Coverage;

use super::{Question, Timing, Wanted};
use crate::access::Identity;
use crate::error::RequestError;
use crate::lifetimes::Standing;
use crate::origin::Origin;
use crate::queries;
use crate::request::{At, frozen};
use crate::schemas::{StatementTables, as_pinned, filtered, tag_partitions};

/// A question at one version, ready to run.
pub(crate) struct Planned {
    /// What would run.
    pub(crate) plan: Arc<Plan>,
    /// Its validator.
    pub(crate) etag: ETag,
    /// What it reads.
    pub(crate) version: Version,
    /// Since when that is complete.
    pub(crate) as_of_micros: Option<i64>,
    /// What it depends on; empty where no cache may know.
    pub(crate) tags: Vec<Tag>,
    /// What bounds its life.
    pub(crate) standing: Standing,
    /// Whether the stream's tail is missing (rule 20).
    pub(crate) snapshot_only: bool,
}

/// Plans a question.
pub(crate) async fn plan(
    origin: &Origin,
    question: &Question,
    wanted: &Wanted,
    identity: &Identity,
    timing: &mut Timing,
) -> Result<Planned, RequestError> {
    let view = origin.policy.view(identity);
    let descriptions = origin.freshness.tables();
    let tables = origin.schemas.of(&descriptions, &origin.policy, &view);
    let quantum = question.quantum(origin);
    let clock_micros = match &wanted.at {
        At::Exactly(Version { time_micros: Some(micros), .. }) => *micros,
        _ => frozen(origin.now_micros(), quantum),
    };
    let statement = prepare(origin, question, &tables, clock_micros, identity).await?;
    timing.mark("prepare");
    let pinned = pin(origin, &statement, &wanted.at).await?;
    timing.mark("pin");
    let relations = filtered(pinned.relations, &view);
    let plan = match Plan::new(statement, relations.clone()) {
        Err(EngineError::SchemaChanged { .. }) => {
            let tables = as_pinned(&tables, &relations);
            let statement = prepare(origin, question, &tables, clock_micros, identity).await?;
            Plan::new(statement, relations)?
        }
        plan => plan?,
    };
    let statement = plan.statement().clone();
    let snapshot_only = plan.relations().iter().any(|r| r.coverage == Coverage::SnapshotOnly);
    let mut version = pinned.version;
    version.time_micros = statement.clock_micros;
    let policy = origin.policy.bytes(&view, statement.tables.iter());
    let standing = standing(&statement, &wanted.at, (!policy.is_empty(), snapshot_only), quantum);
    let planned = Planned {
        etag: etag(&plan, wanted.encoding, &policy),
        as_of_micros: pinned.as_of_micros,
        tags: dependencies(question, &statement, standing, || {
            tags(&statement, &tag_partitions(&descriptions))
        }),
        plan: Arc::new(plan),
        version,
        standing,
        snapshot_only,
    };
    timing.mark("plan");
    Ok(planned)
}

/// The statement, or what the one who asks may know about why not.
async fn prepare(
    origin: &Origin,
    question: &Question,
    tables: &StatementTables,
    clock_micros: i64,
    identity: &Identity,
) -> Result<Arc<Statement>, RequestError> {
    let request = StatementRequest {
        sql: question.sql.clone(),
        parameters: question.parameters.clone(),
        tables: tables.clone(),
        clock_micros,
    };
    let statement = match origin.engine.prepare(request).await {
        Err(EngineError::UnknownTable { name, nearest }) => {
            return Err(unknown_table(origin, name, nearest, identity));
        }
        statement => statement?,
    };
    if let Some(query) = &question.query {
        queries::edge_allows(query, &statement)
            .map_err(|finding| RequestError::QueryFinding(query.name.clone(), finding))?;
    }
    Ok(statement)
}

/// A table may be restricted, or not be ready, rather than unknown.
fn unknown_table(
    origin: &Origin,
    name: String,
    nearest: Option<String>,
    identity: &Identity,
) -> RequestError {
    if let Ok(table) = name.to_lowercase().parse() {
        if let Err(denied) = origin.policy.opens(&table, identity) {
            return denied.into();
        }
        if origin.freshness.declared().contains(&table) {
            return crate::tables::not_ready(origin, table);
        }
    }
    EngineError::UnknownTable { name, nearest }.into()
}

/// One consistent state of the tables that a statement reads.
async fn pin(origin: &Origin, statement: &Statement, at: &At) -> Result<Pinned, RequestError> {
    if let At::Exactly(version) = at {
        let lacks = statement.tables.iter().find(|table| !version.tables.contains_key(*table));
        if let Some(table) = lacks {
            return Err(RequestError::VersionLacksTable(table.clone()));
        }
        if statement.clock_micros.is_some() && version.time_micros.is_none() {
            return Err(RequestError::VersionLacksTime);
        }
    }
    if statement.tables.is_empty() {
        let version = Version::default();
        return Ok(Pinned { relations: Vec::new(), as_of_micros: None, version });
    }
    let tables = statement.tables.iter().cloned().collect();
    let least = match at {
        At::Least(minimum) => read_by(statement, minimum),
        At::Latest | At::Exactly(_) => MinVersion::default(),
    };
    let at = match at {
        At::Exactly(version) => {
            let mut version = version.clone();
            version.tables.retain(|table, _| statement.tables.contains(table));
            PinAt::Exactly(version)
        }
        _ if least.tables.is_empty() => PinAt::Latest,
        _ => {
            let wait = origin.settings.min_version_wait;
            PinAt::AtLeast { minimum: least.clone(), wait }
        }
    };
    let pinned = origin.freshness.pin(PinRequest { tables, at }).await?;
    // Rule 20: a snapshot alone never passes for what was asked.
    match least.reached_by(&pinned.version) {
        AtLeast::Reached => Ok(pinned),
        AtLeast::Behind => Err(RequestError::BehindMinimum(pinned.version.to_string())),
        AtLeast::Incomparable => Err(RequestError::Incomparable),
    }
}

/// The part of a minimum that names tables which the statement reads.
fn read_by(statement: &Statement, minimum: &MinVersion) -> MinVersion {
    let named = minimum.tables.iter().filter(|(table, _)| statement.tables.contains(*table));
    MinVersion { tables: named.map(|(table, least)| (table.clone(), least.clone())).collect() }
}

fn standing(
    statement: &Statement,
    at: &At,
    (restricted, snapshot_only): (bool, bool),
    quantum: std::time::Duration,
) -> Standing {
    if restricted {
        return Standing::Restricted { snapshot_only };
    }
    if snapshot_only {
        return Standing::SnapshotOnly;
    }
    // Another run of an unstable statement may differ: it is not immutable.
    if matches!(at, At::Exactly(_)) && statement.stability == Stability::Stable {
        return Standing::Pinned;
    }
    let quantum = i64::try_from(quantum.as_micros()).unwrap_or(i64::MAX);
    match statement.clock_micros {
        Some(clock) => Standing::UntilMicros(clock.saturating_add(quantum)),
        None => Standing::Newest,
    }
}

/// The tags of an answer: what is pinned depends on no row, only on its query's file.
fn dependencies(
    question: &Question,
    statement: &Statement,
    standing: Standing,
    of_tables: impl FnOnce() -> Vec<Tag>,
) -> Vec<Tag> {
    let mut tags = match standing {
        Standing::Restricted { .. } => return Vec::new(),
        Standing::Pinned => Vec::new(),
        _ if statement.tables.is_empty() => Vec::new(),
        _ => of_tables(),
    };
    tags.extend(question.query.iter().map(|query| Tag::query(&query.name)));
    tags
}
