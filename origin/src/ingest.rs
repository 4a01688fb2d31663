//! `POST /v1/ingest/{table}`: the whole body, then the rows, then the token
//! that lets the writer read its own write.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use springtide_protocol::limits::INGEST_BODY_BYTES;
use springtide_protocol::{TableName, headers};

use bytes::Bytes;

use crate::body::Body;
use crate::error::{RequestError, nearest};
use crate::origin::Origin;
use crate::server::json;

/// The most characters of an `Idempotency-Key`.
const KEY_BYTES: usize = 200;

/// Takes the rows of a body.
pub(crate) async fn ingest(
    origin: &Origin,
    table: &TableName,
    head: &HeaderMap,
    body: &mut Incoming,
) -> Result<Response<Body>, RequestError> {
    origin.writers.check(head)?;
    declared(origin, table)?;
    let key = idempotency_key(head)?;
    // A body of unknown length may be of any.
    let length = body
        .size_hint()
        .exact()
        .map_or(INGEST_BODY_BYTES, |exact| usize::try_from(exact).unwrap_or(INGEST_BODY_BYTES));
    let _room = origin.ingest_room(length).await?;
    let rows = read(origin, head, body, INGEST_BODY_BYTES).await?;
    if rows.iter().all(u8::is_ascii_whitespace) {
        return Err(RequestError::BodyMissing);
    }
    let receipt = origin.freshness.ingest(table, rows, key).await?;
    metrics::counter!("springtide_origin_ingested_rows_total", "table" => table.to_string())
        .increment(receipt.rows);
    let version = receipt.min_version.to_string();
    let answer = serde_json::json!({ "rows": receipt.rows, "version": version });
    let mut response = json(StatusCode::ACCEPTED, &answer);
    response.headers_mut().insert(headers::VERSION, HeaderValue::from_str(&version)?);
    Ok(response)
}

/// Refuses a table that no configuration names.
pub(crate) fn declared(origin: &Origin, table: &TableName) -> Result<(), RequestError> {
    let declared = origin.freshness.declared();
    if declared.contains(table) {
        return Ok(());
    }
    let nearest = nearest(table.as_str(), declared.iter().map(TableName::as_str));
    Err(RequestError::UnknownTable { name: table.clone(), nearest })
}

/// A whole body, bounded in bytes and time.
pub(crate) async fn read(
    origin: &Origin,
    head: &HeaderMap,
    body: &mut Incoming,
    limit_bytes: usize,
) -> Result<Bytes, RequestError> {
    if let Some(coding) = head.get(header::CONTENT_ENCODING).filter(|c| *c != "identity") {
        let coding = String::from_utf8_lossy(coding.as_bytes()).chars().take(40).collect();
        return Err(RequestError::BodyEncoded(coding));
    }
    if body.size_hint().lower() > limit_bytes as u64 {
        return Err(RequestError::BodyTooLarge { limit_bytes });
    }
    let time = origin.settings.bounds.body_time;
    let collected = tokio::time::timeout(time, Limited::new(body, limit_bytes).collect()).await;
    match collected.map_err(|_| RequestError::BodySlow(time))? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(RequestError::BodyTooLarge { limit_bytes })
        }
        Err(error) => Err(RequestError::BodyRead(error)),
    }
}

fn idempotency_key(head: &HeaderMap) -> Result<Option<&str>, RequestError> {
    let Some(value) = head.get(headers::IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().map_err(|_| RequestError::IdempotencyKey)?.trim();
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_BYTES || !plain {
        return Err(RequestError::IdempotencyKey);
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_idempotency_key_is_short_and_plain() {
        let key = |text: &str| {
            let mut head = HeaderMap::new();
            head.insert(headers::IDEMPOTENCY_KEY, text.parse().unwrap());
            idempotency_key(&head).map(|key| key.map(str::to_owned))
        };
        assert_eq!(key("a-1").unwrap().as_deref(), Some("a-1"));
        assert!(idempotency_key(&HeaderMap::new()).unwrap().is_none());
        for bad in ["", "a b", &"x".repeat(201)] {
            assert!(matches!(key(bad), Err(RequestError::IdempotencyKey)), "{bad}");
        }
    }
}
