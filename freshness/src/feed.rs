//! The change feed (rules 11 and 12): what changed, in order, with a bounded
//! memory of it, and each second the versions up to which nothing but what was
//! named has changed. It must never know why a table changed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use parking_lot::Mutex;
use springtide_protocol::change::Heartbeat;
use springtide_protocol::clock::Clock;
use springtide_protocol::{Change, ChangeId, FeedEvent, TableName, TableVersion, Version};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

#[cfg(test)]
mod tests;

/// Changes that a reader may be behind before it is told to start anew.
pub const REMEMBERED_CHANGES: usize = 4096;
/// How often the current versions are told.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// The feed of one life of this program.
#[derive(Debug)]
pub(crate) struct Feed {
    clock: Arc<dyn Clock>,
    epoch: u64,
    state: Mutex<State>,
    /// The number of the last change.
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    changes: VecDeque<Change>,
    /// The number of the newest of `changes`.
    last: u64,
    /// What was announced, not what can be pinned: a heartbeat must not tell of a
    /// version whose change has not been sent.
    announced: BTreeMap<TableName, Announced>,
}

#[derive(Clone, Debug)]
struct Announced {
    version: TableVersion,
    as_of_micros: Option<i64>,
}

/// One reader's place in the feed.
#[derive(Debug)]
pub struct FeedReader {
    feed: Arc<Feed>,
    last: watch::Receiver<u64>,
    /// The number of the last change that was handed out; `None`: a reset is due.
    seen: Option<u64>,
    next_heartbeat: Instant,
}

impl Feed {
    /// A feed whose ids carry `epoch`, which differs for each life.
    pub(crate) fn new(epoch: u64, clock: Arc<dyn Clock>) -> Self {
        Self { clock, epoch, state: Mutex::default(), last: watch::Sender::new(0) }
    }

    /// Announces a change that can be pinned already.
    pub(crate) fn announce(&self, change: Change) -> ChangeId {
        self.push(change, None)
    }

    /// Announces that `table` changed to `version`.
    pub(crate) fn announce_table(
        &self,
        table: &TableName,
        version: TableVersion,
        tags: Vec<springtide_protocol::Tag>,
    ) -> ChangeId {
        let text = version_text(table, &version);
        let at = rfc3339(self.clock.now_micros());
        let change = Change { table: Some(table.clone()), version: text, tags, at, drop: false };
        self.push(change, Some((table.clone(), version)))
    }

    fn push(&self, change: Change, version: Option<(TableName, TableVersion)>) -> ChangeId {
        let mut state = self.state.lock();
        if state.changes.len() == REMEMBERED_CHANGES {
            state.changes.pop_front();
        }
        state.changes.push_back(change);
        state.last += 1;
        if let Some((table, version)) = version {
            let as_of_micros = state.announced.get(&table).and_then(|a| a.as_of_micros);
            state.announced.insert(table, Announced { version, as_of_micros });
        }
        self.last.send_replace(state.last);
        ChangeId { epoch: self.epoch, sequence: state.last }
    }

    /// Notes a version that touches nothing, and as-of: all of it is announced already.
    pub(crate) fn note(&self, table: &TableName, version: TableVersion, as_of: Option<i64>) {
        let announced = Announced { version, as_of_micros: as_of };
        self.state.lock().announced.insert(table.clone(), announced);
    }

    /// Counts announced changes.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// A reader that goes on after `after`, or begins now.
    pub(crate) fn reader(self: Arc<Self>, after: Option<ChangeId>) -> FeedReader {
        let last = self.last.subscribe();
        let newest = self.state.lock().last;
        let seen = match after {
            None => Some(newest),
            Some(id) if id.epoch == self.epoch && id.sequence <= newest => Some(id.sequence),
            Some(_) => None,
        };
        FeedReader { feed: self, last, seen, next_heartbeat: Instant::now() }
    }

    fn heartbeat(&self, state: &State) -> FeedEvent {
        let tables = state.announced.iter();
        let version = Version {
            tables: tables.clone().map(|(name, a)| (name.clone(), a.version.clone())).collect(),
            time_micros: None,
        };
        let as_of = |a: &Announced| a.as_of_micros.unwrap_or(0);
        let least = tables.clone().map(|(_, a)| as_of(a)).min().unwrap_or(0);
        let known = tables.filter(|(_, a)| a.as_of_micros.is_some());
        let beat = Heartbeat {
            version: version.to_string(),
            as_of: rfc3339(least),
            as_of_by_table: known.map(|(n, a)| (n.clone(), rfc3339(as_of(a)))).collect(),
            at: rfc3339(self.clock.now_micros()),
        };
        FeedEvent::Heartbeat(ChangeId { epoch: self.epoch, sequence: state.last }, beat)
    }
}

impl FeedReader {
    /// The next event: changes in order, a heartbeat each second (the first at
    /// once), a reset where changes were missed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> FeedEvent {
        loop {
            self.last.borrow_and_update();
            if let Some(event) = self.ready() {
                return event;
            }
            tokio::select! {
                // The sender lives in `self.feed`, so it cannot be gone.
                _ = self.last.changed() => {}
                () = sleep_until(self.next_heartbeat) => {}
            }
        }
    }

    fn ready(&mut self) -> Option<FeedEvent> {
        let state = self.feed.state.lock();
        let id = |sequence| ChangeId { epoch: self.feed.epoch, sequence };
        let remembered = state.last - state.changes.len() as u64;
        let Some(seen) = self.seen.filter(|seen| *seen >= remembered) else {
            self.seen = Some(state.last);
            return Some(FeedEvent::Reset(id(state.last)));
        };
        if seen < state.last {
            let index = usize::try_from(seen - remembered).ok()?;
            self.seen = Some(seen + 1);
            return Some(FeedEvent::Change(id(seen + 1), state.changes.get(index)?.clone()));
        }
        let now = Instant::now();
        (now >= self.next_heartbeat).then(|| {
            self.next_heartbeat = now + HEARTBEAT;
            self.feed.heartbeat(&state)
        })
    }
}

fn version_text(table: &TableName, version: &TableVersion) -> String {
    let tables = [(table.clone(), version.clone())].into();
    Version { tables, time_micros: None }.to_string()
}

/// RFC 3339 in UTC with milliseconds.
fn rfc3339(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
