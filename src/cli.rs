//! The command line: its commands, the options they share, exit codes and how
//! an error is told. Each command has a file of its own.

mod bench;
mod check;
mod commit;
mod demo;
mod edge;
mod logging;
mod origin;
mod serve;
mod sql;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigError, Loaded, Source};
use crate::state_folder::StateFolderError;

pub(crate) use logging::Logging;

/// The exit code of what failed while it ran.
const FAILED: u8 = 1;
/// The exit code of wrong use: arguments (clap's own) and configuration.
const MISUSED: u8 = 2;
/// The file that is read where none is named.
const DEFAULT_FILE: &str = "springtide.toml";

/// SQL over a data lake and its stream, by URL, seconds old.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) logging: Logging,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Real flights: history from Iceberg, the newest from a stream, one answer by URL.
    Demo(demo::Demo),
    /// Everything in one process: tables, origin and edge.
    Serve(serve::Serve),
    /// The query service alone.
    Origin(origin::OriginCommand),
    /// The cache alone, in front of an origin.
    Edge(edge::EdgeCommand),
    /// Commits the tails to the lake.
    Commit(commit::Commit),
    /// Runs one statement and prints its answer.
    Sql(sql::Sql),
    /// Validates the configuration and the published queries, and prints what is resolved.
    Check(check::Check),
    /// Measures this build against its peers.
    Bench(bench::Bench),
}

/// Where the configuration and the state are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration; `springtide.toml` in the working folder where it is left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder for all state.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

/// Where to listen; port 0 takes a free one.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ListenArgs {
    /// The edge's address, by default 127.0.0.1:8080.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) edge_listen: Option<SocketAddr>,
    /// The origin's address, by default 127.0.0.1:8081.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) origin_listen: Option<SocketAddr>,
}

impl Command {
    /// Servers tell each request; what is watched by a person tells what is wrong.
    pub(crate) const fn log_level(&self) -> &'static str {
        match self {
            Self::Serve(_) | Self::Origin(_) | Self::Edge(_) => "info",
            Self::Commit(commit) if commit.goes_on() => "info",
            _ => "warn",
        }
    }
}

impl ConfigArgs {
    /// Reads the configuration that a command needs.
    pub(crate) fn load(&self, built_in: Option<&'static str>) -> anyhow::Result<Loaded> {
        let file = self.config.clone().or_else(|| {
            let default = PathBuf::from(DEFAULT_FILE);
            (built_in.is_none() && default.is_file()).then_some(default)
        });
        let mut loaded = config::load(&Source { built_in, file })?;
        if let Some(dir) = &self.dir {
            let dir = std::path::absolute(dir)?;
            loaded.resolved.insert("dir".to_owned(), dir.display().to_string().into());
            loaded.config.dir = dir;
        }
        Ok(loaded)
    }

    /// The same, for a command that is nothing without tables.
    pub(crate) fn load_tables(&self) -> anyhow::Result<Config> {
        let config = self.load(None)?.config;
        if config.tables.is_empty() {
            let what = match &self.config {
                Some(file) => format!("{} names no [[table]]", file.display()),
                None => format!("there is no {DEFAULT_FILE} here that names a [[table]]"),
            };
            anyhow::bail!("{what}; write one, name a file with --config, or try `springtide demo`");
        }
        Ok(config)
    }
}

impl ListenArgs {
    /// Puts the flags over the configuration.
    pub(crate) fn apply(&self, config: &mut Config) {
        if let Some(address) = self.edge_listen {
            config.server.edge_listen = address;
        }
        if let Some(address) = self.origin_listen {
            config.server.origin_listen = address;
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Demo(demo) => demo.run().await,
            Command::Serve(serve) => serve.run().await,
            Command::Origin(origin) => origin.run().await,
            Command::Edge(edge) => edge.run().await,
            Command::Commit(commit) => commit.run().await,
            Command::Sql(sql) => sql.run().await,
            Command::Check(check) => check.run().await,
            Command::Bench(bench) => bench.run().await,
        }
    });
    // What still blocks a thread has had its time (`server.shutdown_timeout`).
    runtime.shutdown_background();
    outcome
}

/// Tells an error with its causes, one a line.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("springtide: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // A transparent error repeats its source's words.
        if !said.contains(&cause) {
            eprintln!("  because: {cause}");
        }
        said = cause;
    }
    if error.chain().any(is_full_disk) {
        eprintln!("  the disk is full: free some space and start again; nothing is lost");
    }
    let misused = error.is::<ConfigError>() || error.is::<StateFolderError>();
    ExitCode::from(if misused { MISUSED } else { FAILED })
}

fn is_full_disk(cause: &(dyn std::error::Error + 'static)) -> bool {
    let io = cause.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
}
