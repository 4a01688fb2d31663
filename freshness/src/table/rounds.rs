//! Watches a topic from outside: what it is, and, round after round, where its
//! partitions end (rule 14).

use std::sync::Arc;
use std::time::Duration;

use springtide_protocol::OffsetMap;
use springtide_protocol::clock::Clock;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::health::describe;
use super::shared::Shared;
use crate::stream::{StreamSource, TopicDescription};

/// How often the topic's identity and partitions are looked at.
const DESCRIBE_EVERY: Duration = Duration::from_secs(5);

/// What was seen.
#[derive(Debug)]
pub(super) enum Sighting {
    /// The topic.
    Described(TopicDescription),
    /// Where every partition ended, asked after that time.
    Round(i64, OffsetMap),
    /// It cannot be asked.
    Trouble(String),
}

/// Looks until nobody listens.
pub(super) async fn run(
    source: Arc<dyn StreamSource>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    round: Duration,
    sightings: mpsc::Sender<Sighting>,
) {
    let mut backoff = Backoff::default();
    let mut described: Option<Instant> = None;
    loop {
        let sighting = if described.is_none_or(|at| at.elapsed() >= DESCRIBE_EVERY) {
            let outcome = source.describe().await;
            described = outcome.is_ok().then(Instant::now);
            outcome.map(Sighting::Described)
        } else if shared.wants_round() {
            let started = clock.now_micros();
            let outcome = source.high_watermarks().await;
            if outcome.as_ref().is_ok_and(|high| shared.has_new_partition(high)) {
                described = None;
            }
            outcome.map(|high| Sighting::Round(started, high))
        } else {
            tokio::time::sleep(round).await;
            continue;
        };
        let failed = sighting.is_err();
        let sighting = sighting.unwrap_or_else(|error| Sighting::Trouble(describe(&error)));
        if sightings.send(sighting).await.is_err() {
            return;
        }
        if failed {
            backoff.wait().await;
        } else {
            backoff.reset();
            tokio::time::sleep(round).await;
        }
    }
}
