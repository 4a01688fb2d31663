//! One answer: pin → plan → validator → 304 or execution → headers → body.

mod collect;
mod headers;
mod plan;
mod timing;

use std::sync::Arc;

use http::{HeaderMap, Method, Response, StatusCode};
use springtide_engine::Encoding;
use springtide_protocol::Format;
use springtide_protocol::etag::Coding;

use crate::access::Identity;
use crate::body::{Body, empty};
use crate::coding::negotiate;
use crate::error::RequestError;
use crate::lifetimes::{Lifetimes, Standing};
use crate::origin::Origin;
use crate::queries::PublishedQuery;
use crate::request::{At, ParameterValue, if_none_match};
use crate::validators;

use collect::Collected;
pub(crate) use collect::SpoolSpace;
pub(crate) use headers::rfc3339;
pub(crate) use plan::{Planned, plan};
pub(crate) use timing::Timing;

/// A statement that is asked for, with its bound parameters.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// SQL with `$name` parameters.
    pub(crate) sql: String,
    /// Their values.
    pub(crate) parameters: Vec<(String, ParameterValue)>,
    /// The published query that it comes from.
    pub(crate) query: Option<Arc<PublishedQuery>>,
}

/// How an answer is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its form.
    pub(crate) encoding: Encoding,
    /// Its state.
    pub(crate) at: At,
}

impl Question {
    /// The grain of its clock.
    pub(crate) fn quantum(&self, origin: &Origin) -> std::time::Duration {
        let own = self.query.as_ref().and_then(|query| query.cache.clock);
        own.unwrap_or(origin.settings.clock_quantum)
    }

    fn lifetimes(&self, origin: &Origin) -> Lifetimes {
        let default = &origin.settings.lifetimes;
        self.query.as_ref().map_or(*default, |query| query.lifetimes(default))
    }
}

/// Answers a question.
pub(crate) async fn answer(
    origin: &Origin,
    question: &Question,
    wanted: &Wanted,
    identity: &Identity,
    (method, headers): (&Method, &HeaderMap),
    mut timing: Timing,
) -> Result<Response<Body>, RequestError> {
    let mut planned = plan(origin, question, wanted, identity, &mut timing).await?;
    let format = wanted.encoding.format;
    let coding = negotiate(headers, format);
    let held = validators::held(&planned.etag, coding, if_none_match(headers).as_deref());
    let mut response = Response::new(empty());
    if held.is_some() {
        metrics::counter!("springtide_origin_not_modified_total").increment(1);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else if *method != Method::HEAD {
        let collected = match run(origin, &planned, wanted, coding, &mut timing).await {
            // Whoever owns the lake expired what was pinned: what is current now may be there.
            Err(RequestError::Engine(error)) if error.is_missing_file() => {
                tracing::warn!(%error, "a data file is gone; planning again");
                planned = plan(origin, question, wanted, identity, &mut timing).await?;
                run(origin, &planned, wanted, coding, &mut timing).await?
            }
            collected => collected?,
        };
        headers::content_length(response.headers_mut(), collected.bytes());
        *response.body_mut() = collected.into_body();
    }
    let etag = held.clone().unwrap_or_else(|| planned.etag.header(coding));
    let lifetimes = question.lifetimes(origin);
    let now_micros = origin.now_micros();
    let facts = headers::Facts {
        etag,
        coding,
        content_type: held.is_none().then(|| Format::content_type(format)),
        cache: lifetimes.headers(planned.standing, now_micros),
        tags: &planned.tags,
        version: origin.settings.version_key.sign(&planned.version),
        as_of_micros: planned.as_of_micros,
        now_micros,
        restricted: matches!(planned.standing, Standing::Restricted { .. }),
        snapshot_only: planned.snapshot_only,
        timing: timing.header(),
    };
    facts.write(response.headers_mut())?;
    Ok(response)
}

/// Executes a plan and gathers its whole body.
async fn run(
    origin: &Origin,
    planned: &Planned,
    wanted: &Wanted,
    coding: Coding,
    timing: &mut Timing,
) -> Result<Collected, RequestError> {
    origin.count_execution();
    let limits = origin.settings.limits;
    let mut run = origin.engine.execute(planned.plan.clone(), wanted.encoding, limits).await?;
    timing.mark("execute");
    let collected = collect::collect(&mut run, coding, &origin.spool).await?;
    timing.mark("encode");
    Ok(collected)
}
