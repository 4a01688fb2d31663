//! What the program stands on fails while it runs, or is not there when it
//! starts: the catalog, the disk, the broker. It says which, goes on with what it
//! has, and loses nothing.

use serde_json::Value;

use crate::client::{Reply, flights, get, ingest, post, sql};
use crate::program::{FREE_PORTS, House, Server, eventually, shell};

const COUNT: &str = "SELECT count(*) AS n FROM flights";

/// What `/readyz` says of a part: whether it is ready, and the reason.
pub(crate) fn part(base: &str, name: &str) -> (bool, String) {
    let body = get(&format!("{base}/readyz"), &[]).json();
    let parts = body["parts"].as_array().unwrap();
    let found = parts.iter().find(|part| part["part"] == name).unwrap();
    let reason = found["reason"].as_str().unwrap_or_default().to_owned();
    (found["ready"] == Value::Bool(true), reason)
}

#[test]
fn a_catalog_that_is_not_there_yet_is_waited_for() {
    let house = House::with("[catalog]\nuri = \"sqlite:FOLDER/later/catalog.sqlite?mode=rwc\"\n");
    let file = house.path().join("springtide.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("FOLDER", house.path().to_str().unwrap())).unwrap();
    let server = house.serve();
    eventually("the catalog is named", || !part(&server.origin, "catalog").0);
    assert_eq!(get(&format!("{}/readyz", server.origin), &[]).status, 503);
    assert_eq!(get(&format!("{}/healthz", server.origin), &[]).status, 200, "it is alive");
    let early = sql(&server.origin, COUNT, &[]);
    assert_eq!(early.status, 503, "{}", early.body);

    std::fs::create_dir(house.path().join("later")).unwrap();
    eventually("it begins", || part(&server.origin, "catalog").0);
    eventually("rows are taken", || {
        let url = format!("{}/v1/ingest/flights", server.edge);
        post(&url, &[], &flights(0..5, "2001-03-10", "ATL")).status == 202
    });
    eventually("rows are there", || sql(&server.origin, COUNT, &[]).row()["n"] == 5);
}

#[test]
fn while_the_catalog_takes_no_commit_answers_and_rows_go_on() {
    let house = House::journal();
    let server = house.serve();
    ingest(&server.edge, &flights(0..100, "2001-03-10", "ATL"));
    eventually("a first commit", || lake_rows(&server.origin) == 100);

    let catalog = house.path().join("state/tables/catalog.sqlite");
    let lock = hold(&catalog);
    let token = ingest(&server.edge, &flights(100..150, "2001-03-10", "ATL"));
    let minimum = [("springtide-min-version", token.as_str())];
    assert_eq!(sql(&server.origin, COUNT, &minimum).row()["n"], 150, "the stream goes on");
    let reason = || table(&server.origin)["reason"].as_str().unwrap_or_default().to_owned();
    eventually("the trouble is named", || reason().contains("commit"));
    assert_eq!(lake_rows(&server.origin), 100, "nothing was committed meanwhile");
    assert_eq!(sql(&server.origin, COUNT, &[]).row()["n"], 150);

    drop(lock);
    eventually("the rest is committed", || lake_rows(&server.origin) == 150);
    assert_eq!(sql(&server.origin, COUNT, &[]).row()["n"], 150);
    eventually("nothing is wrong any more", || reason().is_empty());
}

#[test]
fn a_full_disk_refuses_rows_and_loses_none() {
    let house = House::journal();
    // Files end at 3 MiB, with an error and not with the signal.
    let limited = "trap '' XFSZ; ulimit -S -f 3072; exec \"$@\"";
    let serve = house.command(&["serve"]);
    let server = Server::start(shell(limited, &serve).args(FREE_PORTS));
    let url = format!("{}/v1/ingest/flights", server.edge);
    let mut taken: u64 = 0;
    let refused: Reply = loop {
        let reply = post(&url, &[], &flights(taken..taken + 2000, "2001-03-10", "ATL"));
        if reply.status != 202 {
            break reply;
        }
        taken += 2000;
        assert!(taken < 1_000_000, "the disk is never full");
    };
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("free some space"), "{}", refused.body);
    assert!(taken > 0);
    eventually("what was taken is answered", || {
        let count = sql(&server.origin, COUNT, &[]);
        count.status == 200 && count.row()["n"] == taken
    });
    // Room again: the same process goes on.
    server.lift_file_limit();
    let more = flights(taken..taken + 2000, "2001-03-10", "ATL");
    eventually("rows are taken again", || post(&url, &[], &more).status == 202);
    taken += 2000;
    server.crash();

    let server = house.serve();
    eventually("with room nothing is missing", || {
        let count = sql(&server.origin, COUNT, &[]);
        count.status == 200 && count.row()["n"] == taken
    });
    ingest(&server.edge, &flights(taken..taken + 2000, "2001-03-10", "ATL"));
    eventually("all are committed", || lake_rows(&server.origin) == taken + 2000);
    assert_eq!(sql(&server.origin, COUNT, &[]).row()["n"], taken + 2000);
}

fn lake_rows(base: &str) -> u64 {
    table(base)["lake"]["rows"].as_u64().unwrap()
}

fn table(base: &str) -> Value {
    get(&format!("{base}/v1/tables/flights"), &[]).json()
}

/// Holds the catalog's database so that nobody can write to it, until it is dropped.
struct Held {
    _connection: sqlx::SqliteConnection,
    _runtime: tokio::runtime::Runtime,
}

fn hold(database: &std::path::Path) -> Held {
    use sqlx::{Connection as _, Executor as _};
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(database)
        .busy_timeout(std::time::Duration::from_secs(60));
    let connection = runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        connection.execute("BEGIN EXCLUSIVE").await.unwrap();
        connection
    });
    Held { _connection: connection, _runtime: runtime }
}
