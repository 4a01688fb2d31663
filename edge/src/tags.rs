//! Tags and their clocks (rule 12). A tag's state is shared by the answers
//! that carry it, so that marking them all is one store, however many they are:
//! an answer is stale if one of its tags changed after the answer was validated.
//!
//! Moments are numbers of a sequence that grows with each change. It must
//! never know answers or how the feed travels.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use springtide_protocol::version::{AtLeast, MinVersion, PartialTableVersion};
use springtide_protocol::{TableName, Tag, Version};

/// Changes of one tag whose moments are remembered.
const REMEMBERED_CHANGES: usize = 16;

/// One tag's state. Lock-free to read on a hit.
#[derive(Debug, Default)]
pub(crate) struct TagState {
    changed: AtomicU64,
    dropped: AtomicU64,
    detail: Mutex<Detail>,
}

#[derive(Debug, Default)]
struct Detail {
    /// The highest version announced.
    clock: MinVersion,
    /// The last change that named no version.
    unversioned: u64,
    /// The last changes: sequence and monotonic microseconds.
    recent: VecDeque<(u64, i64)>,
    /// Whether `recent` has forgotten some.
    forgot: bool,
}

/// One change as tags see it.
#[derive(Clone, Debug)]
pub(crate) struct TagChange {
    /// Its number.
    pub sequence: u64,
    /// When it was heard of, monotonic microseconds.
    pub mono: i64,
    /// The version from which it can be seen; empty where it names none.
    pub version: MinVersion,
    /// Whether answers under the tag may not be used again.
    pub drop: bool,
}

/// All tags that stored answers carry, and clocks of others within a bound.
#[derive(Debug)]
pub(crate) struct Tags {
    most: usize,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    tags: HashMap<Tag, Arc<TagState>>,
    /// What forgotten tags of a table had at most: where such a tag comes
    /// again, its clock begins there.
    forgotten: BTreeMap<TableName, PartialTableVersion>,
    /// The last change or drop of a forgotten query's tag.
    forgotten_sequence: u64,
    /// How many are known when it is next tried to forget some.
    next_sweep: usize,
}

impl TagState {
    /// Number of the last change; 0: none.
    #[must_use]
    pub(crate) fn changed(&self) -> u64 {
        self.changed.load(Ordering::Acquire)
    }

    /// Number of the last drop; 0: none.
    #[must_use]
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Acquire)
    }

    /// When it first changed after `sequence`, monotonic microseconds; `None`
    /// where that is forgotten.
    #[must_use]
    pub(crate) fn first_change_after(&self, sequence: u64) -> Option<i64> {
        let detail = self.detail.lock();
        let first = detail.recent.iter().position(|(number, _)| *number > sequence)?;
        (first > 0 || !detail.forgot).then(|| detail.recent[first].1)
    }

    /// Whether an answer of `version`, asked for at `begun`, has all that was announced.
    #[must_use]
    pub(crate) fn is_reached_by(&self, version: Option<&Version>, begun: u64) -> bool {
        let detail = self.detail.lock();
        if detail.unversioned > begun {
            return false;
        }
        match version {
            Some(version) => detail.clock.reached_by(version) == AtLeast::Reached,
            None => self.changed() <= begun,
        }
    }

    /// Joins the clock into `minimum`.
    pub(crate) fn add_clock(&self, minimum: &mut MinVersion) {
        let detail = self.detail.lock();
        join(minimum, &detail.clock);
    }

    fn change(&self, change: &TagChange) {
        let mut detail = self.detail.lock();
        if change.version.tables.is_empty() {
            detail.unversioned = change.sequence;
        }
        join(&mut detail.clock, &change.version);
        if detail.recent.len() == REMEMBERED_CHANGES {
            detail.recent.pop_front();
            detail.forgot = true;
        }
        detail.recent.push_back((change.sequence, change.mono));
        if change.drop {
            self.dropped.store(change.sequence, Ordering::Release);
        }
        self.changed.store(change.sequence, Ordering::Release);
    }
}

impl Tags {
    /// None known; at most `most` are kept that no answer carries.
    #[must_use]
    pub(crate) fn new(most: usize) -> Self {
        Self { most, known: RwLock::default() }
    }

    /// The state of a tag, made where it is not known.
    #[must_use]
    pub(crate) fn state(&self, tag: &Tag) -> Arc<TagState> {
        if let Some(state) = self.known.read().tags.get(tag) {
            return state.clone();
        }
        let mut known = self.known.write();
        self.make_room(&mut known);
        let Known { tags, forgotten, forgotten_sequence, .. } = &mut *known;
        let made = || Arc::new(beginning(tag, forgotten, *forgotten_sequence));
        tags.entry(tag.clone()).or_insert_with(made).clone()
    }

    /// The states that an answer with these tags depends on: theirs, and for a
    /// table partition also what is said of the whole table.
    #[must_use]
    pub(crate) fn states(&self, tags: &[Tag]) -> Box<[Arc<TagState>]> {
        let whole: BTreeSet<_> = tags.iter().filter_map(partitioned).collect();
        let whole: Vec<_> = whole.into_iter().map(every_partition).collect();
        tags.iter().chain(&whole).map(|tag| self.state(tag)).collect()
    }

    /// Marks every answer under these tags. A change that names a table and none
    /// of its partitions may have touched any of them (rule 11).
    pub(crate) fn change(&self, tags: &[Tag], change: &TagChange) {
        for tag in tags {
            self.state(tag).change(change);
        }
        let named: BTreeSet<_> = tags.iter().filter_map(partitioned).collect();
        for tag in tags {
            if let Tag::Table(table) = tag
                && !named.contains(table)
            {
                self.state(&every_partition(table)).change(change);
                self.take_over(table, change);
            }
        }
    }

    /// Where another table or topic came in a table's place, the clocks of its
    /// partitions begin anew: what they ask for can never be reached.
    fn take_over(&self, table: &TableName, change: &TagChange) {
        let Some(newer) = change.version.tables.get(table) else { return };
        let mut known = self.known.write();
        if let Some(clock) = known.forgotten.get_mut(table)
            && is_another(clock, newer)
        {
            *clock = newer.clone();
        }
        for (_, state) in known.tags.iter().filter(|(tag, _)| partitioned(tag) == Some(table)) {
            let mut detail = state.detail.lock();
            if let Some(clock) = detail.clock.tables.get_mut(table)
                && is_another(clock, newer)
            {
                *clock = newer.clone();
            }
        }
    }

    /// Forgets all clocks: after a reset the feed may speak of another life of
    /// the origin, which can never reach them. What was asked for before the
    /// reset is stale anyway, and the next heartbeat tells what is current.
    pub(crate) fn forget_clocks(&self) {
        let mut known = self.known.write();
        known.forgotten.clear();
        known.tags.values().for_each(|state| state.detail.lock().clock = MinVersion::default());
    }

    /// How many are known.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.known.read().tags.len()
    }

    /// Forgets tags that no answer carries, once they are too many; their
    /// clocks live on by table.
    fn make_room(&self, known: &mut Known) {
        if known.tags.len() < self.most.max(known.next_sweep) {
            return;
        }
        let Known { tags, forgotten, forgotten_sequence, next_sweep } = known;
        tags.retain(|tag, state| {
            // Clones are made under this lock only, or from an answer's own.
            if Arc::strong_count(state) > 1 {
                return true;
            }
            let detail = state.detail.lock();
            let unspoken = detail.unversioned.max(state.dropped());
            *forgotten_sequence = (*forgotten_sequence).max(unspoken);
            if let Tag::Query(_) = tag {
                *forgotten_sequence = (*forgotten_sequence).max(state.changed());
            }
            for (table, clock) in &detail.clock.tables {
                join_table(forgotten.entry(table.clone()).or_default(), clock);
            }
            false
        });
        // Where answers hold most of them, sweeping at each new one would be in vain.
        *next_sweep = tags.len() * 2;
    }
}

/// The table that a tag names a partition of.
const fn partitioned(tag: &Tag) -> Option<&TableName> {
    match tag {
        Tag::Partition(table, _) => Some(table),
        Tag::Table(_) | Tag::Query(_) => None,
    }
}

/// What stands for all partitions of a table, those not known included. No text
/// is read as this tag: a partition's value is never empty.
fn every_partition(table: &TableName) -> Tag {
    Tag::Partition(table.clone(), String::new())
}

/// The state that a tag begins with: nothing, or what was forgotten.
fn beginning(
    tag: &Tag,
    forgotten: &BTreeMap<TableName, PartialTableVersion>,
    forgotten_sequence: u64,
) -> TagState {
    let state = TagState::default();
    if let Tag::Table(table) | Tag::Partition(table, _) = tag
        && let Some(clock) = forgotten.get(table)
    {
        state.detail.lock().clock.tables.insert(table.clone(), clock.clone());
    }
    state.detail.lock().unversioned = forgotten_sequence;
    state
}

/// Joins two minimums: the higher of each component.
pub(crate) fn join(minimum: &mut MinVersion, other: &MinVersion) {
    for (table, clock) in &other.tables {
        join_table(minimum.tables.entry(table.clone()).or_default(), clock);
    }
}

/// The higher of each component; where another table or topic came in its
/// place, the newer announcement alone.
fn join_table(clock: &mut PartialTableVersion, newer: &PartialTableVersion) {
    if is_another(clock, newer) {
        *clock = newer.clone();
        return;
    }
    clock.table_uuid = newer.table_uuid.or(clock.table_uuid);
    clock.topic_id = newer.topic_id.or(clock.topic_id);
    clock.schema_id = newer.schema_id.max(clock.schema_id);
    clock.decode_epoch = newer.decode_epoch.max(clock.decode_epoch);
    clock.foreign_sequence = newer.foreign_sequence.max(clock.foreign_sequence);
    clock.offsets = clock.offsets.max(&newer.offsets);
}

/// Whether two versions speak of different tables or topics.
fn is_another(a: &PartialTableVersion, b: &PartialTableVersion) -> bool {
    let differs = |a: Option<_>, b: Option<_>| a.is_some() && b.is_some() && a != b;
    differs(a.table_uuid, b.table_uuid) || differs(a.topic_id, b.topic_id)
}

#[cfg(test)]
mod tests;
