//! The tables as a statement may see them: those that are known now and open to
//! the one who asks, with row filters. Equal views share one map, so that the
//! engine's cache of statements holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use springtide_engine::TableSchema;
use springtide_freshness::TableDescription;
use springtide_protocol::TableName;
use springtide_relation::{Relation, TagPartition};

use crate::access::{Policy, View};

/// Maps that are kept; the rarer views of tokens are made again.
const VIEWS: usize = 256;

/// What tables there are.
pub(crate) type Descriptions = Arc<BTreeMap<TableName, TableDescription>>;
/// What a statement may name.
pub(crate) type StatementTables = Arc<BTreeMap<TableName, TableSchema>>;

/// The maps by view, for the tables that are known now.
#[derive(Default)]
pub(crate) struct Schemas {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    of: Option<Descriptions>,
    views: Vec<(View, StatementTables)>,
}

impl Schemas {
    /// The tables that a view shows.
    pub(crate) fn of(
        &self,
        descriptions: &Descriptions,
        policy: &Policy,
        view: &View,
    ) -> StatementTables {
        let mut kept = self.kept.lock();
        if !kept.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, descriptions)) {
            if !kept.of.as_ref().is_some_and(|of| same_columns(of, descriptions)) {
                kept.views.clear();
            }
            kept.of = Some(descriptions.clone());
        }
        if let Some((_, tables)) = kept.views.iter().find(|(known, _)| known == view) {
            return tables.clone();
        }
        let visible = |table: &TableName| !policy.restricts(table) || view.opens(table);
        let tables = descriptions.iter().filter(|(table, _)| visible(table));
        let tables = tables.map(|(table, description)| {
            let schema = description.schema.clone();
            (table.clone(), TableSchema { schema, row_filter: view.row_filter(table) })
        });
        let tables: StatementTables = Arc::new(tables.collect());
        if kept.views.len() >= VIEWS {
            kept.views.remove(0);
        }
        kept.views.push((view.clone(), tables.clone()));
        tables
    }
}

/// A commit makes descriptions anew that say the same.
fn same_columns(a: &Descriptions, b: &Descriptions) -> bool {
    let same =
        |((a, one), (b, other)): ((&TableName, &TableDescription), (_, &TableDescription))| {
            a == b && one.schema == other.schema
        };
    a.len() == b.len() && a.iter().zip(b.iter()).all(same)
}

/// The same tables with the columns that pinned relations have.
pub(crate) fn as_pinned(tables: &StatementTables, relations: &[Arc<Relation>]) -> StatementTables {
    let mut tables = BTreeMap::clone(tables);
    for relation in relations {
        if let Some(table) = tables.get_mut(&relation.table) {
            table.schema = relation.schema.clone();
        }
    }
    Arc::new(tables)
}

/// The relations under a view's row filters.
pub(crate) fn filtered(relations: Vec<Arc<Relation>>, view: &View) -> Vec<Arc<Relation>> {
    let filter = |relation: Arc<Relation>| match view.row_filter(&relation.table) {
        None => relation,
        filter => Arc::new(Relation { row_filter: filter, ..Relation::clone(&relation) }),
    };
    relations.into_iter().map(filter).collect()
}

/// The tag partitions of the tables that have one.
pub(crate) fn tag_partitions(descriptions: &Descriptions) -> BTreeMap<TableName, TagPartition> {
    let partition = |(table, description): (&TableName, &TableDescription)| {
        Some((table.clone(), description.tag_partition.clone()?))
    };
    descriptions.iter().filter_map(partition).collect()
}
