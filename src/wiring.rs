//! Puts the rooms together from the configuration, and takes them down again.
//! The only place that knows all of them; it decides nothing of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use springtide_edge::{Edge, EdgeSettings};
use springtide_engine::{Answer, Encoding, Engine, EngineSettings, Limits};
use springtide_freshness::{Freshness, PinAt, PinRequest, TableState};
use springtide_origin::{Origin, OriginSettings};
use springtide_protocol::clock::Clock;
use springtide_protocol::{MinVersion, TableName};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ask::Asker;
use crate::clock::SystemClock;
use crate::config::{Config, UpstreamKind};
use crate::state_folder::StateFolder;

/// For how long a command waits until the tables answer.
const READY_TIME: Duration = Duration::from_secs(60);
/// For how long a server holds back its ready line.
const SETTLE_TIME: Duration = Duration::from_secs(5);
const READY_POLL: Duration = Duration::from_millis(20);

/// Engine and tables over one state folder.
pub(crate) struct House {
    /// The folder, locked.
    pub(crate) folder: StateFolder,
    /// Runs statements.
    pub(crate) engine: Engine,
    /// What the tables are now.
    pub(crate) freshness: Freshness,
    /// The configuration it was built from.
    pub(crate) config: Config,
}

/// Listeners with what they serve, until the program is told to stop.
pub(crate) struct Servers {
    running: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    edge: Option<SocketAddr>,
    origin: Option<SocketAddr>,
}

/// Both ports, taken before anything is opened.
pub(crate) struct Listeners {
    edge: TcpListener,
    origin: TcpListener,
}

/// The clock of all rooms.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

impl House {
    /// Locks the folder, opens the engine and starts the tables. A catalog or
    /// broker that is down is tried again in the background.
    pub(crate) async fn open(config: Config) -> anyhow::Result<Self> {
        Self::open_in(lock(&config)?, config).await
    }

    /// The same in a folder that is locked already.
    pub(crate) async fn open_in(folder: StateFolder, config: Config) -> anyhow::Result<Self> {
        let engine = open_engine(&config)?;
        let freshness = Freshness::start(config.freshness(), clock())
            .await
            .context("cannot start the tables")?;
        Ok(Self { folder, engine, freshness, config })
    }

    /// The query service over this house.
    pub(crate) fn origin(&self, beyond_loopback: bool) -> anyhow::Result<Arc<Origin>> {
        let config = &self.config;
        let scratch = config.dir.join("spool");
        let key = self.folder.version_key()?;
        let mut settings = OriginSettings::new(config.queries.clone(), scratch, key);
        settings.adhoc_sql = config.sql.adhoc;
        settings.clock_quantum = config.sql.clock_quantum;
        settings.min_version_wait = config.sql.min_version_wait;
        settings.limits = limits(config);
        settings.admin_token = config.server.admin_token.clone();
        settings.beyond_loopback = beyond_loopback;
        settings.access = config.access.clone();
        let origin = Origin::new(settings, self.engine.clone(), self.freshness.clone(), clock())
            .context("cannot open the origin")?;
        Ok(Arc::new(origin))
    }

    /// Waits until every table answers with its newest rows.
    pub(crate) async fn wait_ready(&self) -> anyhow::Result<()> {
        match self.waiting_after(READY_TIME).await {
            None => Ok(()),
            Some((part, why)) => {
                anyhow::bail!("{part} is not ready after {READY_TIME:?}: {why}")
            }
        }
    }

    /// Waits a moment for the tables, so that the first request finds all that was
    /// there before. What is down stays down: the rest answers, and `/readyz` tells.
    pub(crate) async fn settle(&self) {
        if let Some((part, why)) = self.waiting_after(SETTLE_TIME).await {
            tracing::warn!(part, why, "not ready yet; the rest answers");
        }
    }

    /// Waits for all parts; the first that is not ready at the end of the time, and why.
    async fn waiting_after(&self, time: Duration) -> Option<(String, String)> {
        let deadline = tokio::time::Instant::now() + time;
        loop {
            let waiting = self.waiting()?;
            if tokio::time::Instant::now() > deadline {
                return Some(waiting);
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// The first part that is not ready, or the first table that still reads what its
    /// stream held at the start.
    fn waiting(&self) -> Option<(String, String)> {
        let parts = self.freshness.readiness();
        if let Some(part) = parts.into_iter().find(|part| !part.ready) {
            let why = part.reason.unwrap_or_else(|| "it does not say why".to_owned());
            return Some((part.part, why));
        }
        self.freshness.declared().into_iter().find_map(|table| {
            let state = self.freshness.status(&table)?.state;
            let late = state != TableState::Live;
            late.then(|| (format!("table `{table}`"), format!("it is {}", state.name())))
        })
    }

    /// Waits until a table holds what a receipt names.
    pub(crate) async fn reach(&self, table: &TableName, minimum: MinVersion) -> anyhow::Result<()> {
        let at = PinAt::AtLeast { minimum, wait: READY_TIME };
        self.freshness.pin(PinRequest { tables: vec![table.clone()], at }).await?;
        Ok(())
    }

    /// Asks the house's tables.
    pub(crate) fn asker(&self) -> Asker {
        let quantum = i64::try_from(self.config.sql.clock_quantum.as_micros());
        Asker {
            engine: self.engine.clone(),
            freshness: self.freshness.clone(),
            clock: clock(),
            quantum_micros: quantum.unwrap_or(i64::MAX).max(1),
            limits: limits(&self.config),
        }
    }

    /// Runs one statement over the newest rows.
    pub(crate) async fn query(&self, sql: &str, encoding: Encoding) -> anyhow::Result<Answer> {
        self.asker().query(sql, encoding).await
    }

    /// Lets the tables end what they write; bounded by `server.shutdown_timeout`.
    pub(crate) async fn close(self) {
        let bound = self.config.server.shutdown_timeout;
        if tokio::time::timeout(bound, self.freshness.shutdown()).await.is_err() {
            tracing::warn!(?bound, "the tables did not stop in time; the next start recovers");
        }
    }
}

impl Listeners {
    /// Binds the edge's and the origin's address.
    pub(crate) async fn bind(config: &Config) -> anyhow::Result<Self> {
        let edge = listen(config.server.edge_listen, "--edge-listen").await?;
        let origin = listen(config.server.origin_listen, "--origin-listen").await?;
        Ok(Self { edge, origin })
    }
}

impl Servers {
    /// Serves a house by its origin and an edge in front.
    pub(crate) fn serve_all(house: &House, listeners: Listeners) -> anyhow::Result<Self> {
        let addresses = [listeners.edge.local_addr()?, listeners.origin.local_addr()?];
        let beyond_loopback = addresses.iter().any(|address| !address.ip().is_loopback());
        let upstream = format!("http://{}", reachable(addresses[1]));
        let edge = edge(&house.config, &upstream, UpstreamKind::Springtide)?;
        let mut servers = Self::new();
        servers.serve_origin(house.origin(beyond_loopback)?, listeners.origin);
        servers.serve_edge(edge, listeners.edge);
        Ok(servers)
    }

    /// Nothing is served yet.
    pub(crate) fn new() -> Self {
        let stop = CancellationToken::new();
        Self { running: JoinSet::new(), stop, edge: None, origin: None }
    }

    /// Serves the origin.
    pub(crate) fn serve_origin(&mut self, origin: Arc<Origin>, listener: TcpListener) {
        self.origin = listener.local_addr().ok();
        let stop = self.stop.clone();
        self.running.spawn(async move { Ok(origin.serve(listener, stop).await?) });
    }

    /// Serves an edge.
    pub(crate) fn serve_edge(&mut self, edge: Arc<Edge>, listener: TcpListener) {
        self.edge = listener.local_addr().ok();
        let stop = self.stop.clone();
        self.running.spawn(async move { Ok(edge.serve(listener, stop).await?) });
    }

    /// Where the servers can be reached, as the ready line says it.
    pub(crate) fn addresses(&self) -> String {
        let part = |name: &str, address: Option<SocketAddr>| {
            address.map(|address| format!(" {name}=http://{address}")).unwrap_or_default()
        };
        format!("{}{}", part("edge", self.edge), part("origin", self.origin))
    }

    /// The edge's URL.
    pub(crate) fn edge_url(&self) -> Option<String> {
        self.edge.map(|address| format!("http://{}", reachable(address)))
    }

    /// Prints the ready line once `settled`, then waits for a signal or a server's end, and
    /// stops all of them within `bound`.
    pub(crate) async fn run(
        mut self,
        bound: Duration,
        settled: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let addresses = self.addresses();
        let ready = async {
            settled.await;
            println!("springtide ready{addresses}");
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            () = ready => None,
            signal = crate::signals::stop_requested() => {
                signal.context("cannot listen to signals")?;
                tracing::info!("stopping");
                None
            }
            ended = self.running.join_next() => ended,
        };
        self.stop.cancel();
        let drained = tokio::time::timeout(bound, async {
            let mut outcome = ended.map_or(Ok(()), flatten);
            while let Some(ended) = self.running.join_next().await {
                outcome = outcome.and(flatten(ended));
            }
            outcome
        });
        drained.await.unwrap_or_else(|_| {
            tracing::warn!(?bound, "requests still ran at the end of the time to stop");
            Ok(())
        })
    }
}

/// Makes and locks the state folder.
pub(crate) fn lock(config: &Config) -> anyhow::Result<StateFolder> {
    Ok(StateFolder::open(&config.dir)?)
}

/// Opens DuckDB over the folders that relations name.
pub(crate) fn open_engine(config: &Config) -> anyhow::Result<Engine> {
    let mut readable_folders = vec![config.tables_folder()];
    readable_folders.extend(config.other_warehouse());
    for folder in &readable_folders {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let settings = EngineSettings {
        sessions: config.engine.sessions.get(),
        threads: config.engine.threads.map_or_else(cores, std::num::NonZero::get),
        memory_bytes: config.engine.memory_bytes,
        readable_folders,
        scratch_folder: config.dir.join("scratch"),
        waiting_statements: config.engine.waiting_statements,
    };
    Engine::open(settings).context("cannot open DuckDB")
}

/// The bounds of one answer.
pub(crate) const fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits { rows: limits.rows, bytes: limits.bytes, time: limits.time }
}

/// An edge before an origin's URL.
pub(crate) fn edge(
    config: &Config,
    upstream: &str,
    kind: UpstreamKind,
) -> anyhow::Result<Arc<Edge>> {
    let upstream = upstream.parse().with_context(|| {
        format!("`{upstream}` is not an origin's URL; write for example http://127.0.0.1:8081")
    })?;
    let mut settings = match kind {
        UpstreamKind::Springtide => EdgeSettings::new(upstream),
        UpstreamKind::Http => EdgeSettings::foreign(upstream),
    };
    settings.memory_bytes = config.edge.memory_bytes;
    let edge = Edge::new(settings, clock()).context("cannot open the edge")?;
    Ok(Arc::new(edge))
}

/// Binds a listener; the message names the flag that moves it.
pub(crate) async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "{address} is in use by another program; stop it, or give another address with \
                 {flag} (port 0 takes a free one)"
            ),
            std::io::ErrorKind::PermissionDenied => {
                format!("this user may not listen on {address}; give a port above 1023 with {flag}")
            }
            _ => format!("cannot listen on {address}; give another address with {flag}"),
        };
        anyhow::Error::new(error).context(advice)
    })
}

fn flatten(ended: Result<anyhow::Result<()>, tokio::task::JoinError>) -> anyhow::Result<()> {
    ended.context("a server ended by a defect")?
}

/// Where this machine reaches a listener that may be bound to every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
