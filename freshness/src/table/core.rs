//! The deciding part of one table's runtime: what came from stream and lake,
//! what can be pinned, what is to be sealed, committed and evicted. Takes the
//! time and outcomes as arguments, does no I/O, so that any interleaving can
//! be played through.

use std::sync::Arc;
use std::time::Duration;

use springtide_protocol::{Offset, OffsetMap, PartitionId, TableName, TableVersion};
use springtide_relation::{Relation, SegmentData, SegmentFile, TagPartition, TailBatch};
use uuid::Uuid;

mod commits;
mod publishing;

use super::kept::{Kept, KeptSnapshots};
use super::touched::Touched;
use crate::boundary::{Boundary, Directive, Event, Mark, Phase};
use crate::lake::LakeSnapshot;
use crate::settings::{CommitSettings, TailSettings};
use crate::stream::TopicDescription;
use crate::tail::{Holdings, SealJob, Tail};

/// The open segment is closed at this share of the memory bound, whatever its rows.
const OPEN_MEMORY_SHARE: u64 = 4;

/// Offsets below the boundary that are read again for the sake of versions that were
/// issued before a restart: some seconds of reading.
pub(crate) const REREAD_OFFSETS: i64 = 1_000_000;

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
    /// The decode epoch of this process; `None`: any.
    pub(crate) decode_epoch: Option<u32>,
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
    /// The topic that the rows were read from.
    pub(crate) topic: TopicDescription,
    pub(crate) schema_id: i32,
    pub(crate) decode_epoch: u32,
    pub(crate) parts: Vec<SegmentData>,
    /// A segment that was closed for it, to be written to its file too.
    pub(crate) sealed: Option<SealJob>,
}

/// As-of: the start of a round, and what had to be read for it.
#[derive(Clone, Debug, Default)]
struct AsOf {
    micros: i64,
    high: OffsetMap,
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
    pub(crate) boundary: Boundary,
    pub(super) tail: Tail,
    topic: Option<TopicDescription>,
    published: Option<Arc<Published>>,
    as_of: Option<AsOf>,
    round: Option<Round>,
    /// Touched since the last change was taken.
    touched: Touched,
    /// The version last announced.
    announced: Option<TableVersion>,
    /// Since when rows wait for a commit.
    waiting_since: Option<i64>,
    pub(super) last_commit_micros: Option<i64>,
    is_committing: bool,
    /// The snapshot at which reading began below its boundary, for the sake of earlier versions.
    pub(super) reread: Option<Arc<LakeSnapshot>>,
    /// Commits that failed one after the other, and when the next may be tried.
    commit_failures: u32,
    commit_not_before: i64,
}

impl Core {
    /// A table whose lake was just read.
    /// `former`: the ancestor of its snapshot that versions issued by an earlier life may need.
    pub(crate) fn new(
        settings: CoreSettings,
        snapshot: Arc<LakeSnapshot>,
        former: Option<Arc<LakeSnapshot>>,
        now: i64,
    ) -> Self {
        let window = i64::try_from(settings.pin_window.as_micros()).unwrap_or(i64::MAX);
        let mut kept = KeptSnapshots::new(Kept::new(snapshot), now, window);
        if let Some(former) = former {
            kept.keep_ancestor(Kept::new(former), now);
        }
        let mut boundary = Boundary::new(mark(&kept.current().snapshot));
        if let Some(event) = decoded_otherwise(&settings, &kept.current().snapshot) {
            boundary.step(&event);
        }
        Self {
            settings,
            boundary,
            kept,
            tail: Tail::new(OffsetMap::new(), 0),
            topic: None,
            published: None,
            as_of: None,
            round: None,
            touched: Touched::Table,
            announced: None,
            waiting_since: None,
            last_commit_micros: None,
            is_committing: false,
            reread: None,
            commit_failures: 0,
            commit_not_before: i64::MIN,
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

    /// The topic that is read, as it was described last.
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
            self.as_of = Some(AsOf { micros: asked_micros, high: OffsetMap::new() });
        }
        let current = self.kept.current();
        if same_state(&current.snapshot, &snapshot) {
            return Directive::None;
        }
        let decoded_anew = current.snapshot.schema_id != snapshot.schema_id
            || current.snapshot.decode_epoch != snapshot.decode_epoch
            || current.snapshot.table_uuid != snapshot.table_uuid;
        let boundary = snapshot.boundary.known().cloned().unwrap_or_default();
        if decoded_anew {
            self.touched.join(Touched::Table);
        } else if current.snapshot.foreign_sequence != snapshot.foreign_sequence
            || !self.boundary.end().covers(&boundary)
        {
            // Rows that did not come through our tail.
            let files: (&[_], &[_]) = (&current.snapshot.files, &snapshot.files);
            let partition = self.settings.tag_partition.as_ref();
            self.touched.join(Touched::of_files(files, &snapshot.schema, partition));
        }
        let covered = (self.tail.start(), self.tail.next());
        self.kept.install(Kept::new(snapshot.clone()), covered, now);
        self.reach_back();
        let mut directive = self.boundary.step(&Event::Snapshot(&mark(&snapshot)));
        if let Some(event) = decoded_otherwise(&self.settings, &snapshot) {
            directive = self.boundary.step(&event);
        }
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
        self.reach_back();
        let directive = self.boundary.step(&Event::Topic(&topic));
        // A topic that was refused lends its identity to nothing.
        if !matches!(self.boundary.phase(), Phase::Halted(_)) {
            self.topic = Some(topic);
        }
        self.followed(directive)
    }

    /// The stream does not hold what the reader asked for.
    pub(crate) fn out_of_range(
        &mut self,
        partition: PartitionId,
        low: Offset,
        high: Offset,
    ) -> Directive {
        self.reach_back();
        let directive = self.boundary.step(&Event::OutOfRange { partition, low, high });
        self.followed(directive)
    }

    /// Wherever reading begins now, it begins where kept versions do.
    fn reach_back(&mut self) {
        self.boundary.reach_back(self.kept.floor(REREAD_OFFSETS));
    }

    /// Brings the tail in step with what the boundary decided.
    fn followed(&mut self, directive: Directive) -> Directive {
        match &directive {
            Directive::Read(from) => {
                self.tail = Tail::new(from.clone(), self.tail.next_id());
                self.waiting_since = None;
                self.round = None;
                self.reread = Some(self.snapshot().clone());
            }
            Directive::Resume(from) => {
                for (partition, start) in from.iter() {
                    self.tail.add_partition(partition, start);
                }
            }
            Directive::Stop => self.round = None,
            Directive::None => {}
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
            let end = Offset(i64::MAX);
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
    /// Where the stream is not read, its end says nothing of what is answered.
    pub(crate) fn begin_round(&mut self, started_micros: i64, high: OffsetMap) {
        if self.wants_round() {
            self.round = Some(Round { started_micros, high });
        }
    }

    /// Whether a round may begin.
    pub(crate) const fn wants_round(&self) -> bool {
        self.round.is_none() && self.boundary.is_reading()
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

/// Where rows are decoded by another policy than this process has: what it reads would be
/// told under a version that is not its own.
fn decoded_otherwise(settings: &CoreSettings, snapshot: &LakeSnapshot) -> Option<Event<'static>> {
    let own = settings.decode_epoch?;
    let recorded = snapshot.decode_epoch;
    (own != recorded).then_some(Event::DecodedOtherwise { own, recorded })
}

fn mark(snapshot: &LakeSnapshot) -> Mark {
    let topic_id: Option<Uuid> = snapshot.topic_id;
    Mark { boundary: snapshot.boundary.known().cloned(), topic_id }
}

#[cfg(test)]
mod tests;
