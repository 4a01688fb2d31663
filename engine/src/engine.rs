//! The engine: two locked DuckDB instances, one that plans and one that runs,
//! and the cache of prepared statements between them. It must never know where
//! relations come from.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use springtide_protocol::parameter::ParameterValue;
use tokio::sync::oneshot;

use crate::encode::Encoding;
use crate::error::EngineError;
use crate::execute::{Answer, Executor};
use crate::plan::Plan;
use crate::session::{Interruption, Sessions, open_executor, open_planner};
use crate::settings::{EngineSettings, Limits};
use crate::statement::{Planner, Statement, StatementRequest, TableSchema};
use crate::union::Registries;

/// Statements are planned on sessions of their own: a 304 never waits behind a query.
const PLANNER_SESSIONS: usize = 2;
/// Statements that may wait to be planned (half a millisecond each).
const WAITING_PLANS: usize = 4_096;
/// Parsing and binding takes no longer.
const PLAN_TIME: Duration = Duration::from_secs(10);
/// Statements that are remembered as prepared.
const PREPARED_STATEMENTS: usize = 2_048;

/// Runs statements over relations. Clones share everything.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    planner: Sessions<Planner>,
    executor: Executor,
    prepared: Cache<Key, Prepared>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens DuckDB, locks it and starts the sessions. Blocks for some 50 ms.
    ///
    /// # Errors
    /// Settings that cannot be used; DuckDB's or the machine's failures.
    pub fn open(settings: EngineSettings) -> Result<Self, EngineError> {
        if settings.sessions == 0 || settings.threads == 0 {
            let detail = "`sessions` and `threads` must be at least 1".to_owned();
            return Err(EngineError::InvalidSettings { detail });
        }
        let registries = Registries::default();
        let root = open_executor(&settings, |connection| registries.register(connection))?;
        let sessions =
            Sessions::start("duckdb", root, |c| c, settings.sessions, settings.waiting_statements)?;
        let plan = open_planner()?;
        let planner =
            Sessions::start("duckdb-plan", plan, Planner::new, PLANNER_SESSIONS, WAITING_PLANS)?;
        let executor = Executor::new(sessions, registries);
        let prepared = Cache::new(PREPARED_STATEMENTS);
        Ok(Self { inner: Arc::new(Inner { planner, executor, prepared }) })
    }

    /// Parses, vets, binds, freezes the clock, settles the order and finds what
    /// is read. Cached; equal requests at once are prepared once.
    ///
    /// # Errors
    /// What the statement may not do or say; `Overloaded`.
    pub async fn prepare(&self, request: StatementRequest) -> Result<Arc<Statement>, EngineError> {
        let request = Arc::new(request);
        let timeless = Key { request: Arc::clone(&request), clock: None };
        let clocked = Key { request: Arc::clone(&request), clock: Some(request.clock_micros) };
        let cache = &self.inner.prepared;
        let first = cache.get_or_insert_async(&timeless, async {
            let statement = self.plan(&request).await?;
            if statement.clock_micros.is_none() {
                return Ok(Prepared::Timeless(statement));
            }
            cache.insert(clocked.clone(), Prepared::Timeless(statement));
            Ok(Prepared::Clocked)
        });
        if let Prepared::Timeless(statement) = first.await? {
            return Ok(statement);
        }
        let again = cache.get_or_insert_async(&clocked, async {
            Ok(Prepared::Timeless(self.plan(&request).await?))
        });
        match again.await? {
            Prepared::Timeless(statement) => Ok(statement),
            Prepared::Clocked => self.plan(&request).await,
        }
    }

    /// Runs a plan. The stream ends with an error where it fails midway;
    /// dropping the answer, or this future, interrupts the statement.
    ///
    /// # Errors
    /// What ends the statement before its first bytes.
    pub async fn execute(
        &self,
        plan: Arc<Plan>,
        encoding: Encoding,
        limits: Limits,
    ) -> Result<Answer, EngineError> {
        self.inner.executor.execute(plan, encoding, limits).await
    }

    async fn plan(&self, request: &Arc<StatementRequest>) -> Result<Arc<Statement>, EngineError> {
        let interruption = Interruption::new(PLAN_TIME);
        let _abandon = interruption.abandon_on_drop();
        let planner = &self.inner.planner;
        let admission = tokio::time::timeout_at(interruption.deadline(), planner.admit()).await;
        let admission = admission.map_err(|_elapsed| interruption.timeout())??;
        let (report, outcome) = oneshot::channel();
        let (job, request) = (interruption.job(), Arc::clone(request));
        tokio::spawn(Arc::clone(&interruption).watch());
        planner.submit(admission, move |session| {
            job.arm(Arc::clone(&session.interrupt));
            let result = session.state.prepare(&request);
            let ended = job.interruption().error();
            // Whoever asked may be gone.
            let _ = report.send(result.map_err(|error| ended.unwrap_or(error)));
        });
        let lost = |_| EngineError::internal("plan the statement")("its session ended".into());
        outcome.await.map_err(lost)?.map(Arc::new)
    }
}

/// A statement as it was asked for, with T only where it reads the clock.
#[derive(Clone)]
struct Key {
    request: Arc<StatementRequest>,
    clock: Option<i64>,
}

#[derive(Clone)]
enum Prepared {
    /// The statement: it reads no clock, or its key has T.
    Timeless(Arc<Statement>),
    /// It reads the clock: look under T.
    Clocked,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.clock.hash(state);
        self.request.sql.hash(state);
        for (name, value) in &self.request.parameters {
            (name, value.to_string()).hash(state);
        }
        for (name, table) in self.request.tables.iter() {
            (name, table.schema.fields().len(), &table.row_filter).hash(state);
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.request, &other.request);
        self.clock == other.clock
            && a.sql == b.sql
            && same_parameters(&a.parameters, &b.parameters)
            && same_tables(a, b)
    }
}

impl Eq for Key {}

/// Also by text: −0.0 and 0.0 are equal but not the same.
fn same_parameters(a: &[(String, ParameterValue)], b: &[(String, ParameterValue)]) -> bool {
    a == b && a.iter().zip(b).all(|(a, b)| a.1.to_string() == b.1.to_string())
}

fn same_tables(a: &StatementRequest, b: &StatementRequest) -> bool {
    let same = |a: &TableSchema, b: &TableSchema| {
        (Arc::ptr_eq(&a.schema, &b.schema) || a.schema == b.schema) && a.row_filter == b.row_filter
    };
    let mut pairs = a.tables.iter().zip(b.tables.iter());
    Arc::ptr_eq(&a.tables, &b.tables)
        || (a.tables.len() == b.tables.len() && pairs.all(|(a, b)| a.0 == b.0 && same(a.1, b.1)))
}
