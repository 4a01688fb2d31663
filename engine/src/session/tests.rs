//! The sandbox below the vetting, and sessions that outlive what is done to them.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use duckdb::Connection;
use tempfile::TempDir;

use super::*;
use crate::error::EngineError;
use crate::settings::EngineSettings;

struct Sandbox {
    folder: TempDir,
    root: Connection,
}

/// A locked instance that may read `readable/`, with one Parquet file inside and one beside.
fn sandbox() -> Sandbox {
    let folder = TempDir::new().unwrap();
    let readable = folder.path().join("readable");
    let outside = folder.path().join("outside");
    for path in [&readable, &outside] {
        std::fs::create_dir_all(path).unwrap();
        parquet(&path.join("one.parquet"));
    }
    let root = open_executor(&settings(folder.path()), |_| Ok(())).unwrap();
    Sandbox { folder, root }
}

fn settings(folder: &Path) -> EngineSettings {
    EngineSettings {
        sessions: 2,
        threads: 2,
        memory_bytes: 256 * 1024 * 1024,
        readable_folders: vec![folder.join("readable")],
        scratch_folder: folder.join("scratch"),
        waiting_statements: 4,
    }
}

fn parquet(path: &Path) {
    let copy = format!("COPY (SELECT 1 AS n) TO '{}' (FORMAT parquet)", path.display());
    Connection::open_in_memory().unwrap().execute_batch(&copy).unwrap();
}

#[test]
fn files_of_the_readable_folder_are_read_also_those_that_come_later() {
    let sandbox = sandbox();
    let session = sandbox.root.try_clone().unwrap();
    let readable = sandbox.folder.path().join("readable");
    parquet(&readable.join("two.parquet"));
    let sql = format!("SELECT count(*) FROM read_parquet('{}/*.parquet')", readable.display());
    assert_eq!(session.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap(), 2);
}

#[test]
fn nothing_else_is_reached_even_by_sql_that_no_vetting_has_seen() {
    let sandbox = sandbox();
    let session = sandbox.root.try_clone().unwrap();
    let folder = sandbox.folder.path().display().to_string();
    let statements = [
        "SELECT * FROM read_text('/etc/passwd')".to_owned(),
        "SELECT * FROM read_blob('/etc/passwd')".to_owned(),
        "SELECT * FROM read_csv('/etc/passwd')".to_owned(),
        "SELECT * FROM '/etc/passwd'".to_owned(),
        "SELECT * FROM glob('/etc/*')".to_owned(),
        "SELECT * FROM read_json('/etc/hostname')".to_owned(),
        "SELECT * FROM sniff_csv('/etc/passwd')".to_owned(),
        format!("SELECT * FROM read_parquet('{folder}/outside/one.parquet')"),
        format!("SELECT * FROM read_parquet('{folder}/readable/../outside/one.parquet')"),
        format!("SELECT * FROM '{folder}/outside/one.parquet'"),
        format!("SELECT * FROM parquet_metadata('{folder}/outside/one.parquet')"),
        format!("ATTACH '{folder}/outside/other.db' AS other"),
        "ATTACH ':memory:' AS other (TYPE sqlite)".to_owned(),
        format!("COPY (SELECT 1) TO '{folder}/outside/two.parquet'"),
        "COPY (SELECT 1) TO '/tmp/springtide-escape.csv'".to_owned(),
        format!("EXPORT DATABASE '{folder}/outside/export'"),
        format!("IMPORT DATABASE '{folder}/outside/export'"),
        "INSTALL httpfs".to_owned(),
        "INSTALL sqlite FROM community".to_owned(),
        "LOAD httpfs".to_owned(),
        format!("LOAD '{folder}/outside/evil.duckdb_extension'"),
        "SELECT * FROM read_parquet('https://example.org/one.parquet')".to_owned(),
        "SELECT * FROM read_parquet('s3://bucket/one.parquet')".to_owned(),
        "SET memory_limit = '100GB'".to_owned(),
        "SET GLOBAL enable_external_access = true".to_owned(),
        "SET lock_configuration = false".to_owned(),
        "RESET allowed_directories".to_owned(),
        format!("SET GLOBAL allowed_directories = ['{folder}/']"),
        "SET TimeZone = 'Asia/Tokyo'".to_owned(),
        "SET threads = 64".to_owned(),
        "SET GLOBAL temp_directory = '/tmp'".to_owned(),
        "PRAGMA memory_limit = '100GB'".to_owned(),
        "CREATE SECRET s (TYPE s3)".to_owned(),
        "SELECT * FROM duckdb_secrets() WHERE load_aws_credentials()".to_owned(),
        "SELECT getenv('HOME')".to_owned(),
    ];
    let taken = statements.iter().filter(|sql| session.execute_batch(sql).is_ok());
    assert_eq!(taken.collect::<Vec<_>>(), Vec::<&String>::new());
    let left = std::fs::read_dir(sandbox.folder.path().join("outside")).unwrap().count();
    assert_eq!(left, 1, "a file was written");
    let zone = session.query_row("SELECT current_setting('TimeZone')", [], |r| r.get(0));
    assert_eq!(zone, Ok("UTC".to_owned()));
}

#[test]
fn the_planner_reads_no_file_at_all() {
    let sandbox = sandbox();
    let planner = open_planner().unwrap();
    let one = sandbox.folder.path().join("readable/one.parquet");
    let sql = format!("SELECT * FROM read_parquet('{}')", one.display());
    assert!(planner.execute_batch(&sql).is_err());
}

#[test]
fn failures_are_told_apart_by_what_to_do_about_them() {
    let sandbox = sandbox();
    let session = sandbox.root.try_clone().unwrap();
    let failure = |sql: &str| statement_error(session.execute_batch(sql).unwrap_err());
    let EngineError::InvalidSql { detail, position } = failure("SELECT nn FROM (SELECT 1 AS n)")
    else {
        panic!("not the client's")
    };
    assert!(detail.contains("nn") && detail.contains("\"n\""), "{detail}");
    assert_eq!(position, Some(7));
    for client in ["SELEC 1", "SELECT 'x'::INTEGER", "SELECT 1 // 'a'", "SELECT nosuch(1)"] {
        assert!(matches!(failure(client), EngineError::InvalidSql { .. }), "{client}");
    }
    let forbidden = failure("SELECT * FROM read_text('/etc/passwd')");
    assert!(matches!(forbidden, EngineError::Forbidden { .. }), "{forbidden:?}");
    let memory = failure("SELECT list(repeat('x', 1000) || i) FROM range(10_000_000) t(i)");
    assert!(matches!(memory, EngineError::OutOfMemory { .. }), "{memory:?}");
    let missing = sandbox.folder.path().join("readable/none.parquet");
    let ours = failure(&format!("SELECT * FROM read_parquet('{}')", missing.display()));
    assert!(matches!(ours, EngineError::Internal { .. }), "{ours:?}");
}

#[tokio::test]
async fn a_panic_ends_its_session_alone() {
    let sandbox = sandbox();
    let sessions = start(sandbox.root, 4);
    let admission = sessions.admit().await.unwrap();
    sessions.submit(admission, |_| panic!("on purpose"));
    let (report, outcome) = mpsc::channel();
    let admission = sessions.admit().await.unwrap();
    sessions.submit(admission, move |session| {
        let one = session.state.query_row("SELECT 1", [], |row| row.get::<_, i32>(0));
        report.send(one.unwrap()).unwrap();
    });
    assert_eq!(outcome.recv_timeout(Duration::from_secs(10)).unwrap(), 1);
}

#[tokio::test]
async fn those_who_wait_are_bounded_and_may_leave() {
    let sandbox = sandbox();
    let sessions = Arc::new(start(sandbox.root, 2));
    let held = sessions.admit().await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut admit = Box::pin(sessions.admit());
        let pending = futures_poll(admit.as_mut());
        assert!(pending.is_none());
        waiting.push(admit);
    }
    let full = sessions.admit().await;
    assert!(matches!(full, Err(EngineError::Overloaded { waiting: 2 })));
    waiting.pop();
    let mut admit = Box::pin(sessions.admit());
    assert!(futures_poll(admit.as_mut()).is_none(), "the place of who left is free");
    drop(held);
    let first = waiting.pop().unwrap().await;
    assert!(first.is_ok());
}

fn start(root: Connection, waiting: usize) -> Sessions<Connection> {
    Sessions::start("test", root, |connection| connection, 1, waiting).unwrap()
}

/// Polls once.
fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn an_interrupt_reaches_its_statement_and_no_other() {
    let sandbox = sandbox();
    let sessions = start(sandbox.root, 4);
    let long = "SELECT count(*) FROM range(1_000_000) a, range(1_000_000) b WHERE a.range = -b.range * b.range";
    for _ in 0..3 {
        let interruption = Interruption::new(Duration::from_millis(50));
        let (report, outcome) = mpsc::channel();
        let (admission, job) = (sessions.admit().await.unwrap(), interruption.job());
        let watch = tokio::spawn(Arc::clone(&interruption).watch());
        sessions.submit(admission, move |session| {
            job.arm(Arc::clone(&session.interrupt));
            let failed = session.state.execute_batch(long).is_err();
            report.send((failed, job.interruption().error())).unwrap();
        });
        watch.await.unwrap();
        let (failed, error) = outcome.recv().unwrap();
        assert!(failed);
        assert!(matches!(error, Some(EngineError::Timeout { .. })), "{error:?}");
        let (report, outcome) = mpsc::channel();
        let admission = sessions.admit().await.unwrap();
        sessions.submit(admission, move |session| {
            report.send(session.state.execute_batch("SELECT 1")).unwrap();
        });
        assert_eq!(outcome.recv().unwrap(), Ok(()));
    }
}
