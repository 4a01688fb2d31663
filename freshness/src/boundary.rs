//! The boundary between lake and stream, as a pure state machine: where to
//! read the stream from, whether snapshot and tail meet, and when to stop.
//! Half-open offsets, no sentinels, no I/O, no clock.
//!
//! For each stream partition, with B the snapshot's next offset, `[L,E)` the
//! tail's coverage and `[low,high)` what the stream still holds:
//!
//! | known | outcome |
//! |---|---|
//! | B unknown | gap: the snapshot alone answers |
//! | the table's decode epoch is not this process's | halted: rows would be told as what they are not |
//! | recorded topic id ≠ the topic's, or none recorded beside a boundary > 0 | halted |
//! | a partition with B > 0 is not in the topic | halted |
//! | high < B or high < E | halted: the stream lost what was read from it |
//! | low > B, nothing read yet | gap: `[B,low)` is neither in lake nor stream |
//! | low ≤ B, nothing read yet | read from max(low, start of B's chunk), so that the chunk has the same rows at hand as before a restart; further back where versions below B may be asked for |
//! | L ≤ B, one topic | they meet: tail rows in `[B,E)` count |
//! | L > B, E ≤ B | cannot be: coverage is never empty below its start |
//! | L > B (the lake rolled back) | read anew from B |
//! | E < B (another committer is ahead) | they meet: the tail adds nothing, the end is B |
//! | low > E while reading, low ≤ B | read anew from low: the lake has what is gone |
//! | low > E while reading, low > B | gap ahead: `[E,low)` is lost; what was read stays right, the end cannot move |
//!
//! The end of a partition is max(B,E). A table is *catching up* until its end
//! has reached the high watermarks seen at start, and *live* from then on.
//! *Gap* is left when a later snapshot or stream makes them meet; *halted* never
//! is: someone has to look.

use springtide_protocol::{Offset, OffsetMap, PartitionId};
use springtide_relation::ChunkId;
use uuid::Uuid;

use crate::stream::{TopicDescription, Watermarks};

mod phase;

#[cfg(test)]
mod tests;

pub use phase::{Gap, Halt, Phase};

/// What a snapshot says about the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// B(S); `None`: unknown, the union cannot be formed.
    pub boundary: Option<OffsetMap>,
    /// The topic that the offsets belong to, as recorded by the commit.
    pub topic_id: Option<Uuid>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The catalog's current snapshot.
    Snapshot(&'a Mark),
    /// The topic as the stream describes it.
    Topic(&'a TopicDescription),
    /// The reader's positions; they only grow.
    Progress(&'a OffsetMap),
    /// The reader's next offset is not what the stream holds.
    OutOfRange {
        /// The partition.
        partition: PartitionId,
        /// Its low watermark now.
        low: Offset,
        /// Its high watermark now.
        high: Offset,
    },
    /// The table is decoded in another epoch than this process decodes in.
    DecodedOtherwise {
        /// This process's.
        own: u32,
        /// The table's.
        recorded: u32,
    },
    /// The tail let go of what is below.
    Evicted(&'a OffsetMap),
}

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Nothing.
    None,
    /// Forget the tail and read from here.
    Read(OffsetMap),
    /// Go on from the present end, with all the partitions that there are now.
    Resume(OffsetMap),
    /// Stop reading.
    Stop,
}

/// The machine of one table.
#[derive(Clone, Debug)]
pub struct Boundary {
    mark: Mark,
    /// The topic that was read from; never one that was refused.
    topic: Option<TopicDescription>,
    /// First offsets covered, by partition being read.
    start: OffsetMap,
    /// Next offsets to read: coverage is `[start, next)`.
    next: OffsetMap,
    /// Where catching up ends.
    target: OffsetMap,
    /// Where versions that were issued before begin; reading begins no later than there.
    floor: Option<OffsetMap>,
    reading: bool,
    phase: Phase,
}

impl Boundary {
    /// A table whose lake is known and whose stream is not.
    #[must_use]
    pub fn new(mark: Mark) -> Self {
        let empty = OffsetMap::new;
        let (start, next, target) = (empty(), empty(), empty());
        let phase = Phase::Starting;
        Self { mark, topic: None, start, next, target, floor: None, reading: false, phase }
    }

    /// From now on reading begins at the chunk of `floor` where the stream still has it:
    /// versions between `floor` and the boundary can then be answered too.
    pub fn reach_back(&mut self, floor: Option<OffsetMap>) {
        self.floor = floor;
    }

    /// Where the table stands.
    #[must_use]
    pub const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// First offsets that the tail covers.
    #[must_use]
    pub const fn start(&self) -> &OffsetMap {
        &self.start
    }

    /// Next offsets that the tail does not cover.
    #[must_use]
    pub const fn next(&self) -> &OffsetMap {
        &self.next
    }

    /// Whether snapshot and tail meet in every partition.
    #[must_use]
    pub fn meets(&self) -> bool {
        let Some(boundary) = &self.mark.boundary else { return false };
        let seen = !self.start.is_empty() && !matches!(self.phase, Phase::Starting);
        let seen =
            seen && self.topic.as_ref().is_some_and(|topic| self.other_topic(topic).is_none());
        // A partition that is in the lake and not in the tail needs the lake alone.
        seen && self.start.iter().all(|(p, start)| start <= boundary.next(p))
    }

    /// B(S) of the current snapshot, where it is known.
    #[must_use]
    pub const fn boundary(&self) -> Option<&OffsetMap> {
        self.mark.boundary.as_ref()
    }

    /// The end E of what can be answered: max(B,E) where snapshot and tail meet,
    /// else B alone; nothing where B is unknown. Zeros are left out, so that equal
    /// ends are equal maps.
    #[must_use]
    pub fn end(&self) -> OffsetMap {
        let boundary = self.mark.boundary.clone().unwrap_or_default();
        let end = if self.meets() { boundary.max(&self.next) } else { boundary };
        end.iter().filter(|(_, next)| *next > Offset::ZERO).collect()
    }

    /// Whether the stream is to be read now.
    #[must_use]
    pub const fn is_reading(&self) -> bool {
        self.reading
    }

    /// Forgets the tail and reads anew from the boundary (the rows are to be
    /// decoded by another schema). Where that cannot be, the snapshot is left alone.
    pub fn reread(&mut self) -> Directive {
        (self.start, self.next) = (OffsetMap::new(), OffsetMap::new());
        match self.topic.clone() {
            Some(topic) if !matches!(self.phase, Phase::Halted(_)) => self.seat(&topic),
            _ => Directive::None,
        }
    }

    /// Takes one event.
    pub fn step(&mut self, event: &Event<'_>) -> Directive {
        match event {
            // What was read answers on, beside whatever the lake is by now.
            Event::Snapshot(mark) if self.is_halted() => {
                self.mark = (*mark).clone();
                Directive::None
            }
            Event::Topic(_) | Event::Progress(_) | Event::OutOfRange { .. } if self.is_halted() => {
                Directive::None
            }
            Event::DecodedOtherwise { own, recorded } => {
                self.halt(Halt::DecodedOtherwise { own: *own, recorded: *recorded })
            }
            Event::Snapshot(mark) => self.on_snapshot(mark),
            Event::Topic(topic) => self.on_topic(topic),
            Event::Progress(positions) => self.on_progress(positions),
            Event::OutOfRange { partition, low, high } => {
                self.on_out_of_range(*partition, *low, *high)
            }
            Event::Evicted(start) => self.on_evicted(start),
        }
    }

    const fn is_halted(&self) -> bool {
        matches!(self.phase, Phase::Halted(_))
    }

    fn on_snapshot(&mut self, mark: &Mark) -> Directive {
        self.mark = mark.clone();
        let Some(topic) = self.topic.clone() else { return Directive::None };
        // Only its identity: where it ended when it was described says nothing now.
        if let Some(halt) = self.other_topic(&topic) {
            return self.halt(halt);
        }
        let Some(boundary) = &self.mark.boundary else {
            // What is read goes on: a later snapshot may know its boundary again.
            self.phase = Phase::Gap(Gap::BoundaryUnknown);
            return Directive::None;
        };
        let rolled_back = self.start.iter().any(|(p, start)| start > boundary.next(p));
        if rolled_back || !self.reading {
            return self.seat(&topic);
        }
        if matches!(self.phase, Phase::Gap(Gap::BoundaryUnknown)) {
            self.phase = Phase::CatchingUp;
        }
        self.on_progress(&OffsetMap::new())
    }

    fn on_topic(&mut self, topic: &TopicDescription) -> Directive {
        let former = self.topic.as_ref().map(|former| former.topic_id);
        if former.is_some_and(|former| former != topic.topic_id) {
            let (recorded, found) = (former, topic.topic_id);
            return self.halt(Halt::TopicRecreated { recorded, found });
        }
        if let Some(halt) = self.contradiction(topic) {
            return self.halt(halt);
        }
        // A description may be told late: what is gone by now is not there again.
        let mut topic = topic.clone();
        for (partition, former) in self.topic.iter().flat_map(|former| &former.watermarks) {
            if let Some(marks) = topic.watermarks.get_mut(partition) {
                marks.low = marks.low.max(former.low);
            }
        }
        let topic = &topic;
        self.topic = Some(topic.clone());
        if !self.reading {
            return self.seat(topic);
        }
        let added = topic.watermarks.iter().filter(|(p, _)| self.start.named(**p).is_none());
        let added: Vec<_> = added.map(|(p, w)| (*p, w.low)).collect();
        if added.is_empty() {
            return Directive::None;
        }
        for (partition, low) in added {
            let boundary = self.mark.boundary.as_ref().map_or(Offset::ZERO, |b| b.next(partition));
            if low > boundary {
                return self.seat(topic);
            }
            let start = low.max(ChunkId::containing(partition, boundary).start());
            self.start.set(partition, start);
            self.next.set(partition, start);
        }
        Directive::Resume(self.next.clone())
    }

    /// Whether the lake's offsets belong to another topic than this.
    fn other_topic(&self, topic: &TopicDescription) -> Option<Halt> {
        let recorded = self.mark.topic_id;
        let committed = || {
            let boundary = self.mark.boundary.iter();
            boundary.flat_map(OffsetMap::iter).any(|(_, next)| next > Offset::ZERO)
        };
        let other = recorded != Some(topic.topic_id) && (recorded.is_some() || committed());
        other.then_some(Halt::TopicRecreated { recorded, found: topic.topic_id })
    }

    /// What cannot be true of a topic that was described just now and of what was
    /// committed or read from it. While it is read, the reader is ahead of any description.
    fn contradiction(&self, topic: &TopicDescription) -> Option<Halt> {
        if let Some(halt) = self.other_topic(topic) {
            return Some(halt);
        }
        let needed = self.mark.boundary.clone().unwrap_or_default().max(&self.next);
        needed.iter().filter(|(_, next)| *next > Offset::ZERO).find_map(|(partition, read)| {
            match topic.watermarks.get(&partition) {
                None => Some(Halt::PartitionMissing(partition)),
                Some(marks) if marks.high < read && !self.reading => {
                    Some(Halt::Truncated { partition, read, high: marks.high })
                }
                Some(_) => None,
            }
        })
    }

    /// Chooses where to read from; a gap where the stream no longer reaches the boundary.
    fn seat(&mut self, topic: &TopicDescription) -> Directive {
        let was_reading = std::mem::replace(&mut self.reading, false);
        let stop = if was_reading { Directive::Stop } else { Directive::None };
        let Some(boundary) = &self.mark.boundary else {
            self.phase = Phase::Gap(Gap::BoundaryUnknown);
            return stop;
        };
        let mut from = OffsetMap::new();
        for (partition, marks) in &topic.watermarks {
            let needed = boundary.next(*partition);
            if marks.low > needed {
                let (partition, low) = (*partition, marks.low);
                self.phase = Phase::Gap(Gap::Lost { partition, needed, low });
                return stop;
            }
            let back = self.floor.as_ref().map_or(needed, |floor| floor.next(*partition));
            let chunk = ChunkId::containing(*partition, back.min(needed));
            from.set(*partition, marks.low.max(chunk.start()));
        }
        let high = topic.watermarks.iter().map(|(p, marks)| (*p, marks.high)).collect();
        self.target = self.target.max(&high);
        self.start = from.clone();
        self.next = from.clone();
        self.reading = true;
        self.phase = Phase::CatchingUp;
        self.on_progress(&OffsetMap::new());
        Directive::Read(from)
    }

    fn on_progress(&mut self, positions: &OffsetMap) -> Directive {
        if !self.reading {
            return Directive::None;
        }
        for (partition, position) in positions.iter() {
            if self.start.named(partition).is_some() && position > self.next.next(partition) {
                self.next.set(partition, position);
            }
        }
        if self.phase == Phase::CatchingUp && self.next.covers(&self.target) {
            self.phase = Phase::Live;
        }
        Directive::None
    }

    fn on_evicted(&mut self, start: &OffsetMap) -> Directive {
        for (partition, offset) in start.iter() {
            if self.start.named(partition).is_some_and(|start| start < offset) {
                self.start.set(partition, offset);
            }
        }
        Directive::None
    }

    fn on_out_of_range(&mut self, partition: PartitionId, low: Offset, high: Offset) -> Directive {
        let needed = self.next.next(partition);
        if high < needed {
            return self.halt(Halt::Truncated { partition, read: needed, high });
        }
        if low <= needed {
            return Directive::Resume(self.next.clone());
        }
        if let Some(topic) = &mut self.topic {
            topic.watermarks.insert(partition, Watermarks { low, high });
        }
        let in_lake = self.mark.boundary.as_ref().is_some_and(|b| low <= b.next(partition));
        if in_lake && let Some(topic) = self.topic.clone() {
            return self.seat(&topic);
        }
        self.reading = false;
        self.phase = Phase::Gap(Gap::Lost { partition, needed, low });
        Directive::Stop
    }

    fn halt(&mut self, halt: Halt) -> Directive {
        self.reading = false;
        self.phase = Phase::Halted(halt);
        Directive::Stop
    }
}
