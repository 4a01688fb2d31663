//! `/v1/admin`: commits a table's tail now; marks answers stale by tag; shows and
//! discards dead letters. All of it needs the token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use springtide_freshness::dead_letters::{DeadLetter, PAGE_LETTERS};
use springtide_protocol::canonical::CanonicalUrl;
use springtide_protocol::parameter::InvalidParameter;
use springtide_protocol::{MinVersion, TableName, Tag, headers};

use crate::answer::rfc3339;
use crate::body::Body;
use crate::error::{RequestError, nearest};
use crate::ingest::{declared, read};
use crate::origin::Origin;
use crate::server::json;

/// The most bytes of a purge's body.
const PURGE_BODY_BYTES: usize = 64 * 1024;
/// The most bytes of a discard's body.
const DISCARD_BODY_BYTES: usize = 1024;
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

/// What to discard: all up to a letter that was seen, so that none goes unseen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discard {
    up_to: i64,
}

/// `POST /v1/admin/commit/{table}`: durable in the lake when it answers.
pub(crate) async fn commit(
    origin: &Origin,
    table: &TableName,
    head: &HeaderMap,
) -> Result<Response<Body>, RequestError> {
    origin.writers.check_admin(head)?;
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
    body: &mut Incoming,
) -> Result<Response<Body>, RequestError> {
    origin.writers.check_admin(head)?;
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

/// `GET /v1/admin/dead-letters/{table}?before=&limit=`: a page, newest first.
pub(crate) async fn dead_letters(
    origin: &Origin,
    table: &TableName,
    head: &HeaderMap,
    url: &CanonicalUrl,
) -> Result<Response<Body>, RequestError> {
    origin.writers.check_admin(head)?;
    declared(origin, table)?;
    let known = |name: &str| matches!(name, "before" | "limit");
    if let Some((name, _)) = url.parameters().iter().find(|(name, _)| !known(name)) {
        let nearest = nearest(name, ["before", "limit"].into_iter());
        return Err(InvalidParameter::Unknown { name: name.clone(), nearest }.into());
    }
    let number = |name: &'static str| {
        let parsed = url.single(name).map(str::parse::<i64>).transpose();
        parsed.ok().filter(|n| n.is_none_or(|n| n > 0)).ok_or(RequestError::Number(name))
    };
    let (before, limit) = (number("before")?, number("limit")?);
    let most = limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(PAGE_LETTERS);
    let page = origin.freshness.dead_letters(table, before, most).await?;
    let next = page.letters.last().filter(|_| page.has_more).map(|letter| letter.number);
    let letters: Vec<_> = page.letters.iter().map(shown).collect();
    let answer = serde_json::json!({ "table": table, "letters": letters, "next_before": next });
    Ok(json(StatusCode::OK, &answer))
}

/// `POST /v1/admin/dead-letters/{table}/discard` with `{"up_to":NUMBER}`.
pub(crate) async fn discard(
    origin: &Origin,
    table: &TableName,
    head: &HeaderMap,
    body: &mut Incoming,
) -> Result<Response<Body>, RequestError> {
    origin.writers.check_admin(head)?;
    declared(origin, table)?;
    let body = read(origin, head, body, DISCARD_BODY_BYTES).await?;
    let asked: Discard = serde_json::from_slice(&body).map_err(RequestError::DiscardBody)?;
    let gone = origin.freshness.discard_dead_letters(table, asked.up_to).await?;
    tracing::info!(%table, up_to = asked.up_to, letters = gone.letters, "dead letters discarded");
    let answer = serde_json::json!({
        "table": table, "up_to": asked.up_to, "rows": gone.letters, "bytes": gone.bytes,
    });
    Ok(json(StatusCode::OK, &answer))
}

fn shown(letter: &DeadLetter) -> serde_json::Value {
    let encoded = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
    let at = letter.timestamp_ms.map(|ms| rfc3339(ms.saturating_mul(1000)));
    serde_json::json!({
        "number": letter.number,
        "topic": letter.topic,
        "topic_id": letter.topic_id,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": at,
        "reason": letter.reason,
        "key_base64": encoded(&letter.key),
        "value_base64": encoded(&letter.value),
    })
}
