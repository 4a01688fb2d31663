//! One request's way through the edge, in reading order: what it asks, its key,
//! what is stored, the decision; a hit is answered at once, all else goes on in
//! `forward`. No lock is held across an await.

use std::sync::Arc;

use futures::future::{BoxFuture, Either, FutureExt as _, Ready, ready};
use http::header::HeaderMap;
use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use quick_cache::sync::Cache;
use springtide_protocol::clock::Clock;
use springtide_protocol::version::MinVersion;
use tokio::time::Instant;

use crate::asked::Fields;
use crate::body::{Bounded, EdgeBody, linger};
use crate::collapse::Collapse;
use crate::entry::Entry;
use crate::error::{EdgeError, UpstreamError};
use crate::feed::Feed;
use crate::fill::pass_on;
use crate::forward::Forward;
use crate::key::{Key, Keys};
use crate::outcome::{CacheStatus, Forwarded, Outcome, Outcomes};
use crate::policy::Now;
use crate::policy::cache_control::RequestDirectives;
use crate::policy::decision::{Decision, Mark, Why, decide};
use crate::respond::{self, Shape};
use crate::settings::EdgeSettings;
use crate::status;
use crate::store::Store;
use crate::upstream::{self, Upstream};

/// Keys that are remembered to give answers for one alone.
const REMEMBERED_LONERS: usize = 4096;

/// An edge: a cache in front of one origin.
#[derive(Debug)]
pub struct Edge {
    pub(crate) settings: EdgeSettings,
    clock: Arc<dyn Clock>,
    started: Instant,
    pub(crate) keys: Keys,
    pub(crate) store: Store,
    pub(crate) feed: Feed,
    pub(crate) collapse: Arc<Collapse>,
    pub(crate) upstream: Upstream,
    pub(crate) outcomes: Outcomes,
    /// Keys whose last answer was for one alone: requests for them do not wait
    /// for each other. Until when, monotonic microseconds.
    pub(crate) loners: Cache<Key, i64>,
}

/// What a request wants of the cache.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    pub(crate) minimum: Option<MinVersion>,
    pub(crate) directives: RequestDirectives,
    pub(crate) authorized: bool,
    pub(crate) conditional: bool,
    pub(crate) head_only: bool,
}

/// What the store had.
enum Found {
    /// An answer.
    Answer(Response<EdgeBody>),
    /// An answer, and it is to be validated behind it.
    Behind(Response<EdgeBody>, Arc<Entry>),
    /// Nothing that may be used as it is.
    Forward(Forwarded, Option<Arc<Entry>>),
}

/// An answer: there already, or on its way.
pub(crate) type Answer = Either<Ready<Response<EdgeBody>>, BoxFuture<'static, Response<EdgeBody>>>;

impl Edge {
    /// An edge with an empty store. It connects when it serves.
    ///
    /// # Errors
    /// Where the settings do not fit.
    pub fn new(settings: EdgeSettings, clock: Arc<dyn Clock>) -> Result<Self, EdgeError> {
        let least_bytes = Store::least_bytes(settings.largest_body_bytes);
        if settings.memory_bytes < least_bytes {
            let memory_bytes = settings.memory_bytes;
            return Err(EdgeError::Memory { memory_bytes, least_bytes });
        }
        Ok(Self {
            clock,
            started: Instant::now(),
            keys: Keys::new(settings.key_form),
            store: Store::new(settings.memory_bytes, settings.largest_body_bytes),
            feed: Feed::new(settings.clocks, settings.feed_silence),
            collapse: Collapse::new(settings.waiters_per_fill),
            upstream: Upstream::new(&settings)?,
            outcomes: Outcomes::default(),
            loners: Cache::new(REMEMBERED_LONERS),
            settings,
        })
    }

    /// This moment.
    pub(crate) fn now(&self) -> Now {
        let mono = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        Now { mono, wall: self.clock.now_micros() }
    }

    /// Answers one request.
    pub(crate) fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let head_only = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => return self.clone().pass(request, Forwarded::Method).boxed().right_future(),
        };
        let target = request.uri().path_and_query().map_or("/", |p| p.as_str());
        if let Some(page) = target.strip_prefix(status::OWN_PATH) {
            self.outcomes.count(Outcome::Own);
            return ready(self.own_page(page)).left_future();
        }
        let Some(wanted) = self.wanted(target, &request, head_only) else {
            return self.clone().pass(request, Forwarded::Bypass).boxed().right_future();
        };
        match self.look_up(&wanted, request.headers()) {
            Found::Answer(response) => ready(response).left_future(),
            Found::Behind(response, stored) => {
                let behind = self.clone().refresh(wanted, request.into_parts().0.headers, stored);
                tokio::spawn(behind);
                ready(response).left_future()
            }
            Found::Forward(forwarded, stored) => {
                let fields = request.into_parts().0.headers;
                let forward = Forward::new(self.clone(), wanted, fields, stored, forwarded);
                forward.answer().boxed().right_future()
            }
        }
    }

    /// What the request wants of the cache; `None` where it goes past it.
    fn wanted(&self, target: &str, request: &Request<Incoming>, head_only: bool) -> Option<Wanted> {
        let fields = Fields::read(request.headers());
        if fields.bypass {
            return None;
        }
        Some(Wanted {
            // What has no key or no minimum, the origin tells what is wrong with.
            key: self.keys.key(target, fields.accept_encoding).ok()?,
            minimum: fields.minimum().ok()?,
            directives: fields.directives,
            authorized: fields.authorized,
            conditional: fields.conditional,
            head_only,
        })
    }

    /// What the store has for it.
    fn look_up(&self, wanted: &Wanted, fields: &HeaderMap) -> Found {
        let stored = self.store.get(&wanted.key);
        // Before the marks: see `feed`.
        let beat = self.feed.beat();
        let now = self.now();
        let standing = stored.as_ref().map(|entry| entry.standing(&self.feed, &beat, now));
        if let (Some(entry), Some(standing)) = (&stored, standing)
            && standing.stored.mark == Mark::Dropped
        {
            self.store.remove(&wanted.key, entry);
            return self.nothing(wanted);
        }
        let mut decision = decide(wanted.directives, standing.as_ref().map(|s| &s.stored), now);
        if let (Some(entry), Some(minimum), Some(standing)) = (&stored, &wanted.minimum, standing) {
            let raised = standing.raised.then_some(&**beat);
            // An older stored answer is not used (rule 2).
            if decision != Decision::Refuse && !entry.reaches(minimum, raised) {
                let only = wanted.directives.only_if_cached;
                decision = if only { Decision::Refuse } else { Decision::Validate(Why::Request) };
            }
        }
        let (outcome, refresh) = match decision {
            Decision::Serve(_) => (Outcome::Hit, false),
            Decision::ServeStale { refresh: true, .. } => (Outcome::StaleWhileRevalidate, true),
            Decision::ServeStale { refresh: false, .. } => (Outcome::MaxStale, false),
            Decision::Validate(Why::Request) => return Found::Forward(Forwarded::Request, stored),
            Decision::Validate(Why::Stale) => return Found::Forward(Forwarded::Stale, stored),
            Decision::Fetch | Decision::Refuse => return self.nothing(wanted),
        };
        let (Some(entry), Some(standing)) = (stored, standing) else {
            return Found::Forward(Forwarded::UriMiss, None);
        };
        self.outcomes.count(outcome);
        let status = CacheStatus::new(outcome, Forwarded::UriMiss);
        let response = respond::stored(&entry, standing, &beat, now, status, wanted.shape(fields));
        if refresh { Found::Behind(response, entry) } else { Found::Answer(response) }
    }

    /// Nothing is stored.
    fn nothing(&self, wanted: &Wanted) -> Found {
        if wanted.directives.only_if_cached {
            self.outcomes.count(Outcome::OnlyIfCached);
            return Found::Answer(respond::refused());
        }
        Found::Forward(Forwarded::UriMiss, None)
    }

    /// Validates behind an answer that was given stale; once for each key.
    async fn refresh(self: Arc<Self>, wanted: Wanted, fields: HeaderMap, stored: Arc<Entry>) {
        let forward = Forward::new(self, wanted, fields, Some(stored), Forwarded::Stale);
        forward.refresh().await;
    }

    /// Passes a request and its answer through as they come.
    async fn pass(
        self: Arc<Self>,
        request: Request<Incoming>,
        forwarded: Forwarded,
    ) -> Response<EdgeBody> {
        let unsafe_target = (!request.method().is_safe())
            .then(|| {
                request.uri().path_and_query().and_then(|p| self.keys.key(p.as_str(), None).ok())
            })
            .flatten();
        let (mut parts, body) = request.into_parts();
        upstream::remove_hop_by_hop(&mut parts.headers);
        match self.pass_body(parts, body).await {
            Ok(response) => {
                self.outcomes.count(Outcome::Pass);
                let code = response.status();
                // RFC 9111 §4.4: a change through us makes what is stored invalid.
                if let Some(key) = unsafe_target
                    && (code.is_success() || code.is_redirection())
                {
                    self.store.invalidate(&key.target);
                }
                let status = CacheStatus {
                    status: Some(code),
                    ..CacheStatus::new(Outcome::Pass, forwarded)
                };
                respond::passed(pass_on(response.map(EdgeBody::Stream)), status)
            }
            Err(error) => {
                self.outcomes.count(error.facts().2);
                respond::failed(&error, forwarded)
            }
        }
    }
}

impl Edge {
    /// Sends a request with its body, up to the bound.
    async fn pass_body(
        &self,
        head: http::request::Parts,
        body: Incoming,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let Some(most_bytes) = self.settings.request_body_bytes else {
            return self.upstream.send(Request::from_parts(head, EdgeBody::Stream(body))).await;
        };
        if body.size_hint().lower() > most_bytes {
            tokio::spawn(linger(body));
            return Err(UpstreamError::TooLarge(most_bytes));
        }
        let (body, mut over) = Bounded::new(body, most_bytes);
        let request = Request::from_parts(head, EdgeBody::Bounded(body));
        let answer = self.upstream.send(request).await;
        match over.try_recv() {
            Ok(rest) => {
                tokio::spawn(linger(rest));
                answer.map_err(|_| UpstreamError::TooLarge(most_bytes))
            }
            Err(_) => answer,
        }
    }
}

impl Wanted {
    /// The shape of an answer to it.
    pub(crate) fn shape<'a>(&self, fields: &'a HeaderMap) -> Shape<'a> {
        Shape { head_only: self.head_only, conditions: self.conditional.then_some(fields) }
    }
}
