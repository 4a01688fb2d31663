//! Asks every invariant of what a process publishes, commits, evicts and answers. What is
//! expected is told by the version alone, whoever publishes it and by whatever way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use springtide_protocol::{OffsetMap, TableVersion};
use springtide_relation::{ChunkId, Coverage, FileOrigin, Relation, SegmentData, TailBatch};

use super::catalog::Foreign;
use super::replica::{Life, Replica, WINDOW_S};
use super::rows::{self, Row};
use super::world::World;
use crate::boundary::Phase;
use crate::invariants::{
    Atom, Held, announced_is_pinnable, as_of_was_read, atoms, chunks_hold_rows, each_row_once,
    gap_is_left_knowingly, halted_commits_nothing, kept_in_window, open_rows_are_at_hand,
    pins_grow, same_for_equal_version, stays_halted, uncommitted_is_kept,
};
use crate::lake::LakeSnapshot;
use crate::table::NotExact;

/// What was published before, by anyone.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rows: HashMap<TableVersion, BTreeSet<Row>>,
    /// By version and by what compaction has made of the files.
    atoms: HashMap<(TableVersion, Vec<String>), Vec<Atom>>,
}

pub(super) fn phase(replica: &Replica) -> Option<Phase> {
    replica.life.as_ref().map(|life| life.core.phase())
}

fn is_settled(phase: &Phase) -> bool {
    matches!(phase, Phase::Gap(_) | Phase::Halted(_))
}

impl Life {
    /// Housekeeping: what no version needs is let go; a reader that ended is started anew.
    pub(super) fn keep_house(&mut self, now: i64) {
        self.core.evict(now);
        self.revive();
    }
}

impl World {
    /// After each step, as the loop does: seal, publish, announce.
    pub(super) fn settle(&mut self, r: usize, before: &Option<Phase>) -> Held {
        let Some(life) = &mut self.replicas[r].life else { return Ok(()) };
        life.seal();
        let after = life.core.phase();
        life.disturbed |= is_settled(&after);
        if matches!(after, Phase::Halted(_)) && life.halted_at.is_none() {
            life.halted_at = Some(self.now);
        }
        if let Some(before) = before {
            stays_halted(before, &after)?;
            let (start, boundary) = (life.core.boundary.start(), life.core.boundary.boundary());
            gap_is_left_knowingly(before, &after, start, boundary)?;
        }
        if life.core.boundary.meets() && life.core.boundary.is_reading() {
            let boundary = life.core.boundary.boundary().cloned().unwrap_or_default();
            uncommitted_is_kept(&life.core.coverage().0, &boundary)?;
        }
        let last = life.core.published().map(|p| p.relation.version.clone());
        let published = life.core.publish();
        if let Some((version, _)) = life.core.take_change() {
            let pinned = life.core.published().unwrap().relation.version.clone();
            announced_is_pinnable(&version, &pinned)?;
        }
        let Some(published) = published else { return Ok(()) };
        let version = published.relation.version.clone();
        if let Some(last) = last {
            pins_grow(&last, &version, is_settled(&after), self.catalog.was_rolled_back)?;
        }
        if let (Some(micros), Some(topic)) = (published.as_of_micros, version.topic_id) {
            // Until it is described again a topic that was made anew passes for the old one.
            let asked = life.halted_at.map_or(micros, |halted| micros.min(halted));
            let high = self.stream.end_at(topic, asked);
            if self.stream.is_there_at(topic, micros)
                || life.halted_at.is_some_and(|at| at < micros)
            {
                as_of_was_read(&high, &version)?;
            }
        }
        life.issued.retain(|(issued, _)| *issued != version);
        life.issued.push((version, self.now));
        let segments = segments(&published.relation, life);
        self.check(&published.relation, segments)
    }

    /// Every row once, in the right chunk, and the same as whoever told this version before.
    fn check(&mut self, relation: &Relation, (tail, caught_up): (Vec<TailBatch>, bool)) -> Held {
        let version = &relation.version;
        let snapshot = relation.guard.downcast_ref::<LakeSnapshot>().unwrap();
        let files = self.catalog.files(snapshot.snapshot_id);
        let lake: Vec<Row> = files.iter().flat_map(|file| file.rows.iter().copied()).collect();
        let expected = if snapshot.boundary.known().is_some() {
            self.expected(version)
        } else {
            lake.iter().copied().collect()
        };
        if relation.coverage == Coverage::SnapshotOnly {
            assert!(relation.segments.is_empty(), "rule 20");
        }
        let source = version.topic_id.map_or(rows::FOREIGN, |id| id.as_u128());
        let read = |batch: &TailBatch| rows::read(batch, source, version.decode_epoch);
        let mut found = lake;
        found.extend(tail.iter().flat_map(read));
        each_row_once(found, &expected)?;
        // Rows of files that are identified by their paths are in no chunk.
        let named = relation.files.iter().zip(files);
        let by_path = named.filter(|(file, _)| matches!(file.origin, FileOrigin::Foreign(_)));
        let by_path: BTreeSet<Row> =
            by_path.flat_map(|(_, file)| file.rows.iter().copied()).collect();
        let mut chunks: BTreeMap<ChunkId, Vec<i64>> = BTreeMap::new();
        for row in expected.difference(&by_path) {
            let (p, offset) = (row.1, row.2);
            let id = ChunkId::containing(
                springtide_protocol::PartitionId(p),
                springtide_protocol::Offset(offset),
            );
            chunks.entry(id).or_default().push(rows::value(*row));
        }
        chunks_hold_rows(relation, &chunks)?;
        self.same_as_before(relation, expected, caught_up)
    }

    /// Rows of a version: those below its end, and what foreign commits made of them.
    fn expected(&self, version: &TableVersion) -> BTreeSet<Row> {
        let none = Foreign::default();
        let foreign = self.catalog.foreign.get(&version.foreign_sequence).unwrap_or(&none);
        let topic = version.topic_id.and_then(|id| self.stream.named(id));
        let streamed = topic.map(|topic| topic.rows(&OffsetMap::new(), &version.offsets));
        let mut rows = streamed.unwrap_or_default();
        rows.retain(|row| !foreign.removed.contains(row));
        rows.extend(foreign.rows.iter().copied());
        rows
    }

    fn same_as_before(
        &mut self,
        relation: &Relation,
        rows: BTreeSet<Row>,
        caught_up: bool,
    ) -> Held {
        let version = &relation.version;
        let before = self.seen.rows.entry(version.clone()).or_insert_with(|| rows.clone());
        same_for_equal_version("equal_version_equal_rows", version, before, &rows)?;
        // The snapshot alone is not to be stored (rule 20), and while a table catches up
        // chunks are known by their ends.
        if relation.coverage == Coverage::SnapshotOnly || !caught_up {
            return Ok(());
        }
        let cut = self.stream.topic().partitions.iter().any(|p| p.low > 0);
        open_rows_are_at_hand(&relation.open, cut)?;
        if relation.open.iter().any(|open| !open.complete) {
            return Ok(());
        }
        let compacted = relation.files.iter().map(|file| file.path.display().to_string());
        let compacted = compacted.filter(|path| path.starts_with("compacted")).collect();
        let now = atoms(relation);
        let before = self.seen.atoms.entry((version.clone(), compacted));
        let before = before.or_insert_with(|| now.clone());
        same_for_equal_version("equal_version_equal_atoms", version, before, &now)
    }

    pub(super) fn plan_commit(&mut self, r: usize) -> Held {
        let asked = self.random.chance(60);
        let Some(life) = &mut self.replicas[r].life else { return Ok(()) };
        let before = life.core.phase();
        let Some(committer) = life.plan(asked, &mut self.random, self.now) else { return Ok(()) };
        halted_commits_nothing(&before)?;
        let request = &committer.request;
        let topic = request.topic_id.as_u128();
        let read = |batch: &TailBatch| rows::read(batch, topic, request.decode_epoch);
        let rows = request.batches.iter().flat_map(read).collect();
        let expected = self.stream.named(request.topic_id);
        let expected = expected.map(|topic| topic.rows(&request.from, &request.next));
        each_row_once(rows, &expected.unwrap_or_default())
    }

    /// Asks again for a version that was issued by this process.
    pub(super) fn pin_again(&mut self, r: usize) -> Held {
        let Some(life) = &mut self.replicas[r].life else { return Ok(()) };
        let Some(at) = self.random.place(life.issued.len()) else { return Ok(()) };
        let (version, issued) = life.issued[at].clone();
        let current = life.core.published().map(|p| p.relation.clone());
        if let Some(current) = current.filter(|current| current.version == version) {
            let segments = segments(&current, life);
            return self.check(&current, segments);
        }
        let answered = life.core.exact(&version);
        let past = self.now - issued >= WINDOW_S * 1_000_000;
        // A lake that went back, a stream that went away, and a table that stopped keep less.
        let lost = self.stream.topic().partitions.iter().any(|p| p.low > 0);
        // Before its topic was seen a table has a version of its own.
        let unseen = version.topic_id.is_none();
        // Rows above the boundary are decoded once, as the table decodes now.
        let anew = !is_decoded_so(life, &version);
        let excused =
            past || unseen || anew || life.disturbed || self.catalog.was_rolled_back || lost;
        let exact = match answered {
            Ok(exact) => exact,
            // It is being read again, and says so.
            Err(NotExact::NotYet) => return Ok(()),
            Err(error) => return kept_in_window(&version, Err(error), excused),
        };
        let mut relation = exact.relation;
        for wanted in exact.missing {
            let open = &mut relation.open[wanted.chunk];
            let p = open.id.partition;
            let rows = life.segment(wanted.file.path());
            let own = rows.iter().filter(|batch| batch.partition == p);
            open.rows.extend(own.filter_map(|batch| batch.window(wanted.start, wanted.end)));
        }
        for open in &mut relation.open {
            open.rows.sort_by_key(|batch| batch.offsets.value(0));
        }
        same_for_equal_version("equal_version_equal_rows", &version, &version, &relation.version)?;
        let segments = segments(&relation, life);
        self.check(&relation, segments)
    }
}

/// Whether the tail has rows as a version has them.
fn is_decoded_so(life: &Life, version: &TableVersion) -> bool {
    let now = life.core.snapshot();
    (now.schema_id, now.decode_epoch) == (version.schema_id, version.decode_epoch)
}

/// The rows of a relation's segments that count, and whether all that is read of the stream
/// is at hand.
fn segments(relation: &Relation, life: &Life) -> (Vec<TailBatch>, bool) {
    let mut counted = Vec::new();
    for segment in &relation.segments {
        let batches = match &segment.data {
            SegmentData::Memory(batches) => batches.clone(),
            SegmentData::Parquet(file) => life.segment(file.path()),
        };
        counted.extend(batches.iter().filter_map(|batch| {
            let p = batch.partition;
            batch.window(relation.boundary.next(p), relation.version.offsets.next(p))
        }));
    }
    // While it catches up its end may be the lake's, which it has yet to read up to.
    let next = life.core.coverage().1;
    let version = &relation.version;
    let read = next.covers(&version.offsets) && life.core.phase() == Phase::Live;
    (counted, read && is_decoded_so(life, version))
}
