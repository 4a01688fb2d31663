//! Relations of a table: the present one, and one at a version that was
//! issued before (rule 7).

use std::sync::Arc;

use springtide_protocol::{OffsetMap, TableVersion};
use springtide_relation::{Coverage, OpenChunk, Relation};

use super::core::Core;
use super::kept::Kept;
use crate::boundary::Phase;
use crate::tail::{LakeChunks, OpenRows, View};

/// A relation at a version, and the rows of its open chunks that lie in files.
#[derive(Debug)]
pub(crate) struct Exact {
    pub(crate) relation: Relation,
    /// To be read before the relation is whole.
    pub(crate) missing: Vec<OpenRows>,
}

/// Why a version cannot be answered exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotExact {
    /// It is no longer kept, or is another table's.
    Gone,
    /// It has not come yet.
    Future,
    /// It lies beyond what has been read so far, and the table has yet to catch up.
    NotYet,
}

impl Core {
    /// The relation as it is now.
    pub(super) fn relation(&mut self) -> Relation {
        let kept = self.kept.current().clone();
        let whole = !self.settings.streamed || self.boundary.meets();
        let (end, coverage) = if whole {
            (self.boundary.end(), Coverage::Whole)
        } else {
            (named(kept.snapshot.boundary.known()), Coverage::SnapshotOnly)
        };
        let view = self.view(&kept, &end, whole && self.settings.streamed);
        self.assemble(&kept, end, coverage, view)
    }

    /// The relation at exactly `version`.
    pub(crate) fn exact(&mut self, version: &TableVersion) -> Result<Exact, NotExact> {
        let current = self.published().map(|p| p.relation.version.clone());
        let current = current.ok_or(NotExact::Gone)?;
        // Until the stream has been seen a table without a commit names no topic.
        let unseen = current.topic_id.is_none() && self.topic().is_none();
        let other = current.topic_id != version.topic_id && !(self.settings.streamed && unseen);
        if current.table_uuid != version.table_uuid || other {
            return Err(NotExact::Gone);
        }
        if !current.offsets.covers(&version.offsets)
            || current.foreign_sequence < version.foreign_sequence
            || current.schema_id < version.schema_id
            || current.decode_epoch < version.decode_epoch
            || current.topic_id != version.topic_id
        {
            return Err(if self.is_late() { NotExact::NotYet } else { NotExact::Future });
        }
        let kept = self.kept.newest_within(version).cloned().ok_or(NotExact::Gone)?;
        let boundary = named(kept.snapshot.boundary.known());
        let end = version.offsets.clone();
        let needs_tail = end != boundary;
        let (start, next) = (self.tail.start(), self.tail.next());
        let above = || end.iter().filter(|(p, end)| *end > boundary.next(*p));
        let begun = above().all(|(p, _)| start.next(p) <= boundary.next(p));
        let covered = begun && above().all(|(p, end)| next.next(p) >= end);
        // The tail has rows as the current snapshot's schema and decoding make them.
        let now = &self.kept.current().snapshot;
        let alike = (now.schema_id, now.decode_epoch) == (version.schema_id, version.decode_epoch);
        let seated = self.settings.streamed && self.boundary.meets() && alike;
        if needs_tail && !(covered && seated) {
            // It is being read again.
            let comes = alike && begun && self.is_late();
            return Err(if comes { NotExact::NotYet } else { NotExact::Gone });
        }
        // A stream that was compacted before it was read again may have less than the lake
        // took from it.
        if needs_tail && let Some(base) = &self.reread {
            let taken = named(base.boundary.known());
            if !self.tail.next().covers(&taken) {
                // Another committer may be ahead of all that was seen at the start.
                let comes = self.is_late() || self.boundary.is_reading();
                return Err(if comes { NotExact::NotYet } else { NotExact::Gone });
            }
            if self.tail.lacks(&base.chunks, &boundary, &taken) {
                return Err(NotExact::Gone);
            }
        }
        let mut view = self.view(&kept, &end, seated);
        let missing = std::mem::take(&mut view.missing);
        let relation = self.assemble(&kept, end, Coverage::Whole, view);
        Ok(Exact { relation, missing })
    }

    /// Whether the stream has yet to be read up to where it was at the start.
    fn is_late(&self) -> bool {
        matches!(self.phase(), Phase::Starting | Phase::CatchingUp)
    }

    fn view(&mut self, kept: &Kept, end: &OffsetMap, with_tail: bool) -> View {
        let boundary = named(kept.snapshot.boundary.known());
        if with_tail {
            return self.tail.view(&kept.snapshot.chunks, &boundary, end);
        }
        View {
            sealed: Arc::new([]),
            open: unseen(&kept.snapshot.chunks, &boundary),
            missing: Vec::new(),
            segments: Vec::new(),
        }
    }

    fn assemble(&self, kept: &Kept, end: OffsetMap, coverage: Coverage, view: View) -> Relation {
        let snapshot = &kept.snapshot;
        let sealed = [kept.sealed.clone(), view.sealed];
        Relation {
            table: self.settings.table.clone(),
            schema: snapshot.schema.clone(),
            version: self.version_at(snapshot, end),
            boundary: named(snapshot.boundary.known()),
            files: kept.files.clone(),
            sealed: sealed.into_iter().filter(|list| !list.is_empty()).collect(),
            open: view.open,
            segments: view.segments,
            coverage,
            row_filter: None,
            guard: snapshot.clone(),
        }
    }
}

/// The chunks that a boundary lies in, whose rows are in the lake alone.
fn unseen(chunks: &LakeChunks, boundary: &OffsetMap) -> Vec<OpenChunk> {
    let straddling = chunks.keys().filter(|id| {
        let next = boundary.next(id.partition);
        id.start() < next && next < id.end()
    });
    let open = straddling.map(|id| OpenChunk {
        id: *id,
        rows: Vec::new(),
        complete: false,
        lost: 0,
        end: boundary.next(id.partition),
    });
    open.collect()
}

/// A boundary as an end: without zeros; nothing where it is unknown.
fn named(boundary: Option<&OffsetMap>) -> OffsetMap {
    let entries = boundary.into_iter().flat_map(OffsetMap::iter);
    entries.filter(|(_, next)| next.0 > 0).collect()
}
