//! One process: the real core with a reader, its inboxes and its commit, as the table's
//! loop joins them. Whatever it asks for is answered later, or never.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use springtide_protocol::{Offset, OffsetMap, PartitionId, TableVersion};
use springtide_relation::{SegmentFile, TailBatch};

use super::catalog::Catalog;
use super::committer::{Committer, Ended};
use super::random::Random;
use super::rows;
use super::stream::Stream;
use crate::boundary::Directive;
use crate::lake::LakeSnapshot;
use crate::settings::{CommitSettings, TailSettings};
use crate::stream::TopicDescription;
use crate::table::core::{Arrival, Core, CoreSettings, REREAD_OFFSETS};
use crate::tail::SealJob;

/// How long versions are kept.
pub(super) const WINDOW_S: i64 = 60;
/// Arrivals that wait to be taken in.
const WAITING: usize = 4;

/// What watching the topic brought.
#[derive(Debug)]
enum Sighting {
    Described(TopicDescription),
    Round(i64, OffsetMap),
}

/// What the intake brought.
#[derive(Debug)]
enum Intake {
    Arrived(Arrival),
    OutOfRange(PartitionId, Offset, Offset),
}

/// A reader, bound to one topic and decoding.
#[derive(Debug)]
struct Reader {
    topic: u128,
    schema_id: i32,
    epoch: u32,
    positions: OffsetMap,
    events: VecDeque<Intake>,
    ended: bool,
}

/// A process that lives.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) core: Core,
    reader: Option<Reader>,
    sighting: Option<Sighting>,
    refreshed: Option<(Arc<LakeSnapshot>, i64, u64)>,
    commits_ended: u64,
    committer: Option<Committer>,
    committed: Option<(Ended, i64)>,
    jobs: Vec<SealJob>,
    /// Segment files by path.
    files: BTreeMap<PathBuf, Vec<TailBatch>>,
    /// Versions that it issued, and when it last did.
    pub(super) issued: Vec<(TableVersion, i64)>,
    /// Whether a gap, a halt or another schema may have cost versions of before.
    pub(super) disturbed: bool,
    pub(super) halted_at: Option<i64>,
}

/// A process that may be down, or about to open.
#[derive(Debug, Default)]
pub(super) struct Replica {
    pub(super) life: Option<Life>,
    opening: Option<Arc<LakeSnapshot>>,
}

fn settings() -> CoreSettings {
    CoreSettings {
        table: "t".parse().unwrap(),
        streamed: true,
        tag_partition: None,
        commit: CommitSettings {
            rows: 10,
            every: Duration::from_secs(5),
            ..CommitSettings::default()
        },
        tail: TailSettings { segment_rows: 4, ..TailSettings::default() },
        pin_window: Duration::from_secs(WINDOW_S.unsigned_abs()),
        decode_epoch: None,
    }
}

impl Replica {
    /// Everything that was not durable is gone.
    pub(super) fn crash(&mut self) {
        (self.life, self.opening) = (None, None);
    }

    /// The lake is read, then the ancestor that versions of before need.
    pub(super) fn open(&mut self, catalog: &mut Catalog, now: i64) {
        let Some(snapshot) = self.opening.take() else {
            self.opening = Some(catalog.refresh());
            return;
        };
        let former = catalog.former(now - WINDOW_S * 1_000_000, REREAD_OFFSETS);
        let mut core = Core::new(settings(), snapshot.clone(), former, now);
        core.install(snapshot, now, now);
        self.life = Some(Life {
            core,
            reader: None,
            sighting: None,
            refreshed: None,
            commits_ended: 0,
            committer: None,
            committed: None,
            jobs: Vec::new(),
            files: BTreeMap::new(),
            issued: Vec::new(),
            disturbed: false,
            halted_at: None,
        });
    }
}

impl Life {
    fn follow(&mut self, directive: Directive) {
        match directive {
            Directive::None => {}
            Directive::Stop => self.reader = None,
            Directive::Read(positions) | Directive::Resume(positions) => {
                let snapshot = self.core.snapshot();
                let topic = self.core.topic().map(|topic| topic.topic_id.as_u128());
                let (schema_id, epoch) = (snapshot.schema_id, snapshot.decode_epoch);
                // What an earlier reader has on its way goes with it.
                let events = VecDeque::new();
                self.reader = topic.map(|topic| Reader {
                    topic,
                    schema_id,
                    epoch,
                    positions,
                    events,
                    ended: false,
                });
            }
        }
    }

    /// Asks what the topic is, or begins a round.
    pub(super) fn look(&mut self, stream: &Stream, describes: bool, now: i64) {
        if self.sighting.is_none() {
            let highs = || stream.topic().highs();
            self.sighting = Some(if describes {
                Sighting::Described(stream.describe())
            } else {
                Sighting::Round(now, highs())
            });
        }
    }

    pub(super) fn take_sighting(&mut self) {
        match self.sighting.take() {
            Some(Sighting::Described(topic)) => {
                let directive = self.core.describe(topic);
                self.follow(directive);
            }
            Some(Sighting::Round(started, high)) => self.core.begin_round(started, high),
            None => {}
        }
    }

    pub(super) fn ask_lake(&mut self, catalog: &mut Catalog, now: i64) {
        if self.refreshed.is_none() {
            self.refreshed = Some((catalog.refresh(), now, self.commits_ended));
        }
    }

    pub(super) fn take_lake(&mut self, now: i64) {
        let Some((snapshot, asked, commits)) = self.refreshed.take() else { return };
        if commits == self.commits_ended {
            let directive = self.core.install(snapshot, asked, now);
            self.follow(directive);
        }
    }

    /// Polls some of the partitions up to so many offsets on.
    pub(super) fn read(&mut self, stream: &Stream, random: &mut Random) {
        let Some(reader) = &mut self.reader else { return };
        if reader.ended || reader.events.len() >= WAITING {
            return;
        }
        let topic = stream.topic();
        let each: Vec<_> = reader.positions.iter().collect();
        // What it reads next is gone: told by the broker. Else a reader knows its topic.
        let out = each.iter().find_map(|(p, next)| {
            let partition = topic.partitions.get(usize::try_from(p.0).unwrap())?;
            let (low, high) = (partition.low, partition.high());
            (next.0 < low || next.0 > high).then_some((*p, Offset(low), Offset(high)))
        });
        if let Some((p, low, high)) = out {
            reader.ended = true;
            reader.events.push_back(Intake::OutOfRange(p, low, high));
            return;
        }
        if topic.id != reader.topic {
            return;
        }
        let schema = rows::schema(reader.schema_id);
        let mut batches = Vec::new();
        for (p, next) in each {
            if random.chance(25) {
                continue;
            }
            let (offsets, to) = stream.read(p.0, next.0, random.range(1, 900));
            if !offsets.is_empty() {
                batches.push(rows::batch(&schema, reader.epoch, reader.topic, p.0, &offsets));
            }
            reader.positions.set(p, Offset(to));
        }
        let positions = reader.positions.clone();
        reader.events.push_back(Intake::Arrived(Arrival { batches, positions }));
    }

    pub(super) fn take_arrival(&mut self, now: i64) {
        if self.core.is_saturated() {
            return;
        }
        match self.reader.as_mut().and_then(|reader| reader.events.pop_front()) {
            Some(Intake::Arrived(arrival)) => self.core.arrive(arrival, now),
            Some(Intake::OutOfRange(p, low, high)) => {
                let directive = self.core.out_of_range(p, low, high);
                self.follow(directive);
            }
            None => {}
        }
    }

    /// An intake that ended by itself is started anew where there is something to read.
    pub(super) fn revive(&mut self) {
        let ended = self.reader.as_ref().is_some_and(|r| r.ended && r.events.is_empty());
        if ended && self.core.boundary.is_reading() {
            let next = self.core.coverage().1;
            self.follow(Directive::Resume(next));
        }
    }

    /// A segment's file gets there.
    pub(super) fn write_segment(&mut self, random: &mut Random) {
        let Some(at) = random.place(self.jobs.len()) else { return };
        let job = self.jobs.swap_remove(at);
        let path = PathBuf::from(format!("/nowhere/{}-{}", job.id, random.next()));
        self.files.insert(path.clone(), job.batches);
        self.core.written(job.id, Arc::new(SegmentFile::new(path)), 100);
    }

    pub(super) fn segment(&self, path: &Path) -> Vec<TailBatch> {
        self.files[path].clone()
    }

    /// Begins a commit where one is due or asked for; the job's window, for the checks.
    pub(super) fn plan(
        &mut self,
        asked: bool,
        random: &mut Random,
        now: i64,
    ) -> Option<&Committer> {
        let mut job = self.core.plan_commit(asked, now)?;
        self.jobs.extend(job.sealed.take());
        let files = &self.files;
        let read = |path: &Path| files[path].clone();
        self.committer = Some(Committer::new(job, random.uuid(), read));
        self.committer.as_ref()
    }

    pub(super) fn step_commit(&mut self, catalog: &mut Catalog, random: &mut Random, now: i64) {
        let Some(committer) = &mut self.committer else { return };
        if let Some(ended) = committer.step(catalog, random, now) {
            self.committer = None;
            self.committed = Some((ended, now));
        }
    }

    /// The loop learns how its commit ended. True where it was taken.
    pub(super) fn take_commit(&mut self, now: i64) {
        let Some((ended, asked)) = self.committed.take() else { return };
        self.commits_ended += 1;
        let made = ended.is_some();
        let directive = self.core.committed(ended, asked, now);
        self.follow(directive);
        if made {
            self.core.evict(now);
        }
    }

    pub(super) fn seal(&mut self) {
        self.jobs.extend(self.core.seal_if_full());
    }
}
