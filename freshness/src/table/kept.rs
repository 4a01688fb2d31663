//! Snapshots that versions within the pin window may need (rule 7), from the
//! oldest to the current one.

use std::sync::Arc;

use springtide_protocol::{OffsetMap, TableVersion};
use springtide_relation::{ChunkId, DataFile, FileOrigin, SealedChunk};

use crate::lake::LakeSnapshot;

#[cfg(test)]
mod tests;

/// So many parts of the window have a snapshot of their own.
const STEPS: i64 = 8;

/// A snapshot with what relations need of it, made once.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) snapshot: Arc<LakeSnapshot>,
    /// Its files; where the boundary is unknown each stands for itself.
    pub(crate) files: Arc<[DataFile]>,
    /// Chunks that ended at or below the boundary.
    pub(crate) sealed: Arc<[SealedChunk]>,
}

impl Kept {
    pub(crate) fn new(snapshot: Arc<LakeSnapshot>) -> Self {
        let Some(boundary) = snapshot.boundary.known() else {
            // Without a boundary no chunk is known to be whole: rows are then
            // identified by their files, which never change.
            let files = snapshot.files.iter().map(|file| DataFile {
                origin: FileOrigin::Foreign(file.path.to_string_lossy().into()),
                ..file.clone()
            });
            let files = files.collect();
            return Self { snapshot, files, sealed: Arc::new([]) };
        };
        let ended = |id: &ChunkId| id.end() <= boundary.next(id.partition);
        let chunks = snapshot.chunks.iter().filter(|(id, _)| ended(id));
        let sealed = chunks.map(|(id, columns)| SealedChunk {
            id: *id,
            columns: columns.clone(),
            rows: columns.first().map(|c| c.rows),
        });
        let sealed = sealed.collect();
        Self { files: snapshot.files.clone(), sealed, snapshot }
    }
}

/// A snapshot that was superseded.
#[derive(Debug)]
struct Former {
    kept: Kept,
    /// When it became current.
    began: i64,
    /// When versions that it serves ceased to be current.
    superseded: i64,
}

/// The snapshots that are kept; never none.
///
/// Of snapshots that differ in nothing but their boundary one for each
/// [`STEPS`]th of the window is enough: versions of the others are made from it
/// and the tail, which reaches down to the oldest that is kept anyway.
#[derive(Debug)]
pub(crate) struct KeptSnapshots {
    /// Oldest first.
    former: Vec<Former>,
    current: Kept,
    /// When the current one became so.
    began: i64,
    /// Microseconds that one snapshot may stand for others.
    step: i64,
}

impl KeptSnapshots {
    /// `window`: how long, in microseconds, versions are kept.
    pub(crate) const fn new(current: Kept, now: i64, window: i64) -> Self {
        Self { former: Vec::new(), current, began: now, step: window / STEPS }
    }

    /// Keeps an ancestor of the current snapshot too, the versions of which may have been
    /// issued until `now`.
    pub(crate) fn keep_ancestor(&mut self, kept: Kept, now: i64) {
        self.former.insert(0, Former { kept, began: now, superseded: now });
    }

    pub(crate) const fn current(&self) -> &Kept {
        &self.current
    }

    /// How many are kept, the current one included.
    pub(crate) fn len(&self) -> usize {
        self.former.len() + 1
    }

    /// Makes `kept` the current one. A table that was rolled back, or made anew,
    /// keeps nothing of before. `covered`: the offsets that the tail has rows of.
    pub(crate) fn install(&mut self, kept: Kept, covered: (&OffsetMap, &OffsetMap), now: i64) {
        let (old, new) = (&self.current.snapshot, &kept.snapshot);
        let falls = match (old.boundary.known(), new.boundary.known()) {
            (Some(old), Some(new)) => !new.covers(old),
            _ => false,
        };
        let restarted = falls || old.table_uuid != new.table_uuid || new.sequence < old.sequence;
        let former = std::mem::replace(&mut self.current, kept);
        let began = std::mem::replace(&mut self.began, now);
        if restarted {
            self.former.clear();
            return;
        }
        match self.former.last_mut() {
            Some(last)
                if now.saturating_sub(last.began) < self.step
                    && stands_for(&last.kept.snapshot, &former.snapshot, covered) =>
            {
                last.superseded = now;
            }
            _ => self.former.push(Former { kept: former, began, superseded: now }),
        }
    }

    /// Forgets those that were superseded before `micros`.
    pub(crate) fn forget_before(&mut self, micros: i64) {
        self.former.retain(|former| former.superseded > micros);
    }

    /// Forgets the oldest; false where only the current one is left.
    pub(crate) fn forget_oldest(&mut self) -> bool {
        let any = !self.former.is_empty();
        if any {
            self.former.remove(0);
        }
        any
    }

    /// The least boundary of all that are kept; `None` where the current one is unknown.
    pub(crate) fn least_boundary(&self) -> Option<OffsetMap> {
        let current = self.current.snapshot.boundary.known()?;
        let former = self.former.iter().filter_map(|f| f.kept.snapshot.boundary.known());
        Some(former.fold(current.clone(), |least, boundary| least.min(boundary)))
    }

    /// How far back the stream is worth reading again: to the boundary of the oldest that is
    /// decoded as the current one is and at most `most` offsets behind it.
    pub(crate) fn floor(&self, most: i64) -> Option<OffsetMap> {
        let current = &self.current.snapshot;
        let end = current.boundary.known()?;
        let alike = |former: &&Former| {
            let snapshot = &former.kept.snapshot;
            snapshot.schema_id == current.schema_id && snapshot.decode_epoch == current.decode_epoch
        };
        let distance = |from: &OffsetMap| -> i64 {
            end.iter().map(|(p, end)| (end.0 - from.next(p).0).max(0)).sum()
        };
        let boundaries =
            self.former.iter().filter(alike).filter_map(|f| f.kept.snapshot.boundary.known());
        boundaries.map(|boundary| boundary.min(end)).find(|least| distance(least) <= most)
    }

    /// The newest whose rows are all part of `version`.
    pub(crate) fn newest_within(&self, version: &TableVersion) -> Option<&Kept> {
        let former = self.former.iter().map(|former| &former.kept);
        let mut all: Vec<&Kept> = former.chain([&self.current]).collect();
        all.reverse();
        all.into_iter().find(|kept| {
            let snapshot = &kept.snapshot;
            snapshot.schema_id == version.schema_id
                && snapshot.decode_epoch == version.decode_epoch
                && snapshot.foreign_sequence == version.foreign_sequence
                && match snapshot.boundary.known() {
                    Some(boundary) => version.offsets.covers(boundary),
                    None => version.offsets.is_empty(),
                }
        })
    }
}

/// Whether `older` and the tail together make every version that `newer` and the tail make.
fn stands_for(
    older: &LakeSnapshot,
    newer: &LakeSnapshot,
    (start, next): (&OffsetMap, &OffsetMap),
) -> bool {
    let (Some(from), Some(to)) = (older.boundary.known(), newer.boundary.known()) else {
        return false;
    };
    let moved = |(partition, to): &(_, _)| from.next(*partition) < *to;
    let mut moved = to.iter().filter(moved);
    let covered = moved.all(|(p, to)| {
        start.named(p).is_some_and(|start| start <= from.next(p)) && next.next(p) >= to
    });
    covered
        && older.schema_id == newer.schema_id
        && older.decode_epoch == newer.decode_epoch
        && older.foreign_sequence == newer.foreign_sequence
        && older.topic_id == newer.topic_id
}
