//! `springtide commit`: moves what the tails hold into the lake.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use springtide_protocol::Version;

use super::ConfigArgs;
use crate::wiring::House;

/// Commits the tails to the lake.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  springtide commit --once --config springtide.toml\n\n\
    Without --once it goes on as each table's `commit` says, until it is stopped.")]
pub(crate) struct Commit {
    #[command(flatten)]
    config: ConfigArgs,
    /// Commits all there is now, once, and ends.
    #[arg(long)]
    once: bool,
}

impl Commit {
    /// Whether it runs until it is stopped.
    pub(super) const fn goes_on(&self) -> bool {
        !self.once
    }

    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let house = House::open(self.config.load_tables()?).await?;
        let outcome = if self.once { commit_all(&house).await } else { until_stopped().await };
        house.close().await;
        outcome.map(|()| ExitCode::SUCCESS)
    }
}

async fn commit_all(house: &House) -> anyhow::Result<()> {
    house.wait_ready().await?;
    for table in house.freshness.declared() {
        let committed = house.freshness.commit(&table).await;
        let version = committed.with_context(|| format!("cannot commit `{table}`"))?;
        let tables = [(table, version)].into();
        println!("{}", Version { tables, time_micros: None });
    }
    Ok(())
}

async fn until_stopped() -> anyhow::Result<()> {
    tracing::info!("committing as the tables' settings say; stop with Ctrl-C");
    crate::signals::stop_requested().await.context("cannot listen to signals")
}
