//! `/v1/audit/{table}`: pins one state, has it counted by offset, asks the engine
//! how many rows a statement sees at the very same pin, and says what holds. What
//! an audit found is kept for the next one of this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use parking_lot::Mutex;
use springtide_engine::{Encoding, EngineError, Plan, StatementRequest, TableSchema};
use springtide_freshness::audit::{Audit, Past, Seen, judge};
use springtide_freshness::{PinAt, PinRequest};
use springtide_protocol::{Format, MinVersion, TableName, Version};
use springtide_relation::Relation;
use tokio::sync::Semaphore;

use crate::access::{Denied, Identity};
use crate::body::Body;
use crate::error::RequestError;
use crate::ingest::declared;
use crate::origin::Origin;
use crate::request::frozen;
use crate::server;

/// Audits at a time: each reads a part of the stream and all footers.
const AUDITS: usize = 1;

/// The audits of this process.
pub(crate) struct Audits {
    permits: Semaphore,
    past: Mutex<BTreeMap<TableName, Past>>,
}

impl Default for Audits {
    fn default() -> Self {
        Self { permits: Semaphore::new(AUDITS), past: Mutex::default() }
    }
}

/// Audits a table. An audit that finds something is an answer like any other.
pub(crate) async fn audit(
    origin: &Origin,
    table: &TableName,
    identity: &Identity,
    head: &HeaderMap,
) -> Result<Response<Body>, RequestError> {
    let is_writer = origin.writers.is_writer(head)?;
    // Counts tell of rows that a row filter hides.
    if !is_writer && origin.policy.opens(table, identity)?.is_some() {
        return Err(Denied::Table(table.clone()).into());
    }
    declared(origin, table)?;
    let busy = |_| RequestError::Busy { what: "audits", limit: AUDITS };
    let _permit = origin.audits.permits.try_acquire().map_err(busy)?;
    let relation = pinned(origin, table, PinAt::Latest).await?;
    let past = origin.audits.past.lock().get(table).cloned();
    let counted = origin.freshness.count(&relation).await?;
    let seen = seen(origin, &relation, &counted.key, past.as_ref()).await;
    let audit = judge(&counted, &seen, past.as_ref());
    tell(table, &audit);
    let version = relation.version.clone();
    let least = MinVersion { tables: [(table.clone(), (&version).into())].into() };
    let document = serde_json::json!({
        "table": table,
        "version": least.to_string(),
        "previous_version": past.map(|past| {
            MinVersion { tables: [(table.clone(), (&past.version).into())].into() }.to_string()
        }),
        "ok": audit.ok,
        "checks": audit.checks,
        "not_compared": audit.not_compared,
        "partitions": audit.partitions,
    });
    origin.audits.past.lock().insert(table.clone(), audit.past);
    let mut response = server::json(StatusCode::OK, &document);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

fn tell(table: &TableName, audit: &Audit) {
    if audit.ok {
        return;
    }
    metrics::counter!("springtide_audit_failures_total", "table" => table.to_string()).increment(1);
    for check in audit.checks.iter().filter(|check| !check.ok) {
        let (name, expected, found) = (&check.name, &check.expected, &check.found);
        tracing::error!(%table, check = name, %expected, %found, "the audit found a difference");
    }
}

async fn pinned(
    origin: &Origin,
    table: &TableName,
    at: PinAt,
) -> Result<Arc<Relation>, RequestError> {
    let tables = vec![table.clone()];
    let pinned = origin.freshness.pin(PinRequest { tables, at }).await?;
    let unknown = || RequestError::UnknownTable { name: table.clone(), nearest: None };
    pinned.relations.into_iter().next().ok_or_else(unknown)
}

/// What statements see of the state, and of the one that was audited before.
async fn seen(
    origin: &Origin,
    relation: &Arc<Relation>,
    key: &[String],
    past: Option<&Past>,
) -> Seen {
    let table = &relation.table;
    let before = match past {
        None => None,
        Some(past) => {
            let tables = [(table.clone(), past.version.clone())].into();
            let version = Version { tables, time_micros: None };
            Some(match pinned(origin, table, PinAt::Exactly(version)).await {
                Ok(relation) => rows(origin, &relation, &all(table)).await,
                Err(gone) => Err(gone.to_string()),
            })
        }
    };
    let keys = match key {
        [] => None,
        key => {
            let columns: Vec<String> = key.iter().map(|column| quoted(column)).collect();
            let columns = columns.join(", ");
            let each = format!("SELECT DISTINCT {columns} FROM {}", quoted(table.as_str()));
            Some(rows(origin, relation, &format!("SELECT count(*) AS n FROM ({each})")).await)
        }
    };
    Seen { now: rows(origin, relation, &all(table)).await, before, keys }
}

fn all(table: &TableName) -> String {
    format!("SELECT count(*) AS n FROM {}", quoted(table.as_str()))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The number that a statement over one relation gives, or why it gives none.
async fn rows(origin: &Origin, relation: &Arc<Relation>, sql: &str) -> Result<u64, String> {
    let told = number(origin, relation, sql).await.map_err(|error| error.to_string())?;
    told.ok_or_else(|| "the answer is no number".to_owned())
}

async fn number(
    origin: &Origin,
    relation: &Arc<Relation>,
    sql: &str,
) -> Result<Option<u64>, EngineError> {
    let schema = TableSchema { schema: relation.schema.clone(), row_filter: None };
    let request = StatementRequest {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        tables: Arc::new([(relation.table.clone(), schema)].into()),
        clock_micros: frozen(origin.now_micros(), origin.settings.clock_quantum),
    };
    let statement = origin.engine.prepare(request).await?;
    let plan = Arc::new(Plan::new(statement, vec![relation.clone()])?);
    let encoding = Encoding { format: Format::Json, numbers_as_text: false };
    origin.count_execution();
    let mut answer = origin.engine.execute(plan, encoding, origin.settings.limits).await?;
    let mut body = Vec::new();
    while let Some(piece) = answer.next().await {
        body.extend_from_slice(&piece?);
    }
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(document["data"][0]["n"].as_u64())
}
