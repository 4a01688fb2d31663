//! `springtide edge`: the cache alone, in front of an origin.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::ConfigArgs;
use crate::config::UpstreamKind;
use crate::wiring::{self, Servers};

/// Serves a cache in front of an origin.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  springtide edge --upstream http://127.0.0.1:8081 --edge-listen 127.0.0.1:8080\n  \
    springtide edge --upstream http://127.0.0.1:3000 --upstream-kind http"
)]
pub(crate) struct EdgeCommand {
    #[command(flatten)]
    config: ConfigArgs,
    /// The origin's URL.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// What the origin is: Springtide, whose change feed is followed, or any other HTTP
    /// server, whose URLs are kept as they are and whose answers live as their headers say.
    /// By default `edge.upstream_kind` of the configuration, which is springtide.
    #[arg(long, value_name = "KIND")]
    upstream_kind: Option<UpstreamKind>,
    /// The address, by default 127.0.0.1:8080; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    edge_listen: Option<SocketAddr>,
}

impl EdgeCommand {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut config = self.config.load(None)?.config;
        if let Some(address) = self.edge_listen {
            config.server.edge_listen = address;
        }
        let upstream = self.upstream.or_else(|| config.edge.upstream.clone()).context(
            "which origin? Give --upstream URL, for example --upstream http://127.0.0.1:8081",
        )?;
        let listener = wiring::listen(config.server.edge_listen, "--edge-listen").await?;
        let mut servers = Servers::new();
        let kind = self.upstream_kind.unwrap_or(config.edge.upstream_kind);
        servers.serve_edge(wiring::edge(&config, &upstream, kind)?, listener);
        servers.run(config.server.shutdown_timeout, std::future::ready(())).await?;
        Ok(ExitCode::SUCCESS)
    }
}
