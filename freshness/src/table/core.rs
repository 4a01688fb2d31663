//! The deciding part of one table's runtime: what came from stream and lake,
//! what can be pinned, what is to be sealed, committed and evicted. Takes the
//! time and outcomes as arguments, does no I/O, so that any interleaving can
//! be played through.

use std::sync::Arc;
use std::time::Duration;

use springtide_protocol::{OffsetMap, TableName, TableVersion};
use springtide_relation::{
    ChunkId, Coverage, Relation, SegmentData, SegmentFile, TagPartition, TailBatch,
};
use uuid::Uuid;

use super::kept::{Kept, KeptSnapshots};
use super::touched::Touched;
use crate::boundary::{Boundary, Directive, Event, Mark, Phase};
use crate::lake::LakeSnapshot;
use crate::settings::{CommitSettings, TailSettings};
use crate::stream::TopicDescription;
use crate::tail::{Holdings, SealJob, Tail};

/// Most rows of one commit, in multiples of `commit.rows`: a backlog is committed in steps.
const BACKLOG_COMMIT_FACTOR: u64 = 4;
/// Positions that moved without rows are committed this much more rarely than
/// rows, in multiples of `commit.every`.
const IDLE_COMMIT_FACTOR: u32 = 30;

/// The open segment is closed at this share of the memory bound, whatever its rows.
const OPEN_MEMORY_SHARE: u64 = 4;

/// What a core is told once.
#[derive(Clone, Debug)]
pub(crate) struct CoreSettings {
    pub(crate) table: TableName,
    /// Whether there is a stream.
    pub(crate) streamed: bool,
    pub(crate) tag_partition: Option<TagPartition>,
    pub(crate) commit: CommitSettings,
    pub(crate) tail: TailSettings,
    pub(crate) pin_window: Duration,
}

/// One state that can be pinned. Immutable.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) relation: Arc<Relation>,
    /// Start of the last round that it holds everything of (rule 14).
    pub(crate) as_of_micros: Option<i64>,
}

/// Rows and positions that came from the stream.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    pub(crate) batches: Vec<TailBatch>,
    pub(crate) positions: OffsetMap,
}

/// A commit to be carried out.
#[derive(Debug)]
pub(crate) struct CommitJob {
    pub(crate) from: OffsetMap,
    pub(crate) next: OffsetMap,
    pub(crate) topic: TopicDescription,
    pub(crate) decode_epoch: u32,
    pub(crate) parts: Vec<SegmentData>,
    /// A segment that was closed for it, to be written to its file too.
    pub(crate) sealed: Option<SealJob>,
}

/// A round of rule 14 under way.
#[derive(Debug)]
struct Round {
    started_micros: i64,
    high: OffsetMap,
}

/// One table.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) settings: CoreSettings,
    pub(super) kept: KeptSnapshots,
    pub(super) boundary: Boundary,
    pub(super) tail: Tail,
    topic: Option<TopicDescription>,
    published: Option<Arc<Published>>,
    as_of_micros: Option<i64>,
    round: Option<Round>,
    /// Touched since the last change was taken.
    touched: Touched,
    /// The version last announced.
    announced: Option<TableVersion>,
    /// Since when rows wait for a commit.
    waiting_since: Option<i64>,
    pub(super) last_commit_micros: Option<i64>,
    is_committing: bool,
}

impl Core {
    /// A table whose lake was just read.
    pub(crate) fn new(settings: CoreSettings, snapshot: Arc<LakeSnapshot>, now: i64) -> Self {
        let kept = KeptSnapshots::new(Kept::new(snapshot), now);
        let boundary = Boundary::new(mark(&kept.current().snapshot));
        Self {
            settings,
            boundary,
            kept,
            tail: Tail::new(OffsetMap::new(), 0),
            topic: None,
            published: None,
            as_of_micros: None,
            round: None,
            touched: Touched::Table,
            announced: None,
            waiting_since: None,
            last_commit_micros: None,
            is_committing: false,
        }
    }

    /// The snapshot that is current.
    pub(crate) fn snapshot(&self) -> &Arc<LakeSnapshot> {
        &self.kept.current().snapshot
    }

    /// Where the table stands.
    pub(crate) fn phase(&self) -> Phase {
        if self.settings.streamed { self.boundary.phase().clone() } else { Phase::Live }
    }

    /// What the tail holds.
    pub(crate) fn holdings(&self) -> Holdings {
        self.tail.holdings()
    }

    /// Coverage `[start, next)` of the tail.
    pub(crate) fn coverage(&self) -> (OffsetMap, OffsetMap) {
        (self.tail.start().clone(), self.tail.next().clone())
    }

    /// The topic as it was described last.
    pub(crate) const fn topic(&self) -> Option<&TopicDescription> {
        self.topic.as_ref()
    }

    /// The catalog's current snapshot, asked for at `asked_micros`.
    pub(crate) fn install(
        &mut self,
        snapshot: Arc<LakeSnapshot>,
        asked_micros: i64,
        now: i64,
    ) -> Directive {
        if !self.settings.streamed {
            self.as_of_micros = Some(asked_micros);
        }
        let current = self.kept.current();
        if same_state(&current.snapshot, &snapshot) {
            return Directive::None;
        }
        let decoded_anew = current.snapshot.schema_id != snapshot.schema_id
            || current.snapshot.decode_epoch != snapshot.decode_epoch
            || current.snapshot.table_uuid != snapshot.table_uuid;
        let other_rows = current.snapshot.foreign_sequence != snapshot.foreign_sequence
            || decoded_anew
            || !self.boundary.end().covers(&mark(&snapshot).boundary.unwrap_or_default());
        if other_rows {
            // Rows that did not come through our tail: which partitions they are in is not known.
            self.touched.join(Touched::Table);
        }
        self.kept.install(Kept::new(snapshot.clone()), now);
        let directive = self.boundary.step(&Event::Snapshot(&mark(&snapshot)));
        if !decoded_anew {
            return self.followed(directive);
        }
        let directive = match self.boundary.reread() {
            Directive::None if directive == Directive::Stop => Directive::Stop,
            reread => reread,
        };
        self.followed(directive)
    }

    /// The topic as the stream describes it now.
    pub(crate) fn describe(&mut self, topic: TopicDescription) -> Directive {
        let directive = self.boundary.step(&Event::Topic(&topic));
        self.topic = Some(topic);
        self.followed(directive)
    }

    /// The stream does not hold what the reader asked for.
    pub(crate) fn out_of_range(
        &mut self,
        partition: springtide_protocol::PartitionId,
        low: springtide_protocol::Offset,
        high: springtide_protocol::Offset,
    ) -> Directive {
        let directive = self.boundary.step(&Event::OutOfRange { partition, low, high });
        self.followed(directive)
    }

    /// Brings the tail in step with what the boundary decided.
    fn followed(&mut self, directive: Directive) -> Directive {
        match &directive {
            Directive::Read(from) => {
                self.tail = Tail::new(from.clone(), self.tail.next_id());
                self.waiting_since = None;
                self.round = None;
            }
            Directive::Resume(from) => {
                for (partition, start) in from.iter() {
                    self.tail.add_partition(partition, start);
                }
            }
            Directive::None | Directive::Stop => {}
        }
        directive
    }

    /// Takes rows and positions. Rows that are not new are left out.
    pub(crate) fn arrive(&mut self, arrival: Arrival, now: i64) {
        if !self.boundary.is_reading() {
            return;
        }
        let taken = self.tail.append(arrival.batches, &arrival.positions);
        let seen = self.published.as_ref().map(|p| p.relation.version.offsets.clone());
        let seen = seen.unwrap_or_default();
        for batch in &taken {
            let end = springtide_protocol::Offset(i64::MAX);
            let Some(fresh) = batch.window(seen.next(batch.partition), end) else { continue };
            let partition = self.settings.tag_partition.as_ref();
            self.touched.join(Touched::of_rows(&fresh.rows, partition));
        }
        let next = self.tail.next().clone();
        self.boundary.step(&Event::Progress(&next));
        let boundary = self.boundary.boundary().cloned().unwrap_or_default();
        if self.waiting_since.is_none() && !boundary.covers(self.tail.next()) {
            self.waiting_since = Some(now);
        }
    }

    /// Begins a round, where none is under way: `high` was asked for after `started_micros`.
    pub(crate) fn begin_round(&mut self, started_micros: i64, high: OffsetMap) {
        if self.round.is_none() {
            self.round = Some(Round { started_micros, high });
        }
    }

    /// Whether a round waits to be reached.
    pub(crate) const fn has_round(&self) -> bool {
        self.round.is_some()
    }

    /// Closes the open segment where it is large enough.
    pub(crate) fn seal_if_full(&mut self) -> Option<SealJob> {
        let (rows, bytes) = self.tail.open_size();
        let full = rows >= self.settings.tail.segment_rows
            || bytes >= self.settings.tail.memory / OPEN_MEMORY_SHARE;
        full.then(|| self.tail.seal())?
    }

    /// A segment's file is there.
    pub(crate) fn written(&mut self, id: u64, file: Arc<SegmentFile>, bytes: u64) {
        self.tail.written(id, file, bytes);
    }

    /// Whether the stream must not be read on until segments are written or committed.
    pub(crate) fn is_saturated(&self) -> bool {
        let held = self.tail.holdings();
        held.memory_bytes >= self.settings.tail.memory || held.disk_bytes >= self.settings.tail.disk
    }

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
        if self.is_committing || !self.boundary.meets() {
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
        if !(asked || commit.enabled && (full || aged || squeezed)) {
            return None;
        }
        let sealed = self.tail.seal();
        let most = commit.rows.saturating_mul(BACKLOG_COMMIT_FACTOR);
        let (parts, next) = self.tail.committable(&from, most);
        self.is_committing = true;
        let decode_epoch = self.snapshot().decode_epoch;
        Some(CommitJob { from, next, topic, decode_epoch, parts, sealed })
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
            // Tried again after the usual age, not at once.
            self.waiting_since = Some(now);
            return Directive::None;
        };
        self.last_commit_micros = Some(now);
        let directive = self.install(snapshot, asked_micros, now);
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
        while self.tail.holdings().disk_bytes >= self.settings.tail.disk && self.kept.forget_oldest()
        {
            early += 1;
            self.evict_tail();
        }
        early
    }

    fn evict_tail(&mut self) {
        let Some(least) = self.kept.least_boundary() else { return };
        // A chunk that straddles a boundary keeps all its rows at hand.
        let floor = least.iter().map(|(p, o)| (p, ChunkId::containing(p, o).start())).collect();
        if let Some(start) = self.tail.evict(&floor) {
            self.boundary.step(&Event::Evicted(&start));
        }
    }

    /// Makes the present state the one to pin, where it may be. Returns it where
    /// it differs from the last.
    pub(crate) fn publish(&mut self) -> Option<Arc<Published>> {
        let relation = self.relation();
        if let Some(last) = &self.published
            && self.must_hold(&last.relation.version, &relation.version)
        {
            return None;
        }
        let reached = self.round.as_ref().filter(|round| {
            relation.coverage == Coverage::Whole && relation.version.offsets.covers(&round.high)
        });
        if let Some(started) = reached.map(|round| round.started_micros) {
            self.as_of_micros = Some(started);
            self.round = None;
        }
        let whole = relation.coverage == Coverage::Whole;
        let as_of_micros = self.as_of_micros.filter(|_| whole);
        let published = Arc::new(Published { relation: Arc::new(relation), as_of_micros });
        self.published = Some(published.clone());
        Some(published)
    }

    /// The state that was published last.
    pub(crate) const fn published(&self) -> Option<&Arc<Published>> {
        self.published.as_ref()
    }

    /// Pins only grow (rule 2): while the tail is read anew up to where it was, the
    /// last state goes on answering. A gap or a halt is told as it is.
    fn must_hold(&self, last: &TableVersion, new: &TableVersion) -> bool {
        let settled = matches!(self.phase(), Phase::Gap(_) | Phase::Halted(_));
        let same = last.table_uuid == new.table_uuid;
        same && !settled && !new.offsets.covers(&last.offsets)
    }

    /// The change since the last one taken: the version and what it touches. A
    /// version that moved without rows touches nothing.
    pub(crate) fn take_change(&mut self) -> Option<(TableVersion, Touched)> {
        let version = &self.published.as_ref()?.relation.version;
        if self.announced.as_ref() == Some(version) {
            return None;
        }
        self.announced = Some(version.clone());
        Some((version.clone(), std::mem::take(&mut self.touched)))
    }

    /// Whether [`Self::take_change`] would give something.
    pub(crate) fn has_change(&self) -> bool {
        let version = self.published.as_ref().map(|p| &p.relation.version);
        version.is_some() && self.announced.as_ref() != version
    }

    pub(super) fn version_at(&self, snapshot: &LakeSnapshot, offsets: OffsetMap) -> TableVersion {
        let described = self.topic.as_ref().map(|topic| topic.topic_id);
        let topic_id = if self.settings.streamed { snapshot.topic_id.or(described) } else { None };
        TableVersion {
            table_uuid: snapshot.table_uuid,
            topic_id,
            schema_id: snapshot.schema_id,
            decode_epoch: snapshot.decode_epoch,
            foreign_sequence: snapshot.foreign_sequence,
            offsets,
        }
    }
}

/// Whether two snapshots are one state of the table.
fn same_state(a: &LakeSnapshot, b: &LakeSnapshot) -> bool {
    a.snapshot_id == b.snapshot_id
        && a.schema_id == b.schema_id
        && a.table_uuid == b.table_uuid
        && a.decode_epoch == b.decode_epoch
}

fn mark(snapshot: &LakeSnapshot) -> Mark {
    let topic_id: Option<Uuid> = snapshot.topic_id;
    Mark { boundary: snapshot.boundary.known().cloned(), topic_id }
}
