//! `springtide serve`: tables, origin and edge in one process.

use std::process::ExitCode;

use clap::Args;

use super::{ConfigArgs, ListenArgs};
use crate::wiring::{self, House, Servers};

/// Serves everything in one process.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  springtide serve --config springtide.toml\n  \
    curl -i 'http://127.0.0.1:8080/v1/sql.json?q=SELECT+count(*)+FROM+flights'")]
pub(crate) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    listen: ListenArgs,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut config = self.config.load_tables()?;
        self.listen.apply(&mut config);
        // Ports first: one that is in use is told before anything is opened.
        let listeners = wiring::Listeners::bind(&config).await?;
        let mut house = House::open(config).await?;
        let servers = Servers::serve_all(&house, listeners)?;
        house.folder.tell(&format!("serving{}", servers.addresses()))?;
        let outcome = servers.run(house.config.server.shutdown_timeout, house.settle()).await;
        house.close().await;
        outcome.map(|()| ExitCode::SUCCESS)
    }
}
