//! What is measured on: the flights in a house of its own, in a temporary
//! folder, with its origin listening.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use springtide_freshness::lake::Lake;
use springtide_freshness::settings::StreamKind;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Options;
use crate::config::{self, Config, Source};
use crate::demo::Flights;
use crate::wiring::{self, House};

const CONFIG: &str = include_str!("bench.toml");
/// Rows that the table `tailed` has in its tail.
pub(super) const TAIL_ROWS: usize = 100_000;
const BATCH_ROWS: usize = 64 * 1024;
/// NDJSON rows of one request that fills the tail.
const INGEST_ROWS: usize = 20_000;

/// The house under measurement.
pub(super) struct Fixture {
    pub(super) house: House,
    data: String,
    is_whole_quarter: bool,
    rows: usize,
    origin: String,
    serving: JoinHandle<()>,
    folder: Folder,
}

/// A folder that ends with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Fixture {
    /// Loads the data and starts the origin.
    pub(super) async fn open(options: &Options, kafka: Option<&str>) -> anyhow::Result<Self> {
        let run = uuid::Uuid::new_v4().simple().to_string();
        let folder = Folder(std::env::temp_dir().join(format!("springtide-bench-{run}")));
        let mut config = config::load(&Source { built_in: Some(CONFIG), file: None })?.config;
        config.dir = folder.0.join("state");
        config.queries = folder.0.join("queries");
        if let Some(servers) = kafka {
            config.stream.kind = StreamKind::Kafka;
            config.stream.bootstrap_servers = Some(servers.to_owned());
            config.stream.create_topics = true;
        }
        for table in &mut config.tables {
            // A broker outlives the measurement: each has topics of its own.
            table.topic = table.topic.take().map(|topic| format!("{topic}-{run}"));
        }
        let path = options.data.clone();
        let data = path.as_ref().map_or_else(|| "demo".to_owned(), |p| p.display().to_string());
        let batches = tokio::task::spawn_blocking(move || read(path.as_deref())).await??;
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        eprintln!("springtide bench: loading {rows} flights");
        let lock = wiring::lock(&config)?;
        load(&config, &batches, rows).await?;
        let house = House::open_in(lock, config).await?;
        house.wait_ready().await?;
        fill_tail(&house, &batches, rows).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let service = house.origin(false)?;
        let stop = tokio_util::sync::CancellationToken::new();
        let serving = tokio::spawn(async move {
            if let Err(error) = service.serve(listener, stop).await {
                tracing::error!(%error, "the origin ended");
            }
        });
        let is_whole_quarter = options.data.is_some();
        Ok(Self { house, data, is_whole_quarter, rows, origin, serving, folder })
    }

    /// The origin's URL.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Which data.
    pub(super) fn data_name(&self) -> &str {
        &self.data
    }

    /// How many flights.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the data holds the whole quarter; the demo's own is its last four weeks.
    pub(super) fn is_whole_quarter(&self) -> bool {
        self.is_whole_quarter
    }

    /// A file in the temporary folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// The Parquet files of a table's snapshot.
    pub(super) async fn files(&self, table: &str) -> anyhow::Result<Vec<PathBuf>> {
        let config = &self.house.config;
        let lake = Lake::connect(&config.catalog, &config.tables_folder()).await?;
        let settings = config.tables.iter().find(|settings| settings.name.as_str() == table);
        let opened = lake.open_or_create(settings.context("no such table")?).await?;
        let snapshot = opened.refresh().await?;
        Ok(snapshot.files.iter().map(|file| PathBuf::from(&*file.path)).collect())
    }

    /// Takes everything down.
    pub(super) async fn close(self) {
        self.serving.abort();
        self.house.close().await;
        drop(self.folder);
    }
}

fn read(path: Option<&Path>) -> anyhow::Result<Vec<RecordBatch>> {
    let Some(path) = path else { return Flights::read()?.all() };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
        .with_context(|| format!("{} is not Parquet", path.display()))?
        .with_batch_size(BATCH_ROWS)
        .build()?;
    Ok(reader.collect::<Result<_, _>>()?)
}

/// `flights` and `arrivals` get all rows, `tailed` all but the last ones.
async fn load(config: &Config, batches: &[RecordBatch], rows: usize) -> anyhow::Result<()> {
    let lake = Lake::connect(&config.catalog, &config.tables_folder()).await?;
    for table in &config.tables {
        let taken = if table.name.as_str() == "tailed" { rows - tail_rows(rows) } else { rows };
        let opened = lake.open_or_create(table).await?;
        let batches = window(batches, 0, taken).into_iter().map(Ok);
        opened.load(batches, |_| {}).await?;
    }
    Ok(())
}

fn tail_rows(rows: usize) -> usize {
    TAIL_ROWS.min(rows / 2)
}

/// The rows `[start, end)` of all batches. No copy.
fn window(batches: &[RecordBatch], start: usize, end: usize) -> Vec<RecordBatch> {
    let mut first = 0;
    let mut taken = Vec::new();
    for batch in batches {
        let last = first + batch.num_rows();
        let (from, to) = (start.max(first), end.min(last));
        if from < to {
            taken.push(batch.slice(from - first, to - from));
        }
        first = last;
    }
    taken
}

/// Sends the last rows through the stream; they stay in the tail.
async fn fill_tail(house: &House, batches: &[RecordBatch], rows: usize) -> anyhow::Result<()> {
    let table = "tailed".parse()?;
    let mut start = rows - tail_rows(rows);
    let mut last = None;
    while start < rows {
        let end = rows.min(start + INGEST_ROWS);
        let mut body = arrow::json::LineDelimitedWriter::new(Vec::new());
        for batch in window(batches, start, end) {
            body.write(&batch)?;
        }
        body.finish()?;
        last = Some(house.freshness.ingest(&table, body.into_inner().into(), None).await?);
        start = end;
    }
    if let Some(receipt) = last {
        house.reach(&table, receipt.min_version).await?;
    }
    Ok(())
}
