//! The newest flights, sent through the stream at a steady rate. Where it
//! stands is told by the table itself: the largest id that it holds.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use springtide_engine::Encoding;
use springtide_freshness::stream::StreamError;
use springtide_freshness::{Freshness, IngestError};
use springtide_protocol::{Format, TableName};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Flights;
use crate::ask::Asker;

/// Ids from here on are the user's own; the replay does not count them.
const OWN_IDS: i64 = 1_000_000_000;
const TICK: Duration = Duration::from_millis(200);
/// Rows of one request; what a slow disk leaves over waits for the next tick.
const BATCH_ROWS: u64 = 10_000;
const RETRY: Duration = Duration::from_secs(1);

/// A replay under way.
#[derive(Debug)]
pub(crate) struct Replay {
    flights: Flights,
    asker: Asker,
    table: TableName,
    next: u64,
}

impl Replay {
    /// Finds where the table stands. It must have caught up with its stream.
    pub(crate) async fn resume(asker: Asker, flights: Flights) -> anyhow::Result<Self> {
        let table = super::TABLE.parse().context("the demo's table has no name")?;
        let mut replay = Self { next: flights.history_rows() as u64, flights, asker, table };
        replay.next = replay.place().await?;
        Ok(replay)
    }

    /// The place after the last flight that the table holds.
    async fn place(&self) -> anyhow::Result<u64> {
        let sql = format!("SELECT max(flight_id) AS id FROM flights WHERE flight_id < {OWN_IDS}");
        let encoding = Encoding { format: Format::Csv, numbers_as_text: false };
        let mut answer = self.asker.query(&sql, encoding).await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.next().await {
            body.extend_from_slice(&piece?);
        }
        let body = String::from_utf8_lossy(&body);
        let last: Option<i64> = body.lines().nth(1).and_then(|line| line.trim().parse().ok());
        let history = self.flights.history_rows() as u64;
        let next = last.and_then(|id| self.flights.place(id)).map_or(history, |place| place + 1);
        Ok(next.max(history))
    }

    /// Sends `rate` rows a second until it is stopped. A stream that is down is
    /// tried again; where it cannot be told whether rows were added, the table is
    /// asked first.
    pub(crate) async fn run(mut self, rate: f64, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        let mut due = 0.0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now = Instant::now();
            due += rate * now.duration_since(last).as_secs_f64();
            last = now;
            let rows = whole(due).min(BATCH_ROWS);
            due -= precise(rows);
            // What could not be sent in time is not made up for.
            due = due.min(rate.max(1.0));
            if rows == 0 {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.send(rows) => {}
            }
        }
    }

    async fn send(&mut self, rows: u64) {
        let mut body = String::new();
        for place in self.next..self.next + rows {
            self.flights.write_json(place, &mut body);
        }
        let body = Bytes::from(body);
        let key = format!("replay-{}-{rows}", self.next);
        while let Err(error) = self.freshness().ingest(&self.table, body.clone(), Some(&key)).await
        {
            tracing::warn!(%error, "the replay waits for the stream");
            if matches!(error, IngestError::Stream(StreamError::UnknownOutcome { .. })) {
                self.next = self.place_after(self.asker.clock.now_micros()).await;
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
        self.next += rows;
    }

    /// Where the table stands once it holds all that was added before `moment`
    /// (microseconds since 1970): an open transaction holds its as-of back.
    async fn place_after(&self, moment: i64) -> u64 {
        loop {
            tokio::time::sleep(RETRY).await;
            let as_of = self.freshness().status(&self.table).and_then(|s| s.as_of_micros);
            if as_of.is_none_or(|as_of| as_of <= moment) {
                continue;
            }
            match self.place().await {
                Ok(place) => return place,
                Err(error) => tracing::warn!(%error, "the replay asks again where it stands"),
            }
        }
    }

    const fn freshness(&self) -> &Freshness {
        &self.asker.freshness
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floored, from 0 up")]
fn whole(rows: f64) -> u64 {
    rows.max(0.0).floor() as u64
}

#[expect(clippy::cast_precision_loss, reason = "at most BATCH_ROWS")]
fn precise(rows: u64) -> f64 {
    rows as f64
}
