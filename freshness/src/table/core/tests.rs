//! The core against a model of stream and lake, over any interleaving of
//! produce, poll, commit, other committers, rollback, eviction, retention and
//! restart: no row twice, none missing, at every version.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use springtide_relation::{ChunkId, ColumnStatistics, Coverage, Scalar};

mod acts;
mod checks;

use acts::{Act, act};
use checks::{check_chunks, gathered, tail_rows};

use super::*;
use crate::lake::LakeBoundary;
use crate::statistics::column_statistics;
use crate::stream::Watermarks;
use crate::table::NotExact;

/// Records lie this far apart, so that a few pass a chunk of 1,024 offsets.
const STEP: i64 = 300;
const PARTITIONS: i32 = 2;
const WINDOW_S: i64 = 60;

type Rows = BTreeSet<(i32, i64)>;

/// A snapshot of the model's lake.
#[derive(Clone)]
struct Commit {
    snapshot: Arc<LakeSnapshot>,
    rows: Rows,
    /// When it became current.
    at: i64,
}

/// Stream, lake and clock, and the core under test with its reader.
struct World {
    /// Offsets with a row, and the end, by partition.
    log: Vec<(BTreeSet<i64>, i64)>,
    low: Vec<i64>,
    /// Every snapshot ever made; the last of the chain is current.
    chain: Vec<Commit>,
    next_snapshot: i64,
    core: Core,
    reader: Option<OffsetMap>,
    in_flight: Option<(CommitJob, Rows)>,
    now: i64,
    /// Versions that were published, with when.
    issued: Vec<(TableVersion, i64)>,
    rolled_back: bool,
    restarted: bool,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]))
}

const fn id(partition: i32, offset: i64) -> i64 {
    partition as i64 * 1_000_000 + offset
}

fn batch(partition: i32, offsets: &[i64]) -> TailBatch {
    let ids = Int64Array::from_iter_values(offsets.iter().map(|o| id(partition, *o)));
    TailBatch {
        partition: PartitionId(partition),
        offsets: Int64Array::from(offsets.to_vec()),
        rows: RecordBatch::try_new(schema(), vec![Arc::new(ids)]).unwrap(),
    }
}

fn chunks_of(rows: &Rows) -> BTreeMap<ChunkId, Arc<[ColumnStatistics]>> {
    let mut by_chunk: BTreeMap<ChunkId, Vec<i64>> = BTreeMap::new();
    for (p, o) in rows {
        let id = ChunkId::containing(PartitionId(*p), Offset(*o));
        by_chunk.entry(id).or_default().push(*o);
    }
    let with_bounds = by_chunk.into_iter().map(|(id, offsets)| {
        let rows = batch(id.partition.0, &offsets).rows;
        (id, column_statistics(&rows).into())
    });
    with_bounds.collect()
}

impl World {
    fn new() -> Self {
        let first = Commit {
            snapshot: snapshot(0, OffsetMap::new(), 0, &Rows::new()),
            rows: Rows::new(),
            at: 0,
        };
        let core = Core::new(core_settings(), first.snapshot.clone(), None, 0);
        let mut world = Self {
            log: vec![(BTreeSet::new(), 0); PARTITIONS as usize],
            low: vec![0; PARTITIONS as usize],
            chain: vec![first],
            next_snapshot: 1,
            core,
            reader: None,
            in_flight: None,
            now: 0,
            issued: Vec::new(),
            rolled_back: false,
            restarted: false,
        };
        world.describe();
        world
    }

    fn current(&self) -> &Commit {
        self.chain.last().unwrap()
    }

    fn boundary(&self) -> OffsetMap {
        self.current().snapshot.boundary.known().unwrap().clone()
    }

    /// The ancestor that an opened table is told of.
    fn former(&self) -> Option<Arc<LakeSnapshot>> {
        let pairs = self.chain.windows(2).rev();
        let recent = pairs.take_while(|pair| {
            let (parent, child) = (&pair[0].snapshot, &pair[1].snapshot);
            parent.foreign_sequence == child.foreign_sequence
                && pair[1].at > self.now - WINDOW_S * 1_000_000
        });
        recent.last().map(|pair| pair[0].snapshot.clone())
    }

    fn describe(&mut self) {
        let marks = (0..PARTITIONS).map(|p| {
            let (low, high) = (self.low[p as usize], self.log[p as usize].1);
            (PartitionId(p), Watermarks { low: Offset(low), high: Offset(high) })
        });
        let topic = TopicDescription {
            topic: "t".to_owned(),
            topic_id: Uuid::from_u128(7),
            cluster: "c".to_owned(),
            watermarks: marks.collect(),
        };
        let directive = self.core.describe(topic);
        self.follow(directive);
    }

    fn follow(&mut self, directive: Directive) {
        match directive {
            Directive::None => {}
            Directive::Stop => self.reader = None,
            Directive::Read(from) | Directive::Resume(from) => self.reader = Some(from),
        }
    }

    /// Adds a snapshot to the lake, without telling the core.
    fn push(&mut self, next: OffsetMap, foreign: i64, rows: Rows) -> Arc<LakeSnapshot> {
        let made = snapshot(self.next_snapshot, next, foreign, &rows);
        self.next_snapshot += 1;
        self.chain.push(Commit { snapshot: made.clone(), rows, at: self.now });
        made
    }

    fn log_rows(&self, from: &OffsetMap, to: &OffsetMap) -> Rows {
        let partitions = 0..PARTITIONS;
        let rows = partitions.flat_map(|p| {
            let (from, to) = (from.next(PartitionId(p)).0, to.next(PartitionId(p)).0);
            self.log[p as usize]
                .0
                .iter()
                .filter(move |o| (from..to).contains(o))
                .map(move |o| (p, *o))
        });
        rows.collect()
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Produce { partition, rows, gap } => {
                let (offsets, end) = &mut self.log[*partition as usize];
                for _ in 0..*rows {
                    offsets.insert(*end);
                    *end += STEP;
                }
                // A control record, or what was aborted or compacted away.
                *end += if *gap { 2 * STEP } else { 0 };
            }
            Act::Poll { most } => self.poll(i64::from(*most)),
            Act::BeginCommit => {
                if let Some(job) = self.core.plan_commit(true, self.now) {
                    let rows = gathered(&job);
                    assert_eq!(rows, self.log_rows(&job.from, &job.next), "what is committed");
                    self.in_flight = Some((job, rows));
                }
            }
            Act::EndCommit { lands, is_told } => self.end_commit(*lands, *is_told),
            Act::OtherCommitter { share } => self.other_committer(i64::from(*share)),
            Act::Foreign => {
                let (next, current) = (self.boundary(), self.current());
                let (foreign, rows) = (self.next_snapshot, current.rows.clone());
                self.push(next, foreign, rows);
                self.refresh();
            }
            Act::Rollback => {
                if self.chain.len() > 1 {
                    self.chain.pop();
                    self.rolled_back = true;
                    self.refresh();
                }
            }
            Act::Retention { behind_lake } => self.expire_log(*behind_lake),
            Act::Refresh => {
                self.refresh();
                self.describe();
            }
            Act::Wait { seconds } => {
                self.now += i64::from(*seconds) * 1_000_000;
                self.core.evict(self.now);
            }
            Act::Restart => {
                let (current, former) = (self.current().snapshot.clone(), self.former());
                self.core = Core::new(core_settings(), current, former, self.now);
                (self.reader, self.in_flight) = (None, None);
                self.restarted = true;
                self.describe();
            }
            Act::Pin { which } => self.pin_again(usize::from(*which)),
        }
        // Its file is never written here: the copy in memory serves.
        drop(self.core.seal_if_full());
        self.publish();
    }

    fn poll(&mut self, most: i64) {
        let Some(mut positions) = self.reader.clone() else { return };
        let mut batches = Vec::new();
        for p in 0..PARTITIONS {
            let (offsets, end) = &self.log[p as usize];
            let from = positions.next(PartitionId(p)).0;
            if from < self.low[p as usize] {
                let (low, high) = (Offset(self.low[p as usize]), Offset(*end));
                let directive = self.core.out_of_range(PartitionId(p), low, high);
                self.follow(directive);
                return;
            }
            let to = (*end).min(from + most * STEP);
            let taken: Vec<i64> = offsets.range(from..to).copied().collect();
            if !taken.is_empty() {
                batches.push(batch(p, &taken));
            }
            positions.set(PartitionId(p), Offset(to.max(from)));
        }
        self.reader = Some(positions.clone());
        self.core.arrive(Arrival { batches, positions }, self.now);
    }

    /// A commit that lands without our being told is seen at the next refresh.
    fn end_commit(&mut self, lands: bool, is_told: bool) {
        let Some((job, rows)) = self.in_flight.take() else { return };
        // The fence.
        let fenced = self.boundary() != job.from;
        let made = (!fenced && lands).then(|| {
            let foreign = self.current().snapshot.foreign_sequence;
            let rows = self.current().rows.union(&rows).copied().collect();
            self.push(job.next.clone(), foreign, rows)
        });
        let directive = self.core.committed(made.filter(|_| is_told), self.now, self.now);
        self.follow(directive);
    }

    /// Another replica commits a part of the log, maybe beyond what we have read.
    fn other_committer(&mut self, share: i64) {
        let from = self.boundary();
        let next = (0..PARTITIONS).map(|p| {
            let (_, end) = &self.log[p as usize];
            let start = from.next(PartitionId(p)).0;
            // It may also stop between two records.
            let wanted = start + (*end - start).max(0) * share / 255;
            (PartitionId(p), Offset(wanted.max(self.low[p as usize].max(start))))
        });
        let next: OffsetMap = next.collect();
        let lost = (0..PARTITIONS).any(|p| self.low[p as usize] > from.next(PartitionId(p)).0);
        if lost {
            return;
        }
        let taken = self.log_rows(&from, &next);
        let rows = self.current().rows.union(&taken).copied().collect();
        let foreign = self.current().snapshot.foreign_sequence;
        self.push(next, foreign, rows);
        self.refresh();
    }

    /// Retention takes the oldest records, at most up to the lake's boundary or beyond it.
    fn expire_log(&mut self, behind_lake: bool) {
        let boundary = self.boundary();
        for p in 0..PARTITIONS {
            let end = self.log[p as usize].1;
            let low = if behind_lake { boundary.next(PartitionId(p)).0 } else { end };
            self.low[p as usize] = self.low[p as usize].max(low.min(end));
        }
    }

    fn refresh(&mut self) {
        let snapshot = self.current().snapshot.clone();
        let directive = self.core.install(snapshot, self.now, self.now);
        self.follow(directive);
    }

    fn publish(&mut self) {
        let before = self.core.published().map(|p| p.relation.version.clone());
        let Some(published) = self.core.publish() else { return };
        let relation = &published.relation;
        self.check(relation);
        let rolled_back = std::mem::take(&mut self.rolled_back);
        if let Some(before) = before {
            let grew = relation.version.offsets.covers(&before.offsets);
            let settled = matches!(self.core.phase(), Phase::Gap(_) | Phase::Halted(_));
            assert!(grew || settled, "{before:?} to {:?}", relation.version);
            let same = before.offsets == relation.version.offsets;
            if same && !rolled_back && before.foreign_sequence == relation.version.foreign_sequence
            {
                assert_eq!(before, relation.version, "equal content, equal version");
            }
        }
        self.issued.push((relation.version.clone(), self.now));
    }

    /// Rows of the snapshot and of the tail's window: every row below the end, once.
    fn check(&self, relation: &Relation) {
        let end = &relation.version.offsets;
        let snapshot_id = relation.guard.downcast_ref::<LakeSnapshot>().unwrap().snapshot_id;
        let lake = self.every_commit(snapshot_id);
        let expected = self.log_rows(&OffsetMap::new(), end);
        if relation.coverage == Coverage::SnapshotOnly {
            assert!(relation.segments.is_empty());
            assert_eq!(lake, expected, "the snapshot alone");
        }
        let tail = tail_rows(relation);
        let twice: Vec<_> = tail.iter().filter(|row| lake.contains(row)).collect();
        assert!(twice.is_empty(), "twice: {twice:?}");
        let found: Rows = lake.union(&tail).copied().collect();
        assert_eq!(found, expected, "{relation:?}");
        check_chunks(relation, &expected);
    }

    /// The model's rows of a snapshot, also of one that was rolled back.
    fn every_commit(&self, snapshot_id: Option<i64>) -> Rows {
        let found = self.chain.iter().find(|commit| commit.snapshot.snapshot_id == snapshot_id);
        found.map(|commit| commit.rows.clone()).unwrap_or_default()
    }

    fn pin_again(&mut self, which: usize) {
        if self.issued.is_empty() {
            return;
        }
        let (version, at) = self.issued[which % self.issued.len()].clone();
        match self.core.exact(&version) {
            Ok(exact) => {
                assert_eq!(exact.relation.version, version);
                assert!(exact.missing.is_empty(), "nothing was written to files");
                self.check(&exact.relation);
            }
            Err(NotExact::NotYet) => {
                assert!(self.restarted || self.ever_disturbed(), "{version:?} was issued");
            }
            Err(NotExact::Future) => assert!(self.ever_disturbed(), "{version:?} was issued"),
            Err(NotExact::Gone) => {
                let in_window = at + WINDOW_S * 1_000_000 > self.now;
                // An earlier life's versions are kept as far back as our own commits follow
                // each other.
                let foreign = self.chain.iter().any(|c| c.snapshot.foreign_sequence != 0);
                let excused = self.ever_disturbed() || self.restarted && foreign;
                assert!(!in_window || excused, "{version:?} is gone too early");
            }
        }
    }

    /// Whether a rollback or lost records may have taken versions away early.
    fn ever_disturbed(&self) -> bool {
        let ids = self.chain.iter().filter_map(|c| c.snapshot.snapshot_id);
        let complete = ids.eq(0..self.next_snapshot);
        let kept = (0..PARTITIONS).all(|p| self.low[p as usize] == 0);
        !complete || !kept
    }
}

fn snapshot(id: i64, next: OffsetMap, foreign: i64, rows: &Rows) -> Arc<LakeSnapshot> {
    let committed = !next.is_empty();
    Arc::new(LakeSnapshot {
        snapshot_id: Some(id),
        table_uuid: Uuid::from_u128(1),
        schema_id: 0,
        schema: schema(),
        boundary: LakeBoundary::Known(next),
        topic_id: committed.then(|| Uuid::from_u128(7)),
        foreign_sequence: foreign,
        sequence: id,
        decode_epoch: 1,
        files: Arc::new([]),
        chunks: Arc::new(chunks_of(rows)),
    })
}

fn core_settings() -> CoreSettings {
    CoreSettings {
        table: "t".parse().unwrap(),
        streamed: true,
        tag_partition: None,
        commit: CommitSettings { rows: 10, ..CommitSettings::default() },
        tail: TailSettings { segment_rows: 4, ..TailSettings::default() },
        pin_window: Duration::from_secs(WINDOW_S as u64),
        decode_epoch: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn every_version_has_every_row_once(acts in prop::collection::vec(act(), 1..60)) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
        }
    }
}

fn topic(id: u128, high: i64) -> TopicDescription {
    let marks = Watermarks { low: Offset(0), high: Offset(high) };
    let watermarks = (0..PARTITIONS).map(|p| (PartitionId(p), marks)).collect();
    let (topic, cluster) = ("t".to_owned(), "c".to_owned());
    TopicDescription { topic, topic_id: Uuid::from_u128(id), cluster, watermarks }
}

/// A table that has read some rows and committed none of them.
fn with_rows() -> Core {
    let empty = snapshot(0, OffsetMap::new(), 0, &Rows::new());
    let mut core = Core::new(core_settings(), empty, None, 0);
    core.describe(topic(7, 0));
    let positions = (0..PARTITIONS).map(|p| (PartitionId(p), Offset(3))).collect();
    core.arrive(Arrival { batches: vec![batch(0, &[0, 1, 2])], positions }, 1);
    core.publish();
    core
}

#[test]
fn a_halted_table_commits_nothing() {
    assert!(with_rows().plan_commit(true, 2).is_some(), "it would have");
    let mut core = with_rows();
    core.out_of_range(PartitionId(0), Offset(0), Offset(1));
    assert!(matches!(core.phase(), Phase::Halted(_)));
    assert!(core.plan_commit(true, 2).is_none());
}

#[test]
fn a_refused_topic_lends_its_identity_to_nothing() {
    let mut core = with_rows();
    let before = core.published().unwrap().relation.version.clone();
    core.describe(topic(8, 0));
    assert!(matches!(core.phase(), Phase::Halted(_)));
    core.publish();
    assert_eq!(core.topic().map(|t| t.topic_id), before.topic_id);
    assert_eq!(core.published().unwrap().relation.version, before);
}

#[test]
fn after_a_restart_the_stream_is_read_from_where_versions_of_before_begin() {
    let at = |next: i64| -> OffsetMap { [(PartitionId(0), Offset(next))].into_iter().collect() };
    let (old, new) =
        (snapshot(1, at(1100), 0, &Rows::new()), snapshot(2, at(5000), 0, &Rows::new()));
    let from = |former| {
        let mut core = Core::new(core_settings(), new.clone(), former, 0);
        match core.describe(topic(7, 6000)) {
            Directive::Read(from) => from.next(PartitionId(0)).0,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(from(None), 4096);
    assert_eq!(from(Some(old)), 1024);
    let far = snapshot(1, at(5000 - REREAD_OFFSETS - 1), 0, &Rows::new());
    assert_eq!(from(Some(far)), 4096, "too far back to be read again");
}

#[test]
fn rows_that_are_decoded_otherwise_elsewhere_are_left_to_others() {
    let own = || CoreSettings { decode_epoch: Some(1), ..core_settings() };
    let empty = snapshot(0, OffsetMap::new(), 0, &Rows::new());
    let mut core = Core::new(own(), empty.clone(), None, 0);
    core.describe(topic(7, 0));
    let positions = (0..PARTITIONS).map(|p| (PartitionId(p), Offset(3))).collect();
    core.arrive(Arrival { batches: vec![batch(0, &[0, 1, 2])], positions }, 1);
    core.publish();
    // Another process raises the epoch: nothing that was decoded here is told under it.
    let raised = Arc::new(LakeSnapshot { decode_epoch: 2, ..(*empty).clone() });
    assert_eq!(core.install(raised.clone(), 2, 2), Directive::Stop);
    assert!(matches!(core.phase(), Phase::Halted(_)));
    assert!(core.plan_commit(true, 3).is_none());
    core.publish();
    let relation = core.published().unwrap().relation.clone();
    assert_eq!((relation.coverage, relation.segments.len()), (Coverage::SnapshotOnly, 0));
    assert_eq!(relation.version.decode_epoch, 2);
    assert!(relation.version.offsets.is_empty());
    // Nor is it read by one that begins with it.
    let mut late = Core::new(own(), raised, None, 0);
    assert_eq!(late.describe(topic(7, 0)), Directive::None);
    assert!(matches!(late.phase(), Phase::Halted(_)));
}

#[test]
fn a_commit_that_failed_is_not_tried_again_at_once() {
    let mut core = with_rows();
    core.settings.commit.rows = 1;
    assert!(core.plan_commit(false, 10).is_some(), "it is full");
    core.committed(None, 10, 10);
    assert!(core.plan_commit(false, 11).is_none());
    assert!(core.plan_commit(true, 11).is_some(), "but where it is asked for");
    core.committed(None, 11, 11);
    let second = 1_000_000;
    assert!(core.plan_commit(false, 11 + second).is_none(), "the pause grows");
    assert!(core.plan_commit(false, 11 + 2 * second).is_some());
}

#[test]
fn versions_that_a_compacted_stream_cannot_give_back_are_gone() {
    let rows = |offsets: &[i64]| -> Rows { offsets.iter().map(|o| (0, *o)).collect() };
    let at = |next: i64| -> OffsetMap { [(PartitionId(0), Offset(next))].into_iter().collect() };
    let former = snapshot(1, at(2), 0, &rows(&[0, 1]));
    let current = snapshot(2, at(6), 0, &rows(&[0, 1, 2, 3, 4, 5]));
    let asked = |left: &[i64]| {
        let mut core = Core::new(core_settings(), current.clone(), Some(former.clone()), 0);
        core.describe(topic(7, 6));
        core.publish();
        let version = core.version_at(&former, at(4));
        assert!(matches!(core.exact(&version), Err(NotExact::NotYet)), "it is being read");
        let positions = (0..PARTITIONS).map(|p| (PartitionId(p), Offset(6))).collect();
        core.arrive(Arrival { batches: vec![batch(0, left)], positions }, 1);
        core.publish();
        core.exact(&version).map(|exact| exact.relation.version)
    };
    assert!(asked(&[0, 1, 2, 3, 4, 5]).is_ok());
    assert_eq!(asked(&[0, 1, 2, 4, 5]).unwrap_err(), NotExact::Gone, "3 was compacted away");
}
