//! One snapshot, exactly once: decide on a base, submit behind the fence, and
//! believe only what the reloaded table says.
//!
//! It must never know what the properties mean.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use iceberg::spec::DataFile;
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction as _, Transaction};
use iceberg::{Catalog, ErrorKind, TableIdent};
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use uuid::Uuid;

use super::attempts::{ATTEMPTS, Answer, Attempts, Reason, Step};
use super::fence::Fence;
use super::summary::commit_properties;
use super::{CommitError, CommitRequest};
use crate::lake::{
    Ancestor, FileWriter, LakeError, LakeSnapshot, LakeTable, discard, has_commit, store,
    superseded,
};

/// The pause after the first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Doublings of the pause.
const DOUBLINGS: u32 = 5;
/// Times the table is asked for before an outcome is called unknown.
const LOOKUPS: u32 = 4;

/// A snapshot to be made.
pub(crate) struct Submission<'a> {
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) table: &'a TableIdent,
    /// Under `springtide.commit-id` in the properties that are decided on.
    pub(crate) commit_id: Uuid,
    pub(crate) files: Vec<DataFile>,
}

/// There is no snapshot of a submission, or none that is known of.
#[derive(Debug)]
pub(crate) struct NotSubmitted<R> {
    pub(crate) reason: Reason<R>,
    /// An attempt whose outcome was hidden may still come about, so the files stay.
    pub(crate) may_land: bool,
}

/// Adds the files as one snapshot whose summary `decide` gives for each base that is tried.
/// Returns the table that shows it.
pub(crate) async fn submit<R>(
    submission: Submission<'_>,
    decide: impl Fn(&Table) -> Result<HashMap<String, String>, R>,
) -> Result<Table, NotSubmitted<R>> {
    let mut tried = Attempts::new(submission.commit_id);
    let outcome = attempts(submission, decide, &mut tried).await;
    outcome.map_err(|reason| NotSubmitted { reason, may_land: tried.may_land() })
}

async fn attempts<R>(
    submission: Submission<'_>,
    decide: impl Fn(&Table) -> Result<HashMap<String, String>, R>,
    attempts: &mut Attempts<iceberg::Error>,
) -> Result<Table, Reason<R>> {
    let Submission { catalog, table, files, .. } = submission;
    loop {
        pause(attempts.begun()).await;
        let base = look_up(catalog, table).await.map_err(|error| attempts.unseen(error))?;
        let chain = Ancestor::chain(base.metadata());
        let properties = match attempts.looked_up(chain, || decide(&base)) {
            Step::Done => return Ok(base),
            Step::Submit(properties) => properties,
            Step::End(reason) => return Err(reason),
        };
        let (fence, flags) = Fence::new(catalog, base.metadata());
        // A fresh id names the manifests of each attempt: those of an attempt whose
        // outcome was unknown are never written over.
        let transaction = Transaction::new(&base);
        let append = transaction
            .fast_append()
            .with_check_duplicate(false)
            .set_snapshot_properties(properties)
            .add_data_files(files.iter().cloned());
        let transaction = append.apply(transaction).map_err(Reason::Failed)?;
        let answer = match transaction.commit(&fence).await {
            // The catalog ignores a failure to commit its own database transaction,
            // so "done" too is looked up.
            Ok(_) => Answer::Unsure(unconfirmed()),
            // The library may have tried again by itself and found the table moved: by us?
            Err(error) if flags.uncertain() => Answer::Unsure(error),
            Err(_) if flags.moved() => Answer::Moved,
            Err(error) if !flags.submitted() => return Err(Reason::Failed(error)),
            Err(error) if error.kind() == ErrorKind::CatalogCommitConflicts => Answer::Moved,
            Err(error) => Answer::Unsure(error),
        };
        attempts.answered(answer);
    }
}

impl LakeTable {
    /// Commits rows of the stream: data files, then one snapshot with the full map of next
    /// offsets. Exactly once by `commit_id`: an id that is committed already succeeds and
    /// changes nothing. Returns the snapshot that is current afterwards.
    ///
    /// # Errors
    /// [`CommitError`] tells whether something may have been committed.
    pub async fn commit(&self, request: CommitRequest) -> Result<Arc<LakeSnapshot>, CommitError> {
        let _one = self.one_commit().await;
        validate(&request)?;
        let request = Arc::new(request);
        let base = self.base().await?;
        if !has_commit(Ancestor::chain(base.metadata()), request.commit_id) {
            // Before any file is written: the fence may be down already.
            commit_properties(&request, base.metadata(), self.foreign_commits())?;
            let files = self.write(&base, &request).await?;
            self.submit_commit(&base, &request, files).await?;
        }
        Ok(self.refresh().await?)
    }

    async fn write(
        &self,
        base: &Table,
        request: &Arc<CommitRequest>,
    ) -> Result<Vec<DataFile>, LakeError> {
        if request.batches.iter().all(springtide_relation::TailBatch::is_empty) {
            return Ok(Vec::new());
        }
        let writer = FileWriter::new(base.metadata(), true, Uuid::now_v7())?;
        let work = request.clone();
        let written = tokio::task::spawn_blocking(move || writer.write_stream(&work.batches));
        store(base.file_io(), written.await.map_err(LakeError::from)??).await
    }

    async fn submit_commit(
        &self,
        base: &Table,
        request: &CommitRequest,
        files: Vec<DataFile>,
    ) -> Result<(), CommitError> {
        let paths: Vec<String> = files.iter().map(|file| file.file_path().to_owned()).collect();
        let submission = Submission {
            catalog: self.catalog(),
            table: self.ident(),
            commit_id: request.commit_id,
            files,
        };
        let foreign_commits = self.foreign_commits();
        let decide = |table: &Table| commit_properties(request, table.metadata(), foreign_commits);
        let NotSubmitted { reason, may_land } = match submit(submission, decide).await {
            Ok(after) => {
                discard(base.file_io(), superseded(base.metadata(), after.metadata())).await;
                return Ok(());
            }
            Err(not) => not,
        };
        let error = match reason {
            Reason::Unknown(source) => {
                let commit_id = request.commit_id;
                CommitError::OutcomeUnknown { commit_id, source: Box::new(source) }
            }
            Reason::Refused(error) => error,
            Reason::Contended => LakeError::Contended { attempts: ATTEMPTS }.into(),
            Reason::Failed(source) => LakeError::catalog("the commit was not taken")(source).into(),
        };
        // An orphan costs space; a live snapshot that names a file that is gone costs rows.
        if !may_land {
            discard(base.file_io(), paths).await;
        }
        Err(error)
    }
}

/// The table as the catalog has it now.
async fn look_up(catalog: &dyn Catalog, table: &TableIdent) -> iceberg::Result<Table> {
    let mut last = catalog.load_table(table).await;
    for attempt in 1..LOOKUPS {
        if last.is_ok() {
            break;
        }
        pause(attempt).await;
        last = catalog.load_table(table).await;
    }
    last
}

async fn pause(attempt: u32) {
    if attempt > 0 {
        tokio::time::sleep(FIRST_PAUSE * 2u32.pow((attempt - 1).min(DOUBLINGS))).await;
    }
}

fn unconfirmed() -> iceberg::Error {
    iceberg::Error::new(ErrorKind::Unexpected, "the catalog took the commit and does not show it")
}

fn validate(request: &CommitRequest) -> Result<(), CommitError> {
    let invalid = |what: String| Err(CommitError::Invalid { what });
    if !request.next.covers(&request.from) {
        return invalid("the next offsets lie before those that it starts from".to_owned());
    }
    for batch in &request.batches {
        let values = batch.offsets.values();
        let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
        if batch.offsets.len() != batch.rows.num_rows() {
            return invalid(format!("partition {}: offsets and rows differ", batch.partition));
        }
        let inside = within(&request.from, &request.next, batch.partition);
        if !inside(*first) || !inside(*last) {
            return invalid(format!(
                "partition {}: offsets {first} to {last} lie outside the committed range",
                batch.partition
            ));
        }
    }
    Ok(())
}

fn within(from: &OffsetMap, next: &OffsetMap, partition: PartitionId) -> impl Fn(i64) -> bool {
    let (from, next) = (from.next(partition), next.next(partition));
    move |offset| from <= Offset(offset) && Offset(offset) < next
}
