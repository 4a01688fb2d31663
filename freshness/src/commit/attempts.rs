//! The attempts at one snapshot as a state machine: when to look, when to submit, and
//! when it is known that it is there, is not, or cannot be told. No I/O, no time.
//!
//! It must never know what the properties mean or how a snapshot is made.

use std::collections::HashMap;

use uuid::Uuid;

use crate::lake::{Ancestor, has_commit};

/// Bases that are tried before others are told that they commit too often.
pub(crate) const ATTEMPTS: u32 = 10;

/// Why there is no snapshot, or none that is known of.
#[derive(Debug)]
pub(crate) enum Reason<R, E = iceberg::Error> {
    /// The state of the table forbids it. Nothing was committed.
    Refused(R),
    /// Others kept committing. Nothing was committed.
    Contended,
    /// It failed. Nothing is committed so far.
    Failed(E),
    /// It may have been committed.
    Unknown(E),
}

/// What came of a submission.
#[derive(Debug)]
pub(crate) enum Answer<E> {
    /// The table was no longer at the base: nothing was taken.
    Moved,
    /// It may have been taken, whatever was said.
    Unsure(E),
}

/// What to do after a look at the table.
#[derive(Debug)]
pub(crate) enum Step<R, E = iceberg::Error> {
    /// The table shows the snapshot.
    Done,
    /// Submit one with these properties on the base that was looked at.
    Submit(HashMap<String, String>),
    /// There is none.
    End(Reason<R, E>),
}

/// The attempts at one snapshot: looks and submissions by turns.
#[derive(Debug)]
pub(crate) struct Attempts<E> {
    commit_id: Uuid,
    begun: u32,
    /// The error that hides the outcome of the last submission.
    hidden: Option<E>,
    may_land: bool,
}

impl<E> Attempts<E> {
    /// None yet. `commit_id`: as it stands in the properties.
    pub(crate) const fn new(commit_id: Uuid) -> Self {
        Self { commit_id, begun: 0, hidden: None, may_land: false }
    }

    /// Submissions so far.
    pub(crate) const fn begun(&self) -> u32 {
        self.begun
    }

    /// Whether a submission may still come about after there was none to be seen.
    pub(crate) const fn may_land(&self) -> bool {
        self.may_land
    }

    /// The table shows `chain`; `decide` gives the properties of a snapshot on it.
    pub(crate) fn looked_up<R>(
        &mut self,
        chain: impl Iterator<Item = Ancestor>,
        decide: impl FnOnce() -> Result<HashMap<String, String>, R>,
    ) -> Step<R, E> {
        let hidden = self.hidden.take();
        if has_commit(chain, self.commit_id) {
            return Step::Done;
        }
        if self.begun == ATTEMPTS {
            return Step::End(hidden.map_or(Reason::Contended, Reason::Failed));
        }
        match decide() {
            Ok(properties) => {
                self.begun += 1;
                Step::Submit(properties)
            }
            Err(refusal) => Step::End(Reason::Refused(refusal)),
        }
    }

    /// The table cannot be looked at.
    pub(crate) fn unseen<R>(&mut self, error: E) -> Reason<R, E> {
        match self.hidden.take() {
            Some(hidden) => Reason::Unknown(hidden),
            None => Reason::Failed(error),
        }
    }

    /// A submission was answered, or was not.
    pub(crate) fn answered(&mut self, answer: Answer<E>) {
        if let Answer::Unsure(error) = answer {
            self.hidden = Some(error);
            self.may_land = true;
        }
    }
}
