//! A house in a temporary folder and a client for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use springtide_engine::{Engine, EngineSettings};
use springtide_freshness::{Freshness, FreshnessSettings, TableStatus};
use springtide_origin::{Origin, OriginSettings};
use springtide_protocol::clock::Clock;
use springtide_protocol::signing::VersionKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2001-04-01T00:00:00Z.
pub(crate) const START: i64 = 986_083_200_000_000;
/// The token of writes, where a house has one.
pub(crate) const TOKEN: &str = "the-token-of-these-tests";
/// For how long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const TABLES: &str = r#"
[[table]]
name = "flights"
identifier = "demo.flights"
topic = "flights"
columns = ["id long", "date timestamp", "delay long", "origin string"]
partition_by = ["day(date)"]
commit = { enabled = false }

[[table]]
name = "payroll"
identifier = "demo.payroll"
topic = "payroll"
columns = ["name string", "region string", "pay long"]
commit = { enabled = false }
"#;

/// A clock that a test moves.
#[derive(Debug)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The tables' own clock, which runs: their rounds depend on it.
#[derive(Debug)]
struct RunningClock(Instant);

impl Clock for RunningClock {
    fn now_micros(&self) -> i64 {
        START + i64::try_from(self.0.elapsed().as_micros()).unwrap()
    }
}

/// A running origin.
pub(crate) struct House {
    pub(crate) origin: Arc<Origin>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
    freshness: Freshness,
    client: Client<HttpConnector, Full<Bytes>>,
    folder: Option<tempfile::TempDir>,
    /// What every write brings along.
    token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Header lines of a request.
pub(crate) type Lines<'a> = &'a [(&'a str, &'a str)];

pub(crate) fn key() -> VersionKey {
    VersionKey::new(b"the key of these tests, of 32 b.")
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A house with a token of writes; [`House::post`] brings it along.
    pub(crate) async fn with_token() -> Self {
        Self::with(give_token).await
    }

    /// A house with other settings of its origin.
    pub(crate) async fn with(change: impl FnOnce(&mut OriginSettings)) -> Self {
        let house = Self::over(tempfile::tempdir().unwrap(), change).await;
        house.until_ready().await;
        house
    }

    /// A house over a folder, with what an earlier one left in it; not ready yet.
    pub(crate) async fn over(
        folder: tempfile::TempDir,
        change: impl FnOnce(&mut OriginSettings),
    ) -> Self {
        Self::over_stream(folder, "", change).await
    }

    /// A house whose stream is another than the journal.
    pub(crate) async fn over_stream(
        folder: tempfile::TempDir,
        stream: &str,
        change: impl FnOnce(&mut OriginSettings),
    ) -> Self {
        let state = folder.path().join("state");
        std::fs::create_dir_all(folder.path().join("queries")).unwrap();
        std::fs::create_dir_all(&state).unwrap();
        let clock = Arc::new(HandClock(AtomicI64::new(START)));
        let text = format!("folder = {:?}\n{stream}\n{TABLES}", state.display().to_string());
        let settings: FreshnessSettings = toml::from_str(&text).unwrap();
        let freshness =
            Freshness::start(settings, Arc::new(RunningClock(Instant::now()))).await.unwrap();
        let engine = Engine::open(EngineSettings {
            sessions: 2,
            threads: 2,
            memory_bytes: 512 * 1024 * 1024,
            readable_folders: vec![state],
            scratch_folder: folder.path().join("engine"),
            waiting_statements: 16,
        });
        let (queries, scratch) = (folder.path().join("queries"), folder.path().join("spool"));
        let mut settings = OriginSettings::new(queries, scratch, key());
        settings.min_version_wait = Duration::from_millis(300);
        change(&mut settings);
        let token = settings.admin_token.clone().filter(|token| token == TOKEN);
        let origin = Origin::new(settings, engine.unwrap(), freshness.clone(), clock.clone());
        let origin = Arc::new(origin.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(Arc::clone(&origin).serve(listener, stop.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let folder = Some(folder);
        Self { origin, clock, address, stop, serving, freshness, client, folder, token }
    }

    /// Stops everything; the folder stays.
    pub(crate) async fn close(mut self) -> tempfile::TempDir {
        self.stop.cancel();
        (&mut self.serving).await.unwrap().unwrap();
        self.freshness.shutdown().await;
        self.folder.take().unwrap()
    }

    /// Waits until the snapshot alone answers.
    pub(crate) async fn until_snapshot_only(&self, table: &str) {
        self.until_status(table, |s| s.version.is_some() && s.is_snapshot_only).await;
    }

    async fn until_ready(&self) {
        let ready = async {
            let tables = self.freshness.declared();
            let round_is_over = |table| {
                let status = self.freshness.status(table);
                status.is_some_and(|status| status.as_of_micros.is_some())
            };
            while self.freshness.readiness().iter().any(|part| !part.ready)
                || !tables.iter().all(round_is_over)
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, ready).await;
        assert!(waited.is_ok(), "not ready: {:?}", self.freshness.readiness());
    }

    /// The house's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    /// Waits until something of a table's status holds.
    pub(crate) async fn until_status(&self, table: &str, holds: impl Fn(&TableStatus) -> bool) {
        let table = table.parse().unwrap();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !self.freshness.status(&table).is_some_and(|status| holds(&status)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{:?}", self.freshness.status(&table));
    }

    pub(crate) fn queries(&self) -> PathBuf {
        self.folder.as_ref().unwrap().path().join("queries")
    }

    /// Publishes a query and waits until it is known.
    pub(crate) async fn publish(&self, name: &str, text: &str) {
        let before = self.get("/v1/queries").await.body;
        std::fs::write(self.queries().join(format!("{name}.sql")), text).unwrap();
        let known = async {
            while self.get("/v1/queries").await.body == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, known).await.expect("the file is read again");
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        target: &str,
        lines: Lines<'_>,
        body: impl Into<Bytes>,
    ) -> hyper::Response<Incoming> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{target}", self.address));
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        self.client.request(request).await.unwrap()
    }

    pub(crate) async fn ask(&self, method: Method, target: &str, lines: Lines<'_>) -> Answer {
        Answer::of(self.send(method, target, lines, "").await).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[]).await
    }

    pub(crate) async fn get_with(&self, target: &str, lines: Lines<'_>) -> Answer {
        self.ask(Method::GET, target, lines).await
    }

    pub(crate) async fn post(&self, target: &str, lines: Lines<'_>, body: &str) -> Answer {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let own = bearer.as_deref().map(|bearer| ("authorization", bearer));
        let lines: Vec<_> = lines.iter().copied().chain(own).collect();
        let response = self.send(Method::POST, target, &lines, body.to_owned()).await;
        Answer::of(response).await
    }

    /// Adds rows and waits until they can be read.
    pub(crate) async fn ingest(&self, table: &str, rows: &str) -> String {
        let answer = self.post(&format!("/v1/ingest/{table}"), &[], rows).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let token = answer.header("springtide-version").to_owned();
        self.until_read(&token).await;
        token
    }

    async fn until_read(&self, token: &str) {
        let minimum: springtide_protocol::MinVersion = token.parse().unwrap();
        let tables = minimum.tables.keys().cloned().collect();
        let at = springtide_freshness::PinAt::AtLeast { minimum, wait: PATIENCE };
        let pinned = self.freshness.pin(springtide_freshness::PinRequest { tables, at }).await;
        pinned.unwrap();
    }

    /// One flight.
    pub(crate) async fn flight(&self, id: i64, day: &str, delay: i64) -> String {
        let row =
            format!(r#"{{"id":{id},"date":"{day}T08:00:00","delay":{delay},"origin":"SFO"}}"#);
        self.ingest("flights", &row).await
    }
}

/// Gives an origin the token of these tests.
pub(crate) fn give_token(settings: &mut OriginSettings) {
    settings.admin_token = Some(TOKEN.to_owned());
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Answer {
    async fn of(response: hyper::Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn etag(&self) -> &str {
        self.header("etag")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The only value of an answer of one row and one column.
    pub(crate) fn value(&self) -> serde_json::Value {
        assert_eq!(self.status, 200, "{:?}", String::from_utf8_lossy(&self.body));
        let json = self.json();
        let row = json["data"][0].as_object().unwrap().clone();
        row.into_iter().next().unwrap().1
    }

    /// The problem's slug.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        json["type"].as_str().unwrap().replace("urn:springtide:problem:", "")
    }

    pub(crate) fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

/// `/v1/sql` with a statement.
pub(crate) fn sql(statement: &str) -> String {
    let encoded: String = statement
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    format!("/v1/sql?q={encoded}")
}
