//! Asks the catalog for a table's current state again and again, and says when
//! each answer was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use springtide_protocol::clock::Clock;
use tokio::sync::mpsc;

use crate::lake::{LakeError, LakeSnapshot};
use crate::ports::TableLake;

/// One answer of the catalog.
#[derive(Debug)]
pub(super) struct Refreshed {
    pub(super) asked_micros: i64,
    /// Commits of ours that had ended when it was asked: an answer from before the
    /// last one is of the past.
    pub(super) commits: u64,
    pub(super) outcome: Result<Arc<LakeSnapshot>, LakeError>,
}

/// Asks every `interval` until nobody listens.
pub(super) async fn run(
    lake: Arc<dyn TableLake>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    commits: Arc<AtomicU64>,
    answers: mpsc::Sender<Refreshed>,
) {
    loop {
        tokio::time::sleep(interval).await;
        let asked_micros = clock.now_micros();
        let commits = commits.load(Ordering::Acquire);
        let outcome = lake.refresh().await;
        if answers.send(Refreshed { asked_micros, commits, outcome }).await.is_err() {
            return;
        }
    }
}
