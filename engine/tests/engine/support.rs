//! An engine over a temporary folder, and answers as bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use springtide_engine::{
    Answer, Encoding, Engine, EngineError, EngineSettings, Limits, Plan, Statement,
    StatementRequest, TableSchema,
};
use springtide_protocol::Format;
use springtide_relation::Relation;
use tempfile::TempDir;

/// Room enough for every test that does not test limits.
pub(crate) const LIMITS: Limits =
    Limits { rows: 10_000_000, bytes: 1 << 30, time: Duration::from_secs(60) };

/// An engine that may read `data/` of its own folder.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) engine: Engine,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EngineSettings)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut settings = EngineSettings {
            sessions: 2,
            threads: 2,
            memory_bytes: 512 * 1024 * 1024,
            readable_folders: vec![folder.path().join("data")],
            scratch_folder: folder.path().join("scratch"),
            waiting_statements: 64,
        };
        change(&mut settings);
        Self { engine: Engine::open(settings).unwrap(), folder }
    }

    /// A path for a data file that is not there yet.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Prepares `sql` over the relations' tables.
    pub(crate) async fn prepare(
        &self,
        sql: &str,
        relations: &[Arc<Relation>],
    ) -> Result<Arc<Statement>, EngineError> {
        let table = |relation: &Arc<Relation>| {
            let schema = Arc::clone(&relation.schema);
            (
                relation.table.clone(),
                TableSchema { schema, row_filter: relation.row_filter.clone() },
            )
        };
        let tables: BTreeMap<_, _> = relations.iter().map(table).collect();
        let request = StatementRequest {
            sql: sql.to_owned(),
            parameters: Vec::new(),
            tables: Arc::new(tables),
            clock_micros: 985_000_000_000_000,
        };
        self.engine.prepare(request).await
    }

    pub(crate) async fn start(
        &self,
        sql: &str,
        relations: &[Arc<Relation>],
        encoding: Encoding,
        limits: Limits,
    ) -> Result<Answer, EngineError> {
        let statement = self.prepare(sql, relations).await?;
        let plan = Plan::new(statement, relations.to_vec())?;
        self.engine.execute(Arc::new(plan), encoding, limits).await
    }

    pub(crate) async fn bytes(
        &self,
        sql: &str,
        relations: &[Arc<Relation>],
        format: Format,
    ) -> Result<Vec<u8>, EngineError> {
        let encoding = Encoding { format, numbers_as_text: false };
        collect(self.start(sql, relations, encoding, LIMITS).await?).await
    }

    pub(crate) async fn ndjson(&self, sql: &str, relations: &[Arc<Relation>]) -> String {
        let bytes = self.bytes(sql, relations, Format::Ndjson).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

/// The whole answer.
pub(crate) async fn collect(mut answer: Answer) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.next().await {
        bytes.extend_from_slice(&piece?);
    }
    assert!(answer.rows().is_some(), "the number of rows is known at the end");
    Ok(bytes)
}

/// Where the golden file `name` lies.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Holds against the golden file `name`, or writes it anew where `UPDATE_GOLDEN` is set.
pub(crate) fn assert_golden(name: &str, actual: &[u8]) {
    let path = golden(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("({} bytes)", bytes.len()),
    };
    assert!(
        expected == actual,
        "{name} differs: equal statements over equal rows give other bytes than before. \
         Raise SEMANTICS, then run the tests once with UPDATE_GOLDEN=1.\n\
         --- expected\n{}\n--- actual\n{}",
        text(&expected),
        text(actual)
    );
}
