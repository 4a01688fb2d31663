//! The tail of one table: rows of the stream that the lake does not hold yet,
//! and those that kept versions and the boundary's own chunk still need.
//! The newest are in memory, older ones in small local Parquet files; chunks
//! (rule 5) get their bounds when the stream has passed them.
//!
//! It decides nothing about the boundary and touches no file: writing and
//! reading segment files is [`file`]'s, on a blocking thread of the caller.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use springtide_protocol::{Offset, OffsetMap, PartitionId};
use springtide_relation::segment::Overlap;
use springtide_relation::{
    ChunkId, ColumnStatistics, Segment, SegmentData, SegmentFile, TailBatch,
};

mod batches;
pub(crate) mod file;
mod partitions;
mod present;
mod view;

#[cfg(test)]
mod tests;

use batches::Batches;
use present::Present;
pub(crate) use view::{LakeChunks, OpenRows, View};

/// A segment that takes no more rows.
#[derive(Debug)]
struct Sealed {
    id: u64,
    segment: Segment,
    /// Bytes in memory until the file is there, in the file from then on.
    bytes: u64,
    shares: partitions::Shares,
}

/// A sealed segment to be written to a file.
#[derive(Debug)]
pub(crate) struct SealJob {
    /// Names the segment to [`Tail::written`].
    pub(crate) id: u64,
    /// Its rows.
    pub(crate) batches: Vec<TailBatch>,
}

/// What the tail holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// Segments, the open one included where it has rows.
    pub(crate) segments: usize,
    /// Rows in all.
    pub(crate) rows: u64,
    /// Bytes of Arrow arrays in memory.
    pub(crate) memory_bytes: u64,
    /// Bytes of segment files.
    pub(crate) disk_bytes: u64,
}

/// A chunk that the tail's end has passed.
#[derive(Clone, Debug)]
struct Passed {
    columns: Arc<[ColumnStatistics]>,
    present: Present,
}

/// The tail: coverage `[start, next)` by partition.
#[derive(Debug)]
pub(crate) struct Tail {
    start: OffsetMap,
    next: OffsetMap,
    sealed: VecDeque<Sealed>,
    /// Where the open segment begins.
    open_start: OffsetMap,
    open: Batches,
    next_id: u64,
    /// Chunks that `next` has passed, with the bounds of their rows from `start` on.
    chunks: BTreeMap<ChunkId, Passed>,
    /// Counts changes of `chunks`.
    generation: u64,
    /// The rows of the chunk that `next` lies in, by partition.
    open_chunks: BTreeMap<PartitionId, (ChunkId, Batches)>,
    cached: Option<view::CachedChunks>,
}

impl Tail {
    /// An empty tail that begins at `start`.
    pub(crate) fn new(start: OffsetMap, first_id: u64) -> Self {
        Self {
            next: start.clone(),
            open_start: start.clone(),
            start,
            sealed: VecDeque::new(),
            open: Batches::default(),
            next_id: first_id,
            chunks: BTreeMap::new(),
            generation: 0,
            open_chunks: BTreeMap::new(),
            cached: None,
        }
    }

    /// First offsets covered.
    pub(crate) const fn start(&self) -> &OffsetMap {
        &self.start
    }

    /// First offsets not covered yet.
    pub(crate) const fn next(&self) -> &OffsetMap {
        &self.next
    }

    /// Rows and bytes of the open segment.
    pub(crate) const fn open_size(&self) -> (u64, u64) {
        (self.open.rows(), self.open.bytes())
    }

    /// The number that the next segment gets.
    pub(crate) const fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Begins to cover a partition that was not there before.
    pub(crate) fn add_partition(&mut self, partition: PartitionId, start: Offset) {
        if self.start.named(partition).is_none() {
            self.start.set(partition, start);
            self.next.set(partition, start);
            self.open_start.set(partition, start);
        }
    }

    /// Takes rows and positions; rows below the coverage's end came before and
    /// are left out. Returns what was new.
    pub(crate) fn append(
        &mut self,
        batches: Vec<TailBatch>,
        positions: &OffsetMap,
    ) -> Vec<TailBatch> {
        let mut taken = Vec::with_capacity(batches.len());
        for batch in batches {
            let partition = batch.partition;
            let Some(fresh) = batch.window(self.next.next(partition), Offset(i64::MAX)) else {
                continue;
            };
            if let Some(last) = fresh.offsets.values().last() {
                self.next.set(partition, Offset(*last).next());
            }
            self.append_to_chunks(&fresh);
            self.open.push(fresh.clone());
            taken.push(fresh);
        }
        for (partition, position) in positions.iter() {
            if position > self.next.next(partition) {
                self.next.set(partition, position);
            }
            self.seal_chunk_below(partition);
        }
        taken
    }

    fn append_to_chunks(&mut self, batch: &TailBatch) {
        let mut rest = batch.clone();
        while let Some(first) = rest.offsets.values().first() {
            let id = ChunkId::containing(batch.partition, Offset(*first));
            if self.open_chunks.get(&batch.partition).is_some_and(|(open, _)| *open != id) {
                self.seal_chunk(batch.partition);
            }
            let (_, rows) =
                self.open_chunks.entry(batch.partition).or_insert_with(|| (id, Batches::default()));
            if let Some(piece) = rest.window(id.start(), id.end()) {
                rows.push(piece);
            }
            match rest.window(id.end(), Offset(i64::MAX)) {
                Some(more) => rest = more,
                None => return,
            }
        }
    }

    fn seal_chunk_below(&mut self, partition: PartitionId) {
        let next = self.next.next(partition);
        if self.open_chunks.get(&partition).is_some_and(|(id, _)| id.end() <= next) {
            self.seal_chunk(partition);
        }
    }

    fn seal_chunk(&mut self, partition: PartitionId) {
        if let Some((id, rows)) = self.open_chunks.remove(&partition) {
            let columns = rows.statistics().into();
            let present = Present::new(id, &rows.list());
            self.chunks.insert(id, Passed { columns, present });
            self.generation += 1;
        }
    }

    /// Closes the open segment. `None` where it has no rows.
    pub(crate) fn seal(&mut self) -> Option<SealJob> {
        let start = std::mem::replace(&mut self.open_start, self.next.clone());
        let open = std::mem::take(&mut self.open);
        let (rows, bytes) = (open.rows(), open.bytes());
        if rows == 0 {
            return None;
        }
        let batches = open.list();
        let id = self.next_id;
        self.next_id += 1;
        let data = SegmentData::Memory(batches.clone());
        let segment = Segment { start, end: self.next.clone(), rows, data };
        let shares = partitions::shares(&batches);
        self.sealed.push_back(Sealed { id, segment, bytes, shares });
        Some(SealJob { id, batches })
    }

    /// The file of a segment is there: the copy in memory is let go.
    pub(crate) fn written(&mut self, id: u64, file: Arc<SegmentFile>, bytes: u64) {
        if let Some(sealed) = self.sealed.iter_mut().find(|sealed| sealed.id == id) {
            sealed.segment.data = SegmentData::Parquet(file);
            sealed.bytes = bytes;
        }
    }

    /// Lets go of segments that lie wholly below `floor`, and of chunks below all that is left.
    /// Returns the new start where it moved.
    pub(crate) fn evict(&mut self, floor: &OffsetMap) -> Option<OffsetMap> {
        let mut moved = false;
        while let Some(first) = self.sealed.front() {
            let below = first
                .segment
                .end
                .iter()
                .all(|(p, end)| end <= floor.next(p) || end <= first.segment.start.next(p));
            if !below {
                break;
            }
            for (partition, end) in first.segment.end.iter() {
                if end > self.start.next(partition) {
                    self.start.set(partition, end);
                }
            }
            self.sealed.pop_front();
            moved = true;
        }
        if !moved {
            return None;
        }
        // As long as its rows are covered a chunk may be asked for (a rollback).
        let start = self.start.clone();
        self.chunks.retain(|id, _| id.end() > start.next(id.partition));
        self.generation += 1;
        Some(start)
    }

    /// What is held.
    pub(crate) fn holdings(&self) -> Holdings {
        let mut held = Holdings {
            segments: self.sealed.len() + usize::from(self.open.rows() > 0),
            rows: self.open.rows(),
            memory_bytes: self.open.bytes(),
            disk_bytes: 0,
        };
        for sealed in &self.sealed {
            held.rows += sealed.segment.rows;
            match sealed.segment.data {
                SegmentData::Memory(_) => held.memory_bytes += sealed.bytes,
                SegmentData::Parquet(_) => held.disk_bytes += sealed.bytes,
            }
        }
        held
    }

    /// Rows and bytes above `boundary`, whole segments counted.
    pub(crate) fn waiting(&self, boundary: &OffsetMap) -> (u64, u64) {
        let above = self
            .sealed
            .iter()
            .filter(|sealed| sealed.segment.overlap(boundary, &self.next) != Overlap::None);
        let sealed = above.fold((0, 0), |(r, b), s| (r + s.segment.rows, b + s.bytes));
        (sealed.0 + self.open.rows(), sealed.1 + self.open.bytes())
    }

    /// Sealed segments above `boundary` from the oldest on, at most about
    /// `most_rows` rows of them, with the end that they reach together.
    pub(crate) fn committable(
        &self,
        boundary: &OffsetMap,
        most_rows: u64,
    ) -> (Vec<SegmentData>, OffsetMap) {
        let mut parts = Vec::new();
        let mut next = boundary.clone();
        let mut rows = 0;
        for sealed in &self.sealed {
            if sealed.segment.overlap(boundary, &sealed.segment.end) == Overlap::None {
                continue;
            }
            if rows > 0 && rows + sealed.segment.rows > most_rows {
                return (parts, next);
            }
            rows += sealed.segment.rows;
            next = next.max(&sealed.segment.end);
            parts.push(sealed.segment.data.clone());
        }
        // All of it: positions without rows count too, as far as the open segment begins.
        (parts, next.max(&self.open_start))
    }
}
