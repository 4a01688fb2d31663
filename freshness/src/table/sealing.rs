//! Writes sealed segments to their files, off the async threads, and again
//! where that fails; until then the copy in memory serves.

use std::path::PathBuf;
use std::sync::Arc;

use springtide_relation::{SegmentFile, TailBatch};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::health::describe;
use super::{TableLoop, Work};
use crate::tail::SealJob;
use crate::tail::file::{self, SegmentFileError};

/// Segments on their way to disk.
#[derive(Debug)]
pub(super) struct Sealing {
    folder: PathBuf,
    failed: Vec<SealJob>,
    backoff: Backoff,
    retry_at: Option<Instant>,
}

/// A segment's file was written, or was not.
#[derive(Debug)]
pub(super) struct SealDone {
    job: SealJob,
    outcome: Result<(Arc<SegmentFile>, u64), SegmentFileError>,
}

impl Sealing {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, failed: Vec::new(), backoff: Backoff::default(), retry_at: None }
    }
}

impl TableLoop {
    /// Begins to write a segment.
    pub(super) fn seal(&mut self, job: SealJob) {
        let path = self.sealing.folder.join(format!("{:012}.parquet", job.id));
        let batches = job.batches.clone();
        self.work.spawn(async move {
            let written = tokio::task::spawn_blocking(move || write(&path, &batches)).await;
            // A panic while writing is one more failure: the rows are still here.
            let outcome = written.unwrap_or_else(|cut| Err(SegmentFileError::CutOff(cut)));
            Work::Sealed(SealDone { job, outcome })
        });
    }

    pub(super) fn on_sealed(&mut self, done: SealDone) {
        match done.outcome {
            Ok((file, bytes)) => {
                self.core(|core| core.written(done.job.id, file, bytes));
                self.sealing.backoff.reset();
                self.shared.health.lock().disk = None;
            }
            Err(error) => {
                let reason = describe(&error);
                tracing::warn!(table = %self.shared.name(), reason, "segment");
                self.shared.health.lock().disk = Some(reason);
                self.sealing.failed.push(done.job);
                self.sealing.retry_at = Some(Instant::now() + self.sealing.backoff.step());
            }
        }
    }

    /// Tries again what failed, once it has waited.
    pub(super) fn retry_sealing(&mut self) {
        if self.sealing.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.sealing.retry_at = None;
            for job in std::mem::take(&mut self.sealing.failed) {
                self.seal(job);
            }
        }
    }
}

fn write(
    path: &std::path::Path,
    batches: &[TailBatch],
) -> Result<(Arc<SegmentFile>, u64), SegmentFileError> {
    let schema = batches.first().map(|batch| batch.rows.schema());
    file::write(
        path,
        &schema.unwrap_or_else(|| Arc::new(arrow::datatypes::Schema::empty())),
        batches,
    )
}
