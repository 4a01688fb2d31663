//! A table on the real journal and lake, asked by the real engine, and what every
//! answer so far was.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use springtide_engine::{
    Encoding, Engine, EngineSettings, Limits, Plan, StatementRequest, TableSchema, etag,
};
use springtide_freshness::settings::FreshnessSettings;
use springtide_freshness::{Freshness, IngestError, PinAt, PinRequest, TableState};
use springtide_protocol::clock::Clock;
use springtide_protocol::{Format, MinVersion, TableName};
use tempfile::TempDir;

use crate::rows::{Column, Draw, Question, Row, question, row};

/// Statements that are asked again after each step.
const QUESTIONS: usize = 8;
const LIMITS: Limits = Limits { rows: 1_000_000, bytes: 1 << 30, time: Duration::from_secs(60) };

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a test is a program")]
    fn now_micros(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_micros()).unwrap()
    }
}

pub(crate) struct World {
    folder: TempDir,
    settings: FreshnessSettings,
    freshness: Freshness,
    engine: Engine,
    columns: Vec<Column>,
    draw: Draw,
    sent: Vec<Row>,
    minimum: Option<MinVersion>,
    questions: Vec<Question>,
    /// The bytes that each strong ETag stood for.
    answers: HashMap<String, Vec<u8>>,
    /// The ETag of a statement at a version.
    validators: HashMap<(String, String), String>,
}

impl World {
    pub(crate) async fn new(columns: &[Column], seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&folder, columns);
        let engine = Engine::open(EngineSettings {
            sessions: 2,
            threads: 2,
            memory_bytes: 512 << 20,
            readable_folders: vec![folder.path().join("tables")],
            scratch_folder: folder.path().join("scratch"),
            waiting_statements: 64,
        });
        let mut draw = Draw(seed);
        let questions = (0..QUESTIONS).map(|_| question(&mut draw, columns)).collect();
        Self {
            freshness: Freshness::start(settings.clone(), Arc::new(SystemClock)).await.unwrap(),
            engine: engine.unwrap(),
            folder,
            settings,
            columns: columns.to_vec(),
            draw,
            sent: Vec::new(),
            minimum: None,
            questions,
            answers: HashMap::new(),
            validators: HashMap::new(),
        }
    }

    pub(crate) async fn ingest(&mut self, rows: u64) {
        let mut body = String::new();
        let first = self.sent.len() as u64;
        for id in first..first + rows {
            let (row, json) = row(&mut self.draw, id, &self.columns);
            self.sent.push(row);
            body.push_str(&json);
        }
        for _ in 0..2000 {
            match self.freshness.ingest(&table(), body.clone().into(), None).await {
                Ok(receipt) => {
                    self.minimum = Some(receipt.min_version);
                    return;
                }
                Err(IngestError::Unavailable { .. }) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("the table never began: {:?}", self.freshness.status(&table()));
    }

    pub(crate) async fn commit(&mut self) {
        self.live().await;
        self.freshness.commit(&table()).await.unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.freshness.shutdown().await;
        self.freshness =
            Freshness::start(self.settings.clone(), Arc::new(SystemClock)).await.unwrap();
        self.live().await;
    }

    /// Waits until the stream is read up to its end.
    async fn live(&self) {
        for _ in 0..2000 {
            if self.freshness.status(&table()).is_some_and(|s| s.state == TableState::Live) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never live: {:?}", self.freshness.status(&table()));
    }

    /// Asks every statement and holds the answer against all before.
    pub(crate) async fn ask(&mut self) {
        self.live().await;
        for question in self.questions.clone() {
            self.ask_one(&question).await;
        }
    }

    async fn ask_one(&mut self, question: &Question) {
        let at = match self.minimum.clone() {
            Some(minimum) => PinAt::AtLeast { minimum, wait: Duration::from_secs(20) },
            None => PinAt::Latest,
        };
        let pinned = self.freshness.pin(PinRequest { tables: vec![table()], at }).await.unwrap();
        let schema = pinned.relations[0].schema.clone();
        let tables = BTreeMap::from([(table(), TableSchema { schema, row_filter: None })]);
        let request = StatementRequest {
            sql: question.sql.clone(),
            parameters: Vec::new(),
            tables: Arc::new(tables),
            clock_micros: 985_000_000_000_000,
        };
        let statement = self.engine.prepare(request).await.unwrap();
        let plan = Arc::new(Plan::new(statement, pinned.relations).unwrap());
        let encoding = Encoding { format: Format::Json, numbers_as_text: false };
        let tag = etag(&plan, encoding, b"").to_string();
        let bytes = self.run(plan, encoding).await;
        if let Some(predicate) = question.counts {
            let wanted = self.sent.iter().filter(|row| predicate.holds(row)).count();
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(&format!("{{\"n\":{wanted}}}")), "{}: {text}", question.sql);
        }
        let key = (question.sql.clone(), pinned.version.to_string());
        let told = self.validators.entry(key).or_insert_with(|| tag.clone());
        assert_eq!(*told, tag, "equal version, other ETag: {}", question.sql);
        if !tag.starts_with("W/") {
            let before = self.answers.entry(tag).or_insert_with(|| bytes.clone());
            assert_eq!(
                String::from_utf8_lossy(before),
                String::from_utf8_lossy(&bytes),
                "equal ETag, other bytes: {}",
                question.sql
            );
        }
    }

    async fn run(&self, plan: Arc<Plan>, encoding: Encoding) -> Vec<u8> {
        let mut answer = self.engine.execute(plan, encoding, LIMITS).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        bytes
    }

    pub(crate) async fn end(self) {
        self.freshness.shutdown().await;
        drop(self.folder);
    }
}

fn table() -> TableName {
    "t".parse().unwrap()
}

fn settings(folder: &TempDir, columns: &[Column]) -> FreshnessSettings {
    let named: Vec<String> =
        columns.iter().map(|(name, kind)| format!("\"{name} {kind}\"")).collect();
    let partition = columns.iter().find(|(_, kind)| *kind == "timestamp");
    let partition_by = partition.map_or(String::new(), |(name, _)| format!("\"day({name})\""));
    let text = format!(
        r#"
        folder = {:?}
        [tail]
        segment_rows = 300
        [[table]]
        name = "t"
        identifier = "demo.t"
        topic = "t"
        columns = ["id long", "city string", {}]
        partition_by = [{partition_by}]
        commit = {{ every = "1h", rows = 1_000_000 }}
        "#,
        folder.path().join("tables"),
        named.join(", "),
    );
    toml::from_str(&text).unwrap()
}
