//! A relation's parts as one SELECT: lake files, sealed segments, and rows
//! in memory, each living row once, typed as the relation says. It names one pinned
//! state, so a self-join sees it twice the same. It must never decide
//! what a row's place is: boundary and end come with the relation.

mod dead;
mod footer;
mod tail;
mod view;

pub(crate) use footer::Footers;
pub(crate) use view::Unions;

use dead::DeadRegistry;
use tail::TailRegistry;

/// What statements that run now read beside files.
#[derive(Clone, Default)]
pub(crate) struct Registries {
    tails: TailRegistry,
    dead: DeadRegistry,
}

impl Registries {
    /// Registers the functions that read them with an instance, before its sessions are
    /// cloned.
    ///
    /// # Errors
    /// DuckDB's own.
    pub(crate) fn register(&self, connection: &duckdb::Connection) -> duckdb::Result<()> {
        tail::register(connection, &self.tails)?;
        dead::register(connection, &self.dead)
    }
}

#[cfg(test)]
mod tests;
