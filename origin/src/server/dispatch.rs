//! From a route to the part that answers it.

use std::sync::Arc;

use http::{Method, Request, Response, request};
use hyper::body::Incoming;
use springtide_protocol::canonical::CanonicalUrl;
use tokio_util::sync::CancellationToken;

use crate::answer::Timing;
use crate::body::Body;
use crate::console::{Asset, asset};
use crate::error::RequestError;
use crate::origin::Origin;
use crate::route::Route;
use crate::sql::Asking;
use crate::{admin, changes, health, ingest, live, openapi, sql, tables};

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
                true => write(origin, &route, &head, body).await,
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

async fn write(
    origin: &Origin,
    route: &Route,
    head: &request::Parts,
    body: Incoming,
) -> Result<Response<Body>, RequestError> {
    match route {
        Route::Ingest(table) => ingest::ingest(origin, table, &head.headers, body).await,
        Route::Commit(table) => admin::commit(origin, table, &head.headers).await,
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
        Route::Queries => Ok(tables::queries(origin)),
        Route::OpenApi => Ok(openapi::openapi(origin)),
        Route::Health => Ok(health::health()),
        Route::Ready => Ok(health::ready(origin)),
        Route::Metrics => Ok(health::metrics(origin)),
        Route::ConsoleScript => Ok(asset(Asset::Script, headers)),
        Route::ConsoleStyle => Ok(asset(Asset::Style, headers)),
        Route::Console | Route::Ingest(_) | Route::Commit(_) | Route::Purge => {
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
    )
}
