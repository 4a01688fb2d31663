//! A cache bounded by bytes; what is made at once for several is made once. It
//! must never know what it holds.

use std::hash::Hash;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use roaring::RoaringTreemap;

/// Things that the cache expects.
const EXPECTED: usize = 1_000;
/// What an entry costs beside its value.
const ENTRY_BYTES: u64 = 256;

/// What has a size in memory.
pub(super) trait Bytes {
    /// About.
    fn bytes(&self) -> u64;
}

/// Values by key; the least used go first.
pub(super) struct Kept<K, V> {
    cache: Cache<K, Arc<V>, ByBytes>,
}

#[derive(Clone)]
struct ByBytes;

impl<K, V: Bytes> Weighter<K, Arc<V>> for ByBytes {
    fn weight(&self, _: &K, value: &Arc<V>) -> u64 {
        ENTRY_BYTES + value.bytes()
    }
}

impl Bytes for RoaringTreemap {
    fn bytes(&self) -> u64 {
        self.serialized_size() as u64
    }
}

impl<K: Clone + Eq + Hash, V: Bytes> Kept<K, V> {
    /// In one part, so that a value as large as the bound has room.
    pub(super) fn new(most_bytes: u64) -> Self {
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(EXPECTED)
            .weight_capacity(most_bytes)
            .build();
        let cache = match options {
            Ok(options) => Cache::with_options(
                options,
                ByBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            Err(_) => Cache::with_weighter(EXPECTED, most_bytes, ByBytes),
        };
        Self { cache }
    }

    pub(super) fn known(&self, key: &K) -> Option<Arc<V>> {
        self.cache.get(key)
    }

    /// The value, which `make` makes where it is not known.
    pub(super) fn get<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        self.cache.get_or_insert_with(key, || make().map(Arc::new))
    }

    pub(super) fn keep(&self, key: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        self.cache.insert(key, value.clone());
        value
    }
}
