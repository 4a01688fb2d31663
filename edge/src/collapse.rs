//! Collapsing: one fill for equal requests (RFC 9211's `collapsed`), under the
//! law that a request which came after a change never joins a fill begun before
//! it (rule 12). It must never know what a fill does.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::entry::Entry;
use crate::error::UpstreamError;
use crate::key::Key;
use crate::own_fields::OwnFields;
use crate::policy::storage::NotStored;

/// Parts of the table, each with its own lock.
const SHARDS: usize = 32;

/// How a fill ended, for all who waited.
#[derive(Clone, Debug)]
pub(crate) enum FillEnd {
    /// An answer that they may share.
    Answer {
        /// The answer.
        entry: Arc<Entry>,
        /// What upstream said.
        status: StatusCode,
        /// Whether it was stored, and why not.
        stored: Result<(), NotStored>,
        /// What speaks of this exchange alone: for the one who led it.
        own: OwnFields,
    },
    /// The answer is for one alone: each goes its own way.
    Released,
    /// Upstream gave none.
    Failed(Arc<UpstreamError>),
}

/// Fills under way.
#[derive(Debug)]
pub(crate) struct Collapse {
    fills: Box<[Shard]>,
    waiters_most: usize,
    hasher: RandomState,
}

type Shard = Mutex<HashMap<Key, Arc<Fill>>>;

/// One fill under way.
#[derive(Debug)]
struct Fill {
    /// The feed's sequence when it began.
    begun: u64,
    waiters: AtomicUsize,
    end: watch::Receiver<Option<FillEnd>>,
}

/// What a request does.
#[derive(Debug)]
pub(crate) enum Role {
    /// It fills, and tells the end.
    Lead(Lead),
    /// It waits.
    Wait(Waiter),
    /// Too many wait already.
    Crowded,
}

/// The duty to end a fill. Dropped without an end, it releases all who wait.
#[derive(Debug)]
pub(crate) struct Lead {
    collapse: Arc<Collapse>,
    key: Key,
    fill: Arc<Fill>,
    end: watch::Sender<Option<FillEnd>>,
}

/// A place among those who wait.
#[derive(Debug)]
pub(crate) struct Waiter {
    fill: Arc<Fill>,
}

impl Collapse {
    /// No fill under way.
    #[must_use]
    pub(crate) fn new(waiters_most: usize) -> Arc<Self> {
        let fills = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { fills, waiters_most, hasher: RandomState::new() })
    }

    /// Joins the fill of `key`, or begins one at the feed's `sequence`.
    /// `may_join` is told when the fill under way began.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &Key,
        sequence: u64,
        may_join: impl FnOnce(u64) -> bool,
    ) -> Role {
        let mut fills = self.shard(key).lock();
        if let Some(fill) = fills.get(key).filter(|fill| may_join(fill.begun)) {
            if fill.waiters.fetch_add(1, Ordering::Relaxed) >= self.waiters_most {
                fill.waiters.fetch_sub(1, Ordering::Relaxed);
                return Role::Crowded;
            }
            return Role::Wait(Waiter { fill: fill.clone() });
        }
        let (sender, end) = watch::channel(None);
        let fill = Arc::new(Fill { begun: sequence, waiters: AtomicUsize::new(0), end });
        fills.insert(key.clone(), fill.clone());
        Role::Lead(Lead { collapse: self.clone(), key: key.clone(), fill, end: sender })
    }

    /// Fills under way.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.fills.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Requests that wait for them.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        let waiting = |shard: &Shard| {
            shard.lock().values().map(|fill| fill.waiters.load(Ordering::Relaxed)).sum::<usize>()
        };
        self.fills.iter().map(waiting).sum()
    }

    fn shard(&self, key: &Key) -> &Shard {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64);
        &self.fills[shard.unwrap_or(0)]
    }
}

impl Lead {
    /// The feed's sequence when the fill began.
    #[must_use]
    pub(crate) fn begun(&self) -> u64 {
        self.fill.begun
    }

    /// Ends the fill for all who wait; no request joins it any more.
    pub(crate) fn end(self, end: FillEnd) {
        self.end.send_replace(Some(end));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut fills = self.collapse.shard(&self.key).lock();
        // A later fill may have taken its place.
        if fills.get(&self.key).is_some_and(|fill| Arc::ptr_eq(fill, &self.fill)) {
            fills.remove(&self.key);
        }
    }
}

impl Waiter {
    /// Waits for the end.
    pub(crate) async fn end(self) -> FillEnd {
        let mut end = self.fill.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(FillEnd::Released),
            // The filler is gone without an end.
            Err(_) => FillEnd::Released,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.fill.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
