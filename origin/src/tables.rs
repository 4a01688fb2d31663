//! `/v1/tables` and `/v1/queries`: what there is to ask.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use springtide_engine::sql_type;
use springtide_freshness::{TableDescription, TableStatus};
use springtide_protocol::{MinVersion, TableName};

use crate::access::{Identity, View};
use crate::answer::rfc3339;
use crate::body::Body;
use crate::error::{RequestError, nearest};
use crate::origin::Origin;
use crate::queries::PublishedQuery;
use crate::server;

/// `/v1/tables`
pub(crate) fn list(origin: &Origin, identity: &Identity) -> Response<Body> {
    let view = origin.policy.view(identity);
    let known = origin.freshness.tables();
    let declared = origin.freshness.declared();
    let shown = declared.iter().filter(|table| visible(origin, &view, table));
    let tables: Vec<Value> = shown.map(|table| describe(origin, table, known.get(table))).collect();
    fresh(&json!({ "tables": tables }))
}

/// `/v1/tables/{table}`
pub(crate) fn one(
    origin: &Origin,
    table: &TableName,
    identity: &Identity,
) -> Result<Response<Body>, RequestError> {
    let view = origin.policy.view(identity);
    let declared = origin.freshness.declared();
    if declared.contains(table) {
        origin.policy.opens(table, identity)?;
        let known = origin.freshness.tables();
        return Ok(fresh(&describe(origin, table, known.get(table))));
    }
    let shown = declared.iter().filter(|table| visible(origin, &view, table));
    let nearest = nearest(table.as_str(), shown.map(TableName::as_str));
    Err(RequestError::UnknownTable { name: table.clone(), nearest })
}

/// `/v1/queries`
pub(crate) fn queries(origin: &Origin) -> Response<Body> {
    let entries = origin.queries.entries();
    let listed = entries.iter().map(|(name, entry)| match &entry.query {
        Ok(query) => listed(origin, query),
        Err(error) => json!({ "name": name, "error": error.to_string() }),
    });
    let listed: Vec<Value> = listed.collect();
    fresh(&json!({ "queries": listed }))
}

fn listed(origin: &Origin, query: &PublishedQuery) -> Value {
    let lifetimes = query.lifetimes(&origin.settings.lifetimes);
    let clock = query.cache.clock.unwrap_or(origin.settings.clock_quantum);
    json!({
        "name": query.name,
        "url": format!("/v1/q/{}", query.name),
        "live": format!("/v1/live/{}", query.name),
        "description": query.description,
        "parameters": query.parameters,
        "cache": lifetimes,
        "clock_ms": u64::try_from(clock.as_millis()).unwrap_or(u64::MAX),
        "chart": query.chart,
        "edge": query.edge,
        "sql": query.sql,
    })
}

/// Why a table that is declared cannot be asked yet.
pub(crate) fn not_ready(origin: &Origin, table: TableName) -> RequestError {
    let reason = origin.freshness.status(&table).and_then(|status| status.reason);
    let reason = reason.unwrap_or_else(|| "it is starting".to_owned());
    RequestError::TableNotReady(table, reason)
}

fn visible(origin: &Origin, view: &View, table: &TableName) -> bool {
    !origin.policy.restricts(table) || view.opens(table)
}

fn describe(origin: &Origin, table: &TableName, known: Option<&TableDescription>) -> Value {
    let mut shown = json!({ "name": table });
    let mut set = |key: &str, value: Value| {
        shown[key] = value;
    };
    if let Some(known) = known {
        let columns = known.schema.fields().iter().map(|field| {
            json!({
                "name": field.name(),
                "type": sql_type(field),
                "nullable": field.is_nullable(),
            })
        });
        set("columns", columns.collect());
        set("schema_id", known.schema_id.into());
        set("partition_by", known.partition_by.iter().map(ToString::to_string).collect());
        set("tag_partition", json!(known.tag_partition.as_ref().map(ToString::to_string)));
        set("topic", json!(known.topic));
        set("key", json!(known.key));
        set("restricted", origin.policy.restricts(table).into());
    }
    let status = origin.freshness.status(table);
    if let Some(status) = &status {
        describe_status(table, status, origin.now_micros(), &mut set);
    }
    shown
}

fn describe_status(
    table: &TableName,
    status: &TableStatus,
    now_micros: i64,
    set: &mut impl FnMut(&str, Value),
) {
    set("state", json!(status.state));
    set("reason", json!(status.reason));
    let least = |version: &springtide_protocol::TableVersion| MinVersion {
        tables: [(table.clone(), version.into())].into(),
    };
    set("version", json!(status.version.as_ref().map(|v| least(v).to_string())));
    set("as_of", json!(status.as_of_micros.map(rfc3339)));
    let lag = status.as_of_micros.map(|as_of| now_micros.saturating_sub(as_of).max(0) / 1000);
    set("lag_ms", json!(lag));
    let tail = json!({
        "rows": status.tail_rows,
        "memory_bytes": status.tail_memory_bytes,
        "disk_bytes": status.tail_disk_bytes,
        "segments": status.tail_segments,
        "coverage_start": status.coverage_start,
        "coverage_end": status.coverage_end,
    });
    set("tail", tail);
    let lake = json!({
        // As text: it passes 53 bits.
        "snapshot_id": status.snapshot_id.map(|id| id.to_string()),
        "rows": status.snapshot_rows,
        "files": status.snapshot_files,
        "boundary": status.boundary,
    });
    set("lake", lake);
    set("snapshot_only", status.is_snapshot_only.into());
    set("dead_letters", json!(status.dead_letters));
    set("last_commit", json!(status.last_commit_micros.map(rfc3339)));
}

/// A document of this moment, that no cache keeps.
fn fresh(document: &Value) -> Response<Body> {
    let mut response = server::json(StatusCode::OK, document);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
