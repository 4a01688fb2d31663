//! When rows are committed, which, and what can be let go of afterwards.

use std::sync::Arc;

use springtide_protocol::OffsetMap;
use springtide_relation::ChunkId;

use super::{CommitJob, Core};
use crate::boundary::{Directive, Event, Phase};
use crate::invariants::{assert_held, halted_commits_nothing, uncommitted_is_kept};
use crate::lake::LakeSnapshot;

/// Most rows of one commit, in multiples of `commit.rows`: a backlog is committed in steps.
const BACKLOG_COMMIT_FACTOR: u64 = 4;
/// Positions that moved without rows are committed this much more rarely than
/// rows, in multiples of `commit.every`.
const IDLE_COMMIT_FACTOR: u32 = 30;

/// The pause after a commit that failed; it doubles with each further one.
const FIRST_PAUSE_MICROS: i64 = 1_000_000;
/// Doublings of the pause: it ends at about a minute.
const PAUSE_DOUBLINGS: u32 = 6;

impl Core {
    /// When a commit is due that nothing but time brings about; `None`: none is waiting.
    pub(crate) fn commit_due_micros(&self) -> Option<i64> {
        let boundary = self.boundary.boundary()?;
        let since = self.waiting_since?;
        let (rows, _) = self.tail.waiting(boundary);
        let factor = if rows == 0 { IDLE_COMMIT_FACTOR } else { 1 };
        let age = self.settings.commit.every.saturating_mul(factor);
        Some(since.saturating_add(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Plans a commit where one is due, or `asked` for. `None`: nothing to commit,
    /// not possible now, or one is under way.
    pub(crate) fn plan_commit(&mut self, asked: bool, now: i64) -> Option<CommitJob> {
        // What was read of a stream that lost rows must not reach the lake.
        let halted = matches!(self.boundary.phase(), Phase::Halted(_));
        if self.is_committing || halted || !self.boundary.meets() {
            return None;
        }
        let topic = self.topic.clone()?;
        let from = self.boundary.boundary()?.clone();
        if from.covers(self.tail.next()) {
            return None;
        }
        let commit = self.settings.commit;
        let (rows, bytes) = self.tail.waiting(&from);
        let full = rows >= commit.rows || bytes >= commit.bytes;
        let aged = self.commit_due_micros().is_some_and(|due| due <= now);
        let squeezed = self.is_saturated();
        let rested = now >= self.commit_not_before;
        if !(asked || commit.enabled && rested && (full || aged || squeezed)) {
            return None;
        }
        let sealed = self.tail.seal();
        let most = commit.rows.saturating_mul(BACKLOG_COMMIT_FACTOR);
        let (parts, next) = self.tail.committable(&from, most);
        debug_assert!(assert_held(halted_commits_nothing(self.boundary.phase())));
        self.is_committing = true;
        let (schema_id, decode_epoch) = (self.snapshot().schema_id, self.snapshot().decode_epoch);
        Some(CommitJob { from, next, topic, schema_id, decode_epoch, parts, sealed })
    }

    /// The commit under way ended: with the snapshot that it made, or without.
    pub(crate) fn committed(
        &mut self,
        made: Option<Arc<LakeSnapshot>>,
        asked_micros: i64,
        now: i64,
    ) -> Directive {
        self.is_committing = false;
        let Some(snapshot) = made else {
            // Tried again after a while, whatever waits: the rows are safe where they are.
            let pause = FIRST_PAUSE_MICROS << self.commit_failures.min(PAUSE_DOUBLINGS);
            self.commit_failures = self.commit_failures.saturating_add(1);
            self.commit_not_before = now.saturating_add(pause);
            self.waiting_since = Some(now);
            return Directive::None;
        };
        self.last_commit_micros = Some(now);
        (self.commit_failures, self.commit_not_before) = (0, i64::MIN);
        // A later look at the catalog may have been told of first, and showed more.
        let order = |s: &LakeSnapshot| (s.sequence, s.decode_epoch, s.schema_id);
        let current = self.snapshot();
        let is_past =
            current.table_uuid == snapshot.table_uuid && order(&snapshot) < order(current);
        let directive =
            if is_past { Directive::None } else { self.install(snapshot, asked_micros, now) };
        let boundary = self.boundary.boundary().cloned().unwrap_or_default();
        self.waiting_since = (!boundary.covers(self.tail.next())).then_some(now);
        directive
    }

    /// Forgets snapshots that no version in the window needs, and lets go of
    /// segments behind the oldest that is left. Returns how many snapshots were
    /// given up before their time because the disk bound was reached.
    pub(crate) fn evict(&mut self, now: i64) -> usize {
        let window = i64::try_from(self.settings.pin_window.as_micros()).unwrap_or(i64::MAX);
        self.kept.forget_before(now.saturating_sub(window));
        self.evict_tail();
        let mut early = 0;
        while self.tail.holdings().disk_bytes >= self.settings.tail.disk
            && self.kept.forget_oldest()
        {
            early += 1;
            self.evict_tail();
        }
        early
    }

    /// The first offsets that this table would read again; `None` while it cannot be told.
    pub(crate) fn needed(&self) -> Option<OffsetMap> {
        let least = self.kept.least_boundary()?;
        // A chunk that straddles a boundary keeps all its rows at hand.
        Some(least.iter().map(|(p, o)| (p, ChunkId::containing(p, o).start())).collect())
    }

    fn evict_tail(&mut self) {
        let passed = |base: &Arc<LakeSnapshot>| {
            let least = self.kept.least_boundary();
            let taken = base.boundary.known();
            least.zip(taken).is_some_and(|(least, taken)| least.covers(taken))
        };
        if self.reread.as_ref().is_some_and(passed) {
            self.reread = None;
        }
        let Some(floor) = self.needed() else { return };
        if let Some(start) = self.tail.evict(&floor) {
            let boundary = self.boundary.boundary().cloned().unwrap_or_default();
            debug_assert!(assert_held(uncommitted_is_kept(&start, &boundary)));
            self.boundary.step(&Event::Evicted(&start));
        }
    }
}
