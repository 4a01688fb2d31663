//! `/v1/live/{name}`: one small event each time a published query's ETag
//! changes. Equal questions share one watcher, which plans again when
//! something changed, at most every `live_interval`; it runs nothing.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderMap, Response};
use parking_lot::Mutex;
use springtide_engine::Encoding;
use springtide_protocol::Format;
use springtide_protocol::canonical::CanonicalUrl;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::access::{Identity, View};
use crate::answer::{Planned, Question, Timing, Wanted, plan, rfc3339};
use crate::body::Body;
use crate::error::RequestError;
use crate::event_stream::{self, Events, Place};
use crate::lifetimes::Standing;
use crate::origin::Origin;
use crate::problem;
use crate::request::{At, Reserved};
use crate::sql::{asked, published};

/// Silence after which a comment is sent, so that a lost client is noticed.
const COMMENT_AFTER: Duration = Duration::from_secs(10);
/// The least of `live_interval`.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);
/// After a failed plan.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Planning takes at most one part in so many of the time.
const SHARE: u32 = 10;

/// The watchers that someone follows.
#[derive(Default)]
pub(crate) struct LiveHub {
    watchers: Mutex<HashMap<Key, Weak<Watcher>>>,
}

/// What makes two live questions equal.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    /// Moves when the file is read again.
    sql: String,
    parameters: String,
    view_tables: View,
}

/// One question that is planned again and again; it ends when nobody follows it.
struct Watcher {
    state: watch::Receiver<Option<State>>,
    _ends_with_it: DropGuard,
}

/// What the last plan said.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Answer { etag: String, version: String, as_of: Option<String> },
    Problem(String),
}

/// Follows a published query.
pub(crate) fn live(
    origin: &Arc<Origin>,
    head: &HeaderMap,
    (url, name): (&CanonicalUrl, &str),
    identity: &Identity,
    stop: &CancellationToken,
) -> Result<Response<Body>, RequestError> {
    let query = published(origin, name)?;
    Reserved::read(url, &[], &query.parameters)?;
    let question = asked(&query, url)?;
    let place = Place::take(origin, identity, stop)?;
    let watcher = origin.live.watch(origin, question, identity);
    let known = head.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut state = watcher.state.clone();
    state.mark_changed();
    Ok(event_stream::respond(Following { state, known, watcher }, place))
}

impl LiveHub {
    /// The watcher of a question; started where there is none.
    fn watch(&self, origin: &Arc<Origin>, question: Question, identity: &Identity) -> Arc<Watcher> {
        let query = question.query.as_ref();
        let key = Key {
            name: query.map(|query| query.name.clone()).unwrap_or_default(),
            sql: question.sql.clone(),
            parameters: format!("{:?}", question.parameters),
            view_tables: origin.policy.view(identity),
        };
        let mut watchers = self.watchers.lock();
        watchers.retain(|_, watcher| watcher.strong_count() > 0);
        let running = watchers.get(&key).and_then(Weak::upgrade);
        // One whose file changed has ended, though clients may still hold it.
        if let Some(watcher) = running.filter(|watcher| watcher.state.has_changed().is_ok()) {
            return watcher;
        }
        let end = CancellationToken::new();
        let (sender, state) = watch::channel(None);
        tokio::spawn(keep_planning(
            Arc::clone(origin),
            question,
            identity.clone(),
            sender,
            end.clone(),
        ));
        let watcher = Arc::new(Watcher { state, _ends_with_it: end.drop_guard() });
        watchers.insert(key, Arc::downgrade(&watcher));
        watcher
    }
}

/// Plans a question whenever something changed, until nobody follows or its file changes.
async fn keep_planning(
    origin: Arc<Origin>,
    question: Question,
    identity: Identity,
    states: watch::Sender<Option<State>>,
    end: CancellationToken,
) {
    let mut changed = origin.freshness.watch();
    let interval = origin.settings.bounds.live_interval.max(LEAST_INTERVAL);
    let is_published = || {
        let now = question.query.as_ref().map(|query| published(&origin, &query.name));
        matches!((now, &question.query), (Some(Ok(now)), Some(then)) if Arc::ptr_eq(&now, then))
    };
    while is_published() {
        changed.mark_unchanged();
        let start = Instant::now();
        let (state, ends_micros) = state(&origin, &question, &identity).await;
        let pause = match &state {
            State::Answer { .. } => interval.max(start.elapsed() * SHARE),
            State::Problem(_) => AFTER_FAILURE,
        };
        states.send_if_modified(|last| {
            let modified = last.as_ref().is_none_or(|last| last.differs(&state));
            *last = Some(state);
            modified
        });
        let quiet = async {
            tokio::time::sleep(pause).await;
            tokio::select! {
                // A problem may pass, a file may change, a clock may move on, without a row.
                changed = changed.changed() => { let _ = changed; }
                () = tokio::time::sleep(clock_left(&origin, ends_micros)) => {}
            }
        };
        tokio::select! {
            () = end.cancelled() => return,
            () = quiet => {}
        }
    }
}

/// Until the frozen clock moves, at most a second.
fn clock_left(origin: &Origin, ends_micros: Option<i64>) -> Duration {
    let left = ends_micros.map_or(i64::MAX, |ends| ends.saturating_sub(origin.now_micros()));
    Duration::from_micros(u64::try_from(left).unwrap_or(0)).min(Duration::from_secs(1))
}

/// What a plan says now, and when its clock moves.
async fn state(origin: &Origin, question: &Question, identity: &Identity) -> (State, Option<i64>) {
    let encoding = Encoding { format: Format::Json, numbers_as_text: false };
    let wanted = Wanted { encoding, at: At::Latest };
    match plan(origin, question, &wanted, identity, &mut Timing::start()).await {
        Ok(planned) => {
            let ends = match planned.standing {
                Standing::UntilMicros(micros) => Some(micros),
                _ => None,
            };
            (State::of(origin, &planned), ends)
        }
        Err(error) => {
            let problem = problem::document(&error);
            (State::Problem(serde_json::to_string(&problem).unwrap_or_default()), None)
        }
    }
}

impl State {
    fn of(origin: &Origin, planned: &Planned) -> Self {
        Self::Answer {
            etag: planned.etag.to_string(),
            version: origin.settings.version_key.sign(&planned.version),
            as_of: planned.as_of_micros.map(rfc3339),
        }
    }

    /// Versions and times move without the answer moving.
    fn differs(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Answer { etag: a, .. }, Self::Answer { etag: b, .. }) => a != b,
            (a, b) => a != b,
        }
    }

    /// The event; nothing where the client says that it has this one.
    fn event(&self, known: Option<&str>) -> Option<String> {
        match self {
            Self::Answer { etag, version, as_of } => {
                let id = etag.trim_start_matches("W/").trim_matches('"');
                let data = serde_json::json!({ "etag": etag, "version": version, "as_of": as_of });
                (known != Some(id)).then(|| format!("event: etag\nid: {id}\ndata: {data}\n\n"))
            }
            Self::Problem(json) => Some(format!("event: problem\ndata: {json}\n\n")),
        }
    }
}

/// One client's way along a live query.
struct Following {
    state: watch::Receiver<Option<State>>,
    known: Option<String>,
    #[expect(dead_code, reason = "keeps the watcher going")]
    watcher: Arc<Watcher>,
}

impl Events for Following {
    async fn next(&mut self) -> Option<String> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(COMMENT_AFTER) => return Some(":\n\n".to_owned()),
                // An error: the query's file changed; the client comes again.
                changed = self.state.changed() => changed.ok()?,
            }
            let state = self.state.borrow_and_update().clone();
            let known = self.known.take();
            if let Some(event) = state.and_then(|state| state.event(known.as_deref())) {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(etag: &str, version: &str) -> State {
        State::Answer { etag: etag.into(), version: version.into(), as_of: None }
    }

    #[test]
    fn only_another_etag_is_news() {
        assert!(!state("\"a\"", "v1").differs(&state("\"a\"", "v2")));
        assert!(state("\"a\"", "v1").differs(&state("\"b\"", "v1")));
        assert!(state("\"a\"", "v1").differs(&State::Problem("{}".into())));
    }

    #[test]
    fn an_event_that_the_client_has_is_not_sent_again() {
        let weak = state("W/\"a\"", "v1");
        let event = weak.event(None).unwrap_or_default();
        assert!(event.starts_with("event: etag\nid: a\ndata: {"), "{event}");
        assert!(event.ends_with("}\n\n"));
        assert_eq!(weak.event(Some("a")), None);
        assert!(weak.event(Some("b")).is_some());
    }
}
