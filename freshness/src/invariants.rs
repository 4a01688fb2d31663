//! What must hold of every table at all times, each as a predicate with a name.
//! The simulation asks them all, debug assertions those that are cheap, tests on
//! the real journal and lake those that can be told from outside.
//!
//! It must never know how a state came about, only what it is.

use std::fmt;

use springtide_protocol::{OffsetMap, TableVersion};

use crate::boundary::Phase;

#[cfg(test)]
mod relations;
#[cfg(test)]
pub(crate) use relations::{
    Atom, atoms, boundary_grows, chunks_hold_rows, committed_once, each_row_once, kept_in_window,
    live_files_are_kept, open_rows_are_at_hand, same_for_equal_version, stays_halted,
};

/// One that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Its name.
    pub(crate) invariant: &'static str,
    /// What was found.
    pub(crate) found: String,
}

/// Whether one holds.
pub(crate) type Held = Result<(), Violation>;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.found)
    }
}

pub(super) fn hold(invariant: &'static str, holds: bool, found: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(Violation { invariant, found: found() }) }
}

/// Pins of one origin only grow, component by component (rule 2). `settled`: a gap or
/// a halt, which is told as it is. `rolled_back`: the lake was.
pub(crate) fn pins_grow(
    before: &TableVersion,
    after: &TableVersion,
    settled: bool,
    rolled_back: bool,
) -> Held {
    let other = before.table_uuid != after.table_uuid;
    let offsets = settled || after.offsets.covers(&before.offsets);
    let lake = rolled_back
        || after.foreign_sequence >= before.foreign_sequence
            && after.schema_id >= before.schema_id
            && after.decode_epoch >= before.decode_epoch;
    hold("pins_grow", other || offsets && lake, || format!("{before:?} to {after:?}"))
}

/// As-of claims no more than was read (rule 14): `high` is where the stream ended then.
#[cfg(test)]
pub(crate) fn as_of_was_read(high: &OffsetMap, version: &TableVersion) -> Held {
    hold("as_of_was_read", version.offsets.covers(high), || format!("{high:?} in {version:?}"))
}

/// What is announced can be pinned (rule 12).
#[cfg(test)]
pub(crate) fn announced_is_pinnable(announced: &TableVersion, pinnable: &TableVersion) -> Held {
    hold("announced_is_pinnable", announced == pinnable, || {
        format!("{announced:?} where {pinnable:?} is pinned")
    })
}

/// Nothing is committed once the stream has contradicted what was read from it.
pub(crate) fn halted_commits_nothing(phase: &Phase) -> Held {
    let halted = matches!(phase, Phase::Halted(_));
    hold("halted_commits_nothing", !halted, || format!("a commit in {phase:?}"))
}

/// A table whose records are lost goes on only where the lake has them, or where the lake
/// was rolled back to what the stream still follows on.
#[cfg(test)]
pub(crate) fn gap_is_left_knowingly(
    before: &Phase,
    after: &Phase,
    start: &OffsetMap,
    boundary: Option<&OffsetMap>,
) -> Held {
    let Phase::Gap(crate::boundary::Gap::Lost { partition, low, .. }) = before else {
        return Ok(());
    };
    let gone = matches!(after, Phase::CatchingUp | Phase::Live);
    let reached = boundary.is_some_and(|boundary| boundary.next(*partition) >= *low);
    let unread = start.named(*partition).is_none();
    hold("gap_is_left_knowingly", !gone || reached || unread, || {
        format!("{before:?} to {after:?} at {boundary:?}")
    })
}

/// Nothing is evicted that is not in the lake.
pub(crate) fn uncommitted_is_kept(start: &OffsetMap, boundary: &OffsetMap) -> Held {
    let kept = start.iter().all(|(partition, start)| start <= boundary.next(partition));
    hold("uncommitted_is_kept", kept, || format!("from {start:?} on, committed {boundary:?}"))
}

/// For debug assertions: says what does not hold.
pub(crate) fn assert_held(held: Held) -> bool {
    match held {
        Ok(()) => true,
        Err(violation) => panic!("{violation}"),
    }
}
