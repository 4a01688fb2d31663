//! `springtide origin`: the query service alone; edges run elsewhere.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use super::ConfigArgs;
use crate::wiring::{self, House, Servers};

/// Serves the tables without a cache in front.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  springtide origin --config springtide.toml --origin-listen 127.0.0.1:8081"
)]
pub(crate) struct OriginCommand {
    #[command(flatten)]
    config: ConfigArgs,
    /// The address, by default 127.0.0.1:8081; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    origin_listen: Option<SocketAddr>,
}

impl OriginCommand {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut config = self.config.load_tables()?;
        if let Some(address) = self.origin_listen {
            config.server.origin_listen = address;
        }
        let listener = wiring::listen(config.server.origin_listen, "--origin-listen").await?;
        let beyond_loopback = !listener.local_addr()?.ip().is_loopback();
        let mut house = House::open(config).await?;
        let mut servers = Servers::new();
        servers.serve_origin(house.origin(beyond_loopback)?, listener);
        house.folder.tell(&format!("serving{}", servers.addresses()))?;
        let outcome = servers.run(house.config.server.shutdown_timeout, house.settle()).await;
        house.close().await;
        outcome.map(|()| ExitCode::SUCCESS)
    }
}
