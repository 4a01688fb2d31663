//! Sessions on threads of their own: each takes the next job when it is free.
//! Admission bounds both those that run and those that wait; a panic ends the
//! session it happened in, and a new one takes its place.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duckdb::{Connection, InterruptHandle};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::EngineError;

/// Nested statements are planned and bound recursively.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// One connection, or what owns it, and the way to interrupt it.
pub(crate) struct Session<S> {
    pub(crate) state: S,
    pub(crate) interrupt: Arc<InterruptHandle>,
    /// Set by a job that could not leave it as it was: another takes its place.
    pub(crate) retired: bool,
}

type Job<S> = Box<dyn FnOnce(&mut Session<S>) + Send>;

/// The right to a session; given back when dropped.
pub(crate) struct Admission {
    _permit: OwnedSemaphorePermit,
}

/// Some sessions of one instance.
pub(crate) struct Sessions<S: 'static> {
    shared: Arc<Shared<S>>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_statements: usize,
}

struct Shared<S> {
    /// Cloned for each session; never runs a statement.
    root: Mutex<Connection>,
    make: fn(Connection) -> S,
    queue: Mutex<Queue<S>>,
    ready: Condvar,
}

struct Queue<S> {
    jobs: VecDeque<Job<S>>,
    closed: bool,
}

impl<S> Sessions<S> {
    /// Starts `sessions` threads, each with what `make` makes of a clone of `root`.
    ///
    /// # Errors
    /// A thread or a connection that cannot be made.
    pub(crate) fn start(
        name: &'static str,
        root: Connection,
        make: fn(Connection) -> S,
        sessions: usize,
        waiting_statements: usize,
    ) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared {
            root: Mutex::new(root),
            make,
            queue: Mutex::new(Queue { jobs: VecDeque::new(), closed: false }),
            ready: Condvar::new(),
        });
        let pool = Self {
            shared: Arc::clone(&shared),
            permits: Arc::new(Semaphore::new(sessions)),
            waiting: AtomicUsize::new(0),
            waiting_statements,
        };
        for number in 0..sessions {
            let shared = Arc::clone(&shared);
            // Made here, so that a failure is the caller's to see, and moved once.
            let connection = shared.connection()?;
            std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || shared.work(connection))
                .map_err(|e| EngineError::internal("start a session's thread")(Box::new(e)))?;
        }
        Ok(pool)
    }

    /// Waits for a session, first come, first served.
    ///
    /// # Errors
    /// `Overloaded` where too many wait already.
    pub(crate) async fn admit(&self) -> Result<Admission, EngineError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Admission { _permit: permit });
        }
        let _place = Place::take(&self.waiting, self.waiting_statements)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map(|p| Admission { _permit: p }).map_err(|_closed| EngineError::Cancelled)
    }

    /// Hands a job to a free session. The job is dropped unrun where the engine closes.
    pub(crate) fn submit(
        &self,
        admission: Admission,
        job: impl FnOnce(&mut Session<S>) + Send + 'static,
    ) {
        let job: Job<S> = Box::new(move |session| {
            // Moved in, so that the session counts as busy for as long as it is.
            let _admission = admission;
            job(session);
        });
        self.shared.queue.lock().jobs.push_back(job);
        self.shared.ready.notify_one();
    }
}

impl<S> Drop for Sessions<S> {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.closed = true;
        queue.jobs.clear();
        self.shared.ready.notify_all();
    }
}

impl<S> Shared<S> {
    fn connection(&self) -> Result<Connection, EngineError> {
        let connection = self.root.lock().try_clone();
        connection.map_err(|e| EngineError::internal("open a session")(Box::new(e)))
    }

    fn session(&self, connection: Connection) -> Session<S> {
        let interrupt = connection.interrupt_handle();
        Session { state: (self.make)(connection), interrupt, retired: false }
    }

    fn work(&self, first: Connection) {
        let mut session = Some(self.session(first));
        while let Some(job) = self.next() {
            let Some(mut ready) = session.take().or_else(|| self.replacement()) else { continue };
            match catch_unwind(AssertUnwindSafe(|| job(&mut ready))) {
                Ok(()) if !ready.retired => session = Some(ready),
                Ok(()) => tracing::warn!("a session is retired and replaced"),
                Err(_panic) => {
                    tracing::error!("a session panicked and is replaced");
                    metrics::counter!("springtide_engine_session_panics_total").increment(1);
                    // Closing it may panic as well.
                    drop(catch_unwind(AssertUnwindSafe(|| drop(ready))));
                }
            }
        }
    }

    fn next(&self) -> Option<Job<S>> {
        let mut queue = self.queue.lock();
        while queue.jobs.is_empty() && !queue.closed {
            self.ready.wait(&mut queue);
        }
        queue.jobs.pop_front()
    }

    fn replacement(&self) -> Option<Session<S>> {
        let connection = self.connection();
        let connection = connection
            .inspect_err(|e| tracing::error!(error = %e, "no session: the statement fails"));
        connection.ok().map(|connection| self.session(connection))
    }
}

/// A place among those that wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Result<Self, EngineError> {
        let add = |n: usize| (n < most).then_some(n + 1);
        match waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(Self(waiting)),
            Err(full) => Err(EngineError::Overloaded { waiting: full }),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
