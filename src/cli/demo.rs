//! `springtide demo`: real flights, a lake and a stream, one answer by URL.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use springtide_freshness::settings::StreamKind;
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, ListenArgs};
use crate::config::Config;
use crate::demo::{self, Flights, Replay};
use crate::wiring::{self, Servers};

/// Real flights: history from Iceberg, the newest from a stream, one answer by URL.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  springtide demo --rate 200\n  \
    curl -i http://127.0.0.1:8080/v1/q/flights_per_hour.json")]
pub(crate) struct Demo {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    listen: ListenArgs,
    /// How many flights a second are replayed.
    #[arg(long, value_name = "ROWS_PER_S", default_value_t = 50.0)]
    rate: f64,
    /// Replays through this Kafka instead of the embedded journal; the topic is made.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(
            self.rate.is_finite() && (0.0..=1e6).contains(&self.rate),
            "--rate {} is not a number of rows a second from 0 to 1000000",
            self.rate
        );
        let config = self.configure()?;
        // Ports first: one that is in use is told before anything is prepared.
        let listeners = wiring::Listeners::bind(&config).await?;
        demo::lay_queries(&config.queries)?;
        let flights = tokio::task::spawn_blocking(Flights::read).await??;
        let folder = wiring::lock(&config)?;
        demo::load_history(&config, &flights).await?;
        let mut house = wiring::House::open_in(folder, config).await?;
        house.wait_ready().await?;
        let replay = Replay::resume(house.asker(), flights).await?;
        let servers = Servers::serve_all(&house, listeners)?;
        house.folder.tell(&format!("serving{}", servers.addresses()))?;
        let stop = CancellationToken::new();
        let replaying = tokio::spawn(replay.run(self.rate, stop.clone()));
        self.say_what_to_try(&servers);
        let outcome = servers.run(house.config.server.shutdown_timeout, house.settle()).await;
        stop.cancel();
        replaying.await.context("the replay ended by a defect")?;
        house.close().await;
        outcome.map(|()| ExitCode::SUCCESS)
    }

    fn configure(&self) -> anyhow::Result<Config> {
        let mut config = self.config.load(Some(demo::CONFIG))?.config;
        if self.config.dir.is_none() && self.config.config.is_none() {
            let name = if self.kafka.is_some() { "demo-kafka" } else { "demo" };
            config.dir = config.dir.join(name);
        }
        if self.config.config.is_none() {
            config.queries = PathBuf::from(&config.dir).join("queries");
        }
        if let Some(servers) = &self.kafka {
            config.stream.kind = StreamKind::Kafka;
            config.stream.bootstrap_servers = Some(servers.clone());
            config.stream.create_topics = true;
        }
        self.listen.apply(&mut config);
        Ok(config)
    }

    fn say_what_to_try(&self, servers: &Servers) {
        let Some(edge) = servers.edge_url() else { return };
        eprintln!(
            "\nFlights arrive at {rate} rows a second. To see them move, open\n\n  {edge}/\n\n\
             or ask, twice:\n\n  \
             curl -i '{edge}/v1/q/flights_per_hour.json'\n  \
             curl -i '{edge}/v1/q/top_airports.csv?from=2001-03-10&until=2001-03-11'\n  \
             curl -i '{edge}/v1/sql.json?q=SELECT+count(*),max(date)+FROM+flights'\n  \
             curl -N '{edge}/v1/live/flights_per_hour'\n\n\
             Ctrl-C stops it; the same command goes on where it stopped.\n",
            rate = self.rate,
        );
    }
}
