//! A statement over relations: which files and segments are left to read after
//! pruning, and the scan set that validates the answer. Pure: no execution.

use std::sync::Arc;

use springtide_protocol::TableName;
use springtide_relation::segment::Overlap;
use springtide_relation::{Coverage, Relation};

use crate::error::EngineError;
use crate::prune::Predicate;
use crate::scan_set::{ScanSet, TableAtoms};
use crate::statement::{Statement, TableRead};

/// What is read of one relation.
#[derive(Clone, Debug)]
pub struct TableScan {
    /// The table.
    pub table: TableName,
    /// The relation.
    pub relation: Arc<Relation>,
    /// Indexes of the files that may hold a matching row, rising.
    pub files: Vec<usize>,
    /// Indexes of the segments that overlap the relation's window, rising.
    pub segments: Vec<usize>,
    /// Which columns, as sorted indexes into the relation's schema.
    pub columns: Vec<usize>,
}

/// A statement and the relations that it reads, pruned.
#[derive(Debug)]
pub struct Plan {
    statement: Arc<Statement>,
    relations: Vec<Arc<Relation>>,
    scans: Vec<TableScan>,
    scan_set: ScanSet,
}

impl Plan {
    /// Prunes the relations by the statement's predicates.
    ///
    /// # Errors
    /// Where a table of the statement has no relation, or one whose columns or row
    /// filter are not those that it was prepared for.
    pub fn new(
        statement: Arc<Statement>,
        relations: Vec<Arc<Relation>>,
    ) -> Result<Self, EngineError> {
        let mut scans = Vec::with_capacity(statement.tables.len());
        let mut tables = Vec::with_capacity(statement.tables.len());
        for table in &statement.tables {
            let relation = relations.iter().find(|r| r.table == *table).ok_or_else(|| {
                EngineError::UnknownTable { name: table.to_string(), nearest: None }
            })?;
            check_schema(&statement, relation)?;
            let read = statement.read(table);
            let predicate = read.map_or(&Predicate::Unknown, |read| &read.predicate);
            tables.push(TableAtoms::new(relation, predicate));
            scans.push(scan(relation, read, predicate));
        }
        Ok(Self { statement, relations, scans, scan_set: ScanSet { tables } })
    }

    /// What identifies the rows that can change the answer (rule 4).
    #[must_use]
    pub const fn scan_set(&self) -> &ScanSet {
        &self.scan_set
    }

    /// The statement.
    #[must_use]
    pub const fn statement(&self) -> &Arc<Statement> {
        &self.statement
    }

    /// The relations as handed over.
    #[must_use]
    pub fn relations(&self) -> &[Arc<Relation>] {
        &self.relations
    }

    /// What is left to read, one entry a table of the statement, in order of names.
    #[must_use]
    pub fn scans(&self) -> &[TableScan] {
        &self.scans
    }

    /// Whether every table's snapshot and tail meet.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.scans.iter().all(|scan| scan.relation.coverage == Coverage::Whole)
    }
}

fn check_schema(statement: &Statement, relation: &Relation) -> Result<(), EngineError> {
    let prepared = statement.schemas.get(&relation.table);
    let equal = prepared.is_some_and(|prepared| {
        let same = Arc::ptr_eq(&prepared.schema, &relation.schema);
        (same || prepared.schema == relation.schema) && prepared.row_filter == relation.row_filter
    });
    if equal { Ok(()) } else { Err(EngineError::SchemaChanged { table: relation.table.clone() }) }
}

fn scan(relation: &Arc<Relation>, read: Option<&TableRead>, predicate: &Predicate) -> TableScan {
    let files = relation.files.iter().enumerate();
    let kept = files.filter(|(_, f)| f.live_rows() > 0 && predicate.may_match(&f.columns));
    let nothing = matches!(predicate, Predicate::False);
    let tail = if nothing { &[][..] } else { &relation.segments[..] };
    let end = &relation.version.offsets;
    let overlapping = tail
        .iter()
        .enumerate()
        .filter(|(_, segment)| segment.overlap(&relation.boundary, end) != Overlap::None);
    TableScan {
        table: relation.table.clone(),
        relation: relation.clone(),
        files: kept.map(|(i, _)| i).collect(),
        segments: overlapping.map(|(i, _)| i).collect(),
        columns: read.map_or_else(Vec::new, |read| read.columns.clone()),
    }
}

#[cfg(test)]
mod tests;
