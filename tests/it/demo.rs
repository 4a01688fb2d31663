//! The demo, as a stranger meets it.

use serde_json::Value;

use crate::client::{get, sql};
use crate::program::{FREE_PORTS, Server, eventually, springtide};

fn totals(base: &str) -> Value {
    let statement = "SELECT count(*) AS n, count(DISTINCT flight_id) AS d, \
        max(flight_id) - min(flight_id) + 1 AS span, sum(flight_id) AS s FROM flights";
    sql(base, statement, &[]).row()
}

fn count(base: &str) -> u64 {
    totals(base)["n"].as_u64().unwrap()
}

#[test]
fn flights_move_and_go_on_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let start = |rate: &str| {
        let arguments = ["demo", "--rate", rate, "--dir", "state"];
        Server::start(springtide(&arguments).args(FREE_PORTS).current_dir(folder.path()))
    };
    let server = start("400");
    for name in ["flights_per_hour", "top_airports"] {
        let answer = get(&format!("{}/v1/q/{name}.json", server.edge), &[]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!answer.json()["data"].as_array().unwrap().is_empty());
    }
    let page = get(&format!("{}/", server.edge), &[]);
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");

    // A day of history is answered once and then kept, while flights move on.
    let past = format!("{}/v1/q/top_airports.json?from=2001-03-10&until=2001-03-11", server.edge);
    let first = get(&past, &[]);
    eventually("a hit", || get(&past, &[]).header("cache-status").contains("; hit"));
    let begun = count(&server.edge);
    eventually("flights arrive", || count(&server.edge) > begun + 400);
    assert_eq!(get(&past, &[]).etag(), first.etag());

    let before = count(&server.origin);
    server.crash();
    // Nothing is replayed now: what is there is what had been sent.
    let server = start("0");
    let all = totals(&server.origin);
    assert!(all["n"].as_u64().unwrap() >= before, "{all} after {before}");
    assert_eq!((&all["n"], &all["n"]), (&all["d"], &all["span"]), "none lost, none twice");
    assert!(server.stop().success());
    let server = start("400");
    eventually("flights go on", || count(&server.edge) > all["n"].as_u64().unwrap() + 100);
    let all = totals(&server.origin);
    assert_eq!((&all["n"], &all["n"]), (&all["d"], &all["span"]), "none lost, none twice");
    assert!(server.stop().success());
}
