//! A catalog that fails as real ones do: before a commit, after it, or by
//! claiming one that did not happen.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent,
};
use parking_lot::Mutex;

/// What a commit meets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It happens, and an error is said.
    CommitsAndFails,
    /// It happens, and an error is said that asks to try again.
    CommitsAndAsksAgain,
    /// It does not happen, and an error is said.
    Fails,
    /// It does not happen, and success is said.
    Pretends,
}

/// What still goes wrong, in order.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// For each commit.
    pub(crate) commits: VecDeque<Fault>,
    /// How many loads go well before they begin to fail.
    pub(crate) passing_loads: u32,
    /// How many loads fail once the commits' faults are through.
    pub(crate) failing_loads: u32,
    /// Commits that were asked for.
    pub(crate) asked: u32,
}

#[derive(Debug)]
pub(crate) struct Faulty {
    catalog: Arc<dyn Catalog>,
    pub(crate) script: Arc<Mutex<Script>>,
}

impl Faulty {
    pub(crate) fn new(catalog: Arc<dyn Catalog>, script: Arc<Mutex<Script>>) -> Self {
        Self { catalog, script }
    }
}

fn failure() -> Error {
    Error::new(ErrorKind::Unexpected, "the connection broke")
}

#[async_trait]
impl Catalog for Faulty {
    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        let fails = {
            let mut script = self.script.lock();
            let failing = script.commits.is_empty() && script.failing_loads > 0;
            let passes = failing && script.passing_loads > 0;
            script.passing_loads -= u32::from(passes);
            script.failing_loads -= u32::from(failing && !passes);
            failing && !passes
        };
        if fails { Err(failure()) } else { self.catalog.load_table(table).await }
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        let fault = {
            let mut script = self.script.lock();
            script.asked += 1;
            script.commits.pop_front()
        };
        match fault {
            None => self.catalog.update_table(commit).await,
            Some(Fault::Fails) => Err(failure()),
            Some(Fault::CommitsAndFails) => {
                self.catalog.update_table(commit).await?;
                Err(failure())
            }
            Some(Fault::CommitsAndAsksAgain) => {
                self.catalog.update_table(commit).await?;
                Err(failure().with_retryable(true))
            }
            Some(Fault::Pretends) => self.catalog.load_table(commit.identifier()).await,
        }
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.catalog.table_exists(table).await
    }

    async fn list_namespaces(&self, _: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        Err(failure())
    }

    async fn create_namespace(
        &self,
        _: &NamespaceIdent,
        _: HashMap<String, String>,
    ) -> Result<Namespace> {
        Err(failure())
    }

    async fn get_namespace(&self, _: &NamespaceIdent) -> Result<Namespace> {
        Err(failure())
    }

    async fn namespace_exists(&self, _: &NamespaceIdent) -> Result<bool> {
        Err(failure())
    }

    async fn update_namespace(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        Err(failure())
    }

    async fn drop_namespace(&self, _: &NamespaceIdent) -> Result<()> {
        Err(failure())
    }

    async fn list_tables(&self, _: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        Err(failure())
    }

    async fn create_table(&self, _: &NamespaceIdent, _: TableCreation) -> Result<Table> {
        Err(failure())
    }

    async fn drop_table(&self, _: &TableIdent) -> Result<()> {
        Err(failure())
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        Err(failure())
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        Err(failure())
    }

    async fn register_table(&self, _: &TableIdent, _: String) -> Result<Table> {
        Err(failure())
    }
}
