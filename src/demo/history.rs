//! History goes into the lake in bulk, once, as one commit.

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use springtide_freshness::lake::Lake;

use super::{Flights, TABLE};
use crate::config::Config;

/// Loads the history into the table where that is new, telling how far it is.
pub(crate) async fn load_history(config: &Config, flights: &Flights) -> anyhow::Result<()> {
    let settings = config.tables.iter().find(|table| table.name.as_str() == TABLE);
    let settings = settings.with_context(|| format!("the configuration has no table `{TABLE}`"))?;
    let lake = Lake::connect(&config.catalog, &config.tables_folder())
        .await
        .context("cannot connect to the catalog")?;
    let table = lake.open_or_create(settings).await.context("cannot open the demo's table")?;
    // The load is one commit: there is a snapshot, so there is all of the history.
    if table.refresh().await?.snapshot_id.is_some() {
        eprintln!("springtide: the history is in the lake already");
        return Ok(());
    }
    let rows = flights.history_rows() as u64;
    eprintln!("springtide: loading {rows} flights into the Iceberg table {}", settings.identifier);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {msg}")?;
    let bar = ProgressBar::new(rows).with_style(style);
    let batches = flights.history()?.into_iter().map(Ok);
    let loaded = table.load(batches, |progress| {
        bar.set_position(progress.rows);
        bar.set_message(format!("{} files", progress.files));
    });
    let snapshot = loaded.await.context("cannot load the history")?;
    bar.finish_and_clear();
    eprintln!("springtide: loaded {} rows in {} files", snapshot.rows(), snapshot.files.len());
    Ok(())
}
