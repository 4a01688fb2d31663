//! Predicates over whole relations and whole chains of snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use springtide_protocol::{Offset, OffsetMap, TableVersion};
use springtide_relation::{ChunkId, ColumnStatistics, FileOrigin, OpenChunk, Relation, Scalar};
use uuid::Uuid;

use super::{Held, hold};
use crate::boundary::Phase;

/// What identifies rows of a relation when no predicate prunes (rule 4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Atom {
    /// A file of others.
    File(String),
    /// A chunk that the end has passed, and its rows.
    Sealed(ChunkId, Option<u64>),
    /// An open chunk up to its last row.
    OpenThrough(ChunkId, Offset),
    /// An open chunk whose rows are not all at hand.
    OpenUntil(ChunkId, Offset),
    /// Beside one that lost rows: the foreign commit.
    Thinned(ChunkId, i64),
}

/// All atoms of a relation, in order.
pub(crate) fn atoms(relation: &Relation) -> Vec<Atom> {
    let foreign = relation.version.foreign_sequence;
    let files = relation.files.iter().filter_map(|file| match &file.origin {
        FileOrigin::Foreign(path) if file.rows > 0 => Some(Atom::File(path.to_string())),
        _ => None,
    });
    let sealed = relation.sealed.iter().flat_map(|list| list.iter());
    let mut all: Vec<Atom> =
        files.chain(sealed.map(|chunk| Atom::Sealed(chunk.id, chunk.rows))).collect();
    for open in &relation.open {
        if !open.complete {
            all.extend([Atom::OpenUntil(open.id, open.end), Atom::Thinned(open.id, foreign)]);
            continue;
        }
        let last = open.rows.iter().filter_map(|b| b.offsets.values().last()).max();
        all.extend(last.map(|last| Atom::OpenThrough(open.id, Offset(*last))));
        all.extend((open.lost > 0).then_some(Atom::Thinned(open.id, foreign)));
    }
    all.sort_unstable();
    all
}

/// No row twice, none missing.
pub(crate) fn each_row_once<T: Ord + Debug>(found: Vec<T>, expected: &BTreeSet<T>) -> Held {
    let count = found.len();
    let set: BTreeSet<T> = found.into_iter().collect();
    let (missing, surplus): (Vec<_>, Vec<_>) =
        (expected.difference(&set).collect(), set.difference(expected).collect());
    let holds = count == set.len() && missing.is_empty() && surplus.is_empty();
    hold("each_row_once", holds, || {
        let twice = count - set.len();
        format!("missing {missing:?}, surplus {surplus:?}, {twice} rows twice")
    })
}

/// Equal version: equal rows, and equal atoms (rule 1). `what`: which of them.
pub(crate) fn same_for_equal_version<T: PartialEq + Debug>(
    what: &'static str,
    version: &TableVersion,
    before: &T,
    now: &T,
) -> Held {
    hold(what, before == now, || format!("{version:?}: {before:?}, now {now:?}"))
}

/// Every row lies in one chunk or one file of others, and the chunk's count and bounds
/// hold it. `rows`: values of the first column by chunk.
pub(crate) fn chunks_hold_rows(relation: &Relation, rows: &BTreeMap<ChunkId, Vec<i64>>) -> Held {
    const NAME: &str = "chunks_hold_rows";
    let mut left: BTreeMap<ChunkId, &Vec<i64>> = rows.iter().map(|(id, r)| (*id, r)).collect();
    let mut seen = BTreeSet::new();
    for sealed in relation.sealed.iter().flat_map(|list| list.iter()) {
        hold(NAME, seen.insert(sealed.id), || format!("{:?} twice", sealed.id))?;
        let own = left.remove(&sealed.id).map_or(&[][..], |rows| rows);
        let counted = sealed.rows.is_none_or(|n| n == own.len() as u64);
        let bounded = own.iter().all(|value| bounds_hold(&sealed.columns, *value));
        hold(NAME, counted && bounded, || format!("{sealed:?} of {own:?}"))?;
    }
    for open in &relation.open {
        hold(NAME, seen.insert(open.id), || format!("{:?} twice", open.id))?;
        let ends = open.end == relation.version.offsets.next(open.id.partition);
        let own = left.remove(&open.id).map_or(0, Vec::len) as u64;
        let at_hand: u64 = open.rows.iter().map(|batch| batch.len() as u64).sum();
        let holds = ends && (!open.complete || at_hand >= own);
        hold(NAME, holds, || format!("{own} rows in {open:?}"))?;
    }
    let missed = left.iter().find(|(_, rows)| !rows.is_empty());
    hold(NAME, missed.is_none(), || format!("in no chunk: {missed:?}"))
}

/// The rows of open chunks are at hand, so that each can be tested (rule 5).
pub(crate) fn open_rows_are_at_hand(open: &[OpenChunk], excused: bool) -> Held {
    let at_hand = excused || open.iter().all(|chunk| chunk.complete);
    hold("open_rows_are_at_hand", at_hand, || format!("{open:?}"))
}

fn bounds_hold(columns: &[ColumnStatistics], value: i64) -> bool {
    let value = Scalar::Integer(value.into());
    let Some(column) = columns.first() else { return false };
    let within = |bound: &Option<Scalar>, wrong| {
        bound.as_ref().is_none_or(|b| b.compare(&value).is_some_and(|order| order != wrong))
    };
    within(&column.lower, std::cmp::Ordering::Greater)
        && within(&column.upper, std::cmp::Ordering::Less)
}

/// A halt is for someone to look at, never left by itself.
pub(crate) fn stays_halted(before: &Phase, after: &Phase) -> Held {
    let halted = matches!(before, Phase::Halted(_));
    hold("stays_halted", !halted || before == after, || format!("{before:?} to {after:?}"))
}

/// Each commit of ours stands at most once in a chain of snapshots.
pub(crate) fn committed_once(chain: &[Uuid]) -> Held {
    let distinct: BTreeSet<_> = chain.iter().collect();
    hold("committed_once", distinct.len() == chain.len(), || format!("{chain:?}"))
}

/// The boundary only grows from parent to child.
pub(crate) fn boundary_grows(parent: &OffsetMap, child: &OffsetMap) -> Held {
    hold("boundary_grows", child.covers(parent), || format!("{parent:?} to {child:?}"))
}

/// A file that a live snapshot names is never thrown away.
pub(crate) fn live_files_are_kept<'a>(
    live: impl Iterator<Item = &'a str>,
    discarded: &BTreeSet<String>,
) -> Held {
    let gone: Vec<_> = live.filter(|path| discarded.contains(*path)).collect();
    hold("live_files_are_kept", gone.is_empty(), || format!("{gone:?}"))
}

/// A version that was issued within the pin window is answered exactly (rule 7).
pub(crate) fn kept_in_window<E: Debug>(
    version: &TableVersion,
    answered: Result<(), E>,
    excused: bool,
) -> Held {
    hold("kept_in_window", answered.is_ok() || excused, || format!("{version:?}: {answered:?}"))
}
