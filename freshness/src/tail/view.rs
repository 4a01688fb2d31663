//! The tail as a relation sees it between a snapshot's boundary and an end:
//! its sealed chunks, its open chunks and its segments.

use std::collections::BTreeMap;
use std::sync::Arc;

use springtide_protocol::{Offset, OffsetMap, PartitionId};
use springtide_relation::segment::Overlap;
use springtide_relation::{
    ChunkId, ColumnStatistics, OpenChunk, SealedChunk, Segment, SegmentData, SegmentFile, TailBatch,
};

use super::present::Present;
use super::{Passed, Tail};

/// The chunks of a snapshot, by their bounds.
pub(crate) type LakeChunks = BTreeMap<ChunkId, Arc<[ColumnStatistics]>>;

/// The sealed chunks last made, and of what.
#[derive(Debug)]
pub(super) struct CachedChunks {
    generation: u64,
    boundary: OffsetMap,
    end: OffsetMap,
    /// The lake's part of the chunks that the boundary lies in.
    pieces: Vec<Arc<[ColumnStatistics]>>,
    chunks: Arc<[SealedChunk]>,
}

/// The parts of a relation that the tail gives.
#[derive(Debug)]
pub(crate) struct View {
    /// Chunks that end above the boundary and at or below the end.
    pub(crate) sealed: Arc<[SealedChunk]>,
    /// The chunks that the end lies in.
    pub(crate) open: Vec<OpenChunk>,
    /// Files that rows of open chunks must be read from before the view is whole.
    pub(crate) missing: Vec<OpenRows>,
    /// Segments that overlap `[boundary, end)`.
    pub(crate) segments: Vec<Segment>,
}

/// Rows of an open chunk that lie in a file.
#[derive(Clone, Debug)]
pub(crate) struct OpenRows {
    /// Which of [`View::open`].
    pub(crate) chunk: usize,
    /// The first offset wanted.
    pub(crate) start: Offset,
    /// The first offset not wanted.
    pub(crate) end: Offset,
    /// The file.
    pub(crate) file: Arc<SegmentFile>,
}

impl Tail {
    /// What lies in `[boundary, end)`, beside a snapshot with `lake`'s chunks.
    /// The caller has made sure that coverage and boundary meet.
    pub(crate) fn view(
        &mut self,
        lake: &LakeChunks,
        boundary: &OffsetMap,
        end: &OffsetMap,
    ) -> View {
        let sealed = self.sealed_chunks(lake, boundary, end);
        let (mut open, mut missing) = (Vec::new(), Vec::new());
        for (partition, end) in end.iter() {
            let id = ChunkId::containing(partition, end);
            if id.start() == end {
                continue;
            }
            let (chunk, files) = self.open_chunk(id, end, lake, boundary.next(partition));
            if chunk.complete && chunk.rows.is_empty() && files.is_empty() {
                continue;
            }
            let chunk_index = open.len();
            missing.extend(files.into_iter().map(|file| OpenRows {
                chunk: chunk_index,
                start: id.start(),
                end,
                file,
            }));
            open.push(chunk);
        }
        View { sealed, open, missing, segments: self.segments(boundary, end) }
    }

    /// Whether the tail has fewer rows than the lake of a chunk in `[from, to)`, where
    /// `to` is the lake's boundary. Half a chunk cannot be compared and counts as less.
    pub(crate) fn lacks(&self, lake: &LakeChunks, from: &OffsetMap, to: &OffsetMap) -> bool {
        to.iter().any(|(partition, to)| {
            let from = from.next(partition);
            if from >= to {
                return false;
            }
            let first = ChunkId::containing(partition, from);
            let last = ChunkId::containing(partition, to);
            let chunks = lake.range(first..=last).filter(|(id, _)| id.start() < to);
            let mut chunks = chunks.map(|(id, columns)| (*id, count(Some(columns))));
            chunks.any(|(id, rows)| {
                let half = self.start.next(partition) > id.start();
                half || self.rows_below(id, to) < rows
            })
        })
    }

    /// Rows of a chunk below an offset.
    fn rows_below(&self, id: ChunkId, to: Offset) -> u64 {
        if let Some(passed) = self.chunks.get(&id) {
            return passed.present.below(id, to);
        }
        let open = self.open_chunks.get(&id.partition).filter(|(open, _)| *open == id);
        open.map_or(0, |(_, rows)| Present::new(id, &rows.list()).below(id, to))
    }

    /// The segments that overlap a window, the open one included.
    fn segments(&self, boundary: &OffsetMap, end: &OffsetMap) -> Vec<Segment> {
        let sealed = self.sealed.iter().map(|sealed| &sealed.segment);
        let inside = |s: &&Segment| s.overlap(boundary, end) != Overlap::None;
        let mut segments: Vec<Segment> = sealed.filter(inside).cloned().collect();
        if self.open.rows() > 0 {
            let open = Segment {
                start: self.open_start.clone(),
                end: self.next.clone(),
                rows: self.open.rows(),
                data: SegmentData::Memory(self.open.list()),
            };
            segments.extend(Some(open).filter(|s| inside(&s)));
        }
        segments
    }

    fn sealed_chunks(
        &mut self,
        lake: &LakeChunks,
        boundary: &OffsetMap,
        end: &OffsetMap,
    ) -> Arc<[SealedChunk]> {
        let pieces = pieces(lake, boundary);
        // An end that moved within its chunks changes nothing; the generation
        // tells when the tail's own end passed one.
        let same = |cached: &&CachedChunks| {
            let floors = |m: &OffsetMap| -> Vec<ChunkId> {
                m.iter().map(|(p, o)| ChunkId::containing(p, o)).collect()
            };
            cached.generation == self.generation
                && cached.boundary == *boundary
                && same_pieces(&cached.pieces, &pieces)
                && floors(&cached.end) == floors(end)
        };
        if let Some(cached) = self.cached.as_ref().filter(same) {
            return cached.chunks.clone();
        }
        let mut chunks: BTreeMap<ChunkId, SealedChunk> = BTreeMap::new();
        for (id, Passed { columns, .. }) in &self.chunks {
            if id.end() > boundary.next(id.partition) && id.end() <= end.next(id.partition) {
                let (columns, rows) = (columns.clone(), count(Some(columns)));
                chunks.insert(*id, SealedChunk { id: *id, columns, rows: Some(rows) });
            }
        }
        for (partition, next) in boundary.iter() {
            let id = ChunkId::containing(partition, next);
            if id.start() < next && id.end() <= end.next(partition) {
                chunks.remove(&id);
                chunks.extend(self.straddling(id, lake, next).map(|chunk| (id, chunk)));
            }
        }
        let chunks: Arc<[SealedChunk]> = chunks.into_values().collect();
        self.cached = Some(CachedChunks {
            generation: self.generation,
            boundary: boundary.clone(),
            end: end.clone(),
            pieces,
            chunks: chunks.clone(),
        });
        chunks
    }

    /// A passed chunk that the boundary lies in: below it the lake's rows count (a foreign
    /// commit may have removed some), from it on the tail's.
    fn straddling(&self, id: ChunkId, lake: &LakeChunks, boundary: Offset) -> Option<SealedChunk> {
        let (passed, piece) = (self.chunks.get(&id), lake.get(&id));
        let above = passed.map_or(0, |passed| passed.present.from(id, boundary));
        let rows = count(piece) + above;
        let whole = self.start.next(id.partition) <= id.start();
        let columns = match (passed.map(|passed| &passed.columns), piece) {
            (Some(tail), Some(piece)) => join(tail, piece, whole),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => return None,
        };
        (rows > 0).then_some(SealedChunk { id, columns, rows: Some(rows) })
    }

    /// The chunk that an end lies in, and the files where more of its rows are.
    fn open_chunk(
        &self,
        id: ChunkId,
        end: Offset,
        lake: &LakeChunks,
        boundary: Offset,
    ) -> (OpenChunk, Vec<Arc<SegmentFile>>) {
        let partition = id.partition;
        let covered = self.start.next(partition) <= id.start() && self.next.next(partition) >= end;
        if !covered {
            return (OpenChunk { id, rows: Vec::new(), complete: false, lost: 0, end }, Vec::new());
        }
        let at_hand = self.open_chunks.get(&partition).filter(|(open, _)| *open == id);
        let (rows, files) = match at_hand {
            Some((_, rows)) => (rows.list(), Vec::new()),
            None => self.rows_between(partition, id.start(), end),
        };
        let rows: Vec<TailBatch> =
            rows.iter().filter_map(|batch| batch.window(id.start(), end)).collect();
        let below = match self.chunks.get(&id) {
            Some(passed) => passed.present.below(id, boundary.min(end)),
            None => Present::new(id, &rows).below(id, boundary),
        };
        // A stream that was compacted may have less than the lake took from it; where it
        // has more, a foreign commit removed rows.
        let lake = count(lake.get(&id));
        let (complete, lost) = (below >= lake, below.saturating_sub(lake));
        (OpenChunk { id, rows, complete, lost, end }, if complete { files } else { Vec::new() })
    }

    /// Rows of a partition in `[start, end)` that are in memory, and the files with others.
    fn rows_between(
        &self,
        partition: PartitionId,
        start: Offset,
        end: Offset,
    ) -> (Vec<TailBatch>, Vec<Arc<SegmentFile>>) {
        let (mut rows, mut files) = (Vec::new(), Vec::new());
        for Segment { start: from, end: to, data, .. } in self.sealed.iter().map(|s| &s.segment) {
            if from.next(partition).max(start) >= to.next(partition).min(end) {
                continue;
            }
            match data {
                SegmentData::Memory(batches) => rows.extend(batches.iter().cloned()),
                SegmentData::Parquet(file) => files.push(file.clone()),
            }
        }
        rows.extend(self.open.list());
        rows.retain(|batch| batch.partition == partition);
        (rows, files)
    }
}

/// The bounds of a chunk that straddles the boundary: the tail's where it holds
/// all rows, else those of lake and tail together. Rows in both are then
/// counted twice, which bounds and the test for all-NULL can bear.
fn join(
    tail: &Arc<[ColumnStatistics]>,
    lake: &Arc<[ColumnStatistics]>,
    whole: bool,
) -> Arc<[ColumnStatistics]> {
    if whole && count(Some(tail)) >= count(Some(lake)) {
        return tail.clone();
    }
    tail.iter().zip(lake.iter()).map(|(a, b)| a.union(b)).collect()
}

fn count(columns: Option<&Arc<[ColumnStatistics]>>) -> u64 {
    columns.and_then(|columns| columns.first()).map_or(0, |c| c.rows)
}

/// What the lake has of the chunks that the boundary lies in.
fn pieces(lake: &LakeChunks, boundary: &OffsetMap) -> Vec<Arc<[ColumnStatistics]>> {
    let straddling = boundary.iter().map(|(p, next)| ChunkId::containing(p, next));
    straddling.map(|id| lake.get(&id).cloned().unwrap_or_else(|| Arc::new([]))).collect()
}

/// Bounds that were made anew count as others.
fn same_pieces(a: &[Arc<[ColumnStatistics]>], b: &[Arc<[ColumnStatistics]>]) -> bool {
    let same = |(a, b): (&Arc<[_]>, &Arc<[_]>)| Arc::ptr_eq(a, b) || a.is_empty() && b.is_empty();
    a.len() == b.len() && a.iter().zip(b).all(same)
}
