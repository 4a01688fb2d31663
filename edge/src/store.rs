//! The store: answers by key, bounded in bytes, with an eviction that a scan
//! does not sweep out (Clock-PRO, by `quick_cache`). It must never know whether an answer
//! may be used.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use springtide_protocol::etag::Coding;

use crate::entry::Entry;
use crate::key::Key;

/// What an entry is reckoned to weigh when room for their number is made.
const TYPICAL_ENTRY_BYTES: u64 = 8 * 1024;
/// Locks that order writers of one key.
const WRITER_LOCKS: usize = 64;
/// The most shards.
const MOST_SHARDS: u64 = 64;

/// Answers by key.
#[derive(Debug)]
pub(crate) struct Store {
    entries: Cache<Key, Arc<Entry>, EntryBytes>,
    writers: Box<[Mutex<()>]>,
    hasher: RandomState,
}

#[derive(Clone, Debug)]
struct EntryBytes;

impl Weighter<Key, Arc<Entry>> for EntryBytes {
    fn weight(&self, key: &Key, entry: &Arc<Entry>) -> u64 {
        entry.weight_bytes(key.target.len())
    }
}

impl Store {
    /// The least memory for bodies of this size.
    #[must_use]
    pub(crate) const fn least_bytes(largest_body_bytes: usize) -> u64 {
        largest_body_bytes as u64 * 4
    }

    /// An empty store. Shards are few enough that each takes the largest body.
    #[must_use]
    pub(crate) fn new(memory_bytes: u64, largest_body_bytes: usize) -> Self {
        let shard_bytes = Self::least_bytes(largest_body_bytes).max(1);
        let shards = (memory_bytes / shard_bytes).clamp(1, MOST_SHARDS);
        // A power of two that does not round up past the bound.
        let shards = 1usize << shards.ilog2();
        let items = usize::try_from(memory_bytes / TYPICAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        #[expect(clippy::expect_used, reason = "both capacities are given")]
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(items.max(64))
            .weight_capacity(memory_bytes)
            .build()
            .expect("capacities are given");
        let entries = Cache::with_options(
            options,
            EntryBytes,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        let writers = (0..WRITER_LOCKS).map(|_| Mutex::new(())).collect();
        Self { entries, writers, hasher: RandomState::new() }
    }

    /// The answer under a key.
    #[must_use]
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    /// Stores an answer, unless one that was asked for later is there.
    pub(crate) fn put(&self, key: Key, entry: Arc<Entry>) -> bool {
        let lock = usize::try_from(self.hasher.hash_one(&key) % WRITER_LOCKS as u64);
        let _writer = self.writers[lock.unwrap_or(0)].lock();
        let newer = self.entries.peek(&key).is_some_and(|known| known.begun > entry.begun);
        if !newer {
            self.entries.insert(key, entry);
        }
        !newer
    }

    /// Removes an answer if it is still this one.
    pub(crate) fn remove(&self, key: &Key, entry: &Arc<Entry>) {
        self.entries.remove_if(key, |known| Arc::ptr_eq(known, entry));
    }

    /// Removes what is stored under a target in any coding (RFC 9111 §4.4).
    pub(crate) fn invalidate(&self, target: &Arc<str>) {
        for coding in [Coding::Identity, Coding::Gzip, Coding::Brotli] {
            self.entries.remove(&Key { target: target.clone(), coding });
        }
    }

    /// Answers stored.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that they weigh.
    #[must_use]
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.entries.weight()
    }
}
