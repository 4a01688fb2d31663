//! How old the oldest row is that is not in the lake yet, by partition of the
//! stream: from looks at where the tail ended and the boundary lay, now and then.
//! Pure: the time is handed in.

use std::collections::{BTreeMap, VecDeque};

use springtide_protocol::{Offset, OffsetMap, PartitionId};

/// Looks that are kept of one partition; beyond them every second one is forgotten.
const LOOKS: usize = 512;

/// Where partitions ended, and when that was seen.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// Ends in order, each with the time at which it was seen first, microseconds.
    looks: BTreeMap<PartitionId, VecDeque<(Offset, i64)>>,
}

impl Ages {
    /// Looks at `next`, the end of the tail, and `boundary`; microseconds that the
    /// oldest row at or above the boundary has waited, by partition of `next`.
    pub(super) fn look(
        &mut self,
        next: &OffsetMap,
        boundary: &OffsetMap,
        now: i64,
    ) -> BTreeMap<PartitionId, i64> {
        self.looks.retain(|partition, _| next.named(*partition).is_some());
        let ages = next.iter().map(|(partition, end)| {
            let looks = self.looks.entry(partition).or_default();
            if looks.back().is_some_and(|(last, _)| *last > end) {
                // It is read anew.
                looks.clear();
            }
            if looks.back().is_none_or(|(last, _)| *last < end) {
                looks.push_back((end, now));
            }
            let boundary = boundary.next(partition);
            while looks.front().is_some_and(|(seen, _)| *seen <= boundary && looks.len() > 1) {
                looks.pop_front();
            }
            if looks.len() > LOOKS {
                let mut odd = false;
                // The first and the last stay: the oldest row, and where it ends now.
                looks.retain(|_| {
                    odd = !odd;
                    odd
                });
                if looks.back().is_none_or(|(last, _)| *last < end) {
                    looks.push_back((end, now));
                }
            }
            let oldest = looks.front().filter(|(seen, _)| *seen > boundary);
            (partition, oldest.map_or(0, |(_, at)| (now - at).max(0)))
        });
        ages.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(offset: i64) -> OffsetMap {
        [(PartitionId(0), Offset(offset))].into_iter().collect()
    }

    #[test]
    fn a_row_ages_until_the_lake_has_it() {
        let mut ages = Ages::default();
        let mut age =
            |next, boundary, now| ages.look(&map(next), &map(boundary), now)[&PartitionId(0)];
        assert_eq!(age(10, 10, 0), 0, "all is in the lake");
        assert_eq!(age(12, 10, 100), 0, "it has just come");
        assert_eq!(age(15, 10, 200), 100);
        assert_eq!(age(15, 10, 300), 200);
        assert_eq!(age(15, 12, 400), 200, "what came at 200 is the oldest now");
        assert_eq!(age(15, 15, 500), 0);
        assert_eq!(age(16, 15, 600), 0);
        assert_eq!(age(16, 15, 650), 50);
        assert_eq!(age(4, 3, 700), 0, "it is read anew");
    }

    #[test]
    fn what_is_kept_has_a_bound_and_the_oldest_stays() {
        let mut ages = Ages::default();
        for n in 1..=10_000 {
            let told = ages.look(&map(n), &map(0), n * 10);
            assert_eq!(told[&PartitionId(0)], (n - 1) * 10);
        }
        assert!(ages.looks[&PartitionId(0)].len() <= LOOKS + 1);
    }
}
