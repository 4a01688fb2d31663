//! A request that the store could not answer: alone or collapsed with its
//! equals, and what it gets in the end, a stale answer where upstream fails
//! (RFC 5861 §4) included.

use std::sync::Arc;

use http::header::HeaderMap;
use http::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::body::EdgeBody;
use crate::collapse::{FillEnd, Lead, Role};
use crate::entry::Entry;
use crate::fill::{Ask, Filled};
use crate::key::Key;
use crate::outcome::{CacheStatus, Forwarded, Outcome};
use crate::own_fields;
use crate::policy::storage::NotStored;
use crate::respond;
use crate::service::{Edge, Wanted};
use crate::upstream;

/// How long a key is taken to give answers for one alone, microseconds.
const LONER_MICROS: i64 = 5_000_000;
/// Fills that a request may wait for before it goes its own way: one under way,
/// and its own where that did not reach its minimum version.
const MOST_FILLS: usize = 2;

/// One request on its way upstream.
#[derive(Debug)]
pub(crate) struct Forward {
    edge: Arc<Edge>,
    wanted: Wanted,
    /// The client's fields.
    fields: HeaderMap,
    /// What is stored and may not be used as it is.
    stored: Option<Arc<Entry>>,
    forwarded: Forwarded,
    /// When it came, monotonic microseconds.
    came: i64,
}

/// What a request got, and how.
struct Got {
    filled: Filled,
    /// It waited for another's fill.
    collapsed: bool,
}

impl Forward {
    pub(crate) fn new(
        edge: Arc<Edge>,
        wanted: Wanted,
        fields: HeaderMap,
        stored: Option<Arc<Entry>>,
        forwarded: Forwarded,
    ) -> Self {
        let came = edge.now().mono;
        Self { edge, wanted, fields, stored, forwarded, came }
    }

    /// Gets the answer.
    pub(crate) async fn answer(self) -> Response<EdgeBody> {
        if self.may_stand_in() && self.edge.upstream.is_failing() {
            // Hits go on without a pause while the origin is dead; one request
            // for each key tries it again behind them.
            let response = self.stand_in(None);
            if self.edge.upstream.may_try(self.edge.now()) {
                tokio::spawn(self.refresh());
            }
            return response;
        }
        if !self.may_stand_in() || self.edge.feed_is_well() {
            return self.fetch().await;
        }
        // The feed is broken: the origin may be gone without a word.
        let patience = self.edge.settings.patience;
        let this = Arc::new(self);
        let fetching = tokio::spawn({
            let this = this.clone();
            async move { this.fetch().await }
        });
        match timeout(patience, fetching).await {
            Ok(Ok(response)) => response,
            _ => this.stand_in(None),
        }
    }

    /// Fills behind an answer that was given already, unless a fill is under way.
    pub(crate) async fn refresh(self) {
        if let Role::Lead(lead) = self.join() {
            drop(self.lead(lead).await);
        }
    }

    async fn fetch(&self) -> Response<EdgeBody> {
        // HEAD of what is not stored stays HEAD, and is not stored.
        if self.wanted.head_only && self.stored.is_none() {
            return self.head().await;
        }
        for _ in 0..MOST_FILLS {
            if self.goes_alone() {
                break;
            }
            let got = match self.join() {
                Role::Lead(lead) => Got { filled: self.lead(lead).await, collapsed: false },
                Role::Wait(waiter) => {
                    Got { filled: Filled::Shared(waiter.end().await), collapsed: true }
                }
                Role::Crowded => {
                    self.edge.outcomes.count(Outcome::Crowded);
                    return respond::crowded(self.forwarded);
                }
            };
            if let Some(response) = self.deliver(got) {
                return response;
            }
        }
        let filled = self.edge.fill(&self.ask(self.edge.feed.sequence())).await;
        learn(&self.edge, &self.wanted.key, &filled);
        let got = Got { filled, collapsed: false };
        self.deliver(got).unwrap_or_else(|| respond::crowded(self.forwarded))
    }

    /// Whether the request takes no part in collapsing: its answer may be its
    /// own (rule 16), or must be made after it came (RFC 9111 §5.2.1.4).
    fn goes_alone(&self) -> bool {
        let directives = self.wanted.directives;
        let own = self.wanted.authorized || directives.no_cache || directives.no_store;
        own || self.is_loner()
    }

    fn is_loner(&self) -> bool {
        let until = self.edge.loners.get(&self.wanted.key);
        until.is_some_and(|until| self.edge.now().mono < until)
    }

    fn join(&self) -> Role {
        let (feed, stored) = (&self.edge.feed, self.stored.as_ref());
        // Without a stored answer its tags are not known: any change may be one of its.
        let may_join = |begun: u64| {
            stored.map_or(begun == feed.sequence(), |entry| !entry.changed_after(begun, feed))
        };
        self.edge.collapse.join(&self.wanted.key, feed.sequence(), may_join)
    }

    /// Fills for all who wait. The fill outlives a client that goes away.
    async fn lead(&self, lead: Lead) -> Filled {
        let (tell, told) = oneshot::channel();
        let (edge, ask) = (self.edge.clone(), self.ask(lead.begun()));
        tokio::spawn(async move {
            let filled = edge.fill(&ask).await;
            let end = match &filled {
                Filled::Shared(end) => end.clone(),
                Filled::Alone(..) => FillEnd::Released,
            };
            learn(&edge, &ask.key, &filled);
            lead.end(end);
            // Where the client went away, a stream ends here.
            drop(tell.send(filled));
        });
        told.await.unwrap_or(Filled::Shared(FillEnd::Released))
    }

    fn ask(&self, begun: u64) -> Ask {
        let mut fields = self.fields.clone();
        upstream::for_fill(&mut fields);
        Ask {
            key: self.wanted.key.clone(),
            fields,
            directives: self.wanted.directives,
            authorized: self.wanted.authorized,
            minimum: self.wanted.minimum.clone(),
            stored: self.stored.clone(),
            begun,
        }
    }

    /// The answer of what it got; `None` where it must try again.
    fn deliver(&self, got: Got) -> Option<Response<EdgeBody>> {
        match got.filled {
            Filled::Alone(response, _)
                if response.status().is_server_error() && self.may_stand_in() =>
            {
                Some(self.stand_in(Some(response.status())))
            }
            Filled::Alone(response, reason) => {
                self.edge.outcomes.count(Outcome::NotStored);
                let status = CacheStatus {
                    status: Some(response.status()),
                    detail: Some(reason.label()),
                    ..CacheStatus::new(Outcome::NotStored, self.forwarded)
                };
                Some(respond::passed(*response, status))
            }
            Filled::Shared(FillEnd::Released) => None,
            Filled::Shared(FillEnd::Failed(error)) => {
                if self.may_stand_in() {
                    let (code, ..) = error.facts();
                    return Some(self.stand_in(Some(code)));
                }
                self.edge.outcomes.count(error.facts().2);
                Some(respond::failed(&error, self.forwarded))
            }
            Filled::Shared(FillEnd::Answer { entry, status, stored, own }) => {
                if entry.status.is_server_error() && self.may_stand_in() {
                    return Some(self.stand_in(Some(status)));
                }
                let mut response = self.shared(&entry, status, stored, got.collapsed)?;
                let fields = response.headers_mut();
                // Who waited for another's exchange was no part of it.
                if !got.collapsed {
                    own.add_to(fields);
                }
                own_fields::time_fill(fields, self.edge.now().mono - self.came);
                Some(response)
            }
        }
    }

    fn shared(
        &self,
        entry: &Entry,
        code: StatusCode,
        stored: Result<(), NotStored>,
        collapsed: bool,
    ) -> Option<Response<EdgeBody>> {
        let beat = self.edge.feed.beat();
        let now = self.edge.now();
        let standing = entry.standing(&self.edge.feed, &beat, now);
        let raised = standing.raised.then_some(&**beat);
        let short = |minimum| entry.status.is_success() && !entry.reaches(minimum, raised);
        // Another's fill had another minimum.
        if collapsed && self.wanted.minimum.as_ref().is_some_and(short) {
            return None;
        }
        let outcome = match (collapsed, code, stored) {
            (true, ..) => Outcome::Collapsed,
            (_, _, Err(_)) => Outcome::NotStored,
            (_, StatusCode::NOT_MODIFIED, _) => Outcome::Revalidated,
            _ if self.stored.is_some() => Outcome::Refilled,
            _ => Outcome::Miss,
        };
        self.edge.outcomes.count(outcome);
        let reason = stored.err().filter(|_| !collapsed).map(NotStored::label);
        let status = CacheStatus {
            status: Some(code),
            stored: stored.is_ok(),
            detail: reason,
            ..CacheStatus::new(outcome, self.forwarded)
        };
        let shape = self.wanted.shape(&self.fields);
        Some(respond::stored(entry, standing, &beat, now, status, shape))
    }

    /// Whether what is stored may stand in for an answer that cannot be had.
    fn may_stand_in(&self) -> bool {
        let Some(entry) = &self.stored else { return false };
        let beat = self.edge.feed.beat();
        let now = self.edge.now();
        let standing = entry.standing(&self.edge.feed, &beat, now);
        let raised = standing.raised.then_some(&**beat);
        let reached = self.wanted.minimum.as_ref().is_none_or(|m| entry.reaches(m, raised));
        reached && standing.stored.serves_on_error(self.wanted.directives, now)
    }

    /// What is stored, saying why it stands in.
    fn stand_in(&self, code: Option<StatusCode>) -> Response<EdgeBody> {
        self.edge.outcomes.count(Outcome::StaleIfError);
        let Some(entry) = &self.stored else { return respond::crowded(self.forwarded) };
        let beat = self.edge.feed.beat();
        let now = self.edge.now();
        let standing = entry.standing(&self.edge.feed, &beat, now);
        let status =
            CacheStatus { status: code, ..CacheStatus::new(Outcome::StaleIfError, self.forwarded) };
        let shape = self.wanted.shape(&self.fields);
        respond::stored(entry, standing, &beat, now, status, shape)
    }

    async fn head(&self) -> Response<EdgeBody> {
        let ask = self.ask(self.edge.feed.sequence());
        match self.edge.head(&ask).await {
            Ok(response) => {
                self.edge.outcomes.count(Outcome::NotStored);
                let status = CacheStatus {
                    status: Some(response.status()),
                    detail: Some(NotStored::Method.label()),
                    ..CacheStatus::new(Outcome::NotStored, self.forwarded)
                };
                respond::passed(response, status)
            }
            Err(error) => {
                self.edge.outcomes.count(error.facts().2);
                respond::failed(&error, self.forwarded)
            }
        }
    }
}

impl Edge {
    /// Whether nothing speaks for a silent origin: its feed is live, or it has none.
    fn feed_is_well(&self) -> bool {
        !self.settings.follows_changes || self.feed.is_live(self.now())
    }
}

/// Remembers keys whose answers are for one alone, so that equal requests do
/// not wait for each other in vain.
fn learn(edge: &Edge, key: &Key, filled: &Filled) {
    match filled {
        Filled::Alone(..) => {
            edge.loners.insert(key.clone(), edge.now().mono + LONER_MICROS);
        }
        Filled::Shared(FillEnd::Answer { stored: Ok(()), .. }) => {
            edge.loners.remove(key);
        }
        Filled::Shared(_) => {}
    }
}
