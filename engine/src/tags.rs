//! Cache tags (rule 11): which table partitions an answer depends on, from its
//! predicates and never from what exists today, so that a row yet to come is
//! counted. An answer carries one kind of tag per table.

use std::collections::{BTreeMap, BTreeSet};

use springtide_protocol::limits::PARTITION_TAGS;
use springtide_protocol::{TableName, Tag};
use springtide_relation::TagPartition;

use crate::prune::intervals;
use crate::statement::{Statement, TableRead, TableSchema};

/// The tags of an answer to `statement`, sorted; `partitions` are the tables' tag
/// partitions by configuration.
#[must_use]
pub fn tags(statement: &Statement, partitions: &BTreeMap<TableName, TagPartition>) -> Vec<Tag> {
    let mut tags = BTreeSet::new();
    for table in &statement.tables {
        let named = || {
            let schema = statement.schemas.get(table)?;
            named_partitions(statement.read(table)?, schema, partitions.get(table)?)
        };
        match named() {
            Some(named) => tags.extend(named),
            None => {
                tags.insert(Tag::Table(table.clone()));
            }
        }
    }
    tags.into_iter().collect()
}

/// All partitions that rows which match may lie in; `None`: too many, or not bounded.
fn named_partitions(
    read: &TableRead,
    schema: &TableSchema,
    partition: &TagPartition,
) -> Option<BTreeSet<Tag>> {
    let column = schema.schema.index_of(&partition.column).ok()?;
    let mut named = BTreeSet::new();
    for interval in intervals(&read.predicate, column)? {
        for value in partition.range(&interval.lower?, &interval.upper?)? {
            named.insert(Tag::partition(&read.table, &value));
        }
        if named.len() > PARTITION_TAGS {
            return None;
        }
    }
    // A value too long for a tag names the table; then all is the table.
    let one_kind = named.iter().all(|tag| matches!(tag, Tag::Partition(..)));
    (one_kind && !named.is_empty()).then_some(named)
}

#[cfg(test)]
mod tests;
