//! A prepared statement: what it says after vetting, binding, freezing the
//! clock and settling its order, what it reads, and whether equal data give
//! equal bytes. Made by a [`Planner`] from DuckDB's own parse.
//!
//! It must never know what data a table holds now, nor who may ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use springtide_protocol::TableName;
use springtide_protocol::parameter::ParameterValue;

use crate::prune::Predicate;

mod allowed;
pub(crate) mod ast;
mod bind;
mod clock;
mod cover;
mod float;
mod functions;
mod growth;
mod interval;
mod order;
mod planner;
mod row_filter;
mod sized;
mod spelling;
mod stability;
pub(crate) mod stub;
mod vet;

pub(crate) use ast::parse_select;
pub(crate) use planner::DISABLED_OPTIMIZERS;
pub use planner::Planner;

/// A statement to prepare.
#[derive(Clone, Debug)]
pub struct StatementRequest {
    /// One SELECT.
    pub sql: String,
    /// Values of its `$name` parameters; each must be used.
    pub parameters: Vec<(String, ParameterValue)>,
    /// The tables that it may name.
    pub tables: Arc<BTreeMap<TableName, TableSchema>>,
    /// T: the clock, floored to the quantum, in microseconds since 1970 UTC.
    pub clock_micros: i64,
}

/// A table as statements see it.
#[derive(Clone, Debug)]
pub struct TableSchema {
    /// Its columns.
    pub schema: SchemaRef,
    /// A boolean SQL expression that joins every read (rule 16).
    pub row_filter: Option<Arc<str>>,
}

/// A statement that may run.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The resolved, canonical SQL: parameters, clock and order are in it.
    pub text: String,
    /// The tables that it names.
    pub tables: BTreeSet<TableName>,
    /// The schemas that it was prepared for, by table.
    pub schemas: BTreeMap<TableName, TableSchema>,
    /// T, only where the clock is read.
    pub clock_micros: Option<i64>,
    /// Whether equal data give equal bytes.
    pub stability: Stability,
    /// Whether it shows which of several floats that count as equal it kept, so that
    /// columns must be read with one spelling of zero and NaN.
    pub one_spelling: bool,
    /// The columns of its answer.
    pub columns: Vec<OutputColumn>,
    /// What it reads, one entry a table.
    pub reads: Vec<TableRead>,
}

/// Whether equal data give equal bytes (rule 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stability {
    /// They do.
    Stable,
    /// They may not; each reason says what to write instead.
    Unstable(Vec<String>),
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name; names may repeat.
    pub name: String,
    /// DuckDB's name of its type: `BIGINT`, `TIMESTAMP WITH TIME ZONE`.
    pub sql_type: String,
}

/// What a statement reads of one table, all its scans together.
#[derive(Clone, Debug)]
pub struct TableRead {
    /// The table.
    pub table: TableName,
    /// Which columns, as sorted indexes into the schema.
    pub columns: Vec<usize>,
    /// Rows that do not match cannot change the answer.
    pub predicate: Predicate,
}

impl Stability {
    /// Whether it is [`Self::Stable`].
    #[must_use]
    pub const fn is_stable(&self) -> bool {
        matches!(self, Self::Stable)
    }
}

impl Statement {
    /// What is read of `table`.
    #[must_use]
    pub fn read(&self, table: &TableName) -> Option<&TableRead> {
        self.reads.iter().find(|read| read.table == *table)
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
