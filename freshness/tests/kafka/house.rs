//! A table `t(n long)` over a topic of a real broker, its lake in a temporary
//! folder. It must never know what is tested.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array as _, Int64Array};
use springtide_freshness::audit::{Audit, Counted, Seen, judge};
use springtide_freshness::{
    Freshness, FreshnessSettings, PinAt, PinError, PinRequest, Pinned, TableStatus,
};
use springtide_protocol::clock::Clock;
use springtide_protocol::{MinVersion, TableName};
use springtide_relation::SegmentData;
use tempfile::TempDir;

use crate::PATIENCE;

/// 2026-01-01T00:00:00Z and on.
#[derive(Debug)]
struct RunningClock(Instant);

impl Clock for RunningClock {
    fn now_micros(&self) -> i64 {
        1_767_225_600_000_000 + i64::try_from(self.0.elapsed().as_micros()).unwrap()
    }
}

/// A running table.
pub(crate) struct House {
    pub(crate) freshness: Freshness,
    clock: Arc<RunningClock>,
    folder: TempDir,
}

impl House {
    /// A new one.
    pub(crate) async fn new(address: &str, topic: &str, settings: &[(&str, &str)]) -> Self {
        Self::over(tempfile::tempdir().unwrap(), address, topic, settings).await
    }

    /// One over what an earlier one left.
    pub(crate) async fn over(
        folder: TempDir,
        address: &str,
        topic: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let more: BTreeMap<_, _> = settings.iter().copied().collect();
        let more = toml::to_string(&more).unwrap();
        let text = format!(
            "folder = {:?}\n[stream]\ntype = \"kafka\"\nbootstrap_servers = \"{address}\"\n\
             produce_wait = \"30s\"\n[stream.settings]\n{more}\n\
             [[table]]\nname = \"t\"\nidentifier = \"demo.t\"\ntopic = \"{topic}\"\n\
             columns = [\"n long\"]\ncommit = {{ enabled = false }}\n",
            folder.path().display().to_string()
        );
        let settings: FreshnessSettings = toml::from_str(&text).unwrap();
        let clock = Arc::new(RunningClock(Instant::now()));
        let freshness = Freshness::start(settings, clock.clone()).await.unwrap();
        Self { freshness, clock, folder }
    }

    /// Stops; what it left.
    pub(crate) async fn close(self) -> TempDir {
        self.freshness.shutdown().await;
        self.folder
    }

    pub(crate) fn status(&self) -> TableStatus {
        self.freshness.status(&table()).unwrap()
    }

    pub(crate) fn now_micros(&self) -> i64 {
        self.clock.now_micros()
    }

    /// Waits until something of the status holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&TableStatus) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(&self.status()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(waited.await.is_ok(), "never {what}: {:?}", self.status());
    }

    /// Waits for a version, and pins.
    pub(crate) async fn pin(&self, at: PinAt) -> Result<Pinned, PinError> {
        self.freshness.pin(PinRequest { tables: vec![table()], at }).await
    }

    /// The least version with these next offsets.
    pub(crate) async fn pin_at_least(&self, offsets: &[(i32, i64)]) -> Result<Pinned, PinError> {
        let offsets: Vec<_> = offsets.iter().map(|(p, o)| format!("{p}-{o}")).collect();
        let minimum: MinVersion = format!("t.o{}", offsets.join("_")).parse().unwrap();
        self.pin(PinAt::AtLeast { minimum, wait: PATIENCE }).await
    }

    /// The numbers in the tail that are pinned now, in order; all rows must be in memory.
    pub(crate) async fn tail(&self) -> Vec<i64> {
        tail_of(&self.pin(PinAt::Latest).await.unwrap())
    }

    /// All rows that are pinned now, by an audit that must hold.
    pub(crate) async fn rows(&self) -> u64 {
        let (counted, audit) = self.audit().await;
        assert!(audit.ok, "{:#?}", audit.checks);
        counted.lake.rows + counted.partitions.values().map(|count| count.tail_rows).sum::<u64>()
    }

    /// The same where the stream is another by now.
    pub(crate) async fn rows_but_stream(&self) -> u64 {
        let (counted, audit) = self.audit().await;
        assert!(audit.ok, "{:#?}", audit.checks);
        assert!(audit.not_compared.iter().any(|left| left.name == "stream"), "{audit:#?}");
        counted.lake.rows + counted.partitions.values().map(|count| count.tail_rows).sum::<u64>()
    }

    /// What is pinned now, counted and judged.
    pub(crate) async fn audit(&self) -> (Counted, Audit) {
        let pinned = self.pin(PinAt::Latest).await.unwrap();
        let counted = self.freshness.count(&pinned.relations[0]).await.unwrap();
        let tail: u64 = counted.partitions.values().map(|count| count.tail_rows).sum();
        let seen = Seen { now: Ok(counted.lake.rows + tail), before: None, keys: None };
        let audit = judge(&counted, &seen, None);
        (counted, audit)
    }
}

pub(crate) fn table() -> TableName {
    "t".parse().unwrap()
}

/// The numbers of a pinned tail, in order.
pub(crate) fn tail_of(pinned: &Pinned) -> Vec<i64> {
    let relation = &pinned.relations[0];
    let mut numbers = Vec::new();
    for segment in &relation.segments {
        let SegmentData::Memory(batches) = &segment.data else { panic!("it was sealed") };
        for batch in batches {
            let (from, to) = (
                relation.boundary.next(batch.partition),
                relation.version.offsets.next(batch.partition),
            );
            let Some(inside) = batch.window(from, to) else { continue };
            let column = inside.rows.column(0);
            let column = column.as_any().downcast_ref::<Int64Array>().unwrap();
            numbers.extend(column.values());
        }
    }
    numbers.sort_unstable();
    numbers
}
