//! What may be let go of in topics that several tables may read: only what none
//! of them needs.
//!
//! It must never know how a stream lets go.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use springtide_protocol::{OffsetMap, TableName};

use crate::settings::TableSettings;

/// The first offsets that each table still needs, by topic.
#[derive(Debug)]
pub(crate) struct Releases {
    needed: Mutex<BTreeMap<String, BTreeMap<TableName, Option<OffsetMap>>>>,
}

impl Releases {
    /// Of these tables nothing is known yet.
    pub(crate) fn new(tables: &[TableSettings]) -> Self {
        let mut needed: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for table in tables {
            if let Some(topic) = table.topic.clone() {
                needed.entry(topic).or_default().insert(table.name.clone(), None);
            }
        }
        Self { needed: Mutex::new(needed) }
    }

    /// A table needs nothing below `floor`. Returns what none of the topic's tables needs;
    /// `None` while one of them has not said.
    pub(crate) fn report(
        &self,
        topic: &str,
        table: &TableName,
        floor: OffsetMap,
    ) -> Option<OffsetMap> {
        let mut needed = self.needed.lock();
        let tables = needed.get_mut(topic)?;
        tables.insert(table.clone(), Some(floor));
        let mut floors = tables.values().cloned();
        let first = floors.next()??;
        floors.try_fold(first, |least, floor| Some(least.min(&floor?)))
    }
}

#[cfg(test)]
mod tests {
    use springtide_protocol::{Offset, PartitionId};

    use super::*;

    fn map(next: [i64; 2]) -> OffsetMap {
        next.iter().zip(0..).map(|(next, p)| (PartitionId(p), Offset(*next))).collect()
    }

    #[test]
    fn a_topic_is_kept_for_the_table_that_needs_most_of_it() {
        let table = |name: &str, topic: &str| -> TableSettings {
            let text = format!("name = \"{name}\"\nidentifier = \"a.{name}\"\ntopic = \"{topic}\"");
            toml::from_str(&text).unwrap()
        };
        let tables = [table("a", "t"), table("b", "t"), table("c", "u")];
        let releases = Releases::new(&tables);
        let report =
            |name: &str, topic, floor| releases.report(topic, &name.parse().unwrap(), map(floor));
        assert_eq!(report("a", "t", [10, 5]), None, "b has not said");
        assert_eq!(report("c", "u", [1, 1]), Some(map([1, 1])));
        assert_eq!(report("b", "t", [7, 9]), Some(map([7, 5])));
        assert_eq!(report("b", "t", [20, 20]), Some(map([10, 5])));
        assert_eq!(report("a", "unknown", [1, 1]), None);
    }
}
