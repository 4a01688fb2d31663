//! What was heard of changes: the order of events, resets, heartbeats and
//! whether the feed is live (rules 12 to 14). It must never know connections
//! (see `follow`) or answers.
//!
//! Order of memory: a change writes its tags and then the sequence; a heartbeat
//! is published after the changes before it. So a reader takes the sequence
//! before clocks, and the heartbeat before marks, and errs only to the safe side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use http::HeaderValue;
use parking_lot::Mutex;
use springtide_protocol::change::Heartbeat;
use springtide_protocol::version::{AtLeast, PartialTableVersion};
use springtide_protocol::{Change, ChangeId, FeedEvent, TableName, TableVersion, Version};

use crate::policy::Now;
use crate::tags::{TagChange, TagState, Tags};

/// The last heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    /// Grows with each; 0: none yet.
    pub number: u64,
    /// When it was heard, monotonic microseconds.
    pub mono: i64,
    /// The same as a `Date`.
    pub date: Option<HeaderValue>,
    /// The versions that are current.
    pub version: Version,
    /// As-of by table: microseconds since 1970.
    pub as_of: BTreeMap<TableName, i64>,
}

/// What was heard.
#[derive(Debug)]
pub(crate) struct Feed {
    tags: Tags,
    /// Number of the last event that marked something.
    sequence: AtomicU64,
    /// Number of the last reset: all that was validated before it is stale.
    reset: AtomicU64,
    /// Monotonic microseconds until which it counts as live.
    live_until: AtomicI64,
    silence: i64,
    beat: ArcSwap<Beat>,
    /// One event at a time.
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    last: Option<ChangeId>,
    /// The last two resets: number and moment.
    resets: [(u64, i64); 2],
    /// What every answer must reach that was asked for after the last reset.
    floor: Option<Version>,
    changes: u64,
    beats: u64,
}

/// Numbers for the status page.
#[derive(Clone, Debug, serde::Serialize)]
pub struct FeedStatus {
    /// Whether it is live.
    pub live: bool,
    /// The last change heard.
    pub last: Option<String>,
    /// Changes heard.
    pub changes: u64,
    /// Heartbeats heard.
    pub heartbeats: u64,
    /// Tags whose clocks are kept.
    pub tags: usize,
    /// Milliseconds since the last heartbeat.
    pub silent_ms: Option<i64>,
}

impl Feed {
    /// Nothing heard. `clocks` bounds tags that no answer carries.
    #[must_use]
    pub(crate) fn new(clocks: usize, silence: Duration) -> Self {
        Self {
            tags: Tags::new(clocks),
            sequence: AtomicU64::new(1),
            reset: AtomicU64::new(0),
            live_until: AtomicI64::new(i64::MIN),
            silence: i64::try_from(silence.as_micros()).unwrap_or(i64::MAX),
            beat: ArcSwap::default(),
            heard: Mutex::default(),
        }
    }

    /// The tags.
    #[must_use]
    pub(crate) const fn tags(&self) -> &Tags {
        &self.tags
    }

    /// The last heartbeat. Take it before looking at marks.
    #[must_use]
    pub(crate) fn beat(&self) -> Guard<Arc<Beat>> {
        self.beat.load()
    }

    /// Whether holds count now.
    #[must_use]
    pub(crate) fn is_live(&self, now: Now) -> bool {
        now.mono < self.live_until.load(Ordering::Acquire)
    }

    /// The number of the last event that marked something. Take it before clocks.
    #[must_use]
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// The number of the last reset.
    #[must_use]
    pub(crate) fn reset(&self) -> u64 {
        self.reset.load(Ordering::Acquire)
    }

    /// When the first reset after `sequence` was, where that is remembered.
    #[must_use]
    pub(crate) fn first_reset_after(&self, sequence: u64) -> Option<i64> {
        let [before, last] = self.heard.lock().resets;
        if before.0 > sequence { None } else { (last.0 > sequence).then_some(last.1) }
    }

    /// The event to resume after; `None`: begin anew.
    #[must_use]
    pub(crate) fn resume_after(&self) -> Option<ChangeId> {
        self.heard.lock().last
    }

    /// The connection ended: holds no longer count.
    pub(crate) fn broke(&self) {
        self.live_until.store(i64::MIN, Ordering::Release);
    }

    /// Whether an answer asked for at `begun` may be stored as fresh: it has
    /// all that was announced under its tags (rule 12).
    #[must_use]
    pub(crate) fn is_current(
        &self,
        version: Option<&Version>,
        tags: &[Arc<TagState>],
        begun: u64,
    ) -> bool {
        if begun < self.reset() {
            return false;
        }
        let reached = tags.iter().all(|tag| tag.is_reached_by(version, begun));
        let floor = || {
            let heard = self.heard.lock();
            let (Some(floor), Some(version)) = (&heard.floor, version) else { return true };
            // Incomparable: the table was made again; its tags' clocks decide.
            let behind = |(name, table): (&TableName, &TableVersion)| {
                let floor = floor.tables.get(name).map(PartialTableVersion::from);
                floor.is_some_and(|floor| floor.reached_by(table) == AtLeast::Behind)
            };
            !version.tables.iter().any(behind)
        };
        reached && (tags.is_empty() || floor())
    }

    /// Takes one event in.
    pub(crate) fn hear(&self, event: FeedEvent, now: Now) {
        let mut heard = self.heard.lock();
        match event {
            FeedEvent::Reset(id) => {
                self.mark_all(&mut heard, now);
                heard.last = Some(id);
            }
            FeedEvent::Change(id, change) => {
                match follows(heard.last, id) {
                    Order::Before => return,
                    Order::Next => {}
                    Order::Same | Order::Gap => self.mark_all(&mut heard, now),
                }
                self.change(&mut heard, &change, now);
                heard.last = Some(id);
            }
            FeedEvent::Heartbeat(id, beat) => {
                match follows(heard.last, id) {
                    // It was sent before a change that is known already: it says nothing new.
                    Order::Before => return,
                    Order::Same => {}
                    Order::Next | Order::Gap => self.mark_all(&mut heard, now),
                }
                heard.last = Some(id);
                self.validate(&mut heard, &beat, now);
            }
        }
    }

    fn mark_all(&self, heard: &mut Heard, now: Now) {
        let number = self.sequence.load(Ordering::Relaxed) + 1;
        heard.resets = [heard.resets[1], (number, now.mono)];
        heard.floor = None;
        self.broke();
        self.tags.forget_clocks();
        self.reset.store(number, Ordering::Release);
        self.sequence.store(number, Ordering::Release);
    }

    fn change(&self, heard: &mut Heard, change: &Change, now: Now) {
        let number = self.sequence.load(Ordering::Relaxed) + 1;
        let version = change.version.parse().unwrap_or_default();
        let marked = TagChange { sequence: number, mono: now.mono, version, drop: change.drop };
        self.tags.change(&change.tags, &marked);
        self.sequence.store(number, Ordering::Release);
        heard.changes += 1;
    }

    fn validate(&self, heard: &mut Heard, beat: &Heartbeat, now: Now) {
        let version: Version = beat.version.parse().unwrap_or_default();
        heard.floor.get_or_insert_with(|| version.clone());
        heard.beats += 1;
        let as_of = beat.as_of_by_table.iter();
        let next = Beat {
            number: heard.beats,
            mono: now.mono,
            date: http_date(now.wall),
            version,
            as_of: as_of.filter_map(|(t, text)| Some((t.clone(), micros_of(text)?))).collect(),
        };
        self.beat.store(Arc::new(next));
        self.live_until.store(now.mono + self.silence, Ordering::Release);
    }

    /// For the status page.
    #[must_use]
    pub(crate) fn status(&self, now: Now) -> FeedStatus {
        let heard = self.heard.lock();
        let beat = self.beat.load();
        FeedStatus {
            live: self.is_live(now),
            last: heard.last.map(|id| id.to_string()),
            changes: heard.changes,
            heartbeats: heard.beats,
            tags: self.tags.len(),
            silent_ms: (beat.number > 0).then(|| (now.mono - beat.mono) / 1000),
        }
    }
}

/// How an event's id stands to the last one heard.
enum Order {
    Before,
    Same,
    Next,
    Gap,
}

fn follows(last: Option<ChangeId>, id: ChangeId) -> Order {
    match last {
        Some(last) if last.epoch != id.epoch => Order::Gap,
        Some(last) if id.sequence < last.sequence => Order::Before,
        Some(last) if id.sequence == last.sequence => Order::Same,
        Some(last) if id.sequence == last.sequence + 1 => Order::Next,
        _ => Order::Gap,
    }
}

/// Microseconds since 1970 of an RFC 3339 text.
#[must_use]
pub(crate) fn micros_of(rfc3339: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(rfc3339).ok().map(|at| at.timestamp_micros())
}

/// An HTTP date (RFC 9110 §5.6.7).
#[must_use]
pub(crate) fn http_date(wall_micros: i64) -> Option<HeaderValue> {
    let since = Duration::from_micros(u64::try_from(wall_micros).ok()?);
    let text = httpdate::fmt_http_date(std::time::UNIX_EPOCH + since);
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}

#[cfg(test)]
mod tests;
