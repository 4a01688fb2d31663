//! One statement's run: its views, DuckDB's chunks, the encoder, and the
//! pieces that flow to whoever waits. It must never decide what is read.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use duckdb::Connection;
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;

mod template;

use self::template::Template;
use crate::encode::{Encoding, encoder};
use crate::error::{EngineError, ResultLimit};
use crate::plan::Plan;
use crate::session::{Interruption, Job, Session, Sessions, statement_error};
use crate::settings::Limits;
use crate::statement::OutputColumn;
use crate::union::{Footers, Registries, Unions};

/// An answer flows in pieces of about this size.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for a slow reader.
const WAITING_PIECES: usize = 16;
/// Statements whose tables' places are remembered.
const REMEMBERED_TEMPLATES: usize = 2_048;

/// A running or finished answer. Dropping it interrupts the statement.
pub struct Answer {
    /// Its columns, in order; names as DuckDB gives them.
    pub columns: Arc<[OutputColumn]>,
    first: Option<Bytes>,
    pieces: mpsc::Receiver<Bytes>,
    outcome: Option<oneshot::Receiver<Result<u64, EngineError>>>,
    rows: Option<u64>,
    _abandon: DropGuard,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Answer {
    /// The next piece; an error ends the answer, which is then not whole.
    pub async fn next(&mut self) -> Option<Result<Bytes, EngineError>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if let Some(piece) = self.pieces.recv().await {
            return Some(Ok(piece));
        }
        match self.outcome.take()?.await {
            Ok(Ok(rows)) => {
                self.rows = Some(rows);
                None
            }
            Ok(Err(error)) => Some(Err(error)),
            Err(_lost) => Some(Err(lost())),
        }
    }

    /// How many rows; known once `next` has returned `None`.
    #[must_use]
    pub const fn rows(&self) -> Option<u64> {
        self.rows
    }
}

/// The job was dropped unrun, or panicked; the session has logged why.
fn lost() -> EngineError {
    EngineError::internal("run the statement")("its session ended".into())
}

/// Runs plans on sessions.
pub(crate) struct Executor {
    sessions: Sessions<Connection>,
    shared: Arc<Shared>,
}

/// What runs share.
struct Shared {
    footers: Footers,
    registries: Registries,
    templates: Cache<String, Arc<Template>>,
}

impl Executor {
    /// `registries` are registered with the sessions' instance.
    pub(crate) fn new(sessions: Sessions<Connection>, registries: Registries) -> Self {
        let (footers, templates) = (Footers::new(), Cache::new(REMEMBERED_TEMPLATES));
        Self { sessions, shared: Arc::new(Shared { footers, registries, templates }) }
    }

    /// Runs a plan; returns with the first piece.
    ///
    /// # Errors
    /// What ends the statement before its first piece.
    pub(crate) async fn execute(
        &self,
        plan: Arc<Plan>,
        encoding: Encoding,
        limits: Limits,
    ) -> Result<Answer, EngineError> {
        let interruption = Interruption::new(limits.time);
        let abandon = interruption.abandon_on_drop();
        let admission =
            tokio::time::timeout_at(interruption.deadline(), self.sessions.admit()).await;
        let admission = admission.map_err(|_elapsed| interruption.timeout())??;
        let columns: Arc<[OutputColumn]> = plan.statement().columns.clone().into();
        let (sender, pieces) = mpsc::channel(WAITING_PIECES);
        let (report, outcome) = oneshot::channel();
        let run = Run {
            plan,
            encoding,
            limits,
            shared: Arc::clone(&self.shared),
            has_views: false,
            output: Output { sender, runtime: Handle::current(), bytes: 0, limit: limits.bytes },
            job: interruption.job(),
        };
        tokio::spawn(Arc::clone(&interruption).watch());
        self.sessions.submit(admission, move |session| {
            // Whoever asked may be gone.
            let _ = report.send(run.perform(session));
        });
        let outcome = Some(outcome);
        let mut answer =
            Answer { columns, first: None, pieces, outcome, rows: None, _abandon: abandon };
        answer.first = answer.next().await.transpose()?;
        Ok(answer)
    }
}

struct Run {
    plan: Arc<Plan>,
    encoding: Encoding,
    limits: Limits,
    shared: Arc<Shared>,
    /// A transaction with the statement's views is open.
    has_views: bool,
    output: Output,
    job: Job,
}

impl Run {
    fn perform(mut self, session: &mut Session<Connection>) -> Result<u64, EngineError> {
        self.job.arm(Arc::clone(&session.interrupt));
        let result = self.run(&session.state);
        // No interrupt may reach what follows.
        self.job.disarm();
        if self.has_views && session.state.execute_batch("ROLLBACK").is_err() {
            session.retired = true;
        }
        result.map_err(|error| match self.job.interruption().error() {
            Some(ended) => ended,
            None => error,
        })
    }

    fn run(&mut self, connection: &Connection) -> Result<u64, EngineError> {
        let plan = Arc::clone(&self.plan);
        let one_spelling = plan.statement().one_spelling;
        let (footers, registries) = (&self.shared.footers, &self.shared.registries);
        let unions = Unions::new(plan.scans(), one_spelling, footers, registries)?;
        let text = self.text(connection, &plan, &unions)?;
        let mut prepared = connection.prepare(&text).map_err(statement_error)?;
        // Starts it; its iterator would panic on a failure, so chunks are taken by `step`.
        let schema = prepared.stream_arrow([]).map_err(statement_error)?.get_schema();
        let mut encoder = encoder(self.encoding, &plan.statement().columns, &schema)?;
        let (mut rows, mut ready) = (0, Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4));
        while let Some(chunk) = prepared.step().map_err(statement_error)? {
            let batch = crate::zero::settle(RecordBatch::from(&chunk));
            rows += batch.num_rows() as u64;
            if rows > self.limits.rows {
                let limit = ResultLimit::Rows(self.limits.rows);
                return Err(EngineError::ResultTooLarge { limit });
            }
            encoder.write(&batch, &mut ready)?;
            if ready.len() >= PIECE_BYTES {
                self.output.send(std::mem::take(&mut ready), self.job.interruption())?;
            }
        }
        encoder.finish(&mut ready)?;
        self.output.send(ready, self.job.interruption())?;
        Ok(rows)
    }

    /// The statement over the unions; where they cannot stand in it, over views
    /// that go with a transaction.
    fn text(
        &mut self,
        connection: &Connection,
        plan: &Plan,
        unions: &Unions,
    ) -> Result<String, EngineError> {
        let statement = plan.statement();
        if unions.selects.is_empty() {
            return Ok(statement.text.clone());
        }
        let template = self.shared.templates.get_or_insert_with(&statement.text, || {
            Template::of(connection, &statement.text, &statement.tables).map(Arc::new)
        })?;
        if let Some(text) = template.fill(|table| unions.subquery(table)) {
            return Ok(text);
        }
        let begun = connection.execute_batch("BEGIN TRANSACTION");
        begun.map_err(|e| EngineError::internal("begin the statement")(Box::new(e)))?;
        self.has_views = true;
        let made = connection.execute_batch(&unions.views());
        made.map_err(|e| EngineError::internal("make the statement's views")(Box::new(e)))?;
        Ok(statement.text.clone())
    }
}

/// Where pieces go.
struct Output {
    sender: mpsc::Sender<Bytes>,
    runtime: Handle,
    bytes: u64,
    limit: u64,
}

impl Output {
    /// Waits where the reader is slow, until the statement is to end.
    fn send(&mut self, ready: Vec<u8>, stop: &Interruption) -> Result<(), EngineError> {
        self.bytes += ready.len() as u64;
        if self.bytes > self.limit {
            return Err(EngineError::ResultTooLarge { limit: ResultLimit::Bytes(self.limit) });
        }
        let mut rest = Bytes::from(ready);
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            let piece = match self.sender.try_send(piece) {
                Ok(()) => continue,
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(EngineError::Cancelled),
                Err(mpsc::error::TrySendError::Full(piece)) => piece,
            };
            self.runtime.block_on(async {
                tokio::select! {
                    sent = self.sender.send(piece) => sent.map_err(|_gone| EngineError::Cancelled),
                    () = stop.stopped() => Err(EngineError::Cancelled),
                }
            })?;
        }
        Ok(())
    }
}
