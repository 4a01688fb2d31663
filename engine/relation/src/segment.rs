//! The tail: rows of the stream that a statement may read, in segments.
//! Half-open offset ranges per partition; a row's place is its hidden
//! partition and offset.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use springtide_protocol::{Offset, OffsetMap, PartitionId};

/// Rows of one partition in order of offsets.
#[derive(Clone, Debug)]
pub struct TailBatch {
    /// The stream partition.
    pub partition: PartitionId,
    /// The offset of each row; strictly rising, gaps allowed.
    pub offsets: Int64Array,
    /// The rows, in the relation's schema.
    pub rows: RecordBatch,
}

impl TailBatch {
    /// The rows with `start ≤ offset < end`; `None` where there are none. No copy.
    #[must_use]
    pub fn window(&self, start: Offset, end: Offset) -> Option<Self> {
        let values = self.offsets.values();
        let from = values.partition_point(|o| *o < start.0);
        let to = values.partition_point(|o| *o < end.0);
        (from < to).then(|| Self {
            partition: self.partition,
            offsets: self.offsets.slice(from, to - from),
            rows: self.rows.slice(from, to - from),
        })
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }
}

/// A local Parquet file that is removed when its last reader lets go.
/// Columns: the table's, then the two of [`crate::hidden`].
#[derive(Debug)]
pub struct SegmentFile {
    path: PathBuf,
}

impl SegmentFile {
    /// Takes over the file at `path`.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        // A file that is left behind is swept at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Where a segment's rows are.
#[derive(Clone, Debug)]
pub enum SegmentData {
    /// In memory.
    Memory(Vec<TailBatch>),
    /// In a local Parquet file.
    Parquet(Arc<SegmentFile>),
}

/// Rows of `[start, end)` by partition.
#[derive(Clone, Debug)]
pub struct Segment {
    /// First offsets that it covers, by partition.
    pub start: OffsetMap,
    /// End offsets that it covers, exclusive; the same partitions as `start`.
    pub end: OffsetMap,
    /// Rows in all.
    pub rows: u64,
    /// The rows.
    pub data: SegmentData,
}

/// How a segment lies to a relation's window `[boundary, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// No row of it counts.
    None,
    /// Every row of it counts.
    Whole,
    /// Each row must be tested by its hidden columns.
    Straddles,
}

impl Segment {
    /// How it lies to the window from `boundary` up to `end`.
    #[must_use]
    pub fn overlap(&self, boundary: &OffsetMap, end: &OffsetMap) -> Overlap {
        let spans = self.start.iter().map(|(p, start)| (p, start, self.end.next(p)));
        let mut inside = false;
        let mut outside = false;
        for (p, start, stop) in spans.filter(|(_, start, stop)| start < stop) {
            let (from, to) = (boundary.next(p).max(start), end.next(p).min(stop));
            if from >= to {
                outside = true;
            } else {
                inside = true;
                outside |= from > start || to < stop;
            }
        }
        match (inside, outside) {
            (false, _) => Overlap::None,
            (true, false) => Overlap::Whole,
            (true, true) => Overlap::Straddles,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;

    fn batch(offsets: Vec<i64>) -> TailBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let column = Int64Array::from(offsets.clone());
        TailBatch {
            partition: PartitionId(0),
            offsets: offsets.into(),
            rows: RecordBatch::try_new(schema, vec![Arc::new(column)]).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn a_window_holds_just_its_offsets(
            steps in proptest::collection::vec(1i64..4, 0..40), start in 0i64..90, width in 0i64..60,
        ) {
            let offsets: Vec<i64> =
                steps.iter().scan(0, |at, step| { *at += step; Some(*at) }).collect();
            let end = start + width;
            let wanted: Vec<i64> = offsets.iter().copied().filter(|o| (start..end).contains(o)).collect();
            let found = batch(offsets).window(Offset(start), Offset(end));
            prop_assert_eq!(found.map(|b| b.offsets.values().to_vec()).unwrap_or_default(), wanted);
        }

        #[test]
        fn overlap_agrees_with_each_offset(
            spans in proptest::collection::vec((0i64..20, 0i64..20), 1..4),
            from in proptest::collection::vec(0i64..30, 4), to in proptest::collection::vec(0i64..30, 4),
        ) {
            let partition = |i: usize| PartitionId(i32::try_from(i).unwrap());
            let map = |values: Vec<i64>| -> OffsetMap {
                values.into_iter().enumerate().map(|(i, o)| (partition(i), Offset(o))).collect()
            };
            let segment = Segment {
                start: map(spans.iter().map(|s| s.0).collect()),
                end: map(spans.iter().map(|s| s.0 + s.1).collect()),
                rows: 0,
                data: SegmentData::Memory(Vec::new()),
            };
            let (boundary, end) = (map(from), map(to));
            let counts = spans.iter().enumerate().flat_map(|(i, (start, width))| {
                let window = boundary.next(partition(i)).0..end.next(partition(i)).0;
                (*start..start + width).map(move |o| window.contains(&o))
            });
            let counts: Vec<bool> = counts.collect();
            let wanted = match (counts.contains(&true), counts.contains(&false)) {
                (false, _) => Overlap::None,
                (true, false) => Overlap::Whole,
                (true, true) => Overlap::Straddles,
            };
            prop_assert_eq!(segment.overlap(&boundary, &end), wanted);
        }
    }
}
