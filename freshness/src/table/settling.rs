//! What a table's loop does after each event: seal, commit, publish, announce,
//! and now and then look after eviction and gauges.

use std::time::Duration;

use tokio::time::Instant;

use super::core::Core;
use super::{TableLoop, Work};

const FULL: &str = "the tail is full, so the stream is not read on: let commits happen \
    (`commit.enabled`, and whether they succeed) or raise `tail.memory` and `tail.disk`";
const LONG_COMMIT: &str = "a commit has been under way for more than 10 s: does the catalog, \
    or the storage of the warehouse, answer?";
/// The least time between two announcements of one table.
const COALESCE: Duration = Duration::from_millis(10);
/// How often the stream is told what is no longer needed of it.
const RELEASE: Duration = Duration::from_secs(30);
/// A commit may take this long before it is spoken of.
const COMMIT_FOR: Duration = Duration::from_secs(10);
/// The tail may be full for this long while its files are written.
const FULL_FOR: Duration = Duration::from_secs(5);
/// How often eviction and gauges are looked after.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

impl TableLoop {
    /// After each event: seal, commit, publish, announce.
    pub(super) fn settle(&mut self) {
        if let Some(job) = self.core(Core::seal_if_full) {
            self.seal(job);
        }
        self.retry_sealing();
        self.commit_if_due();
        if self.next_housekeeping <= Instant::now() {
            self.next_housekeeping = Instant::now() + HOUSEKEEPING;
            self.keep_house();
            self.look_at_room();
            self.look_at_commit();
            self.release();
            self.revive_intake();
        }
        self.publish();
        self.announce();
        self.answer_asks();
    }

    fn publish(&self) {
        if self.shared.health.lock().is_unreadable {
            if self.shared.published().is_some() {
                self.shared.publish(None);
            }
            return;
        }
        if let Some(published) = self.core(Core::publish) {
            self.shared.publish(Some(published));
        }
    }

    /// Announces what can be pinned now, at most once in a while.
    fn announce(&mut self) {
        if self.announced_at.is_some_and(|at| at.elapsed() < COALESCE) {
            return;
        }
        let name = self.shared.name();
        if let Some((version, touched)) = self.core(Core::take_change)
            && !touched.is_empty()
        {
            self.around.feed.announce_table(name, version, touched.tags(name));
            self.announced_at = Some(Instant::now());
        }
        if let Some(published) = self.core(|core| core.published().cloned()) {
            let version = published.relation.version.clone();
            self.around.feed.note(name, version, published.as_of_micros);
        }
    }

    /// Tells the stream what its one table does not need any more.
    fn release(&mut self) {
        if self.releasing || self.next_release > Instant::now() {
            return;
        }
        self.next_release = Instant::now() + RELEASE;
        let below = self.core(|core| core.needed());
        if let (Some(source), Some(below)) = (self.shared.source(), below) {
            self.releasing = true;
            self.work.spawn(async move { Work::Released(source.release(&below).await) });
        }
    }

    /// Says so where a commit takes long: what it waits for may never answer.
    fn look_at_commit(&self) {
        let long = self.commit_task.is_some_and(|(_, began)| began.elapsed() >= COMMIT_FOR);
        if long {
            let mut health = self.shared.health.lock();
            health.commit.get_or_insert_with(|| LONG_COMMIT.to_owned());
        }
    }

    /// Says so where the tail has been full for longer than writing its files takes.
    fn look_at_room(&mut self) {
        let full = self.core(|core| core.is_saturated());
        let since = self.full_since.take().unwrap_or_else(Instant::now);
        self.full_since = full.then_some(since);
        let long = full && since.elapsed() >= FULL_FOR;
        self.shared.health.lock().full = long.then(|| FULL.to_owned());
    }

    fn keep_house(&mut self) {
        let now = self.now();
        let (early, held) = self.core(|core| (core.evict(now), core.holdings()));
        let table = || self.shared.name().to_string();
        if early > 0 {
            let name = self.shared.name();
            tracing::warn!(table = %name, snapshots = early, "the tail's disk bound shortens the pin window");
            metrics::counter!("springtide_pin_window_cut_total", "table" => table())
                .increment(early as u64);
        }
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        let gauge = |name: &'static str, value: u64| {
            metrics::gauge!(name, "table" => table()).set(value as f64);
        };
        gauge("springtide_tail_rows", held.rows);
        gauge("springtide_tail_segments", held.segments as u64);
        gauge("springtide_tail_memory_bytes", held.memory_bytes);
        gauge("springtide_tail_disk_bytes", held.disk_bytes);
        self.gauge_partitions(now);
        self.sample_lag(now);
    }

    /// What is known of each partition of the stream; they are few (rule 7 bounds them).
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    fn gauge_partitions(&mut self, now: i64) {
        let (shares, (start, next), boundary) = self.core(|core| {
            let boundary = core.snapshot().boundary.known().cloned().unwrap_or_default();
            (core.tail.by_partition(), core.coverage(), boundary)
        });
        let ages = self.ages.look(&next, &boundary, now);
        let table = self.shared.name().to_string();
        for (partition, share) in shares {
            let labels = [("table", table.clone()), ("partition", partition.to_string())];
            let gauge = |name: &'static str, value: f64| metrics::gauge!(name, &labels).set(value);
            let age = ages.get(&partition).copied().unwrap_or_default();
            gauge("springtide_partition_tail_age_seconds", age as f64 / 1e6);
            gauge("springtide_partition_tail_rows", share.rows as f64);
            gauge("springtide_partition_tail_bytes", share.bytes as f64);
            gauge("springtide_partition_boundary_offset", boundary.next(partition).0 as f64);
            gauge("springtide_partition_start_offset", start.next(partition).0 as f64);
            gauge("springtide_partition_end_offset", next.next(partition).0 as f64);
        }
        let oldest = ages.values().max().copied().unwrap_or_default();
        metrics::gauge!("springtide_tail_age_seconds", "table" => table).set(oldest as f64 / 1e6);
    }

    /// How far behind answers are, looked at as often as this: a table that stands still
    /// counts, whether it is asked or not.
    fn sample_lag(&self, now: i64) {
        let as_of = self.shared.published().and_then(|published| published.as_of_micros);
        if let Some(as_of) = as_of {
            #[expect(clippy::cast_precision_loss, reason = "histograms are of floats")]
            let lag = now.saturating_sub(as_of).max(0) as f64 / 1e6;
            let table = self.shared.name().to_string();
            metrics::histogram!("springtide_lag_seconds", "table" => table).record(lag);
        }
    }

    pub(super) fn next_wake(&self) -> Instant {
        let mut wake = self.next_housekeeping;
        if let Some(at) = self.announced_at
            && self.core(|core| core.has_change())
        {
            wake = wake.min(at + COALESCE);
        }
        wake
    }
}
