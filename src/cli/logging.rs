//! Where logs go: standard error, as lines to read or as JSON.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// What of the program's doings is told on standard error.
#[derive(Clone, Debug, Args)]
pub(crate) struct Logging {
    /// What is logged: error, warn, info, debug, trace, or by module.
    /// Default: info for servers, warn for the demo and for commands that end.
    #[arg(
        long,
        global = true,
        env = "SPRINGTIDE_LOG",
        value_name = "LEVEL",
        hide_env_values = true
    )]
    log: Option<String>,
    /// How a log line is written.
    #[arg(
        long,
        global = true,
        env = "SPRINGTIDE_LOG_FORMAT",
        default_value = "text",
        hide_env_values = true
    )]
    log_format: LogFormat,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For reading.
    Text,
    /// One JSON object a line.
    Json,
}

impl Logging {
    /// Starts logging for the whole program, at `default` where no level was given.
    pub(crate) fn start(&self, default: &str) {
        let ours = ["trace", "debug", "info", "warn", "error", "off"];
        let log = self.log.as_deref().unwrap_or(default);
        // A bare level is meant for this program, not for each library below it.
        let directives =
            if ours.contains(&log) { format!("warn,springtide={log}") } else { log.to_owned() };
        let filter = EnvFilter::try_new(&directives).unwrap_or_else(|error| {
            eprintln!("springtide: --log {directives}: {error}; logging at info");
            EnvFilter::new("warn,springtide=info")
        });
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Json => lines.json().init(),
            LogFormat::Text => lines.with_target(false).init(),
        }
    }
}
