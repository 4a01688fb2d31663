//! The fence: a catalog that hands a transaction its base only while the base's
//! snapshot, schema and decode epoch are those that were decided on. The library would rebase silently,
//! and two committers of one range would both succeed.
//!
//! It must never know what is committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent,
};

use crate::lake::epoch_property;

/// A catalog for one transaction on one base.
#[derive(Debug)]
pub(super) struct Fence<'a> {
    catalog: &'a dyn Catalog,
    base: State,
    flags: Arc<Flags>,
}

/// What a decision stands on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    snapshot_id: Option<i64>,
    schema_id: i32,
    epoch: Option<String>,
}

/// What happened behind the fence.
#[derive(Debug, Default)]
pub(super) struct Flags {
    moved: AtomicBool,
    submitted: AtomicBool,
    uncertain: AtomicBool,
}

impl State {
    pub(crate) fn of(metadata: &TableMetadata) -> Self {
        Self {
            snapshot_id: metadata.current_snapshot_id(),
            schema_id: metadata.current_schema_id(),
            epoch: epoch_property(metadata).cloned(),
        }
    }
}

impl Flags {
    /// The table was no longer at the base, so the transaction ended before it submitted anything more.
    pub(super) fn moved(&self) -> bool {
        self.moved.load(Ordering::Acquire)
    }

    /// A commit was handed to the catalog; whether it took it is another question.
    pub(super) fn submitted(&self) -> bool {
        self.submitted.load(Ordering::Acquire)
    }

    /// The catalog failed to say whether it took a commit. A conflict says that it did not.
    pub(super) fn uncertain(&self) -> bool {
        self.uncertain.load(Ordering::Acquire)
    }
}

impl<'a> Fence<'a> {
    pub(super) fn new(catalog: &'a dyn Catalog, base: &TableMetadata) -> (Self, Arc<Flags>) {
        let flags = Arc::new(Flags::default());
        (Self { catalog, base: State::of(base), flags: flags.clone() }, flags)
    }
}

#[async_trait]
impl Catalog for Fence<'_> {
    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        let loaded = self.catalog.load_table(table).await?;
        if State::of(loaded.metadata()) == self.base {
            return Ok(loaded);
        }
        self.flags.moved.store(true, Ordering::Release);
        let what = "the table has moved since the commit was decided on";
        Err(Error::new(ErrorKind::PreconditionFailed, what))
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        self.flags.submitted.store(true, Ordering::Release);
        let outcome = self.catalog.update_table(commit).await;
        if outcome.as_ref().is_err_and(|e| e.kind() != ErrorKind::CatalogCommitConflicts) {
            self.flags.uncertain.store(true, Ordering::Release);
        }
        outcome
    }

    async fn list_namespaces(
        &self,
        parent: Option<&NamespaceIdent>,
    ) -> Result<Vec<NamespaceIdent>> {
        self.catalog.list_namespaces(parent).await
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.catalog.create_namespace(namespace, properties).await
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.catalog.get_namespace(namespace).await
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.catalog.namespace_exists(namespace).await
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        self.catalog.update_namespace(namespace, properties).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.catalog.drop_namespace(namespace).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.catalog.list_tables(namespace).await
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<Table> {
        self.catalog.create_table(namespace, creation).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.catalog.drop_table(table).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.catalog.purge_table(table).await
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.catalog.table_exists(table).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.catalog.rename_table(from, to).await
    }

    async fn register_table(&self, table: &TableIdent, location: String) -> Result<Table> {
        self.catalog.register_table(table, location).await
    }
}
