//! One statement over the newest rows, in the program itself: for `sql`, the
//! demo's replay and the measurements. It must never know HTTP.

use std::sync::Arc;

use springtide_engine::{Answer, Encoding, Engine, Limits, Plan, StatementRequest, TableSchema};
use springtide_freshness::{Freshness, PinAt, PinRequest, TableDescription};
use springtide_protocol::clock::Clock;

/// What it takes to ask.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    /// Runs statements.
    pub(crate) engine: Engine,
    /// What the tables are now.
    pub(crate) freshness: Freshness,
    /// Tells the time that statements are frozen at.
    pub(crate) clock: Arc<dyn Clock>,
    /// The step of the frozen clock, from 1 up.
    pub(crate) quantum_micros: i64,
    /// What one answer may take.
    pub(crate) limits: Limits,
}

impl Asker {
    /// Runs one statement over the newest rows.
    pub(crate) async fn query(&self, sql: &str, encoding: Encoding) -> anyhow::Result<Answer> {
        let tables = self.freshness.tables();
        let schema = |description: &TableDescription| TableSchema {
            schema: description.schema.clone(),
            row_filter: None,
        };
        let tables = tables.iter().map(|(name, table)| (name.clone(), schema(table))).collect();
        let now = self.clock.now_micros();
        let request = StatementRequest {
            sql: sql.to_owned(),
            parameters: Vec::new(),
            tables: Arc::new(tables),
            clock_micros: now - now.rem_euclid(self.quantum_micros),
        };
        let statement = self.engine.prepare(request).await?;
        let tables = statement.tables.iter().cloned().collect();
        let pinned = self.freshness.pin(PinRequest { tables, at: PinAt::Latest }).await?;
        let plan = Plan::new(statement, pinned.relations)?;
        Ok(self.engine.execute(Arc::new(plan), encoding, self.limits).await?)
    }
}
