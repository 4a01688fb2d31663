//! Next offsets by stream partition: the form of a boundary and of a
//! version's end. Half-open throughout: an entry is the first offset *not*
//! included; a partition that is not named stands at 0.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Offset, PartitionId};

/// Next offsets by partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OffsetMap(BTreeMap<PartitionId, Offset>);

impl OffsetMap {
    /// A map that names no partition.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The next offset of `partition`; 0 where it is not named.
    #[must_use]
    pub fn next(&self, partition: PartitionId) -> Offset {
        self.0.get(&partition).copied().unwrap_or(Offset::ZERO)
    }

    /// The entry of `partition`, if it is named.
    #[must_use]
    pub fn named(&self, partition: PartitionId) -> Option<Offset> {
        self.0.get(&partition).copied()
    }

    /// Sets the next offset of `partition`.
    pub fn set(&mut self, partition: PartitionId, next: Offset) {
        self.0.insert(partition, next);
    }

    /// Entries in the order of partitions.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (PartitionId, Offset)> + '_ {
        self.0.iter().map(|(p, o)| (*p, *o))
    }

    /// How many partitions are named.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no partition is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every entry of `other` is reached here; only what `other` names counts.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(p, o)| self.next(p) >= o)
    }

    /// The larger entry of each partition.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        for (p, o) in other.iter() {
            if o > joined.next(p) || joined.named(p).is_none() {
                joined.set(p, o.max(joined.next(p)));
            }
        }
        joined
    }

    /// The smaller entry of each partition that either names.
    #[must_use]
    pub fn min(&self, other: &Self) -> Self {
        let partitions = self.iter().chain(other.iter()).map(|(p, _)| p);
        partitions.map(|p| (p, self.next(p).min(other.next(p)))).collect()
    }
}

impl FromIterator<(PartitionId, Offset)> for OffsetMap {
    fn from_iter<I: IntoIterator<Item = (PartitionId, Offset)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// Component by component; `None` where some are ahead and some behind.
/// Partitions that are not named count as 0.
impl PartialOrd for OffsetMap {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.covers(other), other.covers(self)) {
            (true, true) if self == other => Some(Ordering::Equal),
            // Maps that differ only in named zeros mean the same but are not `==`.
            (true, true) => None,
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offsets() -> impl Strategy<Value = OffsetMap> {
        let entry = (0..5i32, 1..50i64).prop_map(|(p, o)| (PartitionId(p), Offset(o)));
        proptest::collection::vec(entry, 0..5).prop_map(|entries| entries.into_iter().collect())
    }

    proptest! {
        #[test]
        fn order_is_component_by_component(a in offsets(), b in offsets()) {
            let (least, most) = (a.min(&b), a.max(&b));
            prop_assert!(a.covers(&least) && b.covers(&least));
            prop_assert!(most.covers(&a) && most.covers(&b));
            prop_assert_eq!(a.partial_cmp(&b), b.partial_cmp(&a).map(Ordering::reverse));
            if a.covers(&b) {
                prop_assert_eq!(most, a);
            }
        }
    }
}
