//! Ending a statement from outside: its time is up, or nobody waits for it any
//! more. An interrupt can only reach the statement it was meant for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use duckdb::InterruptHandle;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::EngineError;

/// DuckDB forgets an interrupt that comes just before a statement begins, so it is repeated.
const REPEAT: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
enum Cause {
    Timeout(Duration),
    Abandoned,
}

/// What can end one statement.
pub(crate) struct Interruption {
    limit: Duration,
    deadline: Instant,
    cause: OnceLock<Cause>,
    running: Mutex<Option<Arc<InterruptHandle>>>,
    abandoned: CancellationToken,
    stopped: CancellationToken,
    finished: CancellationToken,
}

impl Interruption {
    /// One for a statement that may take `limit` from now.
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            deadline: Instant::now() + limit,
            cause: OnceLock::new(),
            running: Mutex::new(None),
            abandoned: CancellationToken::new(),
            stopped: CancellationToken::new(),
            finished: CancellationToken::new(),
        })
    }

    /// When the time is up.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// `Timeout` of this statement's limit.
    pub(crate) const fn timeout(&self) -> EngineError {
        EngineError::Timeout { limit: self.limit }
    }

    /// Ends the statement when dropped.
    pub(crate) fn abandon_on_drop(&self) -> DropGuard {
        self.abandoned.clone().drop_guard()
    }

    /// Resolves once the statement is to end.
    pub(crate) async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Why the statement was ended, if it was.
    pub(crate) fn error(&self) -> Option<EngineError> {
        self.cause.get().map(|cause| match cause {
            Cause::Timeout(limit) => EngineError::Timeout { limit: *limit },
            Cause::Abandoned => EngineError::Cancelled,
        })
    }

    /// Watches until the statement has finished; ends it where its time is up or it is abandoned.
    pub(crate) async fn watch(self: Arc<Self>) {
        let cause = tokio::select! {
            () = self.finished.cancelled() => return,
            () = self.abandoned.cancelled() => Cause::Abandoned,
            () = tokio::time::sleep_until(self.deadline) => Cause::Timeout(self.limit),
        };
        // Only this task sets it.
        let _ = self.cause.set(cause);
        self.stopped.cancel();
        loop {
            if let Some(handle) = self.running.lock().as_ref() {
                handle.interrupt();
            }
            tokio::select! {
                () = self.finished.cancelled() => return,
                () = tokio::time::sleep(REPEAT) => {}
            }
        }
    }

    /// Goes with the job: when it is dropped, run or not, the statement has finished.
    pub(crate) fn job(self: &Arc<Self>) -> Job {
        Job(Arc::clone(self))
    }
}

/// The statement's job, as far as interruption is concerned.
pub(crate) struct Job(Arc<Interruption>);

impl Job {
    /// From now on an interrupt reaches the session of `handle`.
    pub(crate) fn arm(&self, handle: Arc<InterruptHandle>) {
        *self.0.running.lock() = Some(handle);
    }

    /// From now on no interrupt reaches the session.
    pub(crate) fn disarm(&self) {
        *self.0.running.lock() = None;
    }

    /// What it may be ended by.
    pub(crate) fn interruption(&self) -> &Interruption {
        &self.0
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.disarm();
        self.0.finished.cancel();
    }
}
