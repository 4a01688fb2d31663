//! An independent reader agrees: what our committer writes, pyiceberg reads row
//! for row, and its pruning by our partitions and bounds loses nothing.
//! `SPRINGTIDE_TEST_SERVICES=none` leaves it out; without Python it fails and says so.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int32Array, Int64Array, LargeBinaryArray, RecordBatch, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use sha2::{Digest as _, Sha256};
use springtide_freshness::lake::{CommitRequest, Lake, LakeTable};
use springtide_freshness::settings::{CatalogSettings, TableSettings};
use springtide_protocol::{Offset, OffsetMap, PartitionId};
use springtide_relation::TailBatch;
use uuid::Uuid;

const DAY: i64 = 86_400_000_000;

/// One row of every type.
#[derive(Clone)]
struct Row {
    id: i64,
    at: Option<i64>,
    null: bool,
    price: f64,
}

impl Row {
    /// Values that differ by row; every eleventh is NULL where it may be.
    fn new(id: i64) -> Self {
        // Both sides of 1970, with fractions of seconds.
        let at = (id % 9 - 5) * DAY / 2 + id * 1_234_567 % DAY - 500_001;
        let price = match id % 13 {
            0 => f64::NAN,
            1 => -0.0,
            2 => f64::INFINITY,
            n => n as f64 / 7.0,
        };
        Self { id, at: (id % 17 != 0).then_some(at), null: id % 11 == 0, price }
    }

    fn optional<T>(&self, value: T) -> Option<T> {
        (!self.null).then_some(value)
    }

    fn small(&self) -> i32 {
        i32::try_from(self.id % 1000).unwrap()
    }

    fn city(&self) -> String {
        format!("Zürich {} \u{1F6EB} — a long name of a station", self.id % 5)
    }

    fn bytes(&self) -> [u8; 16] {
        u128::try_from(self.id * 7919).unwrap().to_be_bytes()
    }

    /// The row as the reader's digest writes it.
    fn text(&self) -> String {
        let float = |v: f64| if v.is_nan() { "nan".into() } else { hex(&v.to_be_bytes()) };
        let values = [
            Some(self.id.to_string()),
            self.at.map(|at| at.to_string()),
            self.optional((self.id % 2 == 0).to_string()),
            self.optional(self.small().to_string()),
            self.optional(float(f64::from(self.price as f32))),
            Some(float(self.price)),
            self.optional(format!("{}.{:02}", self.id / 100, self.id % 100)),
            self.optional((self.small() - 500).to_string()),
            self.optional((self.id * 1_000_003 % DAY).to_string()),
            self.at.map(|at| (at + 1).to_string()),
            self.optional(self.city()),
            self.optional(hex(&self.bytes())),
            self.optional(hex(&self.bytes()[8..])),
        ];
        let texts = values.map(|value| value.unwrap_or_else(|| "\\N".to_owned()));
        texts.join("\u{1f}")
    }
}

const COLUMNS: &str = r#"["id long required", "at timestamp", "even boolean", "small int",
    "ratio float", "price double", "amount decimal(12,2)", "day date", "clock time",
    "seen timestamptz", "city string", "tag uuid", "raw binary"]"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn settings() -> TableSettings {
    let text = format!(
        r#"{{"name": "all", "identifier": "demo.all", "topic": "all", "columns": {COLUMNS},
            "partition_by": ["day(at)", "small"]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn batch(schema: &SchemaRef, rows: &[Row]) -> RecordBatch {
    let amounts: Decimal128Array = rows.iter().map(|r| r.optional(i128::from(r.id))).collect();
    let uuids = rows.iter().map(|r| r.optional(r.bytes()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| Some(r.id)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.at).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|r| r.optional(r.id % 2 == 0)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|r| r.optional(r.small())).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|r| r.optional(r.price as f32)).collect::<Float32Array>()),
        Arc::new(rows.iter().map(|r| Some(r.price)).collect::<Float64Array>()),
        Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(rows.iter().map(|r| r.optional(r.small() - 500)).collect::<Date32Array>()),
        Arc::new(
            rows.iter()
                .map(|r| r.optional(r.id * 1_000_003 % DAY))
                .collect::<Time64MicrosecondArray>(),
        ),
        Arc::new(
            rows.iter()
                .map(|r| r.at.map(|at| at + 1))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("+00:00"),
        ),
        Arc::new(rows.iter().map(|r| r.optional(r.city())).collect::<StringArray>()),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, 16).unwrap()),
        Arc::new(
            rows.iter().map(|r| r.optional(r.bytes()[8..].to_vec())).collect::<LargeBinaryArray>(),
        ),
    ];
    for (column, field) in columns.iter().zip(schema.fields()) {
        assert_eq!(column.data_type(), field.data_type(), "{}", field.name());
    }
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

fn map(next: i64) -> OffsetMap {
    [(PartitionId(0), Offset(next))].into_iter().collect()
}

async fn commit(table: &LakeTable, from: i64, next: i64) -> Vec<Row> {
    let schema = table.refresh().await.unwrap().schema.clone();
    let rows: Vec<Row> = (from..next).map(Row::new).collect();
    let batches = vec![TailBatch {
        partition: PartitionId(0),
        offsets: (from..next).map(Some).collect(),
        rows: batch(&schema, &rows),
    }];
    let request = CommitRequest {
        from: map(from),
        next: map(next),
        topic_id: Uuid::from_u128(7),
        topic: "all".into(),
        cluster: "here".into(),
        schema_id: 0,
        decode_epoch: 0,
        batches,
        commit_id: Uuid::new_v4(),
    };
    table.commit(request).await.unwrap();
    rows
}

fn digest(rows: &[Row]) -> String {
    let mut texts: Vec<String> = rows.iter().map(Row::text).collect();
    texts.sort_unstable();
    hex(&Sha256::digest(texts.join("\n")))
}

/// Runs the reader; panics with what it says where it does not agree.
fn check(folder: &Path, arguments: &[String]) {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/services");
    let python = Command::new("bash").arg(services.join("python.sh")).output().unwrap();
    let made = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "the reader's Python environment cannot be made: {made}");
    let output = Command::new(String::from_utf8(python.stdout).unwrap().trim())
        .arg(services.join("pyiceberg/check.py"))
        .arg("--database")
        .arg(folder.join("catalog.sqlite"))
        .arg("--warehouse")
        .arg(format!("file://{}", folder.join("warehouse").display()))
        .args(["--table", "demo.all"])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pyiceberg disagrees: {said}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so here")]
async fn pyiceberg_agrees_row_for_row() {
    if std::env::var("SPRINGTIDE_TEST_SERVICES").as_deref() == Ok("none") {
        eprintln!("left out: SPRINGTIDE_TEST_SERVICES=none, so no independent reader is made");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::connect(&CatalogSettings::default(), folder.path()).await.unwrap();
    let table = lake.open_or_create(&settings()).await.unwrap();
    let mut rows = commit(&table, 0, 300).await;
    rows.extend(commit(&table, 300, 301).await);
    let schema = table.refresh().await.unwrap().schema.clone();
    let history: Vec<Row> = (5_000..5_400).map(Row::new).collect();
    table.load([Ok(batch(&schema, &history))], |_| ()).await.unwrap();
    rows.extend(history);
    rows.extend(commit(&table, 301, 500).await);

    let count = |keep: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| keep(row)).count();
    let yesterday = |row: &Row| row.at.is_some_and(|at| (-DAY..0).contains(&at));
    let filters = [
        ("at >= '1969-12-31T00:00:00' and at < '1970-01-01T00:00:00'", count(&yesterday)),
        ("at is null", count(&|row| row.at.is_none())),
        ("small = 7", count(&|row| !row.null && row.small() == 7)),
        ("id > 5390", count(&|row| row.id > 5_390)),
        // To the reader, NaN is not above anything.
        ("price >= 1.5", count(&|row| row.price >= 1.5)),
        ("amount < 3.00", count(&|row| !row.null && row.id < 300)),
        ("city >= 'Zürich 4'", count(&|row| !row.null && row.id % 5 == 4)),
    ];
    let mut arguments = vec![
        "--rows".to_owned(),
        rows.len().to_string(),
        "--digest".to_owned(),
        digest(&rows),
        "--sum".to_owned(),
        format!("id={}", rows.iter().map(|row| row.id).sum::<i64>()),
    ];
    for (filter, matching) in filters {
        assert!(matching > 0, "{filter}");
        arguments.extend(["--filter".to_owned(), format!("{filter} = {matching}")]);
    }
    let place = folder.path().to_owned();
    tokio::task::spawn_blocking(move || check(&place, &arguments)).await.unwrap();
}
