//! From a route to the part that answers it.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, request};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use springtide_protocol::canonical::CanonicalUrl;
use springtide_protocol::limits::INGEST_BODY_BYTES;
use tokio_util::sync::CancellationToken;

use crate::answer::Timing;
use crate::body::Body;
use crate::console::{Asset, asset};
use crate::error::RequestError;
use crate::origin::Origin;
use crate::route::Route;
use crate::sql::Asking;
use crate::{admin, audit, changes, health, ingest, live, openapi, sql, tables};

/// Bytes of a refused body that are still read.
const LINGER_BYTES: usize = 4 * INGEST_BODY_BYTES;
/// For how long.
const LINGER_TIME: Duration = Duration::from_secs(5);

/// Answers a request; with the label of its route.
pub(super) async fn dispatch(
    origin: &Arc<Origin>,
    request: Request<Incoming>,
    stop: &CancellationToken,
) -> (&'static str, Result<Response<Body>, RequestError>) {
    let timing = Timing::start();
    let (head, body) = request.into_parts();
    let found = find(&head);
    match found {
        Err(error) => ("none", Err(error)),
        Ok((url, route)) => {
            let label = route.template();
            let answer = match route.writes() {
                true => write_all(origin, &route, &head, body).await,
                false => read(origin, &route, (&head, &url), stop, timing).await,
            };
            (label, answer)
        }
    }
}

fn find(head: &request::Parts) -> Result<(CanonicalUrl, Route), RequestError> {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let url = CanonicalUrl::parse(target)?;
    let route = Route::find(&head.method, &url)?;
    Ok((url, route))
}

/// A write; where it is refused before its body was read, the body is read on
/// for a while, so that its sender comes to read why.
async fn write_all(
    origin: &Origin,
    route: &Route,
    head: &request::Parts,
    mut body: Incoming,
) -> Result<Response<Body>, RequestError> {
    let answer = write(origin, route, head, &mut body).await;
    if answer.is_err() && !body.is_end_stream() {
        tokio::spawn(linger(body));
    }
    answer
}

async fn linger(mut body: Incoming) {
    let read_on = async {
        let mut left_bytes = LINGER_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, |data| data.len());
            let Some(left) = left_bytes.checked_sub(bytes) else { return };
            left_bytes = left;
        }
    };
    // Whoever sends longer meets a reset.
    let _late = tokio::time::timeout(LINGER_TIME, read_on).await;
}

async fn write(
    origin: &Origin,
    route: &Route,
    head: &request::Parts,
    body: &mut Incoming,
) -> Result<Response<Body>, RequestError> {
    match route {
        Route::Ingest(table) => ingest::ingest(origin, table, &head.headers, body).await,
        Route::Commit(table) => admin::commit(origin, table, &head.headers).await,
        Route::Discard(table) => admin::discard(origin, table, &head.headers, body).await,
        _ => admin::purge(origin, &head.headers, body).await,
    }
}

async fn read(
    origin: &Arc<Origin>,
    route: &Route,
    (head, url): (&request::Parts, &CanonicalUrl),
    stop: &CancellationToken,
    timing: Timing,
) -> Result<Response<Body>, RequestError> {
    let headers = &head.headers;
    let identity = match needs_identity(route) {
        true if !origin.writers.is_writer(headers)? => {
            origin.verifier.identify(headers, origin.now_micros())?
        }
        _ => crate::access::Identity::default(),
    };
    let asking = Asking { method: &head.method, url, headers, identity: &identity };
    match route {
        Route::Query(name, format) => {
            sql::published_query(origin, asking, (name, *format), timing).await
        }
        Route::Sql(format) => sql::adhoc(origin, asking, *format, timing).await,
        // A HEAD of a stream that never ends has no use but its head.
        Route::Live(name) => live::live(origin, headers, (url, name), &identity, stop),
        Route::Changes => changes::changes(origin, headers, url, &identity, stop),
        Route::Tables => Ok(tables::list(origin, &identity)),
        Route::Table(table) => tables::one(origin, table, &identity),
        Route::Audit(table) => audit::audit(origin, table, &identity, headers).await,
        Route::DeadLetters(table) => admin::dead_letters(origin, table, headers, url).await,
        Route::Queries => Ok(tables::queries(origin)),
        Route::OpenApi => Ok(openapi::openapi(origin)),
        Route::Health => Ok(health::health()),
        Route::Ready => Ok(health::ready(origin)),
        Route::Metrics => Ok(health::metrics(origin)),
        Route::ConsoleScript => Ok(asset(Asset::Script, headers)),
        Route::ConsoleStyle => Ok(asset(Asset::Style, headers)),
        Route::Console | Route::Ingest(_) | Route::Commit(_) | Route::Purge | Route::Discard(_) => {
            debug_assert_ne!(head.method, Method::POST, "writes go another way");
            Ok(asset(Asset::Page, headers))
        }
    }
}

/// Whether who asks makes a difference.
const fn needs_identity(route: &Route) -> bool {
    matches!(
        route,
        Route::Query(..)
            | Route::Sql(_)
            | Route::Live(_)
            | Route::Changes
            | Route::Tables
            | Route::Table(_)
            | Route::Audit(_)
    )
}
