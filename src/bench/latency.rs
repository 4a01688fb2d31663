//! From a row produced to a row answered: 5,000 rows a second arrive by
//! `POST /v1/ingest`, queries run, and a client asks for the newest row again
//! and again. A row's time begins before it is sent and ends with the first
//! answer that holds it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::connection::{Connection, Url};
use super::fixture::Fixture;
use super::queries;
use super::report::{Figure, Report, Samples};

const ROWS_PER_SECOND: u64 = 5_000;
const TICK: Duration = Duration::from_millis(10);
/// Time between two of the queries that run beside.
const QUERY_PAUSE: Duration = Duration::from_millis(100);
const MEDIAN_MS: f64 = 100.0;
const P99_MS: f64 = 500.0;
/// Ids of the rows that arrive; the flights' own are below.
const FIRST_ID: u64 = 100_000_000;
/// Rows that were sent and never answered within this are lost.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// When rows were sent, as runs of ids.
#[derive(Debug, Default)]
struct Sent {
    /// First id, end id, time before sending.
    runs: VecDeque<(u64, u64, Instant)>,
    is_done: bool,
}

pub(super) async fn measure(
    fixture: &Fixture,
    stream: &str,
    seconds: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let sent = Arc::new(Mutex::new(Sent::default()));
    let end = Instant::now() + Duration::from_secs(seconds.max(1) * 2);
    let mut beside = JoinSet::new();
    beside.spawn(produce(fixture.origin().to_owned(), sent.clone(), end));
    let busy = queries::sql(queries::QUERIES[0].1, "arrivals", fixture.is_whole_quarter());
    beside.spawn(query(fixture.origin().to_owned(), busy, end));
    let samples = watch(fixture.origin(), &sent).await?;
    while let Some(ended) = beside.join_next().await {
        ended.context("a client of the measurement ended by a defect")??;
    }
    let details = |figure: Figure| {
        figure
            .with("rows", samples.len())
            .with("rows_a_second", ROWS_PER_SECOND)
            .with("max_ms", samples.percentile_ms(100))
    };
    let median = samples.median_ms();
    report.add(details(Figure::bounded(format!("arrival_{stream}_median"), median, MEDIAN_MS)));
    let p99 = samples.percentile_ms(99);
    report.add(details(Figure::bounded(format!("arrival_{stream}_p99"), p99, P99_MS)));
    Ok(())
}

/// Sends what is due each tick.
async fn produce(origin: String, sent: Arc<Mutex<Sent>>, end: Instant) -> anyhow::Result<()> {
    let url: Url = format!("{origin}/v1/ingest/arrivals").parse()?;
    let mut connection = Connection::open(&url.authority).await?;
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rows = 0;
    while Instant::now() < end {
        ticks.tick().await;
        let elapsed = u64::try_from(begun.elapsed().as_micros())?;
        let due = elapsed * ROWS_PER_SECOND / 1_000_000;
        if due <= rows {
            continue;
        }
        let mut body = String::new();
        for row in rows..due {
            let id = FIRST_ID + row;
            let _ = writeln!(
                body,
                r#"{{"flight_id":{id},"date":"2001-04-01T00:00:00","delay":1,"distance":500,"origin":"ATL","destination":"JFK"}}"#
            );
        }
        let request = url.post(body.as_bytes());
        sent.lock().runs.push_back((FIRST_ID + rows, FIRST_ID + due, Instant::now()));
        let reply = connection.ask(&request).await?;
        ensure!(reply.status == 202, "ingest: {}", String::from_utf8_lossy(&reply.body));
        rows = due;
    }
    sent.lock().is_done = true;
    Ok(())
}

/// A query over all rows, again and again.
async fn query(origin: String, sql: String, end: Instant) -> anyhow::Result<()> {
    let (url, request) = queries::request(&origin, &sql, "")?;
    let mut connection = Connection::open(&url.authority).await?;
    while Instant::now() < end {
        let reply = connection.ask(&request).await?;
        ensure!(reply.status == 200, "{}", String::from_utf8_lossy(&reply.body));
        tokio::time::sleep(QUERY_PAUSE).await;
    }
    Ok(())
}

/// Asks for the newest row until all that were sent are answered.
async fn watch(origin: &str, sent: &Mutex<Sent>) -> anyhow::Result<Samples> {
    let sql = format!("SELECT max(flight_id) AS id FROM arrivals WHERE flight_id >= {FIRST_ID}");
    let url = format!("{origin}/v1/sql.csv?q={}", queries::percent_encoded(&sql));
    let url: Url = url.parse()?;
    let request = url.get("");
    let mut connection = Connection::open(&url.authority).await?;
    let mut samples = Samples::default();
    let mut done_since: Option<Instant> = None;
    loop {
        let reply = connection.ask(&request).await?;
        let now = Instant::now();
        ensure!(reply.status == 200, "{}", String::from_utf8_lossy(&reply.body));
        let text = String::from_utf8_lossy(&reply.body);
        let newest: Option<u64> = text.lines().nth(1).and_then(|id| id.trim().parse().ok());
        let mut sent = sent.lock();
        while let Some((first, end, at)) = sent.runs.front_mut() {
            let seen = newest.map_or(*first, |id| (id + 1).clamp(*first, *end));
            for _ in *first..seen {
                samples.add(now.duration_since(*at));
            }
            *first = seen;
            if *first < *end {
                break;
            }
            sent.runs.pop_front();
        }
        if sent.is_done {
            if sent.runs.is_empty() {
                return Ok(samples);
            }
            let since = *done_since.get_or_insert(now);
            ensure!(since.elapsed() < LAST_WAIT, "rows that were sent are never answered");
        }
    }
}
