//! `/v1/admin`: commits a table's tail now; marks answers stale by tag.

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use springtide_protocol::{MinVersion, TableName, Tag, headers};

use crate::body::Body;
use crate::error::RequestError;
use crate::ingest::{declared, read};
use crate::origin::Origin;
use crate::server::json;

/// The most bytes of a purge's body.
const PURGE_BODY_BYTES: usize = 64 * 1024;
/// The most tags of a purge.
const PURGE_TAGS: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Purge {
    tags: Vec<Tag>,
    /// Drop instead of marking stale.
    #[serde(default)]
    drop: bool,
}

/// `POST /v1/admin/commit/{table}`: durable in the lake when it answers.
pub(crate) async fn commit(
    origin: &Origin,
    table: &TableName,
    head: &HeaderMap,
) -> Result<Response<Body>, RequestError> {
    origin.writers.check(head)?;
    declared(origin, table)?;
    let version = origin.freshness.commit(table).await?;
    let least = MinVersion { tables: [(table.clone(), (&version).into())].into() };
    let least = least.to_string();
    let answer = serde_json::json!({ "table": table, "version": least });
    let mut response = json(StatusCode::OK, &answer);
    response.headers_mut().insert(headers::VERSION, HeaderValue::from_str(&least)?);
    Ok(response)
}

/// `POST /v1/admin/purge` with `{"tags":[…],"drop":false}`.
pub(crate) async fn purge(
    origin: &Origin,
    head: &HeaderMap,
    body: Incoming,
) -> Result<Response<Body>, RequestError> {
    origin.writers.check(head)?;
    let body = read(origin, head, body, PURGE_BODY_BYTES).await?;
    let purge: Purge = serde_json::from_slice(&body).map_err(RequestError::PurgeBody)?;
    if purge.tags.is_empty() || purge.tags.len() > PURGE_TAGS {
        return Err(RequestError::PurgeTags(PURGE_TAGS));
    }
    let answer = serde_json::json!({ "tags": purge.tags, "drop": purge.drop });
    tracing::info!(tags = Tag::list(&purge.tags), drop = purge.drop, "purged");
    origin.announce(purge.tags, purge.drop);
    Ok(json(StatusCode::OK, &answer))
}
