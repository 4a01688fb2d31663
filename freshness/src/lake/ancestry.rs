//! What the ancestors of a snapshot say: the boundary B(S), the topic it is of,
//! the newest foreign commit, whether a commit happened. A pure function of the
//! chain of summaries.
//!
//! It must never know how snapshots are stored.

use std::collections::HashMap;

use iceberg::spec::{Operation, SnapshotRef, TableMetadata};
use serde::{Deserialize, Serialize};
use springtide_protocol::OffsetMap;
use uuid::Uuid;

use super::LakeBoundary;

#[cfg(test)]
mod tests;

/// Key of the full map of next offsets, a [`Marker`] in JSON.
pub(crate) const OFFSETS: &str = "springtide.offsets";
/// Key of the commit's id.
pub(crate) const COMMIT_ID: &str = "springtide.commit-id";
/// Key of the map that the commit was fenced on.
pub(crate) const FROM: &str = "springtide.from";
/// Key of the decode epoch of the commit's rows.
pub(crate) const DECODE_EPOCH: &str = "springtide.decode-epoch";
/// Key of the sequence number of the newest foreign commit before this one: it
/// outlives the expiry of that commit's snapshot.
pub(crate) const FOREIGN: &str = "springtide.foreign-sequence";
/// Key that marks a bulk load, `true`.
pub(crate) const LOAD: &str = "springtide.load";
/// Key by which other writers mark a cherry-picked snapshot.
const CHERRY_PICKED: &str = "source-snapshot-id";
/// The version of [`Marker`] that is written.
const MARKER_VERSION: u32 = 1;

/// The value of [`OFFSETS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    v: u32,
    /// The cluster or journal.
    pub(crate) cluster: String,
    /// The topic's name.
    pub(crate) topic: String,
    /// The topic's id.
    pub(crate) topic_id: Uuid,
    /// Next offsets.
    pub(crate) next: OffsetMap,
}

/// One snapshot on the way from S to the first.
#[derive(Clone, Debug)]
pub(crate) struct Ancestor {
    pub(crate) id: i64,
    pub(crate) sequence: i64,
    pub(crate) operation: Operation,
    pub(crate) summary: HashMap<String, String>,
    /// Whether it has no parent, so that nothing is missing after it.
    pub(crate) first: bool,
}

/// What an ancestor means for the boundary.
enum Meaning<'a> {
    Marked(&'a str),
    Transparent,
    Unmarked,
    CherryPicked,
}

impl Marker {
    pub(crate) const fn new(
        cluster: String,
        topic: String,
        topic_id: Uuid,
        next: OffsetMap,
    ) -> Self {
        Self { v: MARKER_VERSION, cluster, topic, topic_id, next }
    }
}

impl Ancestor {
    fn of(snapshot: &SnapshotRef) -> Self {
        let summary = snapshot.summary();
        Self {
            id: snapshot.snapshot_id(),
            sequence: snapshot.sequence_number(),
            operation: summary.operation.clone(),
            summary: summary.additional_properties.clone(),
            first: snapshot.parent_snapshot_id().is_none(),
        }
    }

    /// The chain of the current snapshot, itself first; it ends early where a
    /// parent is no longer in the metadata.
    pub(crate) fn chain(metadata: &TableMetadata) -> impl Iterator<Item = Self> + '_ {
        Self::chain_of(metadata, metadata.current_snapshot())
    }

    /// The chain of a snapshot, itself first.
    pub(crate) fn chain_of<'a>(
        metadata: &'a TableMetadata,
        snapshot: Option<&'a SnapshotRef>,
    ) -> impl Iterator<Item = Self> + 'a {
        snapshots(metadata, snapshot).map(Self::of)
    }

    fn is_from_stream(&self) -> bool {
        self.summary.contains_key(OFFSETS)
            && self.summary.contains_key(COMMIT_ID)
            && !self.is_load()
            && !self.summary.contains_key(CHERRY_PICKED)
    }

    fn is_load(&self) -> bool {
        self.summary.get(LOAD).is_some_and(|v| v == "true")
    }

    fn meaning(&self) -> Meaning<'_> {
        if self.summary.contains_key(CHERRY_PICKED) {
            return Meaning::CherryPicked;
        }
        match (self.summary.get(OFFSETS), &self.operation) {
            (Some(text), _) => Meaning::Marked(text),
            (None, Operation::Replace) => Meaning::Transparent,
            (None, _) if self.is_load() => Meaning::Transparent,
            (None, _) => Meaning::Unmarked,
        }
    }
}

/// A snapshot and its ancestors, as far as the metadata has them.
fn snapshots<'a>(
    metadata: &'a TableMetadata,
    snapshot: Option<&'a SnapshotRef>,
) -> impl Iterator<Item = &'a SnapshotRef> + 'a {
    let parent =
        |s: &&'a SnapshotRef| s.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
    std::iter::successors(snapshot, parent)
}

/// The oldest ancestor of the current snapshot that was current after `since_micros` and
/// that nothing but commits of our stream followed, all decoded in `decode_epoch`, at most
/// `most_offsets` together.
pub(crate) fn former(
    metadata: &TableMetadata,
    (decode_epoch, foreign_commits): (u32, bool),
    since_micros: i64,
    most_offsets: i64,
) -> Option<&SnapshotRef> {
    let boundary = |snapshot| {
        let chain = Ancestor::chain_of(metadata, Some(snapshot));
        resolve(chain, foreign_commits).0.known().cloned()
    };
    let current = metadata.current_snapshot()?;
    let end = boundary(current)?;
    let mut found = None;
    let chain: Vec<&SnapshotRef> = snapshots(metadata, Some(current)).collect();
    for pair in chain.windows(2) {
        let [child, parent] = pair else { break };
        let (told, epoch) = (Ancestor::of(child), decode_epoch.to_string());
        let alike = told.is_from_stream()
            && told.summary.get(DECODE_EPOCH) == Some(&epoch)
            && child.schema_id() == Some(metadata.current_schema_id());
        let recent = child.timestamp_ms().saturating_mul(1000) > since_micros;
        let Some(from) = boundary(parent) else { break };
        let distance: i64 = end.iter().map(|(p, end)| (end.0 - from.next(p).0).max(0)).sum();
        if !alike || !recent || distance > most_offsets {
            break;
        }
        found = Some(*parent);
    }
    found
}

/// The boundary of the first of `chain`, and the marker that it comes from.
/// `foreign_commits`: whether unmarked commits by others are declared allowed.
pub(crate) fn resolve(
    chain: impl Iterator<Item = Ancestor>,
    foreign_commits: bool,
) -> (LakeBoundary, Option<Marker>) {
    let unknown = |reason: String| (LakeBoundary::Unknown { reason }, None);
    let mut last_was_first = true;
    for ancestor in chain {
        last_was_first = ancestor.first;
        match ancestor.meaning() {
            Meaning::Marked(text) => {
                return match serde_json::from_str::<Marker>(text) {
                    Ok(marker) if marker.v == MARKER_VERSION => {
                        (LakeBoundary::Known(marker.next.clone()), Some(marker))
                    }
                    _ => unknown(format!(
                        "`{OFFSETS}` of snapshot {} cannot be read; was it written by a newer version?",
                        ancestor.id
                    )),
                };
            }
            Meaning::Transparent => {}
            Meaning::Unmarked if foreign_commits => {}
            Meaning::Unmarked => {
                return unknown(format!(
                    "snapshot {} ({}) was committed by another writer; set `foreign_commits = true` for this table if its rows are not also in the stream",
                    ancestor.id,
                    ancestor.operation.as_str()
                ));
            }
            Meaning::CherryPicked => {
                return unknown(format!(
                    "snapshot {} is cherry-picked: its offsets do not tell what the table holds",
                    ancestor.id
                ));
            }
        }
    }
    if last_was_first {
        (LakeBoundary::Known(OffsetMap::new()), None)
    } else {
        unknown("the snapshots that told the boundary have expired".to_owned())
    }
}

/// The sequence number of the newest of `chain` that is neither from our stream nor
/// a `replace`; 0 where there is none.
pub(crate) fn foreign_sequence(chain: impl Iterator<Item = Ancestor>) -> i64 {
    for ancestor in chain {
        if ancestor.is_from_stream() {
            if let Some(recorded) = ancestor.summary.get(FOREIGN).and_then(|v| v.parse().ok()) {
                return recorded;
            }
        } else if ancestor.operation != Operation::Replace {
            return ancestor.sequence;
        }
    }
    0
}

/// The foreign sequence number that versions of a snapshot carry; `chain` is its own. Where
/// the boundary is unknown the end tells nothing, so each snapshot has a number of its own.
pub(crate) fn content_sequence(
    boundary: &LakeBoundary,
    mut chain: impl Iterator<Item = Ancestor>,
) -> i64 {
    match boundary {
        LakeBoundary::Known(_) => foreign_sequence(chain),
        LakeBoundary::Unknown { .. } => chain.next().map_or(0, |own| own.sequence),
    }
}

/// Whether the commit of this id is among `chain`.
pub(crate) fn has_commit(mut chain: impl Iterator<Item = Ancestor>, commit_id: Uuid) -> bool {
    let wanted = commit_id.to_string();
    chain.any(|ancestor| ancestor.summary.get(COMMIT_ID) == Some(&wanted))
}
