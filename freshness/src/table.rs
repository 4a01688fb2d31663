//! One table at run time: the loop that joins stream, tail, lake, commits,
//! eviction and announcements around the pure [`core::Core`]. Whatever can
//! fail is tried again with backoff; meanwhile what is known answers on.
//!
//! It must never decide anything by itself that the core can decide.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use springtide_protocol::OffsetMap;
use springtide_protocol::clock::Clock;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

mod ages;
mod backoff;
pub(crate) mod committing;
pub(crate) mod core;
pub(crate) mod health;
mod intake;
mod kept;
mod lakeside;
mod opening;
mod relate;
mod rounds;
mod sealing;
mod settling;
pub(crate) mod shared;
pub(crate) mod touched;

#[cfg(test)]
mod tests;

use crate::boundary::Directive;
use crate::dead_letters::DeadLetters;
use crate::decode::Decoder;
use crate::feed::Feed;
use crate::ports::{Ports, TableLake};
use crate::stream::{StreamError, throttle};
use committing::{Asks, CommitDone};
use health::describe;
use intake::{Intake, IntakeEvent, WAITING_ARRIVALS};
use lakeside::Refreshed;
pub(crate) use relate::NotExact;
use rounds::Sighting;
use sealing::Sealing;
use shared::{CommitAsk, Shared};

/// What all tables share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) ports: Arc<dyn Ports>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) letters: DeadLetters,
    /// The folder of all tables' segment files.
    pub(crate) tail_folder: std::path::PathBuf,
    pub(crate) refresh: Duration,
    pub(crate) core: CoreDefaults,
    /// Called when a table's schema becomes known or changes.
    pub(crate) described: Arc<dyn Fn() + Send + Sync>,
    pub(crate) stop: CancellationToken,
}

/// Settings that are one for all tables.
#[derive(Clone, Debug)]
pub(crate) struct CoreDefaults {
    pub(crate) tail: crate::settings::TailSettings,
    pub(crate) pin_window: Duration,
}

/// Pieces of work off the loop, as they end.
enum Work {
    Sealed(sealing::SealDone),
    Committed(CommitDone),
    Released(Result<(), StreamError>),
}

/// The loop's own state.
struct TableLoop {
    shared: Arc<Shared>,
    around: Surroundings,
    lake: Arc<dyn TableLake>,
    intake: Option<(JoinHandle<()>, mpsc::Receiver<IntakeEvent>)>,
    work: JoinSet<Work>,
    sealing: Sealing,
    asks: Asks,
    commits_ended: Arc<AtomicU64>,
    announced_at: Option<Instant>,
    next_housekeeping: Instant,
    next_release: Instant,
    releasing: bool,
    /// The commit under way, with when it began.
    commit_task: Option<(tokio::task::Id, Instant)>,
    /// Since when the tail has been full.
    full_since: Option<Instant>,
    ages: ages::Ages,
}

/// Runs a table until it is stopped.
pub(crate) async fn run(
    shared: Arc<Shared>,
    around: Surroundings,
    asked: mpsc::Receiver<CommitAsk>,
) {
    let stop = around.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = run_opened(shared, around, asked) => {}
    }
}

async fn run_opened(shared: Arc<Shared>, around: Surroundings, asked: mpsc::Receiver<CommitAsk>) {
    let lake = opening::lake(&shared, &around).await;
    let folder = around.tail_folder.join(shared.name().as_str());
    let commits_ended = Arc::new(AtomicU64::new(0));
    let (answers, refreshed) = mpsc::channel(1);
    let mut children = JoinSet::new();
    let (clock, interval) = (around.clock.clone(), around.refresh);
    children.spawn(lakeside::run(lake.clone(), clock, interval, commits_ended.clone(), answers));
    let (sightings, sighted) = mpsc::channel(1);
    if shared.settings.topic.is_some() {
        let (shared, around) = (shared.clone(), around.clone());
        children.spawn(async move {
            let source = opening::source(&shared, &around).await;
            shared.set_source(source.clone());
            let round = around.core.tail.round;
            rounds::run(source, around.clock.clone(), shared, round, sightings).await;
        });
    }
    let looped = TableLoop {
        sealing: Sealing::new(folder),
        asks: Asks::default(),
        shared,
        around,
        lake,
        intake: None,
        work: JoinSet::new(),
        commits_ended,
        announced_at: None,
        next_housekeeping: Instant::now(),
        next_release: Instant::now(),
        releasing: false,
        commit_task: None,
        full_since: None,
        ages: ages::Ages::default(),
    };
    looped.turn(Inputs { refreshed, sighted, asked }).await;
}

/// Where events come from.
struct Inputs {
    refreshed: mpsc::Receiver<Refreshed>,
    sighted: mpsc::Receiver<Sighting>,
    asked: mpsc::Receiver<CommitAsk>,
}

impl TableLoop {
    async fn turn(mut self, mut inputs: Inputs) {
        self.settle();
        loop {
            let wake = self.next_wake();
            let open = !self.shared.with_core(|core| core.is_saturated()).unwrap_or(false);
            tokio::select! {
                Some(event) = next_arrival(&mut self.intake), if open => self.on_intake(event),
                Some(sighting) = inputs.sighted.recv() => self.on_sighting(sighting),
                Some(answer) = inputs.refreshed.recv() => self.on_refreshed(answer),
                Some(done) = self.work.join_next() => self.on_work(done),
                Some(ask) = inputs.asked.recv() => self.on_ask(ask),
                () = sleep_until(wake) => {}
            }
            self.settle();
        }
    }

    fn now(&self) -> i64 {
        self.around.clock.now_micros()
    }

    fn core<T>(&self, f: impl FnOnce(&mut core::Core) -> T) -> T {
        // The core is there before the loop begins and is never taken away.
        #[expect(clippy::expect_used, reason = "set by `opening::lake`")]
        self.shared.with_core(f).expect("the core is there")
    }

    fn on_intake(&mut self, event: IntakeEvent) {
        match event {
            IntakeEvent::Arrived(arrival, rejected) => {
                let rows: usize = arrival.batches.iter().map(|batch| batch.len()).sum();
                let now = self.now();
                self.core(|core| core.arrive(arrival, now));
                let mut health = self.shared.health.lock();
                health.intake = None;
                health.dead_letters += rejected;
                let table = self.shared.name().to_string();
                metrics::counter!("springtide_stream_rows_total", "table" => table.clone())
                    .increment(rows as u64);
                metrics::counter!("springtide_dead_letters_total", "table" => table)
                    .increment(rejected);
            }
            IntakeEvent::OutOfRange(partition, low, high) => {
                let directive = self.core(|core| core.out_of_range(partition, low, high));
                self.follow(directive);
            }
            IntakeEvent::Trouble(reason) => {
                let table = self.shared.name();
                if let Some(left_out) = throttle::pass(&format!("{table}: {reason}")) {
                    tracing::warn!(%table, reason, left_out, "stream");
                }
                self.shared.health.lock().intake = Some(reason);
            }
        }
    }

    fn on_sighting(&mut self, sighting: Sighting) {
        match sighting {
            Sighting::Described(topic) => {
                self.shared.health.lock().stream = None;
                let directive = self.core(|core| core.describe(topic));
                self.follow(directive);
            }
            Sighting::Round(started, high) => {
                self.shared.health.lock().stream = None;
                self.core(|core| core.begin_round(started, high));
            }
            Sighting::Trouble(reason) => self.shared.health.lock().stream = Some(reason),
        }
    }

    fn on_refreshed(&mut self, answer: Refreshed) {
        if answer.commits != self.commits_ended.load(Ordering::Acquire) {
            return;
        }
        match answer.outcome {
            Ok(snapshot) => {
                let schema_id = snapshot.schema_id;
                let now = self.now();
                let (directive, changed) = self.core(|core| {
                    let former = core.snapshot().schema_id;
                    let directive = core.install(snapshot, answer.asked_micros, now);
                    (directive, former != schema_id)
                });
                {
                    let mut health = self.shared.health.lock();
                    (health.lake, health.is_unreadable) = (None, false);
                }
                self.follow(directive);
                if changed {
                    (self.around.described)();
                }
            }
            Err(error) => {
                tracing::warn!(table = %self.shared.name(), error = describe(&error), "lake");
                let mut health = self.shared.health.lock();
                health.lake = Some(describe(&error));
                health.is_unreadable = !error.is_transient();
            }
        }
    }

    fn on_work(&mut self, done: Result<Work, tokio::task::JoinError>) {
        match done {
            Ok(Work::Sealed(done)) => self.on_sealed(done),
            Ok(Work::Committed(done)) => self.on_committed(done),
            Ok(Work::Released(Ok(()))) => self.releasing = false,
            Ok(Work::Released(Err(error))) => {
                self.releasing = false;
                tracing::warn!(table = %self.shared.name(), error = describe(&error), "release");
            }
            Err(error) => {
                // A panic in a piece of work: rows stay where they are.
                tracing::error!(table = %self.shared.name(), error = describe(&error), "work");
                if self.commit_task.take_if(|(id, _)| *id == error.id()).is_some() {
                    self.commit_failed();
                }
            }
        }
    }

    /// Does what the boundary decided.
    fn follow(&mut self, directive: Directive) {
        match directive {
            Directive::None => {}
            Directive::Stop => {
                self.stop_intake();
                // What does not read is in no trouble; the phase says why.
                self.shared.health.lock().intake = None;
            }
            Directive::Read(from) | Directive::Resume(from) => self.start_intake(from),
        }
    }

    fn stop_intake(&mut self) {
        if let Some((task, _)) = self.intake.take() {
            task.abort();
        }
    }

    /// Starts to read; what an earlier intake has on its way is dropped with its channel.
    fn start_intake(&mut self, position: OffsetMap) {
        self.stop_intake();
        let Some(source) = self.shared.source() else { return };
        let (schema, topic, boundary) = self.core(|core| {
            let topic = core.topic().map(|topic| (topic.topic.clone(), topic.topic_id));
            let boundary = core.boundary.boundary().cloned().unwrap_or_default();
            (core.snapshot().schema.clone(), topic, boundary)
        });
        let Some(topic) = topic else { return };
        let decoder = match Decoder::new(schema, self.shared.settings.unknown_columns) {
            Ok(decoder) => decoder,
            Err(error) => {
                self.shared.health.lock().intake = Some(describe(&error));
                return;
            }
        };
        let (events, arrivals) = mpsc::channel(WAITING_ARRIVALS);
        let intake = Intake {
            table: self.shared.name().clone(),
            source,
            topic,
            decoder,
            letters: self.around.letters.clone(),
            position,
            boundary,
            poll_rows: self.around.core.tail.poll_rows,
            events,
        };
        self.intake = Some((tokio::spawn(intake.run()), arrivals));
    }

    /// An intake that ended by itself (a worker panicked) is started anew.
    fn revive_intake(&mut self) {
        if self
            .intake
            .as_ref()
            .is_some_and(|(task, events)| task.is_finished() && events.is_empty())
        {
            let next = self.core(|core| core.boundary.is_reading().then(|| core.coverage().1));
            if let Some(next) = next {
                self.start_intake(next);
            }
        }
    }
}

impl Drop for TableLoop {
    fn drop(&mut self) {
        self.stop_intake();
    }
}

/// The next event of the intake; never, where there is none.
async fn next_arrival(
    intake: &mut Option<(JoinHandle<()>, mpsc::Receiver<IntakeEvent>)>,
) -> Option<IntakeEvent> {
    match intake {
        Some((_, events)) => events.recv().await,
        None => std::future::pending().await,
    }
}
