//! One commit of a replica, step by step, as the lake's table carries it out: a crash,
//! a lost request or a lost answer may come between any two.

use std::collections::HashMap;
use std::sync::Arc;

use springtide_relation::SegmentData;
use uuid::Uuid;

use super::catalog::{Catalog, LakeFile, Request};
use super::random::Random;
use super::rows;
use crate::commit::{
    ATTEMPTS, Answer, Attempts, CommitError, CommitRequest, Reason, State, Step, commit_properties,
};
use crate::lake::{Ancestor, LakeError, LakeSnapshot, has_commit};
use crate::table::committing::ATTEMPTS as CALLS;
use crate::table::core::CommitJob;

/// How often in a hundred the catalog does not answer.
const UNREACHABLE: u64 = 6;

/// What is next.
#[derive(Debug)]
enum Stage {
    Begin,
    LookUp,
    Submit { decided_on: State, properties: HashMap<String, String> },
    Refresh,
}

/// A commit under way.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) request: CommitRequest,
    stage: Stage,
    attempts: Attempts<&'static str>,
    calls: u32,
    files: Vec<Arc<LakeFile>>,
}

/// How a commit ended.
pub(super) type Ended = Option<Arc<LakeSnapshot>>;

impl Committer {
    /// `read`: the rows of a segment that lie in its file.
    pub(super) fn new(
        job: CommitJob,
        commit_id: Uuid,
        read: impl Fn(&std::path::Path) -> Vec<springtide_relation::TailBatch>,
    ) -> Self {
        let mut batches = Vec::new();
        for part in job.parts {
            let rows = match part {
                SegmentData::Memory(rows) => rows,
                SegmentData::Parquet(file) => read(file.path()),
            };
            batches.extend(rows.iter().filter_map(|batch| {
                let p = batch.partition;
                batch.window(job.from.next(p), job.next.next(p))
            }));
        }
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
        let attempts = Attempts::new(commit_id);
        Self { request, stage: Stage::Begin, attempts, calls: 0, files: Vec::new() }
    }

    /// Does one step; what came of the commit, where that was the last.
    pub(super) fn step(
        &mut self,
        catalog: &mut Catalog,
        random: &mut Random,
        now: i64,
    ) -> Option<Ended> {
        let reachable = !random.chance(UNREACHABLE);
        match std::mem::replace(&mut self.stage, Stage::Begin) {
            Stage::Begin if !reachable => self.again(),
            Stage::Begin => self.begin(catalog),
            Stage::LookUp => self.look_up(catalog, reachable),
            Stage::Submit { decided_on, .. } if reachable && moved(catalog, &decided_on) => {
                self.attempts.answered(Answer::Moved);
                self.stage = Stage::LookUp;
                None
            }
            Stage::Submit { .. } if !reachable => self.end(Reason::Failed("unreachable"), catalog),
            Stage::Submit { properties, .. } => {
                self.submit(properties, catalog, random, now);
                self.stage = Stage::LookUp;
                None
            }
            Stage::Refresh if !reachable => self.again(),
            Stage::Refresh => Some(Some(catalog.refresh())),
        }
    }

    /// The same request once more, or no more.
    fn again(&mut self) -> Option<Ended> {
        self.calls += 1;
        self.stage = Stage::Begin;
        (self.calls >= CALLS).then_some(None)
    }

    fn begin(&mut self, catalog: &Catalog) -> Option<Ended> {
        if has_commit(Ancestor::chain(&catalog.metadata), self.request.commit_id) {
            self.stage = Stage::Refresh;
            return None;
        }
        if self.decide(catalog).is_err() {
            return Some(None);
        }
        self.files = self.write(catalog);
        self.attempts = Attempts::new(self.request.commit_id);
        self.stage = Stage::LookUp;
        None
    }

    fn decide(&self, catalog: &Catalog) -> Result<HashMap<String, String>, CommitError> {
        commit_properties(&self.request, &catalog.metadata, catalog.foreign_commits)
    }

    fn write(&self, catalog: &Catalog) -> Vec<Arc<LakeFile>> {
        let (epoch, topic) = (self.request.decode_epoch, self.request.topic_id.as_u128());
        let batches = &self.request.batches;
        if batches.is_empty() {
            return Vec::new();
        }
        let path = format!("ours-{}-{}-{}", self.request.commit_id, self.calls, catalog.location);
        let rows = batches.iter().flat_map(|batch| rows::read(batch, topic, epoch)).collect();
        let pieces = rows::pieces(batches);
        vec![Arc::new(LakeFile { path, is_ours: true, rows, pieces })]
    }

    fn look_up(&mut self, catalog: &mut Catalog, reachable: bool) -> Option<Ended> {
        if !reachable {
            let reason: Reason<CommitError, _> = self.attempts.unseen("unreachable");
            return self.end(reason, catalog);
        }
        let request = &self.request;
        let metadata = &catalog.metadata;
        let decide = || commit_properties(request, metadata, catalog.foreign_commits);
        match self.attempts.looked_up(Ancestor::chain(metadata), decide) {
            Step::Done => {
                self.stage = Stage::Refresh;
                None
            }
            Step::Submit(properties) => {
                self.stage = Stage::Submit { decided_on: State::of(metadata), properties };
                None
            }
            Step::End(reason) => self.end(reason, catalog),
        }
    }

    /// The request goes out; its answer, or the want of one, is all that is known here.
    fn submit(
        &mut self,
        properties: HashMap<String, String>,
        catalog: &mut Catalog,
        random: &mut Random,
        now: i64,
    ) {
        let request = Request { base: catalog.location, properties, files: self.files.clone() };
        let answer = match random.below(10) {
            // It never arrives.
            0 => Answer::Unsure("no answer"),
            // It arrives later, if nothing moves before.
            1 | 2 => {
                catalog.in_flight.push(request);
                Answer::Unsure("no answer yet")
            }
            // It arrives, and the answer is lost; or is one that the catalog does not keep.
            3 | 4 => {
                catalog.arrive(request, now);
                Answer::Unsure("the answer was lost")
            }
            _ if catalog.arrive(request, now) => Answer::Unsure("taken, as it says"),
            _ => Answer::Moved,
        };
        self.attempts.answered(answer);
    }

    fn end(
        &mut self,
        reason: Reason<CommitError, &'static str>,
        catalog: &mut Catalog,
    ) -> Option<Ended> {
        if !self.attempts.may_land() {
            catalog.discarded.extend(self.files.iter().map(|file| file.path.clone()));
        }
        let again = match reason {
            Reason::Refused(error) => error.is_transient(),
            Reason::Contended => LakeError::Contended { attempts: ATTEMPTS }.is_transient(),
            Reason::Failed(_) | Reason::Unknown(_) => true,
        };
        if again { self.again() } else { Some(None) }
    }
}

fn moved(catalog: &Catalog, decided_on: &State) -> bool {
    State::of(&catalog.metadata) != *decided_on
}
