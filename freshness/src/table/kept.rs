//! Snapshots that versions within the pin window may need (rule 7), from the
//! oldest to the current one.

use std::sync::Arc;

use springtide_protocol::{OffsetMap, TableVersion};
use springtide_relation::{ChunkId, DataFile, FileOrigin, SealedChunk};

use crate::lake::LakeSnapshot;

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
        let sealed =
            chunks.map(|(id, columns)| SealedChunk { id: *id, columns: columns.clone() }).collect();
        Self { files: snapshot.files.clone(), sealed, snapshot }
    }
}

/// The snapshots that are kept; never none.
#[derive(Debug)]
pub(crate) struct KeptSnapshots {
    /// Superseded ones, oldest first, with when they were.
    former: Vec<(Kept, i64)>,
    current: Kept,
}

impl KeptSnapshots {
    pub(crate) const fn new(current: Kept, _now: i64) -> Self {
        Self { former: Vec::new(), current }
    }

    pub(crate) const fn current(&self) -> &Kept {
        &self.current
    }

    /// How many are kept, the current one included.
    pub(crate) fn len(&self) -> usize {
        self.former.len() + 1
    }

    /// Makes `kept` the current one. A table that was rolled back, or made anew,
    /// keeps nothing of before.
    pub(crate) fn install(&mut self, kept: Kept, now: i64) {
        let (old, new) = (&self.current.snapshot, &kept.snapshot);
        let falls = match (old.boundary.known(), new.boundary.known()) {
            (Some(old), Some(new)) => !new.covers(old),
            _ => false,
        };
        let restarted = falls || old.table_uuid != new.table_uuid || new.sequence < old.sequence;
        let former = std::mem::replace(&mut self.current, kept);
        if restarted {
            self.former.clear();
        } else {
            self.former.push((former, now));
        }
    }

    /// Forgets those that were superseded before `micros`.
    pub(crate) fn forget_before(&mut self, micros: i64) {
        self.former.retain(|(_, superseded)| *superseded > micros);
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
        let former = self.former.iter().filter_map(|(kept, _)| kept.snapshot.boundary.known());
        Some(former.fold(current.clone(), |least, boundary| least.min(boundary)))
    }

    /// The newest whose rows are all part of `version`.
    pub(crate) fn newest_within(&self, version: &TableVersion) -> Option<&Kept> {
        let former = self.former.iter().map(|(kept, _)| kept);
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
