//! `/v1/sql` and `/v1/q/{name}`: from a URL to a question, then its answer.

use std::sync::Arc;

use http::{HeaderMap, Method, Response};
use springtide_engine::Encoding;
use springtide_protocol::Format;
use springtide_protocol::canonical::CanonicalUrl;
use springtide_protocol::limits::SQL_BYTES;

use crate::access::Identity;
use crate::answer::{Question, Timing, Wanted, answer};
use crate::body::Body;
use crate::error::{RequestError, nearest};
use crate::origin::Origin;
use crate::queries::PublishedQuery;
use crate::request::{Reserved, values};

/// What a published query's URL may say beside its own parameters.
const ANSWER_NAMES: [&str; 3] = ["v", "min", "numbers"];
/// The same for `/v1/sql`.
const SQL_NAMES: [&str; 4] = ["q", "v", "min", "numbers"];

/// The parts of a request that an answer depends on.
pub(crate) struct Asking<'a> {
    /// GET or HEAD.
    pub(crate) method: &'a Method,
    /// Its URL.
    pub(crate) url: &'a CanonicalUrl,
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
    /// Who asks.
    pub(crate) identity: &'a Identity,
}

/// `/v1/sql.{fmt}?q=…`
pub(crate) async fn adhoc(
    origin: &Origin,
    asking: Asking<'_>,
    format: Format,
    timing: Timing,
) -> Result<Response<Body>, RequestError> {
    if !origin.settings.adhoc_sql {
        return Err(RequestError::AdhocOff);
    }
    let reserved = Reserved::read(asking.url, &SQL_NAMES, &[])?;
    let sql = reserved.q.as_deref().map(str::trim).filter(|sql| !sql.is_empty());
    let sql = sql.ok_or(RequestError::SqlMissing)?.to_owned();
    if sql.len() > SQL_BYTES {
        return Err(RequestError::SqlTooLong(sql.len()));
    }
    let question = Question { sql, parameters: Vec::new(), query: None };
    respond(origin, asking, question, (reserved, format), timing).await
}

/// `/v1/q/{name}.{fmt}?param=…`
pub(crate) async fn published_query(
    origin: &Origin,
    asking: Asking<'_>,
    (name, format): (&str, Format),
    timing: Timing,
) -> Result<Response<Body>, RequestError> {
    let query = published(origin, name)?;
    let reserved = Reserved::read(asking.url, &ANSWER_NAMES, &query.parameters)?;
    let question = asked(&query, asking.url)?;
    respond(origin, asking, question, (reserved, format), timing).await
}

async fn respond(
    origin: &Origin,
    asking: Asking<'_>,
    question: Question,
    (reserved, format): (Reserved, Format),
    mut timing: Timing,
) -> Result<Response<Body>, RequestError> {
    let at = reserved.at(asking.headers, &origin.settings.version_key)?;
    let encoding = Encoding { format, numbers_as_text: reserved.numbers_as_text };
    timing.mark("parse");
    let wanted = Wanted { encoding, at };
    let request = (asking.method, asking.headers);
    answer(origin, &question, &wanted, asking.identity, request, timing).await
}

/// A published query by name.
pub(crate) fn published(origin: &Origin, name: &str) -> Result<Arc<PublishedQuery>, RequestError> {
    let entries = origin.queries.entries();
    let Some(entry) = entries.get(name) else {
        if let Some((stem, suffix)) =
            name.rsplit_once('.').filter(|(s, _)| entries.contains_key(*s))
        {
            let suffix = suffix.chars().take(40).collect();
            return Err(RequestError::QueryFormat { name: stem.to_owned(), suffix });
        }
        let nearest = nearest(name, entries.keys().map(String::as_str));
        let name = name.chars().take(80).collect();
        return Err(RequestError::UnknownQuery { name, nearest });
    };
    entry.query.clone().map_err(|error| RequestError::BrokenQuery(name.to_owned(), error))
}

/// A published query with the URL's parameters.
pub(crate) fn asked(
    query: &Arc<PublishedQuery>,
    url: &CanonicalUrl,
) -> Result<Question, RequestError> {
    Ok(Question {
        sql: query.sql.clone(),
        parameters: values(&query.parameters, url)?,
        query: Some(query.clone()),
    })
}
