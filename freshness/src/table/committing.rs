//! Carries commits out: gathers the rows, hands them to the lake, repeats the
//! same request where its outcome is not known, and answers those who asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::SchemaRef;
use springtide_protocol::{Offset, OffsetMap};
use springtide_relation::{SegmentData, TailBatch};
use tokio::time::Instant;
use uuid::Uuid;

use super::backoff::Backoff;
use super::core::CommitJob;
use super::health::describe;
use super::shared::CommitAsk;
use super::{TableLoop, Work};
use crate::commit::{CommitError as LakeCommitError, CommitRequest};
use crate::lake::LakeSnapshot;
use crate::ports::TableLake;
use crate::registry::CommitError;
use crate::tail::file::{self, SegmentFileError};

/// How often one request is handed over before a new look at the lake.
pub(crate) const ATTEMPTS: u32 = 5;

/// Those who wait for a commit, with the end that has to be in the lake for each.
#[derive(Debug, Default)]
pub(super) struct Asks {
    waiting: Vec<(OffsetMap, CommitAsk)>,
}

/// A commit ended.
#[derive(Debug)]
pub(super) struct CommitDone {
    asked_micros: i64,
    outcome: Result<Arc<LakeSnapshot>, CommitFailure>,
}

/// Why a commit did not come about.
#[derive(Debug, thiserror::Error)]
pub enum CommitFailure {
    /// The rows could not be read back from their segments.
    #[error("rows to be committed cannot be read back")]
    Segment(#[from] SegmentFileError),
    /// The lake refused, or cannot be reached.
    #[error("the lake did not take the commit")]
    Lake(#[from] LakeCommitError),
    /// The work was cut off.
    #[error("the commit was cut off")]
    CutOff,
}

impl TableLoop {
    /// Starts a commit where one is due or asked for.
    pub(super) fn commit_if_due(&mut self) {
        let now = self.now();
        let asked = !self.asks.waiting.is_empty();
        let Some(mut job) = self.core(|core| core.plan_commit(asked, now)) else { return };
        if let Some(sealed) = job.sealed.take() {
            self.seal(sealed);
        }
        let schema = self.core(|core| core.snapshot().schema.clone());
        let (lake, clock) = (self.lake.clone(), self.around.clock.clone());
        let commit_id = Uuid::new_v4();
        let task = self.work.spawn(async move {
            let outcome = carry_out(lake, schema, job, commit_id).await;
            Work::Committed(CommitDone { asked_micros: clock.now_micros(), outcome })
        });
        self.commit_task = Some((task.id(), Instant::now()));
    }

    pub(super) fn on_committed(&mut self, done: CommitDone) {
        self.commit_task = None;
        self.commits_ended.fetch_add(1, Ordering::AcqRel);
        let now = self.now();
        let table = self.shared.name().to_string();
        match done.outcome {
            Ok(snapshot) => {
                let directive =
                    self.core(|core| core.committed(Some(snapshot), done.asked_micros, now));
                self.shared.health.lock().commit = None;
                metrics::counter!("springtide_commits_total", "table" => table).increment(1);
                self.follow(directive);
                self.core(|core| core.evict(now));
            }
            Err(error) => {
                let reason = describe(&error);
                tracing::warn!(table, reason, "commit");
                metrics::counter!("springtide_commit_failures_total", "table" => table)
                    .increment(1);
                self.shared.health.lock().commit = Some(reason);
                self.core(|core| core.committed(None, done.asked_micros, now));
                let error = Arc::new(error);
                for (_, ask) in self.asks.waiting.drain(..) {
                    let _ = ask.send(Err(CommitError::Failed { source: error.clone() }));
                }
            }
        }
    }

    /// The commit under way was lost.
    pub(super) fn commit_failed(&mut self) {
        let asked_micros = self.now();
        self.on_committed(CommitDone { asked_micros, outcome: Err(CommitFailure::CutOff) });
    }

    pub(super) fn on_ask(&mut self, ask: CommitAsk) {
        let target = self.core(|core| core.coverage().1);
        self.asks.waiting.push((target, ask));
    }

    /// Answers those whose rows are in the lake; and those for whom there is nothing to do.
    pub(super) fn answer_asks(&mut self) {
        if self.asks.waiting.is_empty() {
            return;
        }
        let (boundary, version, refusal) = self.core(|core| {
            let boundary = core.boundary.boundary().cloned();
            let version = core.published().map(|p| p.relation.version.clone());
            (boundary, version, core.phase().reason())
        });
        let waiting = std::mem::take(&mut self.asks.waiting);
        for (target, ask) in waiting {
            let durable = boundary.as_ref().is_some_and(|b| b.covers(&target));
            match (&version, &refusal) {
                (Some(version), _) if durable => {
                    let _ = ask.send(Ok(version.clone()));
                }
                (_, Some(reason)) => {
                    let reason = reason.clone();
                    let _ = ask.send(Err(CommitError::Unavailable { reason }));
                }
                _ if !ask.is_closed() => self.asks.waiting.push((target, ask)),
                _ => {}
            }
        }
    }
}

async fn carry_out(
    lake: Arc<dyn TableLake>,
    schema: SchemaRef,
    job: CommitJob,
    commit_id: Uuid,
) -> Result<Arc<LakeSnapshot>, CommitFailure> {
    let (from, next, parts) = (job.from.clone(), job.next.clone(), job.parts);
    let gathered = tokio::task::spawn_blocking(move || gather(parts, &schema, &from, &next));
    let batches = gathered.await.map_err(|_| CommitFailure::CutOff)??;
    let request = CommitRequest {
        from: job.from,
        next: job.next,
        topic_id: job.topic.topic_id,
        topic: job.topic.topic,
        cluster: job.topic.cluster,
        schema_id: job.schema_id,
        decode_epoch: job.decode_epoch,
        batches,
        commit_id,
    };
    let mut backoff = Backoff::default();
    let mut attempt = 1;
    loop {
        match lake.commit(request.clone()).await {
            Ok(snapshot) => return Ok(snapshot),
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                tracing::warn!(attempt, error = describe(&error), "commit is tried again");
                attempt += 1;
                backoff.wait().await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The rows of `[from, next)`, from memory and from files.
fn gather(
    parts: Vec<SegmentData>,
    schema: &SchemaRef,
    from: &OffsetMap,
    next: &OffsetMap,
) -> Result<Vec<TailBatch>, SegmentFileError> {
    let mut batches = Vec::new();
    for part in parts {
        let rows = match part {
            SegmentData::Memory(rows) => rows,
            SegmentData::Parquet(segment) => file::read(segment.path(), schema)?,
        };
        batches.extend(rows.iter().filter_map(|batch| {
            let (start, end): (Offset, Offset) =
                (from.next(batch.partition), next.next(batch.partition));
            batch.window(start, end)
        }));
    }
    Ok(batches)
}
