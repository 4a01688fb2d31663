//! The fake stream: one topic at a time, with transactions, gaps, retention,
//! lost ends, new partitions, and another of the same name after it was deleted.

use std::collections::BTreeSet;

use springtide_protocol::{Offset, OffsetMap, PartitionId};
use uuid::Uuid;

use super::random::Random;
use super::rows::Row;
use crate::stream::{TopicDescription, Watermarks};

/// One partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Partition {
    /// Offsets with a record that counts, also those that retention took.
    pub(super) rows: BTreeSet<i64>,
    pub(super) end: i64,
    pub(super) low: i64,
    /// Records of a transaction that is open.
    open: Option<Vec<i64>>,
    /// Where an unclean election cut it off.
    cut: Option<i64>,
}

/// One topic.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) id: u128,
    pub(super) partitions: Vec<Partition>,
}

/// All topics of one name.
#[derive(Debug)]
pub(super) struct Stream {
    /// The last is there now.
    pub(super) topics: Vec<Topic>,
    /// When each end was reached: (time, topic, ends).
    ends: Vec<(i64, u128, OffsetMap)>,
}

impl Partition {
    /// The last stable offset.
    pub(super) fn high(&self) -> i64 {
        let open = self.open.as_ref().and_then(|open| open.first().copied());
        open.unwrap_or(self.end).min(self.cut.unwrap_or(i64::MAX))
    }
}

impl Topic {
    fn new(id: u128, partitions: usize) -> Self {
        Self { id, partitions: vec![Partition::default(); partitions] }
    }

    /// Where it can be read up to.
    pub(super) fn highs(&self) -> OffsetMap {
        let each = self.partitions.iter().zip(0..);
        each.map(|(partition, p)| (PartitionId(p), Offset(partition.high()))).collect()
    }

    /// All rows that ever were in `[from, to)`.
    pub(super) fn rows(&self, from: &OffsetMap, to: &OffsetMap) -> BTreeSet<Row> {
        let each = self.partitions.iter().zip(0..);
        let rows = each.flat_map(|(partition, p)| {
            let (from, to) = (from.next(PartitionId(p)).0, to.next(PartitionId(p)).0);
            partition.rows.range(from..to.max(from)).map(move |offset| (self.id, p, *offset))
        });
        rows.collect()
    }
}

impl Stream {
    pub(super) fn new(partitions: usize, now: i64) -> Self {
        let topics = vec![Topic::new(7, partitions)];
        let mut stream = Self { topics, ends: Vec::new() };
        stream.note(now);
        stream
    }

    pub(super) fn topic(&self) -> &Topic {
        self.topics.last().unwrap()
    }

    fn topic_mut(&mut self) -> &mut Topic {
        self.topics.last_mut().unwrap()
    }

    pub(super) fn named(&self, id: Uuid) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.id == id.as_u128())
    }

    pub(super) fn describe(&self) -> TopicDescription {
        let topic = self.topic();
        let marks = topic.partitions.iter().zip(0..).map(|(partition, p)| {
            let (low, high) = (Offset(partition.low), Offset(partition.high()));
            (PartitionId(p), Watermarks { low, high })
        });
        TopicDescription {
            topic: "t".to_owned(),
            topic_id: Uuid::from_u128(topic.id),
            cluster: "c".to_owned(),
            watermarks: marks.collect(),
        }
    }

    fn note(&mut self, now: i64) {
        let topic = self.topic();
        self.ends.push((now, topic.id, topic.highs()));
    }

    /// Where a topic ended at a time.
    pub(super) fn end_at(&self, id: Uuid, micros: i64) -> OffsetMap {
        let before =
            self.ends.iter().rev().find(|(at, topic, _)| *at <= micros && *topic == id.as_u128());
        before.map(|(_, _, ends)| ends.clone()).unwrap_or_default()
    }

    /// Whether a topic was the one of its name at a time.
    pub(super) fn is_there_at(&self, id: Uuid, micros: i64) -> bool {
        let last = self.ends.iter().rev().find(|(at, ..)| *at <= micros);
        last.is_none_or(|(_, topic, _)| *topic == id.as_u128())
    }

    pub(super) fn produce(&mut self, random: &mut Random, now: i64) {
        let count = self.topic().partitions.len();
        let at = random.place(count).unwrap();
        let partition = &mut self.topic_mut().partitions[at];
        if partition.cut.is_some() {
            return;
        }
        let transaction = random.chance(25);
        for _ in 0..random.range(1, 6) {
            if transaction {
                partition.open.get_or_insert_default().push(partition.end);
            } else {
                partition.rows.insert(partition.end);
            }
            // What was compacted away, or another's aborted record.
            partition.end += if random.chance(40) { random.range(2, 420) } else { 1 };
        }
        if transaction && random.chance(60) {
            self.finish_transaction(at, random.chance(60));
        }
        self.note(now);
    }

    /// Commits or aborts what is open; the marker takes an offset of its own.
    pub(super) fn finish(&mut self, random: &mut Random, now: i64) {
        let count = self.topic().partitions.len();
        let at = random.place(count).unwrap();
        self.finish_transaction(at, random.chance(60));
        self.note(now);
    }

    fn finish_transaction(&mut self, at: usize, commits: bool) {
        let partition = &mut self.topic_mut().partitions[at];
        let Some(records) = partition.open.take() else { return };
        if commits {
            partition.rows.extend(records);
        }
        partition.end += 1;
    }

    /// Retention takes what lies below `below`, or all that can be read.
    pub(super) fn expire(&mut self, below: Option<&OffsetMap>) {
        for (partition, p) in self.topic_mut().partitions.iter_mut().zip(0..) {
            let to = below.map_or(i64::MAX, |below| below.next(PartitionId(p)).0);
            partition.low = partition.low.max(to.min(partition.high()));
        }
    }

    pub(super) fn add_partition(&mut self, now: i64) {
        if self.topic().partitions.len() < 4 {
            self.topic_mut().partitions.push(Partition::default());
            self.note(now);
        }
    }

    /// An unclean election: the end of a partition is gone, and nothing more is written to it.
    pub(super) fn truncate(&mut self, random: &mut Random, now: i64) {
        let count = self.topic().partitions.len();
        let at = random.place(count).unwrap();
        let partition = &mut self.topic_mut().partitions[at];
        let (low, high) = (partition.low, partition.high());
        if low < high {
            partition.cut = Some(random.range(low, high));
        }
        self.note(now);
    }

    /// Deletes the topic and makes it again.
    pub(super) fn recreate(&mut self, now: i64) {
        let (id, partitions) = (self.topic().id + 1, self.topic().partitions.len());
        self.topics.push(Topic::new(id, partitions));
        self.note(now);
    }

    /// Rows of `[from, from + most)` of a partition that can be read now, and the next offset.
    pub(super) fn read(&self, p: i32, from: i64, most: i64) -> (Vec<i64>, i64) {
        let Some(partition) = self.topic().partitions.get(usize::try_from(p).unwrap()) else {
            return (Vec::new(), from);
        };
        let to = partition.high().min(from + most).max(from);
        (partition.rows.range(from..to).copied().collect(), to)
    }
}
