//! Measures the house against its peers. Each figure is taken in turn with its
//! peer's, on the same machine, over the same rows.

mod connection;
mod fixture;
mod hits;
mod latency;
mod load;
mod process;
mod queries;
mod report;
mod union;

use std::path::PathBuf;

use clap::ValueEnum;

use fixture::Fixture;
use report::Report;

/// What to measure, and on what.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// A Parquet file of flights; the demo's where there is none.
    pub(crate) data: Option<PathBuf>,
    /// A broker.
    pub(crate) kafka: Option<String>,
    /// How long each measurement under load takes.
    pub(crate) seconds: u64,
    /// Only this measurement.
    pub(crate) only: Option<Measurement>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Measurement {
    /// Queries over HTTP, beside DuckDB in process.
    Query,
    /// A 304 by plan.
    NotModified,
    /// Hits of the edge, beside a bare responder.
    Hit,
    /// Snapshot and tail, beside one Parquet file.
    Union,
    /// From a row that was sent to a row that is answered.
    Arrival,
}

/// A process that the measurement starts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Asks the target's URL over many connections, and counts.
    Load,
    /// Answers every request with the target file's bytes.
    Bare,
}

impl Options {
    fn wants(&self, measurement: Measurement) -> bool {
        self.only.is_none_or(|only| only == measurement)
    }
}

/// Runs all measurements.
///
/// # Errors
/// Where something cannot be opened or does not answer; a slow figure is no error.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new();
    let fixture = Fixture::open(options, None).await?;
    report.machine(&fixture);
    if options.wants(Measurement::Query) {
        queries::measure(&fixture, &mut report).await?;
    }
    if options.wants(Measurement::NotModified) {
        hits::measure_not_modified(&fixture, &mut report).await?;
    }
    if options.wants(Measurement::Hit) {
        hits::measure_hits(&fixture, options.seconds, &mut report).await?;
    }
    if options.wants(Measurement::Union) {
        union::measure(&fixture, &mut report).await?;
    }
    if options.wants(Measurement::Arrival) {
        latency::measure(&fixture, "journal", options.seconds, &mut report).await?;
    }
    fixture.close().await;
    if let Some(kafka) = options.kafka.as_deref().filter(|_| options.wants(Measurement::Arrival)) {
        let fixture = Fixture::open(options, Some(kafka)).await?;
        latency::measure(&fixture, "kafka", options.seconds, &mut report).await?;
        fixture.close().await;
    }
    Ok(report)
}

/// Does one part of a measurement in a process of its own.
pub(crate) async fn run_part(part: Part, target: &str, seconds: u64) -> anyhow::Result<()> {
    match part {
        Part::Load => load::run(target, seconds).await,
        Part::Bare => process::bare(target).await,
    }
}
