//! A hit at the edge against a bare hyper responder of equal body, and an
//! answer of 304 from the plan.

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use super::connection::{Connection, Url};
use super::fixture::Fixture;
use super::load::CONNECTIONS;
use super::process::Process;
use super::queries;
use super::report::{Figure, Report, Samples, Wanted};

const RATIO: f64 = 0.6;
const NOT_MODIFIED_MS: f64 = 2.0;
const NOT_MODIFIED_RUNS: usize = 1000;
const WARM_UPS: usize = 50;
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
/// A server whose core is busy for less of the time is not what was measured.
const SATURATED: f64 = 0.9;

/// What a server did under load.
struct Loaded {
    requests: u64,
    per_second: f64,
    processor_micros: f64,
    busy: f64,
}

/// Unchanged data, known validator: pinned, planned, not executed.
pub(super) async fn measure_not_modified(
    fixture: &Fixture,
    report: &mut Report,
) -> anyhow::Result<()> {
    let sql = queries::sql(queries::QUERIES[0].1, "tailed", fixture.is_whole_quarter());
    let (url, request) = queries::request(fixture.origin(), &sql, "")?;
    let mut connection = Connection::open(&url.authority).await?;
    let first = connection.ask(&request).await?;
    let etag = first.header("etag").context("the answer has no ETag")?.to_owned();
    let (_, request) =
        queries::request(fixture.origin(), &sql, &format!("if-none-match: {etag}\r\n"))?;
    let mut samples = Samples::default();
    for run in 0..WARM_UPS + NOT_MODIFIED_RUNS {
        let begun = Instant::now();
        let reply = connection.ask(&request).await?;
        ensure!(reply.status == 304, "status {} where 304 was due", reply.status);
        if run >= WARM_UPS {
            samples.add(begun.elapsed());
        }
    }
    let figure = Figure::bounded("not_modified_by_plan", samples.median_ms(), NOT_MODIFIED_MS);
    report.add(figure.with("p99_ms", samples.percentile_ms(99)).with("runs", samples.len()));
    Ok(())
}

/// Processor time of one hit, the server's core saturated.
pub(super) async fn measure_hits(
    fixture: &Fixture,
    seconds: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let origin = fixture.origin();
    let arguments = ["edge", "--upstream", origin, "--edge-listen", "127.0.0.1:0", "--log", "warn"];
    let mut edge = Process::start(&arguments, SERVER_CORE)?;
    let ready = edge.line().await?;
    let url = ready.split("edge=").nth(1).context("the edge does not say where it is")?;
    let sql = queries::sql(queries::QUERIES[0].1, "flights", fixture.is_whole_quarter());
    let target = format!("{}/v1/sql.json?q={}", url.trim(), queries::percent_encoded(&sql));
    let body = warm(&target).await?;
    let hits = load(&edge, &target, seconds).await?;
    drop(edge);

    let file = fixture.file("body");
    std::fs::write(&file, &body)?;
    let file = file.display().to_string();
    let mut bare = Process::start(&["bench", "--part", "bare", "--target", &file], SERVER_CORE)?;
    let target = bare.line().await?;
    let peers = load(&bare, &target, seconds).await?;
    drop(bare);

    // Requests for one second of processor time: more is better, as with requests a second.
    let rates = (1e6 / hits.processor_micros, 1e6 / peers.processor_micros);
    let peer = "bare hyper responder, equal body";
    let figure =
        Figure::against("hit_requests_per_core", "1/s", rates, peer, Wanted::AtLeast(RATIO));
    report.add(
        figure
            .with("processor_us_a_request", hits.processor_micros)
            .with("peer_processor_us_a_request", peers.processor_micros)
            .with("requests", hits.requests)
            .with("requests_a_second", hits.per_second)
            .with("peer_requests_a_second", peers.per_second)
            .with("core_busy", hits.busy)
            .with("peer_core_busy", peers.busy)
            .with("saturated", hits.busy >= SATURATED && peers.busy >= SATURATED)
            .with("body_bytes", body.len())
            .with("connections", CONNECTIONS),
    );
    Ok(())
}

/// Asks until the edge answers from its cache; the body.
async fn warm(target: &str) -> anyhow::Result<Vec<u8>> {
    const TRIES: usize = 50;
    let url: Url = target.parse()?;
    let request = url.get("");
    let mut connection = Connection::open(&url.authority).await?;
    let mut said = String::new();
    for _ in 0..TRIES {
        let reply = connection.ask(&request).await?;
        ensure!(reply.status == 200, "{}", String::from_utf8_lossy(&reply.body));
        said = reply.header("cache-status").unwrap_or("").to_owned();
        if said.contains("hit") {
            return Ok(reply.body);
        }
        // The edge holds an answer once it follows the origin's feed.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("the edge never answered from its cache; it says `{said}`")
}

/// Puts a server under load from another process and takes its processor time.
async fn load(server: &Process, target: &str, seconds: u64) -> anyhow::Result<Loaded> {
    let time = seconds.to_string();
    let arguments = ["bench", "--part", "load", "--target", target, "--seconds", &time];
    let mut load = Process::start(&arguments, LOAD_CORE)?;
    ensure!(load.line().await? == "warm", "the load generator does not say that it is warm");
    let before = server.processor_time()?;
    let begun = Instant::now();
    let told = load.line().await?;
    let (used, took) = (server.processor_time()? - before, begun.elapsed());
    let (requests, _) = told.split_once(' ').context("the load generator counted nothing")?;
    let requests: u64 = requests.parse()?;
    ensure!(requests > 0, "no request was answered");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let count = requests as f64;
    Ok(Loaded {
        requests,
        per_second: count / took.as_secs_f64(),
        processor_micros: used.as_secs_f64() * 1e6 / count,
        busy: used.as_secs_f64() / took.as_secs_f64(),
    })
}
