//! `springtide bench`: this build against its peers, on real flights.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::bench;

/// Measures this build against its peers.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  springtide bench --json bench.json --data flights-2001-q1.parquet"
)]
pub(crate) struct Bench {
    /// Where the figures go, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Flights to measure on; the demo's own where it is left out.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Measures the way of a row through this Kafka as well.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Seconds that each measurement under load takes.
    #[arg(long, value_name = "SECONDS", default_value_t = 6)]
    seconds: u64,
    /// Only this measurement.
    #[arg(long, value_name = "NAME", value_enum)]
    only: Option<bench::Measurement>,
    /// What a process that the measurement starts for itself does.
    #[arg(long, hide = true, value_enum, requires = "target")]
    part: Option<bench::Part>,
    /// What that process works on.
    #[arg(long, hide = true)]
    target: Option<String>,
}

impl Bench {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        if let (Some(part), Some(target)) = (self.part, &self.target) {
            bench::run_part(part, target, self.seconds).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let options = bench::Options {
            data: self.data,
            kafka: self.kafka,
            seconds: self.seconds,
            only: self.only,
        };
        let report = bench::run(&options).await?;
        eprint!("{}", report.table());
        if let Some(path) = &self.json {
            report.write(path)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
