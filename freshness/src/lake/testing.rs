//! What tests of the lake share: a table in a temporary folder, rows for it, and
//! what its files hold when they are read plainly.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::sync::Arc;

use arrow::array::cast::AsArray as _;
use arrow::array::types::Int64Type;
use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use springtide_relation::TailBatch;
use tempfile::TempDir;
use uuid::Uuid;

use super::{Lake, LakeSnapshot, LakeTable};
use crate::commit::CommitRequest;
use crate::settings::{CatalogSettings, TableSettings};

pub(crate) mod faulty;
pub(crate) mod others;

/// 2001-03-31T00:00:00Z.
pub(crate) const DAY: i64 = 986_000_000_000_000 - 986_000_000_000_000 % MICROS_PER_DAY;
pub(crate) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A catalog in a folder that goes with it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A new connection, as another program would have.
    pub(crate) async fn lake(&self) -> Lake {
        Lake::connect(&CatalogSettings::default(), self.folder.path()).await.unwrap()
    }

    /// The table through a new connection.
    pub(crate) async fn table(&self) -> LakeTable {
        self.lake().await.open_or_create(&settings(false)).await.unwrap()
    }

    /// The same, with foreign commits declared.
    pub(crate) async fn shared_table(&self) -> LakeTable {
        self.lake().await.open_or_create(&settings(true)).await.unwrap()
    }

    /// Data files that lie in the warehouse, whether a snapshot names them or not.
    pub(crate) fn stored_files(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
            let one = |path: std::path::PathBuf| {
                let parquet = path.extension().is_some_and(|e| e == "parquet");
                if path.is_dir() { count(&path) } else { usize::from(parquet) }
            };
            entries.map(|entry| one(entry.unwrap().path())).sum()
        }
        count(self.folder.path())
    }
}

/// A table of an id, a time, a number and a text, by day.
pub(crate) fn settings(foreign_commits: bool) -> TableSettings {
    table_settings(&format!(
        r#"
        name = "events"
        identifier = "demo.events"
        topic = "events"
        columns = ["id long", "at timestamp", "price double", "city string"]
        partition_by = ["day(at)"]
        foreign_commits = {foreign_commits}
        "#
    ))
}

/// Settings from their text.
pub(crate) fn table_settings(text: &str) -> TableSettings {
    use serde::Deserialize as _;
    TableSettings::deserialize(json(text)).unwrap()
}

/// The few forms of TOML that the tests use: `key = value` by line.
fn json(text: &str) -> serde_json::Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (key, value) = line.split_once('=').unwrap();
        (key.trim().to_owned(), serde_json::from_str(value.trim()).unwrap())
    };
    serde_json::Value::Object(lines.map(pair).collect())
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) at: Option<i64>,
    pub(crate) price: Option<f64>,
    pub(crate) city: Option<String>,
}

/// A row that is known by its id, on a day that the id decides.
pub(crate) fn row(id: i64) -> Row {
    let at = DAY + id % 3 * MICROS_PER_DAY + id;
    #[expect(clippy::cast_precision_loss, reason = "ids are small")]
    Row { id, at: Some(at), price: Some(id as f64 / 4.0), city: Some(format!("city-{}", id % 7)) }
}

/// Rows in the table's schema.
pub(crate) fn rows(schema: &SchemaRef, rows: &[Row]) -> RecordBatch {
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| Some(r.id)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.at).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|r| r.price).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.city.clone()).collect::<StringArray>()),
    ];
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

/// Rows at offsets of a stream partition.
pub(crate) fn tail(schema: &SchemaRef, partition: i32, given: &[(i64, Row)]) -> TailBatch {
    let own: Vec<Row> = given.iter().map(|(_, row)| row.clone()).collect();
    TailBatch {
        partition: PartitionId(partition),
        offsets: given.iter().map(|(offset, _)| Some(*offset)).collect(),
        rows: rows(schema, &own),
    }
}

/// `row(offset)` at each offset of a range of partition 0.
pub(crate) fn range(schema: &SchemaRef, from: i64, to: i64) -> TailBatch {
    let given: Vec<(i64, Row)> = (from..to).map(|offset| (offset, row(offset))).collect();
    tail(schema, 0, &given)
}

pub(crate) fn map(next: i64) -> OffsetMap {
    [(PartitionId(0), Offset(next))].into_iter().collect()
}

/// A commit of `[from, next)` of partition 0.
pub(crate) fn request(from: i64, next: i64, batches: Vec<TailBatch>) -> CommitRequest {
    CommitRequest {
        from: map(from),
        next: map(next),
        topic_id: Uuid::from_u128(7),
        topic: "events".into(),
        cluster: "here".into(),
        schema_id: 0,
        decode_epoch: 0,
        batches,
        commit_id: Uuid::new_v4(),
    }
}

/// All values of `id` in the snapshot's files, sorted.
pub(crate) fn ids(snapshot: &LakeSnapshot) -> Vec<i64> {
    let mut ids = Vec::new();
    for file in snapshot.files.iter() {
        let before = ids.len();
        for batch in read(file) {
            ids.extend(batch["id"].as_primitive::<Int64Type>().values());
        }
        assert_eq!(file.rows, (ids.len() - before) as u64);
    }
    ids.sort_unstable();
    ids
}

/// The same without rows that are deleted.
pub(crate) fn living(snapshot: &LakeSnapshot) -> Vec<i64> {
    let mut living = Vec::new();
    for file in snapshot.files.iter() {
        let ids = read(file)
            .into_iter()
            .flat_map(|batch| batch["id"].as_primitive::<Int64Type>().values().to_vec());
        let dead = file.dead.as_ref().map(|dead| dead.positions());
        let lives = |position: u64| dead.is_none_or(|dead| !dead.contains(position));
        let before = living.len();
        living.extend((0..).zip(ids).filter(|(at, _)| lives(*at)).map(|(_, id)| id));
        assert_eq!(file.live_rows(), (living.len() - before) as u64);
    }
    assert_eq!(snapshot.rows(), living.len() as u64);
    living.sort_unstable();
    living
}

/// A file's rows.
pub(crate) fn read(file: &springtide_relation::DataFile) -> Vec<RecordBatch> {
    let open = File::open(&file.path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(open).unwrap().build().unwrap();
    reader.collect::<Result<_, _>>().unwrap()
}
