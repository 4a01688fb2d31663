//! `springtide check`: is the configuration right, are the published queries?
//! Starts nothing and changes nothing.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use springtide_engine::TableSchema;
use springtide_freshness::lake::{Lake, declared_schema};
use springtide_origin::queries;
use springtide_protocol::TableName;

use super::ConfigArgs;
use crate::config::{Config, print_resolved};
use crate::wiring;

/// Validates the configuration and the published queries, and prints what is resolved.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  springtide check --config springtide.toml\n\n\
    The resolved configuration goes to standard output, what is wrong to standard error; \
    the exit code is 2 where something is.")]
pub(crate) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Check {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let loaded = self.config.load(None)?;
        print!("{}", print_resolved(&loaded)?);
        let wrong = check_queries(&loaded.config).await?;
        for (name, what) in &wrong {
            eprintln!("springtide: {name}: {what}");
        }
        Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::MISUSED) })
    }
}

/// What is wrong with the published queries, by file.
async fn check_queries(config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    if !config.queries.is_dir() {
        return Ok(Vec::new());
    }
    let scratch = scratch_folder()?;
    let mut sandboxed = config.clone();
    sandboxed.dir.clone_from(&scratch.0);
    let engine = wiring::open_engine(&sandboxed)?;
    let tables = schemas(config).await?;
    let findings = queries::check_folder(&config.queries, &engine, &Arc::new(tables))
        .await
        .with_context(|| format!("cannot read the folder {}", config.queries.display()))?;
    let wrong = findings.into_iter().filter_map(|(name, finding)| {
        let file = config.queries.join(format!("{name}.sql")).display().to_string();
        finding.err().map(|what| (file, causes(&what)))
    });
    Ok(wrong.collect())
}

/// The tables' columns: as declared, else as the catalog has them.
async fn schemas(config: &Config) -> anyhow::Result<BTreeMap<TableName, TableSchema>> {
    let mut schemas = BTreeMap::new();
    for table in &config.tables {
        let schema = if table.columns.is_empty() {
            let lake = Lake::connect(&config.catalog, &config.tables_folder()).await?;
            let opened = lake.open_or_create(table).await;
            let opened = opened.with_context(|| format!("cannot open table `{}`", table.name))?;
            opened.refresh().await?.schema.clone()
        } else {
            declared_schema(table)?
        };
        schemas.insert(table.name.clone(), TableSchema { schema, row_filter: None });
    }
    Ok(schemas)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let said = source.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = source.source();
    }
    text
}

/// A folder that ends with its owner: what a check writes never meets the state.
struct Scratch(std::path::PathBuf);

fn scratch_folder() -> anyhow::Result<Scratch> {
    let path = std::env::temp_dir().join(format!("springtide-check-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(Scratch(path))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
