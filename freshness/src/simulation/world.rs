//! Stream, catalog, clock and two processes, and what happens to them next.

use springtide_protocol::OffsetMap;

use super::catalog::Catalog;
use super::checks::Seen;
use super::random::Random;
use super::replica::Replica;
use super::stream::Stream;
use crate::invariants::Held;

/// Where the clock begins: far from 0, so that times before it are times.
const EPOCH_MICROS: i64 = 1_000_000_000_000_000;

/// What may happen, and how often in all of them.
const ACTS: &[(Act, u64)] = &[
    (Act::Produce, 22),
    (Act::Finish, 4),
    (Act::Read, 26),
    (Act::Look, 8),
    (Act::Refresh, 10),
    (Act::TakeLate, 8),
    (Act::Commit, 10),
    (Act::StepCommit, 34),
    (Act::WriteSegment, 6),
    (Act::Arrive, 5),
    (Act::Wait, 8),
    (Act::Evict, 4),
    (Act::Pin, 10),
    (Act::Crash, 2),
    (Act::Open, 12),
    (Act::Rare, 4),
];

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Records, or some within a transaction.
    Produce,
    /// A transaction ends.
    Finish,
    /// A poll of random size.
    Read,
    /// The topic is described, or a round begins.
    Look,
    /// The catalog is asked.
    Refresh,
    /// What was asked for before is answered now.
    TakeLate,
    /// A commit is due or asked for.
    Commit,
    /// The commit under way does its next step.
    StepCommit,
    /// A segment's file is there.
    WriteSegment,
    /// A request that was given up arrives.
    Arrive,
    /// Time goes by, maybe much of it.
    Wait,
    /// Housekeeping.
    Evict,
    /// A version of before is pinned.
    Pin,
    /// A process dies.
    Crash,
    /// One comes up.
    Open,
    /// Something of [`RARE`].
    Rare,
}

/// What seldom happens, each as likely.
#[derive(Clone, Copy, Debug)]
enum RareAct {
    AppendForeign,
    DeleteForeign,
    Compact,
    RollBack,
    ExpireSnapshots,
    RetainToLake,
    LoseUncommitted,
    Recreate,
    Truncate,
    AddPartition,
    ChangeSchema,
    RaiseEpoch,
    Idle,
}

const RARE: &[RareAct] = &[
    RareAct::AppendForeign,
    RareAct::AppendForeign,
    RareAct::DeleteForeign,
    RareAct::Compact,
    RareAct::Compact,
    RareAct::RollBack,
    RareAct::ExpireSnapshots,
    RareAct::ExpireSnapshots,
    RareAct::RetainToLake,
    RareAct::LoseUncommitted,
    RareAct::Recreate,
    RareAct::Truncate,
    RareAct::AddPartition,
    RareAct::AddPartition,
    RareAct::ChangeSchema,
    RareAct::RaiseEpoch,
    RareAct::Idle,
];

/// All there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) random: Random,
    pub(super) now: i64,
    pub(super) stream: Stream,
    pub(super) catalog: Catalog,
    pub(super) replicas: [Replica; 2],
    pub(super) seen: Seen,
    /// Answers that come at once, in a hundred.
    swift: u64,
    /// Acts of which nothing in this history is seen.
    calm: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let partitions = usize::try_from(random.range(1, 4)).unwrap();
        let foreign_commits = random.chance(70);
        let (swift, calm) = (40 + random.below(61), random.chance(25));
        let catalog = Catalog::new(random.uuid(), foreign_commits, EPOCH_MICROS);
        let stream = Stream::new(partitions, EPOCH_MICROS);
        let replicas = <[Replica; 2]>::default();
        let seen = Seen::default();
        Self { random, now: EPOCH_MICROS, stream, catalog, replicas, seen, swift, calm }
    }

    /// Lets one thing happen and asks what must hold.
    pub(super) fn step(&mut self) -> Result<String, crate::invariants::Violation> {
        self.now += self.random.range(1, 300_000);
        let sum = ACTS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.random.below(sum);
        let act = ACTS.iter().find(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let act = act.unwrap().0;
        let r = usize::try_from(self.random.below(2)).unwrap();
        let before = self.replicas.each_ref().map(super::checks::phase);
        let mut did = format!("{act:?} {r}");
        match act {
            Act::Rare => {
                let rare = RARE[self.random.place(RARE.len()).unwrap()];
                did = format!("{rare:?}");
                if !self.calm {
                    self.rare(rare);
                }
            }
            Act::Pin => self.pin_again(r)?,
            act => self.usual(act, r)?,
        }
        self.catalog.check()?;
        for (r, before) in before.iter().enumerate() {
            self.settle(r, before)?;
        }
        Ok(did)
    }

    fn usual(&mut self, act: Act, r: usize) -> Held {
        let Self { random, now, stream, catalog, replicas, swift, .. } = self;
        let (now, replica) = (*now, &mut replicas[r]);
        match (act, &mut replica.life) {
            (Act::Produce, _) => stream.produce(random, now),
            (Act::Finish, _) => stream.finish(random, now),
            (Act::Arrive, _) => {
                if let Some(at) = random.place(catalog.in_flight.len()) {
                    let request = catalog.in_flight.swap_remove(at);
                    catalog.arrive(request, now);
                }
            }
            (Act::Wait, _) => self.now += random.range(1, 20) * 1_000_000,
            (Act::Crash, _) => replica.crash(),
            (Act::Open, None) => replica.open(catalog, now),
            (Act::Read, Some(life)) => {
                life.read(stream, random);
                if random.chance(*swift) {
                    life.take_arrival(now);
                }
            }
            (Act::Look, Some(life)) => {
                let describes = life.core.topic().is_none() || random.chance(40);
                life.look(stream, describes, now);
                if random.chance(*swift) {
                    life.take_sighting();
                }
            }
            (Act::Refresh, Some(life)) => {
                life.ask_lake(catalog, now);
                if random.chance(*swift) {
                    life.take_lake(now);
                }
            }
            (Act::TakeLate, Some(life)) => match random.below(4) {
                0 => life.take_sighting(),
                1 => life.take_lake(now),
                2 => life.take_commit(now),
                _ => life.take_arrival(now),
            },
            (Act::Commit, Some(_)) => return self.plan_commit(r),
            (Act::StepCommit, Some(life)) => {
                life.step_commit(catalog, random, now);
                if random.chance(*swift) {
                    life.take_commit(now);
                }
            }
            (Act::WriteSegment, Some(life)) => life.write_segment(random),
            (Act::Evict, Some(life)) => life.keep_house(now),
            _ => {}
        }
        Ok(())
    }

    fn rare(&mut self, act: RareAct) {
        let Self { random, now, stream, catalog, .. } = self;
        let now = *now;
        let place = usize::try_from(random.below(16)).unwrap();
        match act {
            RareAct::AppendForeign => catalog.append_foreign(now),
            RareAct::DeleteForeign => catalog.delete_foreign(place, now),
            RareAct::Compact => catalog.compact(2 + place, now),
            RareAct::RollBack => catalog.roll_back(now),
            RareAct::ExpireSnapshots => catalog.expire(1 + place, now),
            RareAct::RetainToLake => {
                let boundary = catalog.refresh().boundary.known().cloned();
                stream.expire(Some(&boundary.unwrap_or_default()));
            }
            RareAct::LoseUncommitted => stream.expire(None::<&OffsetMap>),
            RareAct::Recreate => stream.recreate(now),
            RareAct::Truncate => stream.truncate(random, now),
            RareAct::AddPartition => stream.add_partition(now),
            RareAct::ChangeSchema => catalog.change_schema(now),
            RareAct::RaiseEpoch => catalog.raise_epoch(now),
            RareAct::Idle => self.now += 90_000_000,
        }
    }

    /// In the end both come up, everything in flight arrives or is lost, all is read, and
    /// the same must hold as before.
    pub(super) fn finish(&mut self) -> Held {
        for round in 0..12 {
            self.now += 1_000_000;
            for r in 0..self.replicas.len() {
                let before = super::checks::phase(&self.replicas[r]);
                let Self { random, now, stream, catalog, replicas, .. } = self;
                let now = *now;
                match &mut replicas[r].life {
                    None => replicas[r].open(catalog, now),
                    Some(life) => {
                        life.look(stream, round % 2 == 0, now);
                        life.take_sighting();
                        life.ask_lake(catalog, now);
                        life.take_lake(now);
                        life.read(stream, random);
                        life.take_arrival(now);
                        life.step_commit(catalog, random, now);
                        life.take_commit(now);
                        life.keep_house(now);
                    }
                }
                self.catalog.check()?;
                self.settle(r, &before)?;
                self.pin_again(r)?;
            }
        }
        Ok(())
    }
}
