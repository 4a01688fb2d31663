//! Bulk load: history goes into the table as one foreign commit that carries
//! the map of offsets along unchanged.
//!
//! It must never know where the rows come from.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use iceberg::spec::DataFile;
use iceberg::table::Table;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::data_file::WrittenFile;
use super::rows::FileWriter;
use super::table::{LakeTable, discard, store};
use super::{LakeError, LakeSnapshot};
use crate::commit::{ATTEMPTS, NotSubmitted, Reason, Submission, load_properties, submit};

/// Sets of finished files that wait to be stored; the writer waits at the bound.
const WAITING_SETS: usize = 2;

/// How far a bulk load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadProgress {
    /// Rows that were taken.
    pub rows: u64,
    /// Files that were stored.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What the writing thread says.
enum Step {
    Rows(u64),
    Files(Vec<WrittenFile>),
}

impl LakeTable {
    /// Loads rows in bulk, as one commit. Columns are found by name and cast where that is
    /// exact; columns that are not given become NULL. `batches` is drained on a blocking
    /// thread; memory is bounded whatever their number. `progress` is called as rows are
    /// taken and files stored.
    ///
    /// # Errors
    /// Where rows do not fit the table, or the lake fails. Nothing was loaded then, but for
    /// [`LakeError::OutcomeUnknown`].
    pub async fn load<I>(
        &self,
        batches: I,
        mut progress: impl FnMut(LoadProgress) + Send,
    ) -> Result<Arc<LakeSnapshot>, LakeError>
    where
        I: IntoIterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    {
        let _one = self.one_commit().await;
        let base = self.base().await?;
        let load_id = Uuid::now_v7();
        let writer = FileWriter::new(base.metadata(), false, load_id)?;
        let (steps, mut taken) = mpsc::channel(WAITING_SETS);
        let work = tokio::task::spawn_blocking(move || drain(writer, batches, &steps));
        let mut stored = Vec::new();
        let mut reached = LoadProgress::default();
        let mut failed = None;
        while let Some(step) = taken.recv().await {
            match step {
                Step::Rows(rows) => reached.rows += rows,
                Step::Files(files) => match store(base.file_io(), files).await {
                    Ok(entries) => {
                        reached.files += entries.len() as u64;
                        reached.bytes +=
                            entries.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
                        stored.extend(entries);
                    }
                    // The channel closes and the writer ends.
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                },
            }
            progress(reached);
        }
        drop(taken);
        let drained = work.await.map_err(LakeError::from).and_then(|result| result);
        let outcome = match failed.map_or(drained, Err) {
            Ok(()) => self.submit_load(load_id, stored.clone()).await,
            Err(error) => Err(error),
        };
        self.settle(&base, stored, outcome).await
    }

    async fn submit_load(&self, load_id: Uuid, files: Vec<DataFile>) -> Result<(), LakeError> {
        if files.is_empty() {
            return Ok(());
        }
        let submission =
            Submission { catalog: self.catalog(), table: self.ident(), commit_id: load_id, files };
        let foreign_commits = self.foreign_commits();
        let decide =
            |table: &Table| Ok(load_properties(load_id, table.metadata(), foreign_commits));
        let submitted = submit::<std::convert::Infallible>(submission, decide).await;
        submitted.map(drop).map_err(|NotSubmitted { reason, may_land }| match reason {
            Reason::Refused(never) => match never {},
            Reason::Failed(source) if !may_land => {
                LakeError::catalog("the load was not taken")(source)
            }
            Reason::Failed(source) | Reason::Unknown(source) => {
                LakeError::OutcomeUnknown { source: Box::new(source) }
            }
            Reason::Contended => LakeError::Contended { attempts: ATTEMPTS },
        })
    }

    async fn settle(
        &self,
        base: &Table,
        stored: Vec<DataFile>,
        outcome: Result<(), LakeError>,
    ) -> Result<Arc<LakeSnapshot>, LakeError> {
        match outcome {
            Ok(()) => self.refresh().await,
            Err(error) => {
                if !matches!(error, LakeError::OutcomeUnknown { .. }) {
                    let paths = stored.iter().map(|file| file.file_path().to_owned());
                    discard(base.file_io(), paths).await;
                }
                Err(error)
            }
        }
    }
}

/// Writes all batches. Ends early where nobody takes its steps any more.
fn drain(
    mut writer: FileWriter,
    batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    steps: &mpsc::Sender<Step>,
) -> Result<(), LakeError> {
    for batch in batches {
        let batch = batch?;
        let full = writer.load(&batch)?;
        let said = steps.blocking_send(Step::Rows(batch.num_rows() as u64)).is_ok();
        if !said || (!full.is_empty() && steps.blocking_send(Step::Files(full)).is_err()) {
            return Ok(());
        }
    }
    for file in writer.finish(false)? {
        if steps.blocking_send(Step::Files(vec![file])).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
