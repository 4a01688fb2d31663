//! Limits are errors, never cuts; whatever ends a statement leaves its session
//! usable.

use std::time::{Duration, Instant};

use springtide_engine::{Encoding, EngineError, Limits, ResultLimit};
use springtide_protocol::Format;

use crate::support::{LIMITS, World, collect};

/// Runs for hours.
const ENDLESS: &str =
    "SELECT count(*) AS n FROM range(10000000) a(x), range(10000000) b(y) WHERE x * y % 7 = 8";
/// Begins soon, and is more than waits for a reader.
const LONG: &str = "SELECT x, repeat('x', 500) AS t FROM range(50000) a(x) ORDER BY x";
const NDJSON: Encoding = Encoding { format: Format::Ndjson, numbers_as_text: false };

async fn answers(world: &World) -> bool {
    world.ndjson("SELECT 1 AS one", &[]).await == "{\"one\":1}\n"
}

#[tokio::test]
async fn time_is_limited() {
    let world = World::with(|settings| settings.sessions = 1);
    let limits = Limits { time: Duration::from_millis(100), ..LIMITS };
    let started = Instant::now();
    let ended = world.start(ENDLESS, &[], NDJSON, limits).await;
    assert!(matches!(ended, Err(EngineError::Timeout { .. })), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(answers(&world).await);
}

#[tokio::test]
async fn time_is_limited_also_for_those_who_wait_and_those_who_read_slowly() {
    let world = World::with(|settings| settings.sessions = 1);
    let limits = Limits { time: Duration::from_millis(2_000), ..LIMITS };
    let mut slow = world.start(LONG, &[], NDJSON, limits).await.unwrap();
    // It holds the only session and nobody reads it.
    let short = Limits { time: Duration::from_millis(50), ..LIMITS };
    let waiting = world.start("SELECT 1 AS one", &[], NDJSON, short).await;
    assert!(matches!(waiting, Err(EngineError::Timeout { .. })), "{waiting:?}");
    assert!(answers(&world).await, "the session is free once its time is up");
    let mut last = None;
    while let Some(piece) = slow.next().await {
        last = Some(piece);
    }
    assert!(matches!(last, Some(Err(EngineError::Timeout { .. }))));
}

#[tokio::test]
async fn whoever_leaves_frees_the_session() {
    let world = World::with(|settings| settings.sessions = 1);
    let hour = Limits { time: Duration::from_secs(3600), ..LIMITS };
    for _ in 0..3 {
        let endless = world.start(ENDLESS, &[], NDJSON, hour);
        let left = tokio::time::timeout(Duration::from_millis(100), endless).await;
        assert!(left.is_err(), "it runs for hours");
        assert!(answers(&world).await);
        let mut answer = world.start(LONG, &[], NDJSON, hour).await.unwrap();
        assert!(answer.next().await.unwrap().is_ok());
        drop(answer);
        assert!(answers(&world).await);
    }
}

#[tokio::test]
async fn rows_and_bytes_are_limited() {
    let world = World::new();
    let ten = "SELECT x FROM range(10) a(x) ORDER BY x";
    let exact = Limits { rows: 10, bytes: 80, ..LIMITS };
    let bytes = collect(world.start(ten, &[], NDJSON, exact).await.unwrap()).await.unwrap();
    assert_eq!(bytes.len(), 80);
    let rows = world.start(ten, &[], NDJSON, Limits { rows: 9, ..LIMITS }).await;
    let Err(EngineError::ResultTooLarge { limit }) = rows else { panic!("{rows:?}") };
    assert_eq!(limit, ResultLimit::Rows(9));
    let bytes = world.start(ten, &[], NDJSON, Limits { bytes: 79, ..LIMITS }).await;
    let Err(EngineError::ResultTooLarge { limit }) = bytes else { panic!("{bytes:?}") };
    assert_eq!(limit, ResultLimit::Bytes(79));
    let long = world.start(LONG, &[], NDJSON, Limits { bytes: 4 << 20, ..LIMITS }).await.unwrap();
    let midway = collect(long).await;
    assert!(matches!(midway, Err(EngineError::ResultTooLarge { .. })));
}

#[tokio::test]
async fn memory_is_limited() {
    let world = World::with(|settings| settings.memory_bytes = 64 * 1024 * 1024);
    let sql = "SELECT length(string_agg(x::VARCHAR || repeat('x', 500), ',' ORDER BY x)) AS n FROM range(3000000) a(x)";
    let ended = world.start(sql, &[], NDJSON, LIMITS).await;
    assert!(matches!(ended, Err(EngineError::OutOfMemory { .. })), "{ended:?}");
    assert!(answers(&world).await);
}

#[tokio::test]
async fn more_than_may_wait_are_refused() {
    let world = World::with(|settings| (settings.sessions, settings.waiting_statements) = (1, 1));
    let holds = world.start(LONG, &[], NDJSON, LIMITS).await.unwrap();
    let waits = answers(&world);
    tokio::pin!(waits);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waits).await.is_err());
    let refused = world.start("SELECT 2 AS two", &[], NDJSON, LIMITS).await;
    assert!(matches!(refused, Err(EngineError::Overloaded { waiting: 1 })), "{refused:?}");
    drop(holds);
    assert!(waits.await);
}

#[tokio::test]
async fn a_thousand_at_once_finish_on_two_sessions() {
    let world = World::with(|settings| settings.waiting_statements = 1_000);
    let one = |n: i64| {
        let world = &world;
        async move {
            let sql = format!("SELECT sum(x) AS s FROM range({n}) a(x)");
            assert_eq!(world.ndjson(&sql, &[]).await, format!("{{\"s\":{}}}\n", n * (n - 1) / 2));
        }
    };
    let all = (0..1_000).map(|n| one(n % 50 + 1));
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn failures_in_the_middle_end_the_answer_with_an_error() {
    let world = World::new();
    let sql = "SELECT (CASE WHEN x = 3000000 THEN 'x' ELSE '1' END)::INTEGER AS n FROM range(4000000) a(x)";
    let outcome = match world.start(sql, &[], NDJSON, LIMITS).await {
        Ok(answer) => collect(answer).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(outcome, Err(EngineError::InvalidSql { .. })), "{outcome:?}");
    assert!(answers(&world).await);
}
