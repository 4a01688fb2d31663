//! One statement's run: its views, DuckDB's chunks, the encoder, and the
//! pieces that flow to whoever waits. It must never decide what is read.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use duckdb::Connection;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;

use crate::encode::{Encoding, encoder};
use crate::error::{EngineError, ResultLimit};
use crate::plan::Plan;
use crate::session::{Interruption, Job, Session, Sessions, statement_error};
use crate::settings::Limits;
use crate::statement::OutputColumn;
use crate::union::{Footers, TailRegistry, views};

/// An answer flows in pieces of about this size.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for a slow reader.
const WAITING_PIECES: usize = 16;

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

/// What runs share.
pub(crate) struct Executor {
    pub(crate) sessions: Sessions<Connection>,
    pub(crate) footers: Arc<Footers>,
    pub(crate) tails: TailRegistry,
}

impl Executor {
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
            footers: Arc::clone(&self.footers),
            tails: self.tails.clone(),
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
    footers: Arc<Footers>,
    tails: TailRegistry,
    output: Output,
    job: Job,
}

impl Run {
    fn perform(mut self, session: &mut Session<Connection>) -> Result<u64, EngineError> {
        if let Err(error) = session.state.execute_batch("BEGIN TRANSACTION") {
            session.retired = true;
            return Err(EngineError::internal("begin the statement")(Box::new(error)));
        }
        self.job.arm(Arc::clone(&session.interrupt));
        let result = self.run(&session.state);
        // The views go with the transaction, which no interrupt may keep.
        self.job.disarm();
        if let Err(error) = session.state.execute_batch("ROLLBACK") {
            tracing::error!(%error, "a session cannot be cleaned");
            session.retired = true;
        }
        result.map_err(|error| match self.job.interruption().error() {
            Some(ended) => ended,
            None => error,
        })
    }

    fn run(&mut self, connection: &Connection) -> Result<u64, EngineError> {
        let views = views(self.plan.scans(), &self.footers, &self.tails)?;
        connection
            .execute_batch(&views.sql)
            .map_err(|e| EngineError::internal("make the statement's views")(Box::new(e)))?;
        let statement = self.plan.statement();
        let mut prepared = connection.prepare(&statement.text).map_err(statement_error)?;
        // Starts it; its iterator would panic on a failure, so chunks are taken by `step`.
        let schema = prepared.stream_arrow([]).map_err(statement_error)?.get_schema();
        let mut encoder = encoder(self.encoding, &statement.columns, &schema)?;
        let (mut rows, mut ready) = (0, Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4));
        while let Some(chunk) = prepared.step().map_err(statement_error)? {
            let batch = RecordBatch::from(&chunk);
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
