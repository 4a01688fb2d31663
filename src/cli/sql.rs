//! `springtide sql`: one statement over the configured tables, in this process.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use springtide_engine::Encoding;
use springtide_protocol::Format;

use super::ConfigArgs;
use crate::wiring::House;

mod table;

/// Runs one statement and prints its answer.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  springtide sql 'SELECT origin, count(*) AS n FROM flights \
    GROUP BY 1 ORDER BY n DESC LIMIT 5'\n\nOf a server that runs, ask the server: \
    curl 'http://127.0.0.1:8080/v1/sql.csv?q=…'")]
pub(crate) struct Sql {
    #[command(flatten)]
    config: ConfigArgs,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Output,
    /// One SELECT.
    statement: String,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For reading.
    Table,
    /// RFC 4180 with a header line.
    Csv,
    /// The body of the URLs.
    Json,
    /// One JSON object a line.
    Ndjson,
}

impl Sql {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let house = House::open(self.config.load_tables()?).await?;
        let outcome = self.answer(&house).await;
        house.close().await;
        outcome.map(|()| ExitCode::SUCCESS)
    }

    async fn answer(&self, house: &House) -> anyhow::Result<()> {
        house.wait_ready().await?;
        if self.format == Output::Table {
            let encoding = Encoding { format: Format::Json, numbers_as_text: true };
            let mut body = Vec::new();
            let mut answer = house.query(&self.statement, encoding).await?;
            while let Some(piece) = answer.next().await {
                body.extend_from_slice(&piece?);
            }
            print!("{}", table::render(&body).context("the answer is not its JSON")?);
            return Ok(());
        }
        let format = match self.format {
            Output::Csv => Format::Csv,
            Output::Ndjson => Format::Ndjson,
            Output::Json | Output::Table => Format::Json,
        };
        let mut answer =
            house.query(&self.statement, Encoding { format, numbers_as_text: false }).await?;
        while let Some(piece) = answer.next().await {
            write(&piece?)?;
        }
        write(if format == Format::Json { b"\n" } else { b"" })
    }
}

/// A command may wait for its own terminal.
fn write(bytes: &[u8]) -> anyhow::Result<()> {
    std::io::stdout().write_all(bytes).context("cannot write to standard output")
}
